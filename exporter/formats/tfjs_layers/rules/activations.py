"""Activations: those that TF.js computes as Keras does, and those that are put together."""

from __future__ import annotations

from typing import Any

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.writer import Writer

DIRECT = {
    "linear": "linear", "relu": "relu", "relu6": "relu6", "sigmoid": "sigmoid", "tanh": "tanh",
    "elu": "elu", "selu": "selu", "softplus": "softplus", "softsign": "softsign",
    "softmax": "softmax", "log_softmax": "log_softmax", "silu": "swish", "mish": "mish",
    "gelu": "gelu",
}  # fmt: skip


def direct_activation(function: Any) -> str | None:
    """TF.js' name of a Keras activation that it computes alike; None where it has none."""
    if function is None:
        return "linear"
    return DIRECT.get(getattr(function, "__name__", ""))


def apply_activation(w: Writer, function: Any, x: Tensor) -> Tensor:
    """Write an activation as layers of its own."""
    name = getattr(function, "__name__", type(function).__name__)
    w.refuse(f"activation {name!r}: TF.js Layers has none")
