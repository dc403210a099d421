"""The calls of a Keras model, one after the other, nested models taken apart.

Owns how a Keras 3 functional graph is read: nodes by depth, arguments, nested Functional and
Sequential models. Works on live models, never on config JSON. May import nothing of the project.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras


@dataclass(frozen=True)
class Use:
    """One call of a Keras layer or operation.

    Attributes:
        operation: The layer, or the operation of `keras.ops`.
        path: Of the layer in the model, nested models' names first ("encoder/dense").
        arguments: By name of `call`, tensors replaced by the caller's own; defaults left out.
        outputs: The symbolic Keras tensors that the call gave.
        inputs: The symbolic Keras tensors that it took.
    """

    operation: Any
    path: str
    arguments: Mapping[str, Any]
    outputs: tuple[Any, ...]
    inputs: tuple[Any, ...]

    @property
    def first(self) -> Any:
        """The first argument: a tensor, or a structure of tensors."""
        return next(iter(self.arguments.values()), None)

    @property
    def others(self) -> dict[str, Any]:
        """Further arguments that say something; `training` does not, prediction sets it."""
        rest = list(self.arguments.items())[1:]
        return {
            name: value
            for name, value in rest
            if name != "training"
            and any(leaf not in (None, False) for leaf in keras.tree.flatten(value))
        }


Visit = Callable[[Use], Sequence[Any]]
Enter = Callable[[Use, list[Any]], Sequence[Any]]


def graph_of(model: Any) -> Any:
    """The functional graph behind a Functional or Sequential model; None if there is none.

    A subclass that overrides `call` computes something else than its graph.
    """
    call = getattr(type(model), "call", None)
    place = (getattr(call, "__module__", ""), getattr(call, "__qualname__", ""))
    if place == ("keras.src.models.sequential", "Sequential.call"):
        return model._functional
    if place == ("keras.src.models.functional", "Functional.call"):
        return model
    return None


def walk(
    model: Any, inputs: Sequence[Any], visit: Visit, enter: Enter, path: str = ""
) -> list[Any]:
    """Call `visit` for every layer, in an order in which its arguments are known.

    Args:
        model: A model with a graph (see `graph_of`).
        inputs: What stands for the model's flattened inputs.
        visit: Returns what stands for the outputs of the call.
        enter: Called with each call of a nested model and its flattened inputs; returns what
            stands for them inside.
        path: Of the model itself, with a slash at its end; "" for the outermost.

    Returns:
        What stands for the model's flattened outputs.
    """
    graph = graph_of(model)
    values = {id(tensor): value for tensor, value in zip(graph.inputs, inputs, strict=True)}
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            known = all(id(tensor) in values for tensor in node.input_tensors)
            if node.operation is None or node.is_input or not known:
                continue
            use = _use(node, values, path)
            nested = graph_of(node.operation)
            if nested is None:
                results = visit(use)
            else:
                parts = enter(use, _nested_inputs(nested, use))
                results = walk(node.operation, parts, visit, enter, f"{use.path}/")
            for tensor, value in zip(node.outputs, results, strict=True):
                values[id(tensor)] = value
    return [values[id(tensor)] for tensor in graph.outputs]


def _use(node: Any, values: Mapping[int, Any], path: str) -> Use:
    args, kwargs = node.arguments.fill_in(values)
    try:
        signature = inspect.signature(node.operation.call)
        arguments = dict(signature.bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        arguments = {str(i): value for i, value in enumerate(args)} | dict(kwargs)
    arguments |= arguments.pop("kwargs", {})
    return Use(
        node.operation,
        path + node.operation.name,
        arguments,
        tuple(node.outputs),
        tuple(node.input_tensors),
    )


def _nested_inputs(graph: Any, use: Use) -> list[Any]:
    """The arguments of a nested model in the order of its flattened inputs."""
    given = use.first
    if isinstance(given, Mapping) and not isinstance(graph._inputs_struct, Mapping):
        given = [given[tensor.name] for tensor in graph.inputs]
    return list(keras.tree.flatten(given))
