"""Rarer operations on arrays and numbers, in terms of those that every runtime has.

May import nothing of the project but `exporter.graphs.shapes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from exporter.graphs import shapes


def matmul_of_integers(op: Any, inputs: list[Any]) -> Any:
    """`BatchMatMulV3` of 8-bit integers in float32, which is exact up to 2^24."""
    x, y = inputs
    if op.outputs[0].dtype != tf.int32:
        return None
    options = {"adj_x": op.get_attr("adj_x"), "adj_y": op.get_attr("adj_y")}
    made = tf.raw_ops.BatchMatMulV2(x=tf.cast(x, tf.float32), y=tf.cast(y, tf.float32), **options)
    return tf.cast(tf.round(made), tf.int32)


def matmul_of_computed_integers(op: Any, inputs: list[Any]) -> Any:
    """The same where both factors are computed; tf2onnx takes one for a weight and fails."""
    stored = inputs[1].op.type in ("Const", "Placeholder")
    return None if stored else matmul_of_integers(op, inputs)


def cumulative_product(op: Any, inputs: list[Any]) -> Any:
    """One product after the other; tf2onnx fails."""
    x, axis = inputs
    known = tf.get_static_value(axis)
    if known is None or x.shape[int(known)] is None or x.shape[int(known)] > _MOST_PARTS:
        return None
    parts = tf.unstack(x, axis=int(known))
    if op.get_attr("reverse"):
        parts.reverse()
    product, made = tf.ones_like(parts[0]), []
    for part in parts:
        before, product = product, product * part
        made.append(before if op.get_attr("exclusive") else product)
    if op.get_attr("reverse"):
        made.reverse()
    return tf.stack(made, axis=int(known))


_MOST_PARTS = 64
"""Where an axis is taken apart: more operations than that are too many."""


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
    if length > _MOST_PARTS:
        return None
    lines = [x[..., first_row + i, first_column + i] for i in range(length)]
    return tf.stack(lines, axis=-1)


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


def gather_in_batches(op: Any, inputs: list[Any]) -> Any:
    """A gather with batch axes as one of rows of a flat list. TF.js on wasm ignores the batch."""
    x, places, axis = inputs
    batch = op.get_attr("batch_dims")
    along = tf.get_static_value(axis)
    if not batch or along is None:
        return None
    rank = x.shape.rank
    batch, along = batch % places.shape.rank, int(along) % rank
    order = [*range(batch), along, *(i for i in range(batch, rank) if i != along)]
    x = tf.transpose(x, order) if along != batch else x
    x_sizes, place_sizes = shapes.sizes(x), shapes.sizes(places)
    groups, length = shapes.product(x_sizes[:batch]), x_sizes[batch]
    rest = x_sizes[batch + 1 :]
    inner = place_sizes[batch:]
    flat = shapes.reshape(x, [shapes.product([groups, length]), *rest])
    count = shapes.product(inner)
    rows = shapes.reshape(tf.cast(places, tf.int32), [groups, count])
    rows += tf.range(groups)[:, tf.newaxis] * length
    made = tf.gather(flat, tf.reshape(rows, [-1]), axis=0)
    made = shapes.reshape(made, [*place_sizes, *rest])
    if along == batch:
        return made
    # The gathered axes stand where `axis` was: after the axes between batch and it.
    many, between = len(inner), along - batch
    back = [*range(batch), *range(batch + many, batch + many + between),
            *range(batch, batch + many),
            *range(batch + many + between, made.shape.rank)]  # fmt: skip
    return tf.transpose(made, back)


def select_bools(op: Any, inputs: list[Any]) -> Any:
    """A choice between booleans by and, or, not: TF.js on wasm reads them as floats."""
    condition, x, y = inputs
    if x.dtype != tf.bool:
        return None
    chosen = tf.logical_and(condition, x)
    return tf.logical_or(chosen, tf.logical_and(tf.logical_not(condition), y))


def mean_of_integers(op: Any, inputs: list[Any]) -> Any:
    """The sum divided by the count, cut off towards zero; TF.js answers floats."""
    x, axes = inputs
    known = tf.get_static_value(axes)
    if x.dtype.is_floating or known is None:
        return None
    sizes = shapes.sizes(x)
    count = shapes.product([sizes[int(i)] for i in np.ravel(known)])
    total = tf.reduce_sum(x, np.ravel(known), keepdims=op.get_attr("keep_dims"))
    return tf.abs(total) // tf.cast(count, x.dtype) * tf.sign(total)


def reverse_bools(op: Any, inputs: list[Any]) -> Any:
    """By way of integers: TF.js on wasm has no kernel for booleans."""
    x, axes = inputs
    if x.dtype != tf.bool:
        return None
    return tf.cast(tf.reverse(tf.cast(x, tf.int32), axes), tf.bool)


def matmul_in_batches(op: Any, inputs: list[Any]) -> Any:
    """A product of stacks of matrices whose sizes differ, made equal first.

    TF.js multiplies the wrong pairs where one stack of several axes has a size of 1.
    """
    a, b = inputs
    first, second = a.shape.as_list()[:-2], b.shape.as_list()[:-2]
    if not first or not second or first == second:
        return None
    rank = max(len(first), len(second))
    first, second = [1] * (rank - len(first)) + first, [1] * (rank - len(second)) + second
    sizes_a, sizes_b = ([1] * (rank + 2 - x.shape.rank) + shapes.sizes(x) for x in (a, b))
    common = [m if n == 1 else n for n, m in zip(sizes_a[:rank], sizes_b[:rank], strict=True)]
    if first != [n if isinstance(n, int) else None for n in common]:
        a = tf.broadcast_to(a, _shape([*common, *sizes_a[rank:]]))
    if second != [n if isinstance(n, int) else None for n in common]:
        b = tf.broadcast_to(b, _shape([*common, *sizes_b[rank:]]))
    if a is inputs[0] and b is inputs[1]:
        return None
    return tf.matmul(a, b, adjoint_a=op.get_attr("adj_x"), adjoint_b=op.get_attr("adj_y"))


def _shape(sizes: list[Any]) -> Any:
    return tf.stack(sizes) if any(not isinstance(n, int) for n in sizes) else tf.constant(sizes)


def pool_3d(op: Any, inputs: list[Any]) -> Any:
    """Two poolings of pictures.

    TF.js on wasm starts the largest value from zero, not from the smallest number, and shifts
    windows that are smaller than their step.
    """
    x = inputs[0]
    if op.get_attr("data_format") != b"NDHWC" or None in x.shape[1:]:
        return None
    (_, deep, high, wide, _), strides = op.get_attr("ksize"), op.get_attr("strides")
    padding = op.get_attr("padding").decode()
    batch = shapes.sizes(x)[0]
    _, depth, height, width, channels = x.shape.as_list()
    x = shapes.reshape(x, [shapes.product([batch, depth]), height, width, channels])
    pool = tf.nn.max_pool2d if op.type == "MaxPool3D" else tf.nn.avg_pool2d
    x = pool(x, [high, wide], strides[2:4], padding)
    height, width = x.shape[1:3]
    x = shapes.reshape(x, [batch, depth, height * width, channels])
    x = pool(x, [deep, 1], [strides[1], 1], padding)
    return shapes.reshape(x, [batch, x.shape[1], height, width, channels])


def sum_of_segments(op: Any, inputs: list[Any]) -> Any:
    """Sums of rows by number: a product with the matrix that says which row is in which sum."""
    x, numbers, count = inputs
    known = tf.get_static_value(count)
    if known is None or numbers.shape.rank != 1 or not x.dtype.is_floating:
        return None
    belongs = tf.equal(tf.range(int(known))[:, tf.newaxis], tf.cast(numbers, tf.int32))
    sizes = shapes.sizes(x)
    flat = shapes.reshape(x, [sizes[0], shapes.product(sizes[1:])])
    made = tf.matmul(tf.cast(belongs, x.dtype), flat)
    return shapes.reshape(made, [int(known), *sizes[1:]])


def lower_bound(op: Any, inputs: list[Any]) -> Any:
    """How many of the sorted numbers are less than the value."""
    numbers, values = inputs
    less = numbers[:, tf.newaxis, :] < values[:, :, tf.newaxis]
    return tf.reduce_sum(tf.cast(less, op.outputs[0].dtype), -1)


def upper_bound(op: Any, inputs: list[Any]) -> Any:
    """How many of the sorted numbers are at most the value."""
    numbers, values = inputs
    most = numbers[:, tf.newaxis, :] <= values[:, :, tf.newaxis]
    return tf.reduce_sum(tf.cast(most, op.outputs[0].dtype), -1)


def reduce_bools(op: Any, inputs: list[Any]) -> Any:
    """The largest of booleans is any, the smallest all of them."""
    x, axes = inputs
    if x.dtype != tf.bool:
        return None
    reduce = tf.reduce_any if op.type == "Max" else tf.reduce_all
    return reduce(x, tf.get_static_value(axes), keepdims=op.get_attr("keep_dims"))


def floor_divide_integers(op: Any, inputs: list[Any]) -> Any:
    """Rounded down, by way of float64, which holds every int32; ONNX cuts off towards zero."""
    x, y = inputs
    if x.dtype not in (tf.int32, tf.int16, tf.int8):
        return None
    quotient = tf.cast(x, tf.float64) / tf.cast(y, tf.float64)
    return tf.cast(tf.floor(quotient), x.dtype)


def floor_modulo_integers(op: Any, inputs: list[Any]) -> Any:
    """What `floor_divide_integers` leaves."""
    quotient = floor_divide_integers(op, inputs)
    return None if quotient is None else inputs[0] - quotient * inputs[1]
