"""Operations that a browser's runtime lacks or gets wrong, in terms of those it has.

Owns one table per target: operation -> a function that builds exact equivalents, or returns None
where the operation may stay. What the functions emit may be on the table again.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from exporter.graphs import arrays, casts, fourier, shapes, slices
from exporter.graphs.convolutions import (
    bias_of_channels,
    channels_last,
    grouped,
    same_by_hand,
    transposed,
    transposed_where_odd,
)
from exporter.graphs.copier import Rewrite
from exporter.graphs.einsum import einsum
from exporter.graphs.resizing import nearest_by_places, resize_by_matrices


def reshape(op: Any, inputs: list[Any]) -> Any:
    """A constant shape where at most one size is free: no shape arithmetic at run time."""
    shape = op.outputs[0].shape
    if shape.rank is None or inputs[1].op.type == "Const":
        return None
    sizes = [-1 if n is None else n for n in shape.as_list()]
    return None if sizes.count(-1) > 1 else tf.reshape(inputs[0], tf.constant(sizes, tf.int32))


def squeeze_constant(op: Any, inputs: list[Any]) -> Any:
    """A constant without leading axes of size 1: then it can be fused as a bias."""
    for index, other in ((1, 0), (0, 1)):
        x, y = inputs[index], inputs[other]
        if x.op.type != "Const" or y.op.type == "Const" or not x.shape.rank or x.shape.rank < 2:
            continue
        sizes = x.shape.as_list()
        if y.shape.rank is None or y.shape.rank < len(sizes) or set(sizes[:-1]) != {1}:
            continue
        flat = tf.constant(tf.get_static_value(x).reshape(-1))
        raw = getattr(tf.raw_ops, op.type)
        return raw(x=y, y=flat) if index == 1 else raw(x=flat, y=y)
    return None


def erfc(op: Any, inputs: list[Any]) -> Any:
    """1 - erf(x)."""
    return 1.0 - tf.math.erf(inputs[0])


def expm1(op: Any, inputs: list[Any]) -> Any:
    """tanh(x/2) * (exp(x) + 1): as exact near zero as far from it."""
    x = inputs[0]
    return tf.tanh(x * 0.5) * (tf.exp(x) + 1.0)


def log1p(op: Any, inputs: list[Any]) -> Any:
    """2 * atanh(x / (2 + x)) near zero, log(1 + x) elsewhere."""
    x = inputs[0]
    near = tf.abs(x) < 0.5
    small = tf.where(near, x, tf.zeros_like(x))
    return tf.where(near, 2.0 * tf.atanh(small / (2.0 + small)), tf.math.log(1.0 + x))


def softsign(op: Any, inputs: list[Any]) -> Any:
    """The quotient x / (1 + |x|)."""
    return inputs[0] / (1.0 + tf.abs(inputs[0]))


def bucketize(op: Any, inputs: list[Any]) -> Any:
    """How many boundaries are at or below x."""
    boundaries = tf.constant(op.get_attr("boundaries"), tf.float32)
    reached = tf.cast(inputs[0], tf.float32)[..., tf.newaxis] >= boundaries
    return tf.reduce_sum(tf.cast(reached, tf.int32), -1)


def sign_bits(op: Any, inputs: list[Any]) -> Any:
    """A `Bitcast` of which only the sign bit is read, as Keras' signbit and argmax do.

    1/x tells -0.0 from 0.0.
    """
    x = inputs[0]
    masked = [c for c in op.outputs[0].consumers() if c.type == "BitwiseAnd"]
    if x.dtype != tf.float32 or op.outputs[0].dtype != tf.int32 or not masked:
        return None
    if len(masked) != len(op.outputs[0].consumers()):
        return None
    negative = tf.logical_or(x < 0.0, tf.math.reciprocal(x) < 0.0)
    return tf.where(negative, tf.constant(tf.int32.min), tf.constant(0))


def sign_mask(op: Any, inputs: list[Any]) -> Any:
    """`BitwiseAnd` with the sign bit of what `sign_bits` made is that itself."""
    x, y = inputs
    mask = tf.get_static_value(y)
    return x if x.op.type == "SelectV2" and mask == np.iinfo(np.int32).min else None


def one_hot(op: Any, inputs: list[Any]) -> Any:
    """Where the index equals the place. TF.js on wasm writes floats as if they were integers."""
    indices, depth, on, off = inputs
    places = tf.range(depth)
    axis = op.get_attr("axis")
    rank = indices.shape.rank
    if axis not in (-1, rank):
        places = tf.reshape(places, [-1] + [1] * (rank - axis))
    expanded = tf.expand_dims(tf.cast(indices, tf.int32), axis)
    hot = tf.cast(tf.equal(expanded, places), on.dtype)
    if tf.get_static_value(on) == 1 and tf.get_static_value(off) == 0:
        return hot
    return hot * (on - off) + off


def band_part(op: Any, inputs: list[Any]) -> Any:
    """A mask of the band. TF.js on cpu keeps everything."""
    x, lower, upper = inputs
    rows, columns = shapes.sizes(x)[-2:]
    distance = tf.range(rows)[:, tf.newaxis] - tf.range(columns)[tf.newaxis, :]
    lower, upper = tf.cast(lower, tf.int32), tf.cast(upper, tf.int32)
    below = tf.logical_or(lower < 0, distance <= lower)
    above = tf.logical_or(upper < 0, -distance <= upper)
    return tf.where(tf.logical_and(below, above), x, tf.zeros_like(x))


def axis_from_the_start(op: Any, inputs: list[Any]) -> Any:
    """TF.js accumulates along the wrong axis where it is counted from the end."""
    x, axis = inputs
    known = tf.get_static_value(axis)
    if known is None or known >= 0 or x.shape.rank is None:
        return None
    raw = getattr(tf.raw_ops, op.type)
    options = {"exclusive": op.get_attr("exclusive"), "reverse": op.get_attr("reverse")}
    return raw(x=x, axis=int(known) + x.shape.rank, **options)


def first(*rewrites: Rewrite) -> Rewrite:
    """The first of these that applies."""

    def rewrite(op: Any, inputs: list[Any]) -> Any:
        made = (attempt(op, inputs) for attempt in rewrites)
        return next((x for x in made if x is not None), None)

    return rewrite


def rint(op: Any, inputs: list[Any]) -> Any:
    """Round half to even."""
    return tf.round(inputs[0])


_CONSTANT_LAST = dict.fromkeys(("Add", "AddV2", "Sub", "Mul", "RealDiv"), squeeze_constant)

COMMON: dict[str, Rewrite] = {
    **_CONSTANT_LAST,
    "BitwiseAnd": sign_mask,
    "Bitcast": sign_bits,
    "BroadcastArgs": arrays.broadcast_arguments,
    "Bucketize": bucketize,
    "Conv2DBackpropInput": transposed_where_odd,
    "Conv3D": grouped,
    "Conv3DBackpropInputV2": transposed_where_odd,
    "Cross": arrays.cross,
    "Einsum": einsum,
    "ComplexAbs": fourier.part_of_pair,
    "Erfc": erfc,
    "FFT": fourier.transform,
    "IFFT": fourier.transform,
    "IRFFT": fourier.inverse_real_transform,
    "Imag": fourier.part_of_pair,
    "Invert": arrays.invert_bits,
    "LeftShift": arrays.shift_bits,
    "OneHot": one_hot,
    "Reshape": reshape,
    "RFFT": fourier.real_transform,
    "Real": fourier.part_of_pair,
    "ResizeArea": resize_by_matrices,
    "ResizeBicubic": resize_by_matrices,
    "ResizeNearestNeighbor": nearest_by_places,
    "RightShift": arrays.shift_bits,
    "Rint": rint,
    "Roll": arrays.roll,
    "ScaleAndTranslate": resize_by_matrices,
    "SoftmaxCrossEntropyWithLogits": arrays.softmax_cross_entropy,
    "SparseSoftmaxCrossEntropyWithLogits": arrays.softmax_cross_entropy_of_classes,
    "StridedSlice": slices.strided_slice,
    "UnsortedSegmentSum": arrays.sum_of_segments,
}
TFJS: dict[str, Rewrite] = {
    **COMMON,
    "AvgPool": channels_last,
    "AvgPool3D": first(channels_last, arrays.pool_3d),
    "DepthwiseConv2dNative": first(channels_last, same_by_hand),
    "MaxPool": channels_last,
    "BiasAdd": bias_of_channels,
    "Cast": first(casts.cast_to_bool, casts.cast_to_number),
    "Conv2D": first(channels_last, grouped, same_by_hand),
    "Conv2DBackpropInput": first(channels_last, transposed_where_odd),
    "Conv3D": first(channels_last, grouped, same_by_hand),
    "Conv3DBackpropInputV2": first(channels_last, transposed),
    "Cumprod": axis_from_the_start,
    "Cumsum": axis_from_the_start,
    "BatchMatMulV2": arrays.matmul_in_batches,
    "BatchMatMulV3": arrays.matmul_of_integers,
    "GatherV2": arrays.gather_in_batches,
    "MatrixBandPart": band_part,
    "MatrixDiagPartV3": arrays.diagonal_part,
    "MatrixDiagV3": arrays.diagonal,
    "Max": arrays.reduce_bools,
    "MaxPool3D": first(channels_last, arrays.pool_3d),
    "Mean": arrays.mean_of_integers,
    "Min": arrays.reduce_bools,
    "ReverseV2": arrays.reverse_bools,
    "Select": arrays.select_bools,
    "SelectV2": arrays.select_bools,
    "Softsign": softsign,
    "SpaceToDepth": arrays.space_to_depth,
    "StridedSlice": first(slices.strided_slice, slices.integers_by_steps),
    "TruncateDiv": arrays.truncate_divide,
    "TruncateMod": arrays.truncate_modulo,
    "Xlogy": arrays.xlogy,
}
ONNX: dict[str, Rewrite] = {
    **COMMON,
    "BatchMatMulV3": arrays.matmul_of_computed_integers,
    "Cumprod": arrays.cumulative_product,
    "Expm1": expm1,
    "FloorDiv": arrays.floor_divide_integers,
    "FloorMod": arrays.floor_modulo_integers,
    "Log1p": log1p,
    "LowerBound": arrays.lower_bound,
    "Max": arrays.reduce_bools,
    "Mean": arrays.mean_of_integers,
    "Min": arrays.reduce_bools,
    "UpperBound": arrays.upper_bound,
    "Xlogy": arrays.xlogy,
}
