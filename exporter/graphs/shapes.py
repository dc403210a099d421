"""Sizes that may be known only when the model runs, with as little shape arithmetic as possible.

May import nothing of the project.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

Size = int | Any  # a number, or a scalar tensor of int32


def sizes(x: Any) -> list[Size]:
    """The size of each axis: a number where it is known."""
    known = x.shape.as_list()
    if None not in known:
        return known
    running = tf.shape(x)
    return [running[i] if n is None else n for i, n in enumerate(known)]


def product(factors: Sequence[Size]) -> Size:
    """The product; a number where all factors are."""
    result: Size = 1
    for factor in factors:
        result = factor if isinstance(result, int) and result == 1 else result * factor
    return result


def pack(shape: Sequence[Size]) -> Any:
    """A shape to reshape to; one unknown size is written as -1."""
    unknown = [i for i, n in enumerate(shape) if not isinstance(n, int)]
    if len(unknown) <= 1:
        return tf.constant([n if isinstance(n, int) else -1 for n in shape], tf.int32)
    return tf.stack(list(shape))


def reshape(x: Any, shape: Sequence[Size]) -> Any:
    """`tf.reshape` that keeps sizes constant where it can."""
    known = [n if isinstance(n, int) else None for n in shape]
    if x.shape.as_list() == known and None not in known:
        return x
    return tf.reshape(x, pack(shape))
