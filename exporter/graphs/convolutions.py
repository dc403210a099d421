"""Convolutions that a runtime lacks, in terms of those it has.

May import `exporter.graphs.shapes` and `exporter.graphs.refusal`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from exporter.graphs import shapes
from exporter.graphs.refusal import OPERATION, Refused


def grouped(op: Any, inputs: list[Any]) -> Any:
    """A grouped convolution: one convolution for each group of channels, side by side."""
    x, kernel = inputs
    channels, per_group = x.shape[-1], kernel.shape[-2]
    if channels is None or channels == per_group or op.get_attr("data_format")[-1:] != b"C":
        return None
    groups = channels // per_group
    kernels = tf.split(kernel, groups, axis=-1)
    parts = tf.split(x, groups, axis=-1)
    raw = getattr(tf.raw_ops, op.type)
    options = {"strides": op.get_attr("strides"), "dilations": op.get_attr("dilations")}
    if op.type == "Conv2D":
        options["explicit_paddings"] = op.get_attr("explicit_paddings")
    made = [
        raw(input=part, filter=k, padding=op.get_attr("padding").decode(), **options)
        for part, k in zip(parts, kernels, strict=True)
    ]
    return tf.concat(made, axis=-1)


def transposed(op: Any, inputs: list[Any]) -> Any:
    """A transposed convolution as a plain one, of the input with zeros between its values.

    The gradient of a strided convolution: https://arxiv.org/abs/1603.07285, section 4.
    """
    _, kernel, x = inputs
    rank = x.shape.rank - 2
    output = op.outputs[0].shape.as_list()[1:-1]
    if op.get_attr("data_format")[-1:] != b"C" or None in output or None in x.shape[1:-1]:
        return None
    if op.get_attr("padding") not in (b"SAME", b"VALID"):
        return None
    strides = op.get_attr("strides")[1:-1]
    dilations = op.get_attr("dilations")[1:-1]
    same = op.get_attr("padding") == b"SAME"
    paddings = []
    for axis in range(rank):
        size, stride, wanted = x.shape[axis + 1], strides[axis], output[axis]
        width = (kernel.shape[axis] - 1) * dilations[axis] + 1
        x = _spread(x, axis + 1, stride)
        cut = max((size - 1) * stride + width - wanted, 0) if same else 0
        before = width - 1 - cut // 2
        after = wanted + width - 1 - before - ((size - 1) * stride + 1)
        paddings.append([before, after])
    if min(n for pair in paddings for n in pair) < 0:
        return None
    x = tf.pad(x, [[0, 0], *paddings, [0, 0]])
    order = [*range(rank), rank + 1, rank]
    flipped = tf.transpose(tf.reverse(kernel, list(range(rank))), order)
    options = {"strides": [1] * (rank + 2), "padding": "VALID", "dilations": [1, *dilations, 1]}
    return (tf.nn.conv2d if rank == 2 else tf.nn.conv3d)(x, flipped, **options)


def transposed_where_odd(op: Any, inputs: list[Any]) -> Any:
    """`transposed`, only where the kernel does not reach all of the result, or is dilated.

    TF.js ignores the dilation, and ONNX would want to pad by less than nothing.
    """
    _, kernel, x = inputs
    rank = x.shape.rank - 2
    strides, dilations = op.get_attr("strides")[1:-1], op.get_attr("dilations")[1:-1]
    output = op.outputs[0].shape.as_list()[1:-1]
    reaches = all(
        n is None or wanted is None or (n - 1) * s + width >= wanted
        for n, wanted, s, width in zip(
            x.shape.as_list()[1:-1], output, strides, kernel.shape[:rank], strict=True
        )
    )
    small = any(n < s for n, s in zip(kernel.shape[:rank], strides, strict=True))
    odd = small or not reaches or max(dilations) > 1
    return transposed(op, inputs) if odd else None


def same_by_hand(op: Any, inputs: list[Any]) -> Any:
    """`SAME` where a window is smaller than its step, so that no padding is wanted, as `VALID`.

    TF.js then pads by less than nothing, which shifts every window: in three dimensions
    everywhere, in two on wasm.
    """
    x, kernel = inputs
    if op.get_attr("padding") != b"SAME" or op.get_attr("data_format")[-1:] != b"C":
        return None
    rank = x.shape.rank - 2
    strides, dilations = op.get_attr("strides")[1:-1], op.get_attr("dilations")[1:-1]
    widths = [(n - 1) * d + 1 for n, d in zip(kernel.shape[:rank], dilations, strict=True)]
    if all(width >= stride for width, stride in zip(widths, strides, strict=True)):
        return None
    paddings = []
    for size, width, stride in zip(x.shape[1:-1], widths, strides, strict=True):
        if size is None and width > 1:
            reason = (
                "a window smaller than its step on a picture of free size is not exact in TF.js"
            )
            raise Refused(op.name, OPERATION, reason)
        total = 0 if width == 1 else max((-(-size // stride) - 1) * stride + width - size, 0)
        paddings.append([total // 2, total - total // 2])
    if any(n for pair in paddings for n in pair):
        x = tf.pad(x, [[0, 0], *paddings, [0, 0]])
    raw = getattr(tf.raw_ops, op.type)
    options = {name: op.get_attr(name) for name in ("strides", "dilations")}
    return raw(input=x, filter=kernel, padding="VALID", **options)


# Axes of the channels-last form for each rank, and back.
_LAST = {4: [0, 2, 3, 1], 5: [0, 2, 3, 4, 1]}
_FIRST = {4: [0, 3, 1, 2], 5: [0, 4, 1, 2, 3]}


def channels_last(op: Any, inputs: list[Any]) -> Any:
    """A channels-first operation between two transposes; TF.js has few such kernels."""
    if op.get_attr("data_format")[:2] != b"NC":
        return None
    rank = op.outputs[0].shape.rank
    last, first = _LAST[rank], _FIRST[rank]
    options: dict[str, Any] = {"data_format": "NHWC" if rank == 4 else "NDHWC"}
    for name in ("strides", "ksize", "dilations"):
        if name in op.node_def.attr:
            values = list(op.get_attr(name))
            options[name] = [values[i] for i in last]
    options["padding"] = op.get_attr("padding").decode()
    raw = getattr(tf.raw_ops, op.type)
    if op.type in ("MaxPool", "AvgPool", "MaxPool3D", "AvgPool3D"):
        names = {"value" if op.type == "AvgPool" else "input": tf.transpose(inputs[0], last)}
    elif "Backprop" in op.type:
        sizes = tf.gather(inputs[0], last)
        names = {"input_sizes": sizes, "filter": inputs[1],
                 "out_backprop": tf.transpose(inputs[2], last)}  # fmt: skip
    else:
        names = {"input": tf.transpose(inputs[0], last), "filter": inputs[1]}
    made = raw(**names, **options)
    shape = op.outputs[0].shape.as_list()
    made.set_shape([shape[i] for i in last])
    return tf.transpose(made, first)


def bias_of_channels(op: Any, inputs: list[Any]) -> Any:
    """A bias on channels-first pictures as an addition."""
    if op.get_attr("data_format") != b"NCHW":
        return None
    x, bias = inputs
    return x + tf.reshape(bias, [-1] + [1] * (x.shape.rank - 2))


def _spread(x: Any, axis: int, stride: int) -> Any:
    """Put `stride - 1` zeros between neighbours along one axis."""
    if stride == 1:
        return x
    sizes = shapes.sizes(x)
    before, after = sizes[:axis], sizes[axis + 1 :]
    flat = shapes.reshape(x, [shapes.product([*before, sizes[axis]]), 1, shapes.product(after)])
    flat = tf.pad(flat, [[0, 0], [0, stride - 1], [0, 0]])
    wide = shapes.reshape(flat, [*before, sizes[axis] * stride, *after])
    end = (sizes[axis] - 1) * stride + 1
    begin = [0] * len(sizes)
    size = [-1] * len(sizes)
    size[axis] = end
    return tf.slice(wide, begin, size)
