"""Casts that TF.js does by relabelling a buffer, computed instead.

May import nothing of the project.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def cast_to_bool(op: Any, inputs: list[Any]) -> Any:
    """Whether x differs from zero; TF.js on wasm cuts fractions off first."""
    x = inputs[0]
    if op.outputs[0].dtype != tf.bool or x.dtype == tf.bool:
        return None
    return tf.not_equal(x, tf.zeros([], x.dtype))


# What hands numbers on without computing with them.
_CARRIERS = frozenset({
    "Identity", "Cast", "Reshape", "Transpose", "ExpandDims", "Squeeze", "Slice", "StridedSlice",
    "Tile", "GatherV2", "ConcatV2", "Pack", "Pad", "PadV2", "BroadcastTo", "Split", "SplitV",
    "Unpack", "ReverseV2",
})  # fmt: skip


def cast_to_number(op: Any, inputs: list[Any]) -> Any:
    """A cast whose result is computed, not relabelled.

    TF.js on cpu keeps the buffer of integers or booleans under the name of the wider type; an
    output would be handed out so.
    """
    x, result = inputs[0], op.outputs[0]
    from_bool = x.dtype == tf.bool and result.dtype in (tf.float32, tf.int32, tf.int64)
    if not from_bool and (x.dtype.is_floating or result.dtype != tf.float32):
        return None
    readers = result.consumers()
    if readers and not any(reader.type in _CARRIERS for reader in readers):
        return None
    if from_bool:
        return tf.where(x, tf.ones([], result.dtype), tf.zeros([], result.dtype))
    made = tf.cast(x, tf.float32)
    return tf.maximum(made, made)
