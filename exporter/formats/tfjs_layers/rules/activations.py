"""Activations: those that TF.js computes as Keras does, and those put together from others.

Formulas are those of `keras.activations` and `keras.ops` 3.15; what TF.js computes under a name
stands in `activations.js` of TF.js Layers 4.22. TF.js' `hardSigmoid` is 0.2x + 0.5 and so is not
Keras'.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import activations, layers

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.writer import ZEROS, Writer

DIRECT: dict[Any, str] = {
    activations.linear: "linear",
    activations.relu: "relu",
    activations.relu6: "relu6",
    activations.sigmoid: "sigmoid",
    activations.tanh: "tanh",
    activations.elu: "elu",
    activations.celu: "elu",  # alpha is 1
    activations.selu: "selu",
    activations.softplus: "softplus",
    activations.softsign: "softsign",
    activations.softmax: "softmax",
    activations.log_softmax: "log_softmax",
    activations.silu: "swish",
    activations.mish: "mish",
    activations.gelu: "gelu",
}
"""Keras function to the name of TF.js."""


def direct_activation(function: Any) -> str | None:
    """TF.js' name of a Keras activation that it computes alike; None where it has none."""
    return "linear" if function is None else DIRECT.get(function)


def name_of(function: Any) -> str:
    """What an activation is called in messages."""
    return str(getattr(function, "__name__", type(function).__name__))


def apply_activation(w: Writer, function: Any, x: Tensor, role: str = "") -> Tensor:
    """Write an activation as layers of its own; `role` is the prefix of their names."""
    direct = direct_activation(function)
    if direct:
        return w.activate(x, direct, role)
    if isinstance(function, layers.Layer):
        return w.apply(function, x)
    if function in _COMPOSED:
        w.note(f"activation {name_of(function)} written as arithmetic")
        return _COMPOSED[function](w, x, f"{role}/" if role else "")
    w.refuse(
        f"activation {name_of(function)!r}, which TF.js Layers does not have"
        + ("" if function in vars(activations).values() else " (a custom function)")
    )


def write_hard_sigmoid(w: Writer, x: Tensor, p: str) -> Tensor:
    """relu6(x + 3) / 6."""
    y = w.activate(w.rescale(x, 1.0, 3.0, f"{p}plus_3"), "relu6", f"{p}relu6")
    return w.rescale(y, 1 / 6, role=f"{p}by_6")


def _hard_silu(w: Writer, x: Tensor, p: str) -> Tensor:
    return w.emit("Multiply", [x, write_hard_sigmoid(w, x, p)], role=f"{p}times_x")


def write_leaky_relu(w: Writer, x: Tensor, slope: float, role: str) -> Tensor:
    """X where positive, else slope * x."""
    return w.emit("LeakyReLU", x, {"alpha": slope}, role=role)


def _log_sigmoid(w: Writer, x: Tensor, p: str) -> Tensor:
    """-softplus(-x)."""
    y = w.activate(w.rescale(x, -1.0, role=f"{p}minus"), "softplus", f"{p}softplus")
    return w.rescale(y, -1.0, role=f"{p}negative")


def clip_between(w: Writer, x: Tensor, low: float, high: float, p: str) -> Tensor:
    """min(max(x, low), high) for low <= 0 <= high, without rounding."""
    upper = w.emit("ReLU", x, {"max_value": high}, role=f"{p}upper")
    minus = w.rescale(x, -1.0, role=f"{p}minus")
    lower = w.emit("ReLU", minus, {"max_value": -low}, role=f"{p}lower")
    return w.emit("Add", [upper, w.rescale(lower, -1.0, role=f"{p}below")], role=f"{p}clip")


def _soft_shrink(w: Writer, x: Tensor, p: str) -> Tensor:
    """relu(x - 0.5) - relu(-x - 0.5)."""
    above = w.activate(w.rescale(x, 1.0, -0.5, f"{p}shift"), "relu", f"{p}above")
    below = w.activate(w.rescale(x, -1.0, -0.5, f"{p}minus_shift"), "relu", f"{p}below")
    return w.emit("Add", [above, w.rescale(below, -1.0, role=f"{p}minus")], role=f"{p}sum")


def _hard_shrink(w: Writer, x: Tensor, p: str) -> Tensor:
    """X where |x| > 0.5, else 0."""
    above = w.emit("ThresholdedReLU", x, {"theta": 0.5}, role=f"{p}above")
    minus = w.rescale(x, -1.0, role=f"{p}minus")
    below = w.emit("ThresholdedReLU", minus, {"theta": 0.5}, role=f"{p}below")
    return w.emit("Add", [above, w.rescale(below, -1.0, role=f"{p}negative")], role=f"{p}sum")


def _tanh_shrink(w: Writer, x: Tensor, p: str) -> Tensor:
    """X - tanh(x)."""
    minus = w.rescale(w.activate(x, "tanh", f"{p}tanh"), -1.0, role=f"{p}minus")
    return w.emit("Add", [x, minus], role=f"{p}sum")


def _sparse_plus(w: Writer, x: Tensor, p: str) -> Tensor:
    """0 below -1, x above 1, (x + 1)² / 4 between: u² / 4 + relu(x - 1), u = clip(x + 1, 0, 2)."""
    shifted = w.rescale(x, 1.0, 1.0, f"{p}plus_1")
    u = w.emit("ReLU", shifted, {"max_value": 2.0}, role=f"{p}clip")
    square = w.rescale(w.emit("Multiply", [u, u], role=f"{p}square"), 0.25, role=f"{p}quarter")
    rest = w.activate(w.rescale(x, 1.0, -1.0, f"{p}minus_1"), "relu", f"{p}rest")
    return w.emit("Add", [square, rest], role=f"{p}sum")


def _sparse_sigmoid(w: Writer, x: Tensor, p: str) -> Tensor:
    """clip((x + 1) / 2, 0, 1)."""
    return w.emit("ReLU", w.rescale(x, 0.5, 0.5, f"{p}half"), {"max_value": 1.0}, role=f"{p}clip")


def _glu(w: Writer, x: Tensor, p: str) -> Tensor:
    """First half of the channels times the sigmoid of the second."""
    size = x.shape[-1] // 2 if x.shape[-1] else 0
    if not size or list(x.shape[1:-1]).count(None) > 1:
        w.refuse(f"activation 'glu' on shape {x.shape}: TF.js needs known sizes; give Input them")
    rows: int | None = math.prod(n or 0 for n in x.shape[1:-1])
    rows = None if None in x.shape[1:-1] else rows
    table = w.reshape(x, (x.shape[0], rows, 2, size), f"{p}halves")
    halves = []
    for name, cropping in (("first", [[0, 0], [0, 1]]), ("second", [[0, 0], [1, 0]])):
        config = {"cropping": cropping, "data_format": "channels_last"}
        shape = (x.shape[0], rows, 1, size)
        half = w.emit("Cropping2D", table, config, shape=shape, role=f"{p}{name}")
        halves.append(w.reshape(half, (*x.shape[:-1], size), f"{p}{name}_half"))
    gate = w.activate(halves[1], "sigmoid", f"{p}gate")
    return w.emit("Multiply", [halves[0], gate], role=f"{p}gated")


_COMPOSED: dict[Any, Callable[[Writer, Tensor, str], Tensor]] = {
    activations.hard_sigmoid: write_hard_sigmoid,
    activations.hard_silu: _hard_silu,
    activations.leaky_relu: lambda w, x, p: write_leaky_relu(w, x, 0.2, f"{p}leaky_relu"),
    activations.log_sigmoid: _log_sigmoid,
    activations.hard_tanh: lambda w, x, p: clip_between(w, x, -1.0, 1.0, p),
    activations.soft_shrink: _soft_shrink,
    activations.hard_shrink: _hard_shrink,
    activations.tanh_shrink: _tanh_shrink,
    activations.sparse_plus: _sparse_plus,
    activations.sparse_sigmoid: _sparse_sigmoid,
    activations.glu: _glu,
}


def write_activation(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """The layer Activation."""
    return apply_activation(w, layer.activation, x)


def write_relu(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """ReLU with `max_value`, `negative_slope` and `threshold`; TF.js' own has only the first."""
    slope, top, threshold = layer.negative_slope, layer.max_value, layer.threshold
    if not slope and not threshold:
        return w.emit("ReLU", x, {} if top is None else {"max_value": top})
    if top is None and not threshold:
        return write_leaky_relu(w, x, slope, "")
    w.note("negative_slope, max_value or threshold written as arithmetic")
    y = w.emit("ThresholdedReLU", x, {"theta": threshold}, role="" if not slope else "above")
    if top is not None:
        y = w.emit("ReLU", y, {"max_value": top}, role="clip")
    if not slope:
        return y
    below = w.activate(w.rescale(x, -1.0, threshold, "minus"), "relu", "below")
    return w.emit("Add", [y, w.rescale(below, -slope, role="slope")])


def write_leaky_relu_layer(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """LeakyReLU."""
    return write_leaky_relu(w, x, float(layer.negative_slope), "")


def write_elu(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """ELU; TF.js' own takes no alpha: relu(x) + alpha * elu(-relu(-x))."""
    if layer.alpha == 1.0:
        return w.emit("ELU", x, {"alpha": 1.0})
    w.note("alpha written as arithmetic")
    above = w.activate(x, "relu", "above")
    below = w.activate(w.rescale(x, -1.0, role="minus"), "relu", "below")
    curve = w.activate(w.rescale(below, -1.0, role="negative"), "elu", "elu")
    return w.emit("Add", [above, w.rescale(curve, float(layer.alpha), role="alpha")])


def write_prelu(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """PReLU; TF.js' wasm reads alpha round and round, so only leading axes may be shared."""
    shared = sorted(layer.shared_axes or [])
    own = [axis for axis in range(1, len(x.shape)) if axis not in shared]
    if any(x.shape[axis] is None for axis in own):
        w.refuse(f"shape {x.shape}: TF.js needs the sizes of axes that are not shared")
    config: dict[str, Any] = {"alpha_initializer": ZEROS}
    if shared == list(range(1, len(shared) + 1)):
        if shared:
            config["shared_axes"] = shared
        return w.emit("PReLU", x, config, weights=[w.weight("alpha", layer.alpha)])
    if None in x.shape[1:]:
        w.refuse(f"shape {x.shape} with shared_axes {shared}: TF.js needs known sizes")
    w.note("shared slopes written once for each place, as TF.js' wasm needs them")
    sizes = [n or 0 for n in x.shape[1:]]
    alpha = w.weight("alpha", layer.alpha, lambda values: np.broadcast_to(values, sizes))
    return w.emit("PReLU", x, config, weights=[alpha])


def write_softmax(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Softmax over any axes; TF.js can the last one only, and its layer takes foreign masks."""
    if w.mask is not None:
        w.refuse("a mask reaches this Softmax, which TF.js applies along other axes")
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    axes = sorted(axis % len(x.shape) for axis in axes)
    if axes == [len(x.shape) - 1]:
        return w.activate(x, "softmax")
    if 0 in axes:
        w.refuse("softmax over the batch, which TF.js Layers cannot")
    return w.along_last(
        x, axes, lambda y: w.emit("Activation", y, {"activation": "softmax"}, role="")
    )
