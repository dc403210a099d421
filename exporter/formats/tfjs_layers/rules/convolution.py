"""Convolutions of all kinds.

TF.js has Conv1D to Conv3D, Conv2DTranspose, Conv3DTranspose, DepthwiseConv2D and SeparableConv2D;
it ignores groups, output_padding and the dilation of all but the first three, and cannot pad
causally. What it lacks is brought to what it has, with the same products in the same sums.
Channels first is brought to channels last.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import LayerWeight, Tensor
from exporter.formats.tfjs_layers.rules.activations import apply_activation, direct_activation
from exporter.formats.tfjs_layers.rules.core import kernel_of
from exporter.formats.tfjs_layers.rules.space import channels_last, pad, without_overhang
from exporter.formats.tfjs_layers.writer import ZEROS, Writer

GROUPED_KERNEL_LIMIT = 16_000_000
"""Values of a kernel of groups written out in full, above which it is refused (64 MB)."""


def write_conv(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Conv1D, Conv2D, Conv3D."""
    x, back = channels_last(w, layer, x)
    padding = layer.padding
    if padding == "causal":
        left = (layer.kernel_size[0] - 1) * layer.dilation_rate[0]
        w.note("causal padding written as zero padding before the convolution")
        x, padding = pad(w, x, [(left, 0)], "causal"), "valid"
    kernel = kernel_of(w, layer)
    dilation = list(layer.dilation_rate)
    if layer.groups > 1:
        kernel = _ungrouped(w, kernel, layer.groups)
    if layer.rank == 3 and max(dilation) > 1:
        kernel, dilation = dilated(w, kernel, dilation), [1, 1, 1]
    kernel_size, strides = list(kernel.shape[: layer.rank]), list(layer.strides)
    x, padding = without_overhang(w, x, kernel_size, strides, padding)
    config = {
        "filters": layer.filters,
        "kernel_size": kernel_size,
        "strides": strides,
        "padding": padding,
        "dilation_rate": dilation,
        "kernel_initializer": ZEROS,
    }
    name = f"Conv{layer.rank}D"
    return back(_convolve(w, layer, x, name, config, [kernel], layer.filters))


def _convolve(
    w: Writer,
    layer: Any,
    x: Tensor,
    class_name: str,
    config: dict[str, Any],
    kernels: Sequence[LayerWeight],
    channels: int,
) -> Tensor:
    """Emit one convolution with bias and activation."""
    direct = direct_activation(layer.activation)
    bias = [w.weight("bias", layer.bias)] if layer.use_bias else []
    config |= {
        "data_format": "channels_last",
        "activation": direct or "linear",
        "use_bias": layer.use_bias,
        "bias_initializer": ZEROS,
    }
    sizes = [
        _length(size, kernel, stride, rate, config["padding"])
        for size, kernel, stride, rate in zip(
            x.shape[1:-1],
            config["kernel_size"],
            config["strides"],
            config.get("dilation_rate") or [1] * len(config["strides"]),
            strict=True,
        )
    ]
    shape = (x.shape[0], *sizes, channels)
    y = w.emit(class_name, x, config, shape=shape, weights=[*kernels, *bias])
    return y if direct else apply_activation(w, layer.activation, y, "activation")


def _length(size: int | None, kernel: int, stride: int, rate: int, padding: str) -> int | None:
    if size is None:
        return None
    room = size if padding == "same" else size - (kernel - 1) * rate
    return -(-room // stride)


def changed(weight: LayerWeight, change: Callable[[np.ndarray], np.ndarray]) -> LayerWeight:
    """The weight after `change`; no longer Keras' own."""
    shape = change(np.zeros(weight.shape, np.float32)).shape
    return LayerWeight(
        weight.name, shape, lambda: np.ascontiguousarray(change(weight.values())), None
    )


def dilated(w: Writer, kernel: LayerWeight, rates: Sequence[int]) -> LayerWeight:
    """The kernel with zeros between its values."""
    w.note("dilation written as zeros in the kernel")

    def spread(values: np.ndarray) -> np.ndarray:
        sizes = [(n - 1) * r + 1 for n, r in zip(values.shape, rates, strict=False)]
        wide = np.zeros((*sizes, *values.shape[len(rates) :]), np.float32)
        wide[tuple(slice(None, None, rate) for rate in rates)] = values
        return wide

    return changed(kernel, spread)


def _ungrouped(w: Writer, kernel: LayerWeight, groups: int) -> LayerWeight:
    """One kernel over all channels, zero across groups."""
    if groups * int(np.prod(kernel.shape)) > GROUPED_KERNEL_LIMIT:
        w.refuse(
            f"{groups} groups, which TF.js Layers does not have; written out with zeros the "
            f"kernel would have {groups * int(np.prod(kernel.shape))} values"
        )
    w.note(f"{groups} groups written as one kernel with zeros, {groups} times the size")

    def fill(values: np.ndarray) -> np.ndarray:
        *space, depth, filters = values.shape
        full = np.zeros((*space, depth * groups, filters), np.float32)
        each = filters // groups
        for g in range(groups):
            place = (..., slice(g * depth, (g + 1) * depth), slice(g * each, (g + 1) * each))
            full[place] = values[..., g * each : (g + 1) * each]
        return full

    return changed(kernel, fill)


def write_depthwise(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """DepthwiseConv1D and DepthwiseConv2D."""
    x, back = channels_last(w, layer, x)
    kernel = w.weight("depthwise_kernel", layer.kernel)
    if max(layer.dilation_rate) > 1:
        kernel = dilated(w, kernel, list(layer.dilation_rate))
    x, kernels, config = _as_picture(w, layer, x, [kernel])
    config |= {"depth_multiplier": layer.depth_multiplier, "depthwise_initializer": ZEROS}
    channels = (x.shape[-1] or 0) * layer.depth_multiplier
    y = _convolve(w, layer, x, "DepthwiseConv2D", config, kernels, channels)
    return back(_as_sequence(w, layer, y))


def write_separable(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """SeparableConv1D and SeparableConv2D."""
    x, back = channels_last(w, layer, x)
    depthwise = w.weight("depthwise_kernel", layer.depthwise_kernel)
    pointwise = w.weight("pointwise_kernel", layer.pointwise_kernel)
    if max(layer.dilation_rate) > 1:
        depthwise = dilated(w, depthwise, list(layer.dilation_rate))
    x, kernels, config = _as_picture(w, layer, x, [depthwise, pointwise])
    config |= {
        "filters": layer.filters,
        "depth_multiplier": layer.depth_multiplier,
        "depthwise_initializer": ZEROS,
        "pointwise_initializer": ZEROS,
    }
    y = _convolve(w, layer, x, "SeparableConv2D", config, kernels, layer.filters)
    return back(_as_sequence(w, layer, y))


def _as_picture(
    w: Writer, layer: Any, x: Tensor, kernels: list[LayerWeight]
) -> tuple[Tensor, list[LayerWeight], dict[str, Any]]:
    """Sequences as pictures of one column, which is what TF.js has such layers for."""
    strides = list(layer.strides)
    if layer.rank == 1:
        x = w.reshape(x, (x.shape[0], x.shape[1], 1, x.shape[2]), "as_picture")
        kernels = [changed(kernel, lambda values: values[:, None]) for kernel in kernels]
        strides = strides * 2
    kernel_size = list(kernels[0].shape[:2])
    x, padding = without_overhang(w, x, kernel_size, strides, layer.padding)
    config = {"kernel_size": kernel_size, "strides": strides, "padding": padding}
    return x, kernels, config


def _as_sequence(w: Writer, layer: Any, y: Tensor) -> Tensor:
    if layer.rank > 1:
        return y
    return w.reshape(y, (y.shape[0], y.shape[1], y.shape[3]), "as_sequence")
