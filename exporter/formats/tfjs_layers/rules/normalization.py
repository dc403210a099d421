"""Normalisation: BatchNormalization, LayerNormalization, Normalization, Rescaling."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.writer import ZEROS, Writer


def write_batch_normalization(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """BatchNormalization with its moving statistics.

    TF.js computes it over the last axis of two to four; over another axis it silently mixes the
    statistics up, so the axis is brought to the end.
    """
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    config = {
        "axis": -1,
        "epsilon": layer.epsilon,
        "momentum": layer.momentum,
        "center": layer.center,
        "scale": layer.scale,
        "beta_initializer": ZEROS,
        "gamma_initializer": ZEROS,
        "moving_mean_initializer": ZEROS,
        "moving_variance_initializer": ZEROS,
    }
    weights = [
        w.weight("moving_mean", layer.moving_mean),
        w.weight("moving_variance", layer.moving_variance),
    ]
    if layer.scale:
        weights.append(w.weight("gamma", layer.gamma))
    if layer.center:
        weights.append(w.weight("beta", layer.beta))

    def write(y: Tensor) -> Tensor:
        return w.emit("BatchNormalization", y, config, weights=weights)

    return w.along_last(x, [axis % len(x.shape)], write)


def write_layer_normalization(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """LayerNormalization over any axes; the axes become one, the last."""
    if layer.rms_scaling:
        w.refuse("rms_scaling, which TF.js Layers does not have")
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = [axis % len(x.shape) for axis in axes]
    if axes != sorted(axes) or 0 in axes:
        w.refuse(f"axes {tuple(layer.axis)}, which TF.js Layers cannot normalise over")
    config = {
        "axis": -1,
        "epsilon": layer.epsilon,
        "center": layer.center,
        "scale": layer.scale,
        "beta_initializer": ZEROS,
        "gamma_initializer": ZEROS,
    }
    weights = []
    for name, present in (("gamma", layer.scale), ("beta", layer.center)):
        if present:
            variable = getattr(layer, name)
            flat = len(variable.shape) > 1
            weights.append(w.weight(name, variable, (lambda v: v.reshape(-1)) if flat else None))

    def write(y: Tensor) -> Tensor:
        return w.emit("LayerNormalization", y, config, weights=weights)

    return w.along_last(x, axes, write)


def write_normalization(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Normalization: two Rescaling layers, subtraction first as in Keras."""
    mean = np.asarray(layer.mean, dtype=np.float32)
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance, np.float32)), np.float32(1e-7))
    w.note("written as two Rescaling layers with the adapted mean and variance")
    if layer.invert:
        y = w.rescale(x, _numbers(deviation), role="deviation")
        return w.rescale(y, 1.0, _numbers(mean), "")
    y = w.rescale(x, 1.0, _numbers(-mean), "mean")
    return w.rescale(y, _numbers(1 / deviation.astype(np.float64)), role="")


def write_rescaling(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Rescaling; numbers or arrays that broadcast with the input."""
    scale = np.asarray(layer.scale, dtype=np.float32)
    offset = np.asarray(layer.offset, dtype=np.float32)
    return w.rescale(x, _numbers(scale), _numbers(offset), "")


def _numbers(array: np.ndarray) -> Any:
    """As model.json holds them: nested lists; a number where all axes are one."""
    if array.size == 1:
        return float(array.reshape(-1)[0])
    while array.ndim > 1 and array.shape[0] == 1:
        array = array[0]
    return array.astype(np.float32).tolist()
