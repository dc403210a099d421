"""What a model's numbers mean: the range of its inputs, whether outputs are probabilities.

Owns the walk over a Keras graph that finds the layers which consume an input and the operation
which makes an output. May import nothing of the project but `exporter.keras_file`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from exporter.keras_file import import_keras

if TYPE_CHECKING:
    import keras

FLOAT_RANGE = (-1.0, 1.0)
PICTURE_RANGE = (0.0, 255.0)
INTEGER_RANGE = (0.0, 9.0)
# Operations that hand their input's values on, only in another shape or order.
_CARRIERS = frozenset({
    "Reshape", "Flatten", "Permute", "RepeatVector", "Cropping1D", "Cropping2D", "Cropping3D",
    "Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "ActivityRegularization", "Masking", "Concatenate", "ExpandDims", "Squeeze", "Transpose",
    "GetItem", "Cast", "Stack", "Tile", "Repeat", "Flip", "Roll", "Swapaxes", "Moveaxis", "Ravel",
    "GaussianNoise", "GaussianDropout", "AlphaDropout", "InputLayer", "Split", "Unstack",
    "CastLike",
})  # fmt: skip
_RECURRENT = ("recurrent_activation", "cell")


def input_range(model: keras.Model, index: int, dtype: str) -> tuple[float, float]:
    """Smallest and largest value that input `index` of the model sensibly takes.

    From the layers that consume it (the rows of an Embedding, the tokens of a CategoryEncoding,
    a Rescaling of pictures); else a default for the dtype.
    """
    if dtype == "bool":
        return (0.0, 1.0)
    if dtype == "uint8":
        default = PICTURE_RANGE
    else:
        default = FLOAT_RANGE if "float" in dtype else INTEGER_RANGE
    graph = _graph(model)
    found = list(_ranges(graph, graph.inputs[index]) if graph is not None else _ranges_below(model))
    if not found:
        return default
    low, high = max(low for low, _ in found), min(high for _, high in found)
    return (low, high) if low <= high else found[0]


def output_meaning(model: keras.Model, index: int) -> str:
    """Say "probabilities" where softmax or sigmoid makes output `index`, else "values"."""
    graph = _graph(model)
    if graph is None:
        return "values"
    return "probabilities" if _makes_probabilities(graph.outputs[index]) else "values"


def _graph(model: Any) -> Any:
    """The functional graph of a functional or Sequential model, or None."""
    graph = getattr(model, "_functional", None) or model
    return graph if getattr(graph, "_nodes_by_depth", None) else None


def _nodes(graph: Any) -> Iterator[Any]:
    for nodes in graph._nodes_by_depth.values():
        yield from nodes


def _ranges(graph: Any, tensor: Any) -> Iterator[tuple[float, float]]:
    """The ranges that the consumers of `tensor` within `graph` accept."""
    waiting, seen = [tensor], {id(tensor)}
    while waiting:
        tensor = waiting.pop()
        for node in _nodes(graph):
            places = [i for i, x in enumerate(node.input_tensors) if x is tensor]
            if not places or node.is_input:
                continue
            operation = node.operation
            yield from _accepts(operation, places)
            if type(operation).__name__ in _CARRIERS:
                for output in node.outputs:
                    if id(output) not in seen:
                        seen.add(id(output))
                        waiting.append(output)


def _accepts(operation: Any, places: Iterable[int]) -> Iterator[tuple[float, float]]:
    inner = _graph(operation)
    if inner is not None:
        for place in places:
            yield from _ranges(inner, inner.inputs[place])
        return
    own = _own_range(operation)
    if own is not None:
        yield own
    else:
        yield from _ranges_below(operation)


def _own_range(operation: Any) -> tuple[float, float] | None:
    kind = type(operation).__name__
    if kind == "Embedding" or kind == "ReversibleEmbedding":
        return (0.0, operation.input_dim - 1.0)
    if kind == "CategoryEncoding" and operation.num_tokens:
        return (0.0, operation.num_tokens - 1.0)
    if kind in ("OneHot", "MultiHot"):
        classes = getattr(operation, "num_classes", None) or getattr(operation, "num_tokens", 0)
        return (0.0, classes - 1.0) if classes else None
    if kind == "Discretization" and len(operation.bin_boundaries or ()):
        bounds = [float(b) for b in operation.bin_boundaries]
        margin = (max(bounds) - min(bounds)) / 2 or 1.0
        return (min(bounds) - margin, max(bounds) + margin)
    if kind == "Rescaling":
        import numpy as np

        scales = np.abs(np.asarray(operation.scale, "float64"))
        if np.all((scales > 0) & (scales < 0.02)):
            return PICTURE_RANGE
    return None


def _ranges_below(operation: Any) -> Iterator[tuple[float, float]]:
    """Of a layer that is no graph: what its sublayers that look up rows accept."""
    keras = import_keras()
    if isinstance(operation, keras.Layer):
        for layer in operation._flatten_layers(include_self=False):
            if type(layer).__name__ in ("Embedding", "ReversibleEmbedding", "CategoryEncoding"):
                own = _own_range(layer)
                if own is not None:
                    yield own


def _makes_probabilities(tensor: Any) -> bool:
    operation, _, position = tensor._keras_history
    inner = _graph(operation)
    if inner is not None:
        return _makes_probabilities(inner.outputs[position])
    inside = operation.layer if type(operation).__name__ == "TimeDistributed" else operation
    kind = type(inside).__name__
    if kind in ("Softmax", "Sigmoid"):
        return True
    if kind in _CARRIERS and kind != "InputLayer":
        parents = operation._inbound_nodes[tensor._keras_history[1]].input_tensors
        return bool(parents) and all(_makes_probabilities(parent) for parent in parents)
    if any(hasattr(inside, name) for name in _RECURRENT):
        return False
    activation = getattr(inside, "activation", None)
    return getattr(activation, "__name__", None) in ("softmax", "sigmoid")
