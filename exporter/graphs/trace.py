"""From a Keras model to a flat graph: traced, inlined, rewritten, folded.

Owns `Graph`, and when it is copied again (`exporter.graphs.copier` says what a copy does).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from exporter.graphs.copier import Copier, Rewrite, has_loop
from exporter.graphs.folding import Weight
from exporter.graphs.refusal import OPERATION, Refused
from exporter.keras_file import first_line

if TYPE_CHECKING:
    import tensorflow as tf

    from exporter.source import Source

_MOST_PASSES = 4


@dataclass
class Graph:
    """A flat TensorFlow graph.

    Attributes:
        graph: Its operations; large constants are placeholders.
        inputs: The model's inputs, in the specs' order; placeholders.
        outputs: The model's outputs, in the specs' order; each an Identity of its own.
        weights: By the name of their placeholder.
        layers: By the name of their scope: a Keras layer's path and class.
        rewritten: Whether any operation was replaced when this graph was made.
    """

    graph: tf.Graph
    inputs: list[tf.Tensor]
    outputs: list[tf.Tensor]
    weights: dict[str, Weight] = field(default_factory=dict)
    layers: dict[str, tuple[str, str]] = field(default_factory=dict)
    rewritten: bool = False

    def layer_of(self, operation: str) -> tuple[str, str]:
        """The path and class of the Keras layer that an operation comes from."""
        return _layer_of(operation, self.layers)


def _layer_of(operation: str, layers: Mapping[str, tuple[str, str]]) -> tuple[str, str]:
    scope = operation
    while "/" in scope:
        scope = scope.rpartition("/")[0]
        if scope in layers:
            return layers[scope]
    return operation, OPERATION


def trace(source: Source, rewrites: Mapping[str, Rewrite]) -> Graph:
    """The graph of a float32 model, without calls, variables, or an operation of `rewrites`.

    Raises:
        Refused: The model cannot be traced, or holds state that is no variable.
    """
    try:
        concrete, layers = source.concrete
    except Exception as error:  # the model's own code runs here and may raise anything
        reason = f"it cannot be traced: {type(error).__name__}: {first_line(error)}"
        raise Refused(source.model.name, type(source.model).__name__, reason) from error
    try:
        graph = _from_concrete(concrete, source, rewrites)
    except Refused as refused:
        if refused.layer_class != OPERATION:
            raise
        raise Refused(*_layer_of(refused.layer, layers), refused.reason) from None
    for _ in range(_MOST_PASSES):  # what a rewrite emits may be on the table itself
        # A loop's back edge cannot be copied in the order of operations; one pass must do there.
        if not graph.rewritten or any(op.type == "Enter" for op in graph.graph.get_operations()):
            break
        graph = _copy(graph, rewrites)
    graph.layers.update(layers)
    return graph


def _from_concrete(concrete: Any, source: Source, rewrites: Mapping[str, Rewrite]) -> Graph:
    import tensorflow as tf

    body = concrete.graph
    copier = Copier(rewrites, at_once=has_loop(body))
    with copier.graph.as_default():
        inputs = [
            tf.compat.v1.placeholder(spec.dtype, spec.shape, f"input_{index}")
            for index, spec in enumerate(source.inputs)
        ]
    env: dict[str, Any] = {}
    for inner, outer in zip(body.inputs[: len(inputs)], inputs, strict=True):
        env[inner.name] = outer
    paths = _unique_paths(source)
    for outside, inner in body.captures:
        env[inner.name] = copier.capture(outside, inner, body, paths, source.model)
    copier.copy(body, env, body.outputs)
    outputs = copier.finish([env[x.name] for x in body.outputs])
    return Graph(copier.graph, inputs, outputs, copier.weights, rewritten=copier.rewritten)


def _unique_paths(source: Source) -> dict[int, str]:
    """Variables' paths by the identity of their handle; two with one path have none.

    Nor has one that a float64 oracle borrows (`exporter.retype`): it is no variable of its own.
    """
    variables = [v for v in source.model.variables if v._value is not None]
    times = Counter(v.path for v in variables)
    return {id(v.value.handle): v.path for v in variables if times[v.path] == 1}


def _copy(old: Graph, rewrites: Mapping[str, Rewrite]) -> Graph:
    import tensorflow as tf

    copier = Copier(rewrites)
    env: dict[str, Any] = {}
    with copier.graph.as_default():
        inputs = [tf.compat.v1.placeholder(x.dtype, x.shape, x.op.name) for x in old.inputs]
    env.update({x.name: y for x, y in zip(old.inputs, inputs, strict=True)})
    for name, weight in old.weights.items():
        tensor = old.graph.get_tensor_by_name(f"{name}:0")
        env[tensor.name] = copier.weight(weight, tensor.shape, tensor.dtype, name)
    copier.copy(old.graph, env, old.outputs)
    outputs = copier.finish([env[x.name] for x in old.outputs])
    return Graph(copier.graph, inputs, outputs, copier.weights, rewritten=copier.rewritten)
