"""Transposed convolutions.

TF.js takes the size of the output from stride and padding alone and ignores dilation; it has no
Conv1DTranspose, and its Conv3DTranspose is wrong on wasm. Every transposed convolution is a window
of the whole one (TensorFlow's conv2d_backprop_input), so what TF.js lacks is cut out of that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import LayerWeight, Tensor
from exporter.formats.tfjs_layers.rules.activations import apply_activation, direct_activation
from exporter.formats.tfjs_layers.rules.convolution import changed, dilated
from exporter.formats.tfjs_layers.rules.core import kernel_of
from exporter.formats.tfjs_layers.rules.space import channels_last, crop, pad
from exporter.formats.tfjs_layers.writer import ZEROS, Writer


def write_conv_transpose(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Conv1DTranspose, Conv2DTranspose, Conv3DTranspose."""
    wanted = w.shape[2:] if layer.data_format == "channels_first" else w.shape[1:-1]
    x, back = channels_last(w, layer, x)
    kernel = kernel_of(w, layer)
    spread = max(layer.dilation_rate) > 1
    if spread:
        kernel = dilated(w, kernel, list(layer.dilation_rate))
    sizes, strides = x.shape[1:-1], list(layer.strides)
    own = [
        _length(n, s, k, layer.padding)
        for n, s, k in zip(sizes, strides, kernel.shape, strict=False)
    ]
    plain = not spread and (layer.output_padding is None or list(wanted) == own)
    if None in sizes and (not plain or layer.rank == 3):
        w.refuse("free sizes, with which TF.js Layers cannot do this; give Input fixed sizes")
    if plain and layer.rank < 3:
        bias = [w.weight("bias", layer.bias)] if layer.use_bias else []
        direct = direct_activation(layer.activation)
        y = _emit(w, layer, x, kernel, layer.padding, bias, direct or "linear")
        return back(y if direct else apply_activation(w, layer.activation, y, "activation"))
    starts = [
        _start(n or 0, s, k, t or 0, layer.padding)
        for n, s, k, t in zip(sizes, strides, kernel.shape, wanted, strict=False)
    ]
    if layer.rank == 3:
        y = _through_conv3d(w, layer, x, kernel, starts, wanted)
    else:
        w.note("output_padding or dilation written as a window of the whole output")
        y = _window(w, _emit(w, layer, x, kernel, "valid", [], "linear"), starts, wanted)
    if layer.use_bias:
        y = w.rescale(y, 1.0, np.asarray(layer.bias, dtype=np.float32).tolist(), "bias")
    return back(apply_activation(w, layer.activation, y, "activation"))


def _length(size: int | None, stride: int, kernel: int, padding: str) -> int | None:
    """TF.js' deconvLength."""
    if size is None:
        return None
    return size * stride + (max(kernel - stride, 0) if padding == "valid" else 0)


def _start(size: int, stride: int, kernel: int, target: int, padding: str) -> int:
    """Where Keras' output begins in the whole one."""
    return max((size - 1) * stride + kernel - target, 0) // 2 if padding == "same" else 0


def _emit(
    w: Writer,
    layer: Any,
    x: Tensor,
    kernel: LayerWeight,
    padding: str,
    bias: Sequence[LayerWeight],
    activation: str,
) -> Tensor:
    """TF.js' Conv2DTranspose; a sequence is a picture of one column."""
    strides = list(layer.strides)
    if layer.rank == 1:
        x = w.reshape(x, (x.shape[0], x.shape[1], 1, x.shape[2]), "as_picture")
        kernel = changed(kernel, lambda values: values[:, None])
        strides = [*strides, 1]
    config = {
        "filters": layer.filters,
        "kernel_size": list(kernel.shape[:2]),
        "strides": strides,
        "padding": padding,
        "data_format": "channels_last",
        "activation": activation,
        "use_bias": bool(bias),
        "kernel_initializer": ZEROS,
        "bias_initializer": ZEROS,
    }
    sizes = [
        _length(n, s, k, padding)
        for n, s, k in zip(x.shape[1:3], strides, kernel.shape, strict=False)
    ]
    shape = (x.shape[0], *sizes, layer.filters)
    y = w.emit("Conv2DTranspose", x, config, shape=shape, weights=[kernel, *bias])
    if layer.rank == 1:
        return w.reshape(y, (y.shape[0], y.shape[1], layer.filters), "as_sequence")
    return y


def _window(w: Writer, y: Tensor, starts: Sequence[int], wanted: Sequence[int | None]) -> Tensor:
    """Cut from `starts` on, and add zeros where the whole output ends too early."""
    after = [
        (size or 0) - start - (target or 0)
        for size, start, target in zip(y.shape[1:-1], starts, wanted, strict=True)
    ]
    cuts = [(start, max(rest, 0)) for start, rest in zip(starts, after, strict=True)]
    y = crop(w, y, cuts, "window")
    return pad(w, y, [(0, max(-rest, 0)) for rest in after], "window_end")


def _through_conv3d(
    w: Writer,
    layer: Any,
    x: Tensor,
    kernel: LayerWeight,
    starts: Sequence[int],
    wanted: Sequence[int | None],
) -> Tensor:
    """A convolution, its kernel turned round, over the input with zeros between its values."""
    w.note("written as Conv3D over the spread input: TF.js' Conv3DTranspose is wrong on wasm")
    turned = changed(kernel, lambda v: v[::-1, ::-1, ::-1].transpose(0, 1, 2, 4, 3))
    for axis, stride in enumerate(layer.strides):
        x = _spread(w, x, axis + 1, stride, f"spread_{'zyx'[axis]}")
    before = [k - 1 - start for k, start in zip(kernel.shape, starts, strict=False)]
    after = [
        (target or 0) + k - 1 - (size or 0) - front
        for target, k, size, front in zip(wanted, kernel.shape, x.shape[1:-1], before, strict=False)
    ]
    x = pad(w, x, [(b, max(a, 0)) for b, a in zip(before, after, strict=True)], "edges")
    x = crop(w, x, [(0, max(-a, 0)) for a in after], "edges_cut")
    config = {
        "filters": layer.filters,
        "kernel_size": list(kernel.shape[:3]),
        "strides": [1, 1, 1],
        "padding": "valid",
        "data_format": "channels_last",
        "activation": "linear",
        "use_bias": False,
        "kernel_initializer": ZEROS,
        "bias_initializer": ZEROS,
    }
    shape = (x.shape[0], *wanted, layer.filters)
    return w.emit("Conv3D", x, config, shape=shape, weights=[turned])


def _spread(w: Writer, x: Tensor, axis: int, stride: int, role: str) -> Tensor:
    """Stride - 1 zeros after each value along one axis."""
    if stride == 1:
        return x
    sizes = [n or 0 for n in x.shape[1:]]
    before, rest = math.prod(sizes[:axis]), math.prod(sizes[axis:])
    y = w.reshape(x, (x.shape[0], before, 1, rest), f"{role}_rows")
    config = {"padding": [[0, 0], [0, stride - 1]], "data_format": "channels_last"}
    shape = (x.shape[0], before, stride, rest)
    y = w.emit("ZeroPadding2D", y, config, shape=shape, role=role)
    sizes[axis - 1] *= stride
    return w.reshape(y, (x.shape[0], *sizes), f"{role}_done")
