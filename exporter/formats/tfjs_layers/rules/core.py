"""Dense, reshaping, dropout."""

from __future__ import annotations

from typing import Any

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.rules.activations import apply_activation, direct_activation
from exporter.formats.tfjs_layers.writer import ZEROS, Writer


def write_dense(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Dense; an activation that TF.js lacks follows as layers of its own."""
    direct = direct_activation(layer.activation)
    config = {
        "units": layer.units,
        "activation": direct or "linear",
        "use_bias": layer.use_bias,
        "kernel_initializer": ZEROS,
        "bias_initializer": ZEROS,
    }
    weights = [w.weight("kernel", layer._kernel)]
    if layer.use_bias:
        weights.append(w.weight("bias", layer.bias))
    y = w.emit("Dense", x, config, shape=(*x.shape[:-1], layer.units), weights=weights)
    return y if direct else apply_activation(w, layer.activation, y)


def write_flatten(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Flatten; TF.js' own demands rank 3 and known sizes, else it is a Reshape."""
    known = all(size is not None for size in x.shape[1:])
    size = 1
    for n in x.shape[1:]:
        size *= n or 0
    if len(x.shape) > 2 and known:
        config = {"data_format": layer.data_format}
        return w.emit("Flatten", x, config, shape=(x.shape[0], size), dtype=x.dtype)
    if len(x.shape) == 2:
        return x
    if layer.data_format == "channels_first" and len(x.shape) > 2:
        x = w.permute(x, (0, *range(2, len(x.shape)), 1), "channels_last")
    return w.reshape(x, (x.shape[0], size if known else None), "")
