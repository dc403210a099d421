"""ConvLSTM1D and ConvLSTM2D, both over TF.js' ConvLSTM2D."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import Shape, Tensor
from exporter.formats.tfjs_layers.rules.recurrent import (
    INITIALIZERS,
    cell_activation,
    gate_factors,
    note_state_left,
    options_of,
)
from exporter.formats.tfjs_layers.writer import Writer


def write_conv_lstm(w: Writer, layer: Any, x: Tensor, initial_state: Any = None) -> list[Tensor]:
    """ConvLSTM1D (its sequences as pictures of one column) and ConvLSTM2D."""
    if initial_state is not None or w.mask is not None:
        w.refuse("an initial state or a mask, which TF.js' ConvLSTM2D cannot take")
    if max(layer.dilation_rate) > 1:
        w.refuse("dilation, which TF.js' ConvLSTM2D applies to the input only in part")
    if layer.padding == "same" and any(
        k < s for k, s in zip(layer.kernel_size, layer.strides, strict=True)
    ):
        w.refuse("a window smaller than its stride, which TF.js shifts on wasm")
    note_state_left(w, layer)
    x = _as_pictures(w, layer, x)
    config = _config(w, layer)
    factors = gate_factors(w, 4, config)

    def change(values: np.ndarray) -> np.ndarray:
        if len(layer.kernel_size) == 1 and values.ndim > 1:
            values = values[:, None]
        return values if factors is None else values * np.repeat(factors, layer.filters)

    plain: Callable[[np.ndarray], np.ndarray] | None = change
    if factors is None and len(layer.kernel_size) == 2:
        plain = None
    weights = [
        w.weight("kernel", layer.cell.kernel, plain),
        w.weight("recurrent_kernel", layer.cell.recurrent_kernel, plain),
    ]
    if layer.use_bias:
        weights.append(w.weight("bias", layer.cell.bias, None if factors is None else change))
    shapes = [_inside(layer, shape) for shape in w.shapes]
    outputs = w.emit_many("ConvLSTM2D", [x], config, shapes, weights)
    if layer.return_state and not layer.return_sequences:
        outputs[1] = outputs[0]  # one tensor object in TF.js, see write_recurrent
    return [
        _outside(w, layer, y, shape, f"output_{number}")
        for number, (y, shape) in enumerate(zip(outputs, w.shapes, strict=True))
    ]


def _config(w: Writer, layer: Any) -> dict[str, Any]:
    one = [1] * (2 - len(layer.kernel_size))
    return {
        "filters": layer.filters,
        "kernel_size": [*layer.kernel_size, *one],
        "strides": [*layer.strides, *one],
        "padding": layer.padding,
        "data_format": "channels_last",
        "activation": cell_activation(w, layer.cell, "activation"),
        "recurrent_activation": cell_activation(w, layer.cell, "recurrent_activation"),
        "use_bias": layer.use_bias,
        **INITIALIZERS,
        **options_of(layer),
    }


def _as_pictures(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """(batch, steps, rows, columns, channels), whatever the layer takes."""
    if layer.data_format == "channels_first":
        w.note("channels first written as channels last between permutations")
        x = w.permute(x, (0, 1, *range(3, len(x.shape)), 2), "channels_last")
    if len(layer.kernel_size) == 1:
        x = w.reshape(x, (*x.shape[:-1], 1, x.shape[-1]), "as_pictures")
    return x


def _inside(layer: Any, shape: Shape) -> Shape:
    """The shape of an output as TF.js' layer gives it."""
    lead = len(shape) - len(layer.kernel_size) - 1
    if layer.data_format == "channels_first":
        shape = (*shape[:lead], *shape[lead + 1 :], shape[lead])
    return shape if len(layer.kernel_size) == 2 else (*shape[:-1], 1, shape[-1])


def _outside(w: Writer, layer: Any, y: Tensor, shape: Shape, role: str) -> Tensor:
    """An output as Keras gives it."""
    if len(layer.kernel_size) == 1:
        y = w.reshape(y, (*y.shape[:-2], y.shape[-1]), f"{role}_as_sequences")
    if layer.data_format == "channels_first":
        lead, rank = len(shape) - len(layer.kernel_size) - 1, len(shape)
        order = (*range(lead), rank - 1, *range(lead, rank - 1))
        y = w.permute(y, order, f"{role}_channels_first")
    return y
