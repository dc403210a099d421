"""One rule per Keras layer class: how TF.js Layers says the same.

Owns the table. What is not in it is refused. A rule takes a `Writer`, the Keras layer and its
input (or inputs), and returns the outputs; it checks every option of the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from exporter.formats.tfjs_layers.rules import core

Rule = Callable[..., Any]

RULES: dict[type, Rule] = {
    layers.Dense: core.write_dense,
    layers.Flatten: core.write_flatten,
}
"""Keras class to rule; exact classes only, a subclass computes something else."""
