"""Dense, Embedding, reshaping, dropout and other layers that do nothing when predicting."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import LayerWeight, Tensor
from exporter.formats.tfjs_layers.rules.activations import apply_activation, direct_activation
from exporter.formats.tfjs_layers.writer import ZEROS, Writer


def kernel_of(w: Writer, layer: Any, name: str = "kernel") -> LayerWeight:
    """The kernel as the layer applies it: a low-rank adaptation is merged into it."""
    if getattr(layer, "quantization_mode", None) is not None:
        w.refuse("quantised in Keras; export the float model, with a precision of the exporter")
    if getattr(layer, "lora_enabled", False):
        w.note("low-rank adaptation merged into the kernel")
        kernel = np.asarray(layer.kernel, dtype=np.float32)
        return LayerWeight(name, kernel.shape, lambda: kernel)
    return w.weight(name, layer._kernel if hasattr(layer, "_kernel") else layer.kernel)


def write_dense(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Dense; an activation that TF.js lacks follows as layers of its own."""
    bias = [w.weight("bias", layer.bias)] if layer.use_bias else []
    return _dense(w, layer, x, layer.units, [kernel_of(w, layer), *bias])


def _dense(w: Writer, layer: Any, x: Tensor, units: int, weights: list[LayerWeight]) -> Tensor:
    if len(x.shape) < 2:
        w.refuse(f"Dense on shape {x.shape}, which TF.js cannot")
    direct = direct_activation(layer.activation)
    config = {
        "units": units,
        "activation": direct or "linear",
        "use_bias": len(weights) > 1,
        "kernel_initializer": ZEROS,
        "bias_initializer": ZEROS,
    }
    y = w.emit("Dense", x, config, shape=(*x.shape[:-1], units), weights=weights)
    return y if direct else apply_activation(w, layer.activation, y, "activation")


def write_einsum_dense(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """EinsumDense over the last axis is Dense; anything else is refused."""
    found = re.fullmatch(r"(\.\.\.|[a-zA-Z]*)([a-zA-Z]),\2([a-zA-Z])->\1\3", layer.equation)
    plain_bias = layer.bias is None or layer.bias_axes == (found and found[3])
    if not found or found[3] in found[1] or not plain_bias:
        w.refuse(f"einsum {layer.equation!r}, which TF.js Layers does not have")
    w.note("written as Dense")
    bias = [] if layer.bias is None else [w.weight("bias", layer.bias)]
    kernel = kernel_of(w, layer)
    return _dense(w, layer, x, kernel.shape[1], [kernel, *bias])


def write_embedding(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Embedding; with `mask_zero`, the source of a mask in TF.js as in Keras."""
    if layer.quantization_mode is not None:
        w.refuse("quantised in Keras; export the float model, with a precision of the exporter")
    if getattr(layer, "lora_enabled", False):
        w.note("low-rank adaptation merged into the embeddings")
        table = np.asarray(layer.embeddings, dtype=np.float32)
        weight = LayerWeight("embeddings", table.shape, lambda: table)
    else:
        weight = w.weight("embeddings", layer._embeddings)
    config = {
        "input_dim": layer.input_dim,
        "output_dim": layer.output_dim,
        "mask_zero": layer.mask_zero,
        "embeddings_initializer": ZEROS,
    }
    y = w.emit("Embedding", x, config, shape=(*x.shape, layer.output_dim), weights=[weight])
    if layer.mask_zero:
        w.remember_mask(("nonzero", x.key), y)
    return y


def write_masking(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Masking."""
    if not np.isfinite(layer.mask_value):
        w.refuse(f"mask_value {layer.mask_value}, which model.json cannot hold")
    y = w.emit("Masking", x, {"mask_value": float(layer.mask_value)})
    w.remember_mask(("masked", x.key, float(layer.mask_value)), y)
    return y


def write_flatten(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Flatten; TF.js' own demands rank 3 and known sizes, else it is a Reshape."""
    if len(x.shape) > 2 and None not in x.shape[1:]:
        config = {"data_format": layer.data_format}
        return w.emit("Flatten", x, config, shape=w.shape, dtype=x.dtype)
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        x = w.permute(x, (0, *range(2, len(x.shape)), 1), "channels_last")
    return w.reshape(x, w.shape, "")


def write_reshape(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Reshape, to the shape that Keras finds: TF.js knows no sizes behind a -1."""
    return w.reshape(x, w.shape, "")


def write_permute(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Permute."""
    return w.permute(x, (0, *layer.dims), "")


def write_repeat_vector(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """RepeatVector."""
    return w.emit("RepeatVector", x, {"n": layer.n}, shape=w.shape, dtype=x.dtype)


def write_identity(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """A layer that hands on its input when predicting."""
    return w.emit("Activation", x, {"activation": "linear"}, dtype=x.dtype)


def write_dropout(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Dropout of any kind that TF.js has; it does nothing when predicting."""
    return w.emit(type(layer).__name__, x, {"rate": float(layer.rate)}, dtype=x.dtype)


def write_gaussian_noise(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """GaussianNoise; it does nothing when predicting."""
    return w.emit("GaussianNoise", x, {"stddev": float(layer.stddev)}, dtype=x.dtype)


def write_inner_layer(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """A wrapper that only changes training (SpectralNormalization): its layer alone."""
    w.note("written as the layer that it wraps; the wrapper matters in training only")
    return w.apply(layer.layer, x)
