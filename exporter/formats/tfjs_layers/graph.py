"""The TF.js Layers graph that is being written: layers, their calls, the tensors between.

Owns what `tf.loadLayersModel` demands of a topology as such: node indices, names that TF.js
accepts, no layer that no output needs. Knows nothing of Keras. May import
`exporter.formats.tfjs_weights`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.names import assign_names
from exporter.formats.tfjs_weights import Weight

Shape = tuple[int | None, ...]


@dataclass(frozen=True)
class LayerWeight:
    """A weight of one layer.

    Attributes:
        name: Within the layer, as TF.js scopes it ("kernel", "forward_lstm/kernel").
        shape: Of the values.
        values: Returns them, as float32.
        variable: Path of the Keras variable that is stored as it is; None where it was changed.
        exact: True where quantising would break the model's logic (indices, selections).
    """

    name: str
    shape: tuple[int, ...]
    values: Callable[[], np.ndarray]
    variable: str | None = None
    exact: bool = False

    @classmethod
    def constant(cls, name: str, array: np.ndarray) -> LayerWeight:
        """A weight that Keras does not have."""
        array = np.ascontiguousarray(array, dtype=np.float32)
        return cls(name, array.shape, lambda: array, exact=True)


@dataclass(eq=False)
class Layer:
    """A TF.js layer.

    Attributes:
        class_name: TF.js' own.
        config: Without the name; keys in snake case, as `model.json` has them.
        weights: In any order; TF.js finds them by name.
        wish: The name it gets if nobody else wants it.
        calls: In the order in which they were made.
        name: Set when the graph is complete.
    """

    class_name: str
    config: dict[str, Any]
    weights: tuple[LayerWeight, ...]
    wish: str
    calls: list[Call] = field(default_factory=list)
    name: str = ""


@dataclass(eq=False)
class Tensor:
    """A symbolic tensor: output `index` of `call`.

    Attributes:
        mask: What TF.js takes for its mask (see `masks`); None for no mask.
        keras_mask: What Keras takes for its mask.
    """

    shape: Shape
    dtype: str
    call: Call
    index: int = 0
    mask: Any = None
    keras_mask: Any = None

    @property
    def key(self) -> tuple[int, int]:
        """The same for all objects that stand for one tensor."""
        return id(self.call), self.index


@dataclass(eq=False)
class Call:
    """One application of a layer."""

    layer: Layer
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...] = ()


class Graph:
    """A TF.js model: add inputs and calls, mark the outputs, then read the topology."""

    def __init__(self) -> None:
        self.inputs: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.calls: list[Call] = []

    def add_input(self, name: str, shape: Shape, dtype: str) -> Tensor:
        """A new input of the model; `shape` has the batch first."""
        config = {"batch_input_shape": list(shape), "dtype": dtype, "sparse": False}
        tensor = self.add_call(Layer("InputLayer", config, (), name), (), [shape], dtype)[0]
        self.inputs.append(tensor)
        return tensor

    def add_call(
        self, layer: Layer, inputs: Sequence[Tensor], shapes: Sequence[Shape], dtype: str
    ) -> tuple[Tensor, ...]:
        """Apply `layer`; one output tensor per shape."""
        call = Call(layer, tuple(inputs))
        call.outputs = tuple(Tensor(tuple(s), dtype, call, i) for i, s in enumerate(shapes))
        layer.calls.append(call)
        self.calls.append(call)
        return call.outputs

    def close(self, outputs: Sequence[Tensor], names: Sequence[str]) -> None:
        """Say what the outputs are; drop what none of them needs.

        Every output becomes the only output of a layer that is called once.
        """
        self.outputs = list(outputs)
        self._prune()
        for index, tensor in enumerate(self.outputs):
            if self._needs_own_layer(tensor, self.outputs[:index]):
                layer = Layer("Activation", {"activation": "linear"}, (), names[index])
                outputs = self.add_call(layer, [tensor], [tensor.shape], tensor.dtype)
                self.outputs[index] = outputs[0]

    def finish(self, input_names: Sequence[str], output_names: Sequence[str]) -> None:
        """Order and number the calls, name the layers; outputs bear their names."""
        self._order_calls()
        assign_names(self, input_names, output_names)

    def _needs_own_layer(self, tensor: Tensor, earlier: Sequence[Tensor]) -> bool:
        layer = tensor.call.layer
        shared = len(layer.calls) > 1 or len(tensor.call.outputs) > 1
        twice = any(tensor.key == other.key for other in earlier)
        return shared or twice or layer.class_name == "InputLayer"

    def _prune(self) -> None:
        needed: set[int] = set()
        waiting = [tensor.call for tensor in (*self.outputs, *self.inputs)]
        while waiting:
            call = waiting.pop()
            if id(call) not in needed:
                needed.add(id(call))
                waiting += [tensor.call for tensor in call.inputs]
        self.calls = [call for call in self.calls if id(call) in needed]
        for call in self.calls:
            call.layer.calls = [c for c in call.layer.calls if id(c) in needed]

    @property
    def layers(self) -> list[Layer]:
        """In the order of their first calls."""
        return list({id(call.layer): call.layer for call in self.calls}.values())

    def _order_calls(self) -> None:
        """Give each layer's calls the order in which TF.js will make them.

        `Container.fromConfig` goes over the layers again and again and makes each call whose
        inputs exist: calls of a shared layer may come in another order than written, and node
        indices count in that order.
        """
        while True:
            before = {id(layer): list(layer.calls) for layer in self.layers}
            made: dict[int, list[Call]] = {id(layer): [] for layer in self.layers}
            done: set[int] = set()
            waiting = dict(before)
            while any(waiting.values()):
                progress = len(done)
                for layer in self.layers:
                    pending, waiting[id(layer)] = waiting[id(layer)], []
                    for call in pending:
                        if all(id(tensor.call) in done for tensor in call.inputs):
                            done.add(id(call))
                            made[id(layer)].append(call)
                        else:
                            waiting[id(layer)].append(call)
                assert len(done) > progress, "a cycle of calls"
            for layer in self.layers:
                layer.calls = made[id(layer)]
            if all(made[key] == calls for key, calls in before.items()):
                return

    def topology(self, model_name: str) -> dict[str, Any]:
        """The `model_config` of `model.json`."""
        return {
            "class_name": "Functional",
            "config": {
                "name": model_name,
                "layers": [_layer_config(layer) for layer in self.layers],
                "input_layers": [[t.call.layer.name, 0, 0] for t in self.inputs],
                "output_layers": [[t.call.layer.name, 0, 0] for t in self.outputs],
            },
        }

    def weights(self) -> Iterator[tuple[Weight, LayerWeight]]:
        """Every weight under the name by which TF.js finds it."""
        for layer in self.layers:
            for weight in layer.weights:
                name = f"{layer.name}/{weight.name}"
                yield Weight(name, weight.shape, "float32", weight.values, weight.exact), weight


def _layer_config(layer: Layer) -> dict[str, Any]:
    nodes = [
        [[t.call.layer.name, t.call.layer.calls.index(t.call), t.index, {}] for t in call.inputs]
        for call in layer.calls
        if call.inputs
    ]
    return {
        "class_name": layer.class_name,
        "name": layer.name,
        "config": {"name": layer.name, **layer.config},
        "inbound_nodes": nodes,
    }


def signature_of(config: Mapping[str, Any], weights: Sequence[LayerWeight]) -> str:
    """What two uses must have in common to be calls of one layer."""
    described = [config, [[w.name, w.shape] for w in weights]]
    return json.dumps(described, sort_keys=True, default=plain_number)


def plain_number(value: Any) -> Any:
    """For `json.dumps`: what NumPy's numbers are in JSON."""
    return value.item()
