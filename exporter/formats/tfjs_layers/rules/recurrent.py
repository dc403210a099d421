"""Recurrent layers: SimpleRNN, GRU, LSTM, RNN of cells, Bidirectional.

Keras' hard_sigmoid is clip(x / 6 + 0.5), TF.js' clip(x / 5 + 0.5): with the weights that lead to
it times 5/6, TF.js' gives Keras' values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import activations, layers

from exporter.formats.tfjs_layers.graph import LayerWeight, Shape, Tensor
from exporter.formats.tfjs_layers.names import sanitize
from exporter.formats.tfjs_layers.rules.activations import direct_activation, name_of
from exporter.formats.tfjs_layers.rules.masking import mask_as_numbers, with_mask, without_mask
from exporter.formats.tfjs_layers.writer import ZEROS, Writer

HARD = 5 / 6
"""Turns Keras' hard_sigmoid into TF.js'."""

_GATES = {
    layers.SimpleRNNCell: 1,
    layers.GRUCell: 3,
    layers.LSTMCell: 4,
}  # fmt: skip
INITIALIZERS = {
    "kernel_initializer": ZEROS,
    "recurrent_initializer": ZEROS,
    "bias_initializer": ZEROS,
}


def cell_activation(w: Writer, cell: Any, name: str) -> str:
    """TF.js' name of an activation inside a cell."""
    function = getattr(cell, name)
    if function is activations.hard_sigmoid:
        return "hard_sigmoid"
    direct = direct_activation(function)
    if direct is None:
        w.refuse(f"{name} {name_of(function)!r}, which TF.js Layers does not have inside a cell")
    return direct


def gate_factors(w: Writer, gates: int, config: dict[str, Any]) -> np.ndarray | None:
    """A factor for each gate where hard_sigmoid is used; None where it is not."""
    factors = np.ones(gates, np.float32)
    if config["activation"] == "hard_sigmoid":
        if gates == 4:
            w.refuse("activation 'hard_sigmoid', which TF.js computes otherwise, on LSTM's state")
        factors[{1: 0, 3: 2}[gates]] = HARD
    if config.get("recurrent_activation") == "hard_sigmoid":
        factors[{3: [0, 1], 4: [0, 1, 3]}[gates]] = HARD
    if (factors == 1).all():
        return None
    w.note("hard_sigmoid: the weights before it times 5/6, for TF.js' own is steeper")
    return factors


def _cell(w: Writer, cell: Any, prefix: str = "") -> tuple[dict[str, Any], list[LayerWeight]]:
    """Config and weights of a cell; `prefix` is TF.js' scope within the layer."""
    if type(cell) not in _GATES:
        w.refuse(f"cell {type(cell).__name__}, which TF.js Layers does not have")
    config = {"units": cell.units, "use_bias": cell.use_bias, **INITIALIZERS}
    config["activation"] = cell_activation(w, cell, "activation")
    if type(cell) is not layers.SimpleRNNCell:
        config["recurrent_activation"] = cell_activation(w, cell, "recurrent_activation")
    if type(cell) is layers.GRUCell:
        config["reset_after"] = False
        if cell.reset_after:
            w.refuse(
                "reset_after=True, Keras' default, which TF.js Layers does not have; "
                "train with reset_after=False"
            )
    factors = gate_factors(w, _GATES[type(cell)], config)

    def weight(name: str, variable: Any) -> LayerWeight:
        if factors is None:
            return w.weight(prefix + name, variable)
        wide = np.repeat(factors, cell.units)
        return w.weight(prefix + name, variable, lambda values: values * wide)

    weights = [
        weight("kernel", cell.kernel),
        weight("recurrent_kernel", cell.recurrent_kernel),
    ]
    if cell.use_bias:
        weights.append(weight("bias", cell.bias))
    return config, weights


def options_of(layer: Any) -> dict[str, Any]:
    """What every recurrent layer has in its config."""
    return {
        "return_sequences": layer.return_sequences,
        "return_state": layer.return_state,
        "go_backwards": layer.go_backwards,
        "stateful": False,
        "unroll": False,
    }


def _layer(
    w: Writer, layer: Any, prefix: str = ""
) -> tuple[str, dict[str, Any], list[LayerWeight]]:
    """TF.js' class, config and weights of a recurrent layer."""
    if type(layer) in (layers.SimpleRNN, layers.GRU, layers.LSTM):
        config, weights = _cell(w, layer.cell, prefix)
        return type(layer).__name__, config | options_of(layer), weights
    if type(layer) is not layers.RNN:
        w.refuse(f"{type(layer).__name__}, which TF.js Layers does not have here")
    if not isinstance(layer.cell, layers.StackedRNNCells):
        config, weights = _cell(w, layer.cell, prefix)
        cell = {"class_name": type(layer.cell).__name__, "config": config}
        return "RNN", {"cell": cell, **options_of(layer)}, weights
    cells, weights = [], []
    for index, inner in enumerate(layer.cell.cells):
        config, own = _cell(w, inner, f"{prefix}RNNCell_{index}/")
        cells.append({"class_name": type(inner).__name__, "config": config})
        weights += own
    cell = {"class_name": "StackedRNNCells", "config": {"cells": cells}}
    return "RNN", {"cell": cell, **options_of(layer)}, weights


def _state_order(layer: Any) -> list[int]:
    """Where Keras' states are among TF.js', which has those of stacked cells from the last on."""
    cell = getattr(layer, "cell", None)
    if not isinstance(cell, layers.StackedRNNCells):
        count = 2 if type(cell) is layers.LSTMCell else 1
        return list(range(count))
    groups, start = [], 0
    for inner in reversed(cell.cells):
        count = 2 if type(inner) is layers.LSTMCell else 1
        groups.append(list(range(start, start + count)))
        start += count
    return [index for group in reversed(groups) for index in group]


def write_recurrent(w: Writer, layer: Any, x: Tensor, initial_state: Any = None) -> list[Tensor]:
    """SimpleRNN, GRU, LSTM and RNN, with states in and out."""
    class_name, config, weights = _layer(w, layer)
    note_state_left(w, layer)
    order = _state_order(layer)
    states = _flatten(initial_state)
    if states and len(states) != len(order):
        w.refuse(f"initial_state of {len(order)} tensors expected, {len(states)} found")
    given = [states[order.index(i)] for i in range(len(order))] if states else []
    x = with_mask(w, x, w.mask)
    shapes: list[Shape] = list(w.shapes)
    if layer.return_state:
        shapes = [shapes[0], *(shapes[1 + order.index(i)] for i in range(len(order)))]
    outputs = w.emit_many(class_name, [x, *given], config, shapes, weights)
    first = _silenced(w, layer, outputs[0])
    if not layer.return_state:
        return [first]
    if not layer.return_sequences:
        # TF.js gives one tensor object as output and first state, and frees it with the first
        # of the two that is used up.
        outputs[1] = outputs[0]
    return [first, *(outputs[1 + index] for index in order)]


def _silenced(w: Writer, layer: Any, y: Tensor, role: str = "") -> Tensor:
    """Zero at masked steps where Keras wants that; TF.js repeats the step before."""
    if w.mask is None or not (layer.return_sequences and layer.zero_output_for_mask):
        return y
    w.note("masked steps made zero, where TF.js repeats the step before")
    return w.emit("Multiply", [y, mask_as_numbers(w, y, w.mask)], role=f"{role}mask/silenced")


def _flatten(state: Any) -> list[Tensor]:
    if state is None:
        return []
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in _flatten(part)]


def note_state_left(w: Writer, layer: Any) -> None:
    """Say that a stateful layer begins anew at each call, as it does in the other formats."""
    if layer.stateful:
        w.note("stateful in Keras; here the state is zero at the start of every call")


def write_bidirectional(
    w: Writer, layer: Any, x: Tensor, initial_state: Any = None
) -> list[Tensor]:
    """Bidirectional; a backward layer of another kind makes it two layers and a merge."""
    forward, backward = layer.forward_layer, layer.backward_layer
    note_state_left(w, forward)
    if not _alike(w, forward, backward):
        return _two_layers(w, layer, x, initial_state)
    inner = sanitize(forward.name.removeprefix("forward_"))
    class_name, config, weights = _layer(w, forward, f"forward_{inner}/")
    weights = weights + _layer(w, backward, f"backward_{inner}/")[2]
    states = _flatten(initial_state)
    order = _state_order(forward)
    if order != sorted(order):
        w.refuse("stacked cells, whose states TF.js orders otherwise")
    x = with_mask(w, x, w.mask)
    outer = {
        "layer": {"class_name": class_name, "config": {"name": inner, **config}},
        "merge_mode": layer.merge_mode,
    }
    outputs = w.emit_many("Bidirectional", [x, *states], outer, list(w.shapes), weights)
    apart = layer.merge_mode is None
    if apart and layer.return_state and not layer.return_sequences:
        # One tensor object as output and state, as in write_recurrent.
        per_direction = len(order)
        outputs[2], outputs[2 + per_direction] = outputs[:2]
    sequences = 2 if apart else 1
    silent = [_silenced(w, forward, y) for y in outputs[:sequences]]
    return silent + outputs[sequences:]


def _alike(w: Writer, forward: Any, backward: Any) -> bool:
    # Of RNN with a cell, TF.js' Bidirectional reads the cell's config twice and fails.
    if type(forward) is not type(backward) or type(forward) is layers.RNN:
        return False
    first, second = _layer(w, forward)[1], _layer(w, backward)[1]
    return first | {"go_backwards": not forward.go_backwards} == second


def _two_layers(w: Writer, layer: Any, x: Tensor, initial_state: Any) -> list[Tensor]:
    """Forward and backward layer one by one, and their merge."""
    w.note("forward and backward layer written one by one, as TF.js has no such Bidirectional")
    x = with_mask(w, x, w.mask)
    given = _flatten(initial_state)
    half = len(given) // 2
    sequences: list[Tensor] = []
    states: list[Tensor] = []
    for role, inner, start in (
        ("forward", layer.forward_layer, given[:half]),
        ("backward", layer.backward_layer, given[half:]),
    ):
        y, own = _direction(w, inner, x, start, role)
        if role == "backward" and inner.return_sequences:
            y = reverse_steps(w, y, "backward_reversed")
        sequences.append(_silenced(w, inner, y, role))
        states += own
    if layer.merge_mode is None:
        return [*sequences, *states]
    merges = {"concat": "Concatenate", "sum": "Add", "mul": "Multiply", "ave": "Average"}
    options = {"axis": len(w.shape) - 1} if layer.merge_mode == "concat" else {}
    merged = w.emit(merges[layer.merge_mode], sequences, options, shape=w.shape)
    return [merged, *states]


def _direction(
    w: Writer, inner: Any, x: Tensor, given: Sequence[Tensor], role: str
) -> tuple[Tensor, list[Tensor]]:
    """One recurrent layer: its output, and its states in Keras' order."""
    class_name, config, weights = _layer(w, inner)
    order = _state_order(inner)
    found = inner.compute_output_shape(x.shape)
    shapes: list[Shape] = [tuple(found[0]), *_flat_shapes(found[1:])] if inner.return_state else [
        tuple(found)
    ]  # fmt: skip
    if inner.return_state:
        shapes = [shapes[0], *(shapes[1 + order.index(i)] for i in range(len(order)))]
    start = [given[order.index(i)] for i in range(len(order))] if given else []
    outputs = w.emit_many(class_name, [x, *start], config, shapes, weights, role)
    if inner.return_state and not inner.return_sequences:
        outputs[1] = outputs[0]  # one tensor object in TF.js, see write_recurrent
    states = [outputs[1 + index] for index in order] if inner.return_state else []
    return outputs[0], states


def _flat_shapes(shapes: Any) -> list[Shape]:
    if shapes and all(n is None or isinstance(n, int) for n in shapes):
        return [tuple(shapes)]
    return [shape for part in shapes for shape in _flat_shapes(part)]


def reverse_steps(w: Writer, x: Tensor, role: str) -> Tensor:
    """The steps from the last to the first: a recurrence without memory that goes backwards."""
    if x.mask is not None:
        x = without_mask(w, x)
    size = x.shape[-1] or 0
    config = {
        "units": size, "activation": "linear", "use_bias": False, "return_sequences": True,
        "go_backwards": True, **INITIALIZERS,
    }  # fmt: skip
    weights: Sequence[LayerWeight] = [
        LayerWeight.constant("kernel", np.eye(size)),
        LayerWeight.constant("recurrent_kernel", np.zeros((size, size))),
    ]
    return w.emit("SimpleRNN", x, config, shape=x.shape, weights=weights, role=role)
