"""Convolutions that a runtime lacks, in terms of those it has.

May import nothing of the project but `exporter.graphs.shapes`.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from exporter.graphs import shapes


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


def transposed_3d(op: Any, inputs: list[Any]) -> Any:
    """`Conv3DBackpropInputV2` as a plain convolution of the input with zeros between its values.

    The gradient of a strided convolution: https://arxiv.org/abs/1603.07285, section 4.
    """
    _, kernel, x = inputs
    output = op.outputs[0].shape.as_list()
    if op.get_attr("data_format") != b"NDHWC" or None in output[1:4] or None in x.shape[1:4]:
        return None
    if list(op.get_attr("dilations")) != [1] * 5:
        return None
    strides = op.get_attr("strides")[1:4]
    same = op.get_attr("padding") == b"SAME"
    paddings = [[0, 0]]
    for axis, stride in enumerate(strides, start=1):
        size, width, wanted = x.shape[axis], kernel.shape[axis - 1], output[axis]
        x = _spread(x, axis, stride)
        total = max((size - 1) * stride + width - wanted, 0) if same else 0
        before = width - 1 - total // 2
        after = wanted + width - 1 - before - ((size - 1) * stride + 1)
        paddings.append([before, after])
    if min(n for pair in paddings for n in pair) < 0:
        return None
    x = tf.pad(x, [*paddings, [0, 0]])
    flipped = tf.transpose(tf.reverse(kernel, [0, 1, 2]), [0, 1, 2, 4, 3])
    return tf.nn.conv3d(x, flipped, [1] * 5, "VALID")


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
