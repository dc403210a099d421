"""From a Keras model to a TF.js graph, or to the list of what stands in the way.

Owns the main loop: trace, look up the rule, write, note or refuse. May import `trace`, `writer`,
`rules`, `masks` and what formats may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras

from exporter.formats import Refusal
from exporter.formats.tfjs_layers.graph import Graph, Tensor
from exporter.formats.tfjs_layers.rules import RULES
from exporter.formats.tfjs_layers.trace import Use, graph_of, walk
from exporter.formats.tfjs_layers.writer import Book, Refused, Writer
from exporter.source import Source

WAY_OUT = "tfjs-graph and onnx can take it"


@dataclass
class Conversion:
    """What came of a model.

    Attributes:
        graph: Complete and named where `refusals` is empty.
        notes: What was changed on the way.
        refusals: One per layer that cannot be written.
    """

    graph: Graph
    notes: tuple[str, ...] = ()
    refusals: tuple[Refusal, ...] = ()


@dataclass
class _Converter:
    book: Book = field(default_factory=Book)
    refusals: dict[str, Refusal] = field(default_factory=dict)

    def visit(self, use: Use) -> list[Tensor]:
        inputs = keras.tree.flatten(use.first)
        writer = Writer(self.book, use.operation, use.path)
        try:
            outputs = self._write(writer, use)
        except Refused as reason:
            name = type(use.operation).__name__
            self.refusals.setdefault(use.path, Refusal(use.path, name, f"{reason}; {WAY_OUT}"))
            # Placeholders, so that every layer is asked and all refusals are told at once.
            call = inputs[0].call if inputs else self.book.graph.calls[0]
            return [Tensor(tuple(t.shape), t.dtype, call) for t in use.outputs]
        return outputs

    def _write(self, writer: Writer, use: Use) -> list[Tensor]:
        rule = RULES.get(type(use.operation))
        if rule is None:
            writer.refuse(_unknown(use.operation))
        outputs = rule(writer, use.operation, use.first)
        return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def convert(source: Source) -> Conversion:
    """Write `source` as a TF.js graph."""
    source = source.float32
    graph = graph_of(source.model)
    if graph is None:
        reason = (
            "its call is Python code, which TF.js Layers cannot hold: build it with "
            f"keras.Model(inputs, outputs); {WAY_OUT}"
        )
        refusal = Refusal(source.model.name, type(source.model).__name__, reason)
        return Conversion(Graph(), (), (refusal,))
    converter = _Converter()
    book = converter.book
    inputs = [book.graph.add_input(spec.name, spec.shape, spec.dtype) for spec in source.inputs]
    outputs = walk(source.model, inputs, converter.visit)
    if converter.refusals:
        return Conversion(book.graph, (), tuple(converter.refusals.values()))
    book.graph.outputs = outputs
    book.graph.finish([s.name for s in source.inputs], [s.name for s in source.outputs])
    return Conversion(book.graph, (*source.notes, *book.notes, *_renamed(source, book.graph)))


def _unknown(operation: Any) -> str:
    if not isinstance(operation, keras.layers.Layer):
        return "an operation of keras.ops in the model's graph, which TF.js Layers does not have"
    if not type(operation).__module__.startswith("keras."):
        return "a custom class, which TF.js Layers does not know"
    return "TF.js Layers has no such layer"


def _renamed(source: Source, graph: Graph) -> list[str]:
    """Notes on inputs and outputs whose names TF.js does not take."""
    notes = []
    for kind, specs, tensors in (
        ("input", source.inputs, graph.inputs),
        ("output", source.outputs, graph.outputs),
    ):
        for spec, tensor in zip(specs, tensors, strict=True):
            name = tensor.call.layer.name
            if name != spec.name:
                notes.append(
                    f"{kind} {spec.name!r}: called {name!r} in TF.js, which takes letters, digits "
                    "and -._/ only; see the signature in model.json"
                )
    return notes


def signature(source: Source, graph: Graph) -> Mapping[str, Any]:
    """Keras' names of inputs and outputs, in order, and where they are in the TF.js model."""

    def entries(specs: Sequence[Any], tensors: Sequence[Tensor]) -> dict[str, Any]:
        return {
            spec.name: {
                "name": tensor.call.layer.name,
                "dtype": spec.dtype,
                "shape": list(spec.shape),
            }
            for spec, tensor in zip(specs, tensors, strict=True)
        }

    return {
        "inputs": entries(source.inputs, graph.inputs),
        "outputs": entries(source.outputs, graph.outputs),
    }
