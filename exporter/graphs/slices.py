"""Slices as TF.js and ONNX read them right, and slices of shapes that are known.

May import nothing of the project.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf


def strided_slice(op: Any, inputs: list[Any]) -> Any:
    """Known sizes read from a shape; and places counted from the end counted from the start.

    TF.js takes the first element where the last is asked for by -1.
    """
    x, begin, end, stride = inputs
    masks = {name: op.get_attr(f"{name}_mask") for name in ("begin", "end", "shrink_axis")}
    begins, ends, strides = (tf.get_static_value(v) for v in (begin, end, stride))
    if begins is None or ends is None or strides is None or op.get_attr("ellipsis_mask"):
        return None
    if op.get_attr("new_axis_mask") or x.shape.rank is None:
        return None
    if x.op.type == "Shape" and (known := _known_sizes(x, begins, ends, strides, masks)):
        return tf.constant(known[0] if masks["shrink_axis"] else known, op.outputs[0].dtype)
    return _from_the_start(x, begins, ends, strides, masks)


def _known_sizes(
    x: Any, begins: Any, ends: Any, strides: Any, masks: dict[str, int]
) -> list[int] | None:
    """What a slice of the shape that `x` is gives, if all of it is known."""
    shape = x.op.inputs[0].shape
    if shape.rank is None:
        return None
    sizes = shape.as_list()
    if masks["shrink_axis"]:
        sizes = [sizes[int(begins[0])]]
    else:
        first = None if masks["begin"] else int(begins[0])
        last = None if masks["end"] else int(ends[0])
        sizes = sizes[first : last : int(strides[0])]
    return None if None in sizes else sizes


def integers_by_steps(op: Any, inputs: list[Any]) -> Any:
    """Every n-th of integers or booleans: TF.js on wasm reads them as floats; it gathers them."""
    x, *bounds = inputs
    known = [tf.get_static_value(v) for v in bounds]
    if x.dtype.is_floating or any(v is None for v in known) or set(known[2]) == {1}:
        return None
    if any(op.get_attr(f"{name}_mask") for name in ("ellipsis", "new_axis", "shrink_axis")):
        return None
    for axis, (begin, end, step) in enumerate(zip(*known, strict=True)):
        first = None if op.get_attr("begin_mask") >> axis & 1 else int(begin)
        last = None if op.get_attr("end_mask") >> axis & 1 else int(end)
        if (first, last, int(step)) == (None, None, 1):
            continue
        if x.shape[axis] is None:
            return None
        places = np.arange(x.shape[axis])[slice(first, last, int(step))]
        if len(places) != x.shape[axis] or int(step) != 1:
            x = tf.gather(x, tf.constant(places, tf.int32), axis=axis)
    return x


def _from_the_start(x: Any, begins: Any, ends: Any, strides: Any, masks: dict[str, int]) -> Any:
    new_begins, new_ends = [int(n) for n in begins], [int(n) for n in ends]
    for axis, size in enumerate(x.shape.as_list()[: len(new_begins)]):
        bit = 1 << axis
        shrink = bool(masks["shrink_axis"] & bit)
        if new_begins[axis] < 0 and not (masks["begin"] & bit and not shrink):
            if size is None or strides[axis] < 0:
                continue
            new_begins[axis] = max(new_begins[axis] + size, 0)
        if shrink:
            new_ends[axis] = new_begins[axis] + 1 if new_begins[axis] >= 0 else new_ends[axis]
        elif new_ends[axis] < 0 < strides[axis] and not masks["end"] & bit and size is not None:
            new_ends[axis] = max(new_ends[axis] + size, 0)
    if new_begins == list(begins) and new_ends == list(ends):
        return None
    return tf.strided_slice(
        x, new_begins, new_ends, [int(n) for n in strides],
        begin_mask=masks["begin"], end_mask=masks["end"], shrink_axis_mask=masks["shrink_axis"],
    )  # fmt: skip
