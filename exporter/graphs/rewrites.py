"""Operations that a browser's runtime lacks or gets wrong, in terms of those it has.

Owns one table per target: operation -> a function that builds exact equivalents.
"""

from __future__ import annotations

from typing import Any

from exporter.graphs.trace import Rewrite


def reshape(op: Any, inputs: list[Any]) -> Any:
    """A constant shape where at most one size is free: no shape arithmetic at run time."""
    import tensorflow as tf

    shape = op.outputs[0].shape
    if shape.rank is None or inputs[1].op.type == "Const":
        return None
    sizes = [-1 if n is None else n for n in shape.as_list()]
    if sizes.count(-1) > 1:
        return None
    return tf.reshape(inputs[0], tf.constant(sizes, tf.int32))


COMMON: dict[str, Rewrite] = {"Reshape": reshape}
TFJS: dict[str, Rewrite] = {**COMMON}
ONNX: dict[str, Rewrite] = {**COMMON}
