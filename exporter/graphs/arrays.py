"""Rarer operations on arrays and numbers, in terms of those that every runtime has.

May import nothing of the project but `exporter.graphs.shapes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from exporter.graphs import shapes


def cast_to_bool(op: Any, inputs: list[Any]) -> Any:
    """Whether x differs from zero; TF.js on wasm cuts fractions off first."""
    x = inputs[0]
    if op.outputs[0].dtype != tf.bool or x.dtype == tf.bool:
        return None
    return tf.not_equal(x, tf.zeros([], x.dtype))


def cast_to_byte(op: Any, inputs: list[Any]) -> Any:
    """Fractions cut off, then modulo 256, as TensorFlow does it; ONNX and TF.js leave it open."""
    x, dtype = inputs[0], op.outputs[0].dtype
    if not x.dtype.is_floating or dtype not in (tf.uint8, tf.int8):
        return None
    whole = tf.cast(x, tf.int32)
    shift = 128 if dtype == tf.int8 else 0
    return tf.cast(tf.math.floormod(whole + shift, 256) - shift, dtype)


def cross(op: Any, inputs: list[Any]) -> Any:
    """The vector product along the last axis."""
    (a, b, c), (x, y, z) = (tf.unstack(v, axis=-1) for v in inputs)
    return tf.stack([b * z - c * y, c * x - a * z, a * y - b * x], axis=-1)


def broadcast_arguments(op: Any, inputs: list[Any]) -> Any:
    """The common shape of two known shapes of which one may hold running sizes."""
    first, second = inputs
    if first.shape.rank != 1 or second.shape.rank != 1 or None in (*first.shape, *second.shape):
        return None
    rank = max(first.shape[0], second.shape[0])
    padded = [
        tf.concat([tf.ones([rank - v.shape[0]], v.dtype), v], 0) if v.shape[0] < rank else v
        for v in inputs
    ]
    return tf.where(tf.equal(padded[0], 1), padded[1], padded[0])


def diagonal_part(op: Any, inputs: list[Any]) -> Any:
    """One diagonal of the last two axes: what remains of each row under a mask."""
    x, k, _ = inputs
    place = tf.get_static_value(k)
    rows, columns = x.shape[-2:]
    if place is None or np.size(place) != 1 or rows is None or columns is None:
        return None
    offset = int(np.ravel(place)[0])
    first_row, first_column = max(-offset, 0), max(offset, 0)
    length = min(rows - first_row, columns - first_column)
    lines = [x[..., first_row + i, first_column + i] for i in range(length)]
    return tf.stack(lines, axis=-1) if length <= 64 else None


def diagonal(op: Any, inputs: list[Any]) -> Any:
    """A square matrix with the last axis on its main diagonal."""
    x, k, rows, columns, padding = inputs
    known = [tf.get_static_value(v) for v in (k, rows, columns, padding)]
    if any(v is None for v in known) or np.any(known[0]) or known[3] != 0:
        return None
    size = x.shape[-1]
    if size is None or known[1] not in (-1, size) or known[2] not in (-1, size):
        return None
    return x[..., tf.newaxis] * tf.eye(size, dtype=x.dtype)


def invert_bits(op: Any, inputs: list[Any]) -> Any:
    """In two's complement, -x - 1."""
    return -inputs[0] - 1


def shift_bits(op: Any, inputs: list[Any]) -> Any:
    """A shift by a known number of places as a product or a rounded quotient."""
    places = tf.get_static_value(inputs[1])
    if places is None or np.any(places < 0) or np.any(places > 30):
        return None
    factor = tf.constant(1 << np.asarray(places).astype(np.int64), inputs[0].dtype)
    return inputs[0] * factor if op.type == "LeftShift" else inputs[0] // factor


def softmax_cross_entropy(op: Any, inputs: list[Any]) -> Any:
    """The loss alone: the second output is a gradient."""
    logits, labels = inputs
    if op.outputs[1].consumers():
        return None
    loss = -tf.reduce_sum(labels * tf.nn.log_softmax(logits), axis=-1)
    return [loss, tf.zeros_like(logits)]


def softmax_cross_entropy_of_classes(op: Any, inputs: list[Any]) -> Any:
    """The loss alone, for labels that are numbers of classes."""
    logits, labels = inputs
    if op.outputs[1].consumers() or logits.shape[-1] is None:
        return None
    classes = tf.range(logits.shape[-1])
    hot = tf.cast(tf.equal(tf.cast(labels, tf.int32)[..., tf.newaxis], classes), logits.dtype)
    loss = -tf.reduce_sum(hot * tf.nn.log_softmax(logits), axis=-1)
    return [loss, tf.zeros_like(logits)]


def truncate_divide(op: Any, inputs: list[Any]) -> Any:
    """The quotient rounded towards zero."""
    x, y = inputs
    quotient = tf.abs(x) // tf.abs(y)
    return quotient * tf.sign(x) * tf.sign(y)


def truncate_modulo(op: Any, inputs: list[Any]) -> Any:
    """The remainder with the sign of the dividend."""
    x, y = inputs
    return tf.math.floormod(tf.abs(x), tf.abs(y)) * tf.sign(x)


def roll(op: Any, inputs: list[Any]) -> Any:
    """Two slices that change places."""
    x, shift, axis = inputs
    shifts, axes = tf.get_static_value(shift), tf.get_static_value(axis)
    if shifts is None or axes is None:
        return None
    for by, along in zip(np.ravel(shifts), np.ravel(axes), strict=True):
        place = int(along) % x.shape.rank
        size = x.shape[place]
        if size is None:
            return None
        cut = (size - int(by)) % size
        if cut:
            x = tf.concat([_part(x, place, cut, size), _part(x, place, 0, cut)], place)
    return x


def _part(x: Any, axis: int, begin: int, end: int) -> Any:
    return x[(slice(None),) * axis + (slice(begin, end),)]


def xlogy(op: Any, inputs: list[Any]) -> Any:
    """The product x * log(y), and 0 where x is 0."""
    x, y = inputs
    zero = tf.equal(x, 0)
    return tf.where(zero, tf.zeros_like(x * y), x * tf.math.log(tf.where(zero, tf.ones_like(y), y)))


def space_to_depth(op: Any, inputs: list[Any]) -> Any:
    """Blocks of pixels become channels."""
    x, block = inputs[0], op.get_attr("block_size")
    if op.get_attr("data_format") != b"NHWC" or None in x.shape[1:]:
        return None
    batch = shapes.sizes(x)[0]
    _, height, width, channels = x.shape.as_list()
    split = [batch, height // block, block, width // block, block, channels]
    x = tf.transpose(shapes.reshape(x, split), [0, 1, 3, 2, 4, 5])
    return shapes.reshape(x, [batch, height // block, width // block, block * block * channels])
