"""Layer by layer, where an artefact leaves Keras.

    the artefact's own file, its tensors made outputs ─► runtime ─┐
    the Keras model, its layers recorded ──────────────────────────┴─► the first layer that is wrong

Owns what is found. `tracer` runs and judges layers; `written` and the modules that it lists read
and edit files, `matching` knows which tensor is which layer's, `tracing` goes over a bundle,
`picture` draws, `shrinking` cuts the fault out. The package may import what `exporter.comparison`
may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np

from exporter.activations import Call

LayerStatus = Literal["passed", "failed", "not_in_file", "not_judged"]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's output in Keras and in the artefact.

    Attributes:
        place: Which of `Watched.calls`.
        path: Nested models' names first.
        call: Which call of this layer, from 1 on.
        tensor: The name in the file; "" where it has none.
        max_abs: The error that is largest against what is allowed where it stands.
        allowed: What is allowed there.
        largest: Magnitude in Keras.
        keras_max_abs: Keras' own error against the float64 oracle.
        reason: Why it failed, or is not judged.
    """

    place: int
    path: str
    layer_class: str
    call: int
    status: LayerStatus
    shape: tuple[int, ...]
    tensor: str = ""
    max_abs: float | None = None
    allowed: float | None = None
    largest: float | None = None
    keras_max_abs: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Watched:
    """One input, run: what Keras did, and the artefact's tensors for it.

    Attributes:
        calls: Keras'; `tensors` has some of their indices.
    """

    inputs: tuple[np.ndarray, ...]
    calls: tuple[Call, ...]
    tensors: Mapping[int, str]
    found: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Trace:
    """One artefact in one runtime on one input.

    Attributes:
        layers: In the order of Keras' computation.
        weights: What is wrong with the file's weights, bit for bit; "" where nothing is.
        remarks: What the user is to be told: a file that is not the manifest's.
    """

    bundle: str
    artifact: str
    runtime: str
    backend: str
    ran_on: str
    input_name: str
    gate: str
    layers: tuple[Layer, ...]
    weights: str = ""
    remarks: tuple[str, ...] = ()
    watched: Watched | None = field(default=None, repr=False, compare=False)

    @property
    def first(self) -> Layer | None:
        """The first layer that leaves the gate."""
        return next((layer for layer in self.layers if layer.status == "failed"), None)

    @property
    def verdict(self) -> str | None:
        """One line that says where it went wrong; None where it did not."""
        place = f"{self.bundle}: {self.artifact} on {self.runtime} {self.backend}"
        if self.first is not None:
            again = f", call {self.first.call}" if self.first.call > 1 else ""
            named = f"layer {self.first.path!r} ({self.first.layer_class}){again}"
            return f"{place}, {self.input_name}: {named} is the first wrong: {self.first.reason}"
        if self.weights:
            return f"{place}: no layer leaves the gate on {self.input_name}, but {self.weights}"
        if not any(layer.status == "passed" for layer in self.layers):
            return f"{place}: no layer was found in the file, so nothing was compared"
        return None

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types."""
        kept = ("bundle", "artifact", "runtime", "backend", "ran_on", "input_name", "gate")
        return {
            **{name: getattr(self, name) for name in kept},
            "first": self.first.path if self.first else None,
            "weights": self.weights,
            "remarks": list(self.remarks),
            "layers": [
                {k: _finite(v) for k, v in asdict(layer).items() if k != "place"}
                for layer in self.layers
            ],
        }


def _finite(value: Any) -> Any:
    """JSON has no infinity."""
    return str(value) if isinstance(value, float) and not np.isfinite(value) else value
