"""From a Keras model to a TF.js graph, or to the list of what stands in the way.

Owns the main loop: trace, look up the rule, write, note or refuse. May import the modules beside
it and what formats may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

from exporter.formats import Refusal, way_out
from exporter.formats.tfjs_layers.execution import copy_what_is_read_twice, shield_from_leaks
from exporter.formats.tfjs_layers.expressions import OPERATIONS, Expression, read_mask
from exporter.formats.tfjs_layers.graph import Graph, Tensor
from exporter.formats.tfjs_layers.masks import keras_output_masks
from exporter.formats.tfjs_layers.rules import ANY_DTYPE, RULES, TAKES_STATES, USES_MASK
from exporter.formats.tfjs_layers.trace import Use, graph_of, walk
from exporter.formats.tfjs_layers.writer import Book, Refused, Writer
from exporter.manifest import TensorSpec
from exporter.source import Source, wire_dtype

MOST_AXES = 6
"""The largest rank of a tensor in tfjs-core."""
_OTHERS = ("tfjs-graph", "onnx")
_OTHER_WAYS = {
    "Lambda": "; make it a layer of Keras; tfjs-graph and onnx can take it with --unsafe",
    **dict.fromkeys(
        ("HashedCrossing", "Hashing", "IntegerLookup", "StringLookup", "TextVectorization"),
        "; do it before the model",
    ),
}


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


class _Converter:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.book = Book(self._write_part)
        self.refusals: dict[str, Refusal] = {}

    def visit(self, use: Use) -> Sequence[Any]:
        if type(use.operation).__name__ in OPERATIONS and _is_operation(use.operation):
            return [Expression(use)]
        for value in keras.tree.flatten(use.first):
            if isinstance(value, Expression):
                self.refuse_expression(value)
        writer = Writer(self.book, use.operation, use.path)
        try:
            return self._write(writer, use)
        except Refused as reason:
            self.refuse(use.path, type(use.operation).__name__, str(reason))
        # Placeholders, so that every layer is asked and all refusals are told at once.
        call = self.book.graph.calls[0]
        return [Tensor(tuple(t.shape), t.dtype, call) for t in use.outputs]

    def enter(self, use: Use, inputs: list[Any]) -> list[Any]:
        """The inputs of a nested model, with the masks that it is called with."""
        graph = graph_of(use.operation)
        for index, (x, own) in enumerate(zip(inputs, graph.inputs, strict=True)):
            inputs[index] = self._adjusted(use.path, x, own)
        masks = keras.tree.flatten(use.arguments.get("mask"))
        if any(mask is not None for mask in masks):
            for index, mask in enumerate(masks):
                copy = _copy(inputs[index])
                copy.keras_mask = read_mask(self.book.tokens, mask)
                inputs[index] = copy
        return inputs

    def _adjusted(self, path: str, x: Any, own: Any) -> Any:
        """An input of a nested model in the rank and dtype that the model makes of it."""
        if not isinstance(x, Tensor):
            return x
        writer = Writer(self.book, own, path)
        if len(x.shape) == len(own.shape) + 1 and x.shape[-1] == 1:
            x = writer.reshape(x, x.shape[:-1], "squeezed")
        elif len(x.shape) == len(own.shape) - 1:
            x = writer.reshape(x, (*x.shape, 1), "expanded")
        if wire_dtype(own.dtype) == "float32":
            return writer.to_float(x)
        if wire_dtype(own.dtype) != x.dtype:
            self.refuse(path, "Functional", f"casts its input from {x.dtype} to {own.dtype}")
        return x

    def refuse_expression(self, value: Expression) -> None:
        self.refuse(value.use.path, value.name, _unknown(value.use.operation))

    def refuse(self, path: str, class_name: str, reason: str) -> None:
        others = _OTHER_WAYS.get(class_name) or way_out(self.source, _OTHERS)
        self.refusals.setdefault(path, Refusal(path, class_name, f"{reason}{others}"))

    def _write_part(self, writer: Writer, x: Tensor) -> Tensor:
        """A layer within a layer: an activation, the inside of a wrapper."""
        layer = writer.keras_layer
        if graph_of(layer) is not None:
            return self._write_model(writer, x)
        spec = layer.compute_output_spec(keras.KerasTensor(x.shape, x.dtype))
        outputs = tuple(keras.tree.flatten(spec))
        use = Use(layer, writer.path, {"inputs": x}, outputs, _like([x]))
        try:
            (output,) = self._write(writer, use)
        except Refused as reason:
            raise Refused(f"{type(layer).__name__} {layer.name!r}: {reason}") from None
        return output

    def _write_model(self, writer: Writer, x: Tensor) -> Tensor:
        model = writer.keras_layer
        if len(graph_of(model).inputs) > 1 or len(graph_of(model).outputs) > 1:
            writer.refuse(f"model {model.name!r} with several inputs or outputs in a wrapper")

        def visit(use: Use) -> Sequence[Any]:
            if type(use.operation).__name__ in OPERATIONS and _is_operation(use.operation):
                return [Expression(use)]
            return self._write(writer.part(use.operation, use.path), use)

        return walk(model, [x], visit, self.enter, f"{writer.path}/")[0]

    def _write(self, writer: Writer, use: Use) -> list[Tensor]:
        layer = use.operation
        rule = RULES.get(type(layer))
        if rule is None:
            writer.refuse(_unknown(layer))
        states = self._take_arguments(writer, use)
        given = keras.tree.flatten(use.first)
        if not all(isinstance(x, Tensor) for x in given):
            writer.refuse("takes the result of an operation of keras.ops")
        if type(layer) not in ANY_DTYPE:
            given = [writer.to_float(x) for x in given]
        writer.shapes = _output_shapes(use)
        many = isinstance(use.first, (list, tuple))
        outputs = rule(writer, layer, given if many else given[0], **states)
        outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
        self._check(writer, use, outputs)
        first = keras.tree.flatten(use.first)
        tokens = keras_output_masks(self.book.tokens, layer, first, len(outputs))
        if type(layer) not in (keras.layers.Masking, keras.layers.Embedding):
            outputs = [_own(x, [*given, *first]) for x in outputs]
            for tensor, token in zip(outputs, tokens, strict=True):
                tensor.keras_mask = token
        return outputs

    def _take_arguments(self, writer: Writer, use: Use) -> dict[str, Any]:
        """Set the mask, and return the states that a rule takes; there may be nothing else."""
        layer, others = use.operation, use.others
        states = {}
        if type(layer) in TAKES_STATES and "initial_state" in others:
            states["initial_state"] = others.pop("initial_state")
        if type(layer) in USES_MASK:
            if "mask" in others:
                writer.mask = read_mask(self.book.tokens, others.pop("mask"))
            elif not states and isinstance(use.first, Tensor):
                # Keras looks for a mask only where there is one tensor argument.
                writer.mask = use.first.keras_mask
        if others:
            writer.refuse(
                f"called with {', '.join(sorted(others))}, which TF.js Layers cannot pass"
            )
        return states

    def _check(self, writer: Writer, use: Use, outputs: Sequence[Tensor]) -> None:
        for shape in writer.shapes:
            if len(shape) > MOST_AXES:
                writer.refuse(f"TF.js has tensors of up to {MOST_AXES} axes, this has {len(shape)}")
        for tensor, shape, keras_tensor in zip(outputs, writer.shapes, use.outputs, strict=True):
            if not _agree(tensor.shape, shape):
                writer.refuse(
                    f"Keras expects shape {shape} of it, its formula gives {tensor.shape}"
                )
            if wire_dtype(keras_tensor.dtype) != tensor.dtype:
                writer.refuse(f"computes in {keras_tensor.dtype}, TF.js Layers in float32")


def convert(source: Source) -> Conversion:
    """Write `source` as a TF.js graph."""
    given, source = source, source.float32
    if graph_of(source.model) is None:
        reason = (
            "its call is Python code, which TF.js Layers cannot hold: build it with "
            f"keras.Model(inputs, outputs){way_out(given, _OTHERS)}"
        )
        refusal = Refusal(source.model.name, type(source.model).__name__, reason)
        return Conversion(Graph(), (), (refusal,))
    converter = _Converter(given)
    graph = converter.book.graph
    inputs = [_add_input(converter.book, spec) for spec in source.inputs]
    outputs = walk(source.model, inputs, converter.visit, converter.enter)
    for value in outputs:
        if isinstance(value, Expression):
            converter.refuse_expression(value)
    names = [spec.name for spec in source.outputs]
    notes = list(source.notes) + list(converter.book.notes)
    if not converter.refusals:
        graph.close(outputs, names)
        copy_what_is_read_twice(graph)
        shielded, lost = shield_from_leaks(graph)
        notes += [f"layer {name!r}: shielded from the masks of other layers" for name in shielded]
        for call, reason in lost:
            converter.refuse(call.layer.wish, call.layer.class_name, reason)
    if converter.refusals:
        return Conversion(graph, (), tuple(converter.refusals.values()))
    graph.finish([spec.name for spec in source.inputs], names)
    return Conversion(graph, (*notes, *_renamed(source, graph)))


def _add_input(book: Book, spec: TensorSpec) -> Tensor:
    """An input; TF.js feeds vectors of one number per sample as columns."""
    if len(spec.shape) > 1:
        return book.graph.add_input(spec.name, spec.shape, spec.dtype)
    column = book.graph.add_input(spec.name, (*spec.shape, 1), spec.dtype)
    return Writer(book, spec, spec.name).reshape(column, spec.shape, "vector")


def _own(tensor: Tensor, given: Sequence[Tensor]) -> Tensor:
    """A tensor whose mask may be set: not one of the inputs, handed on as it is."""
    if not any(tensor is x for x in given):
        return tensor
    return _copy(tensor)


def _copy(tensor: Tensor) -> Tensor:
    """The same tensor of the graph, with a Keras mask of its own."""
    return type(tensor)(**vars(tensor))


def _agree(found: Sequence[int | None], expected: Sequence[int | None]) -> bool:
    return len(found) == len(expected) and all(
        None in (a, b) or a == b for a, b in zip(found, expected, strict=True)
    )


def _is_operation(operation: Any) -> bool:
    return not isinstance(operation, keras.layers.Layer)


def _like(tensors: Sequence[Tensor]) -> tuple[Any, ...]:
    return tuple(keras.KerasTensor(x.shape, x.dtype) for x in tensors)


def _output_shapes(use: Use) -> tuple[tuple[int | None, ...], ...]:
    """Of the outputs; for a nested model called on other shapes than it was built with, anew."""
    given = keras.tree.flatten(use.first)
    known = [tuple(t.shape) for t in use.inputs[: len(given)]]
    if known == [x.shape for x in given]:
        return tuple(tuple(t.shape) for t in use.outputs)
    structure = keras.tree.map_structure(lambda x: keras.KerasTensor(x.shape, x.dtype), use.first)
    spec = use.operation.compute_output_spec(structure)
    return tuple(tuple(t.shape) for t in keras.tree.flatten(spec))


def _unknown(operation: Any) -> str:
    if not isinstance(operation, keras.layers.Layer):
        return "an operation of keras.ops in the model's graph, which TF.js Layers does not have"
    if not type(operation).__module__.startswith("keras."):
        return "a custom class, which TF.js Layers does not know"
    if isinstance(operation, keras.layers.Lambda):
        return "Python code, which TF.js Layers cannot hold"
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


def signature(source: Source, graph: Graph) -> dict[str, Any]:
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
