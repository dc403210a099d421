"""Which tensors of a written artefact are the outputs of which Keras layers.

Owns the matching: by the scopes that the files' names keep, then by shape. May import `written` and
what `exporter.activations` records.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import permutations

import numpy as np

from exporter.activations import Call
from exporter.trace.written import WrittenGraph

Arrays = Mapping[str, np.ndarray]
_MOVED_AXES = 5
"""Up to this rank another order of the axes is looked for: ONNX keeps channels first."""


def key(scope: str) -> str:
    """What is left of a path in every format's names."""
    bare = unicodedata.normalize("NFKD", scope)
    bare = "".join(c for c in bare if not unicodedata.combining(c))
    return re.sub(r"[^A-Za-z0-9._/-]", "_", bare)


def wanted(graph: WrittenGraph, calls: Sequence[Call]) -> tuple[str, ...]:
    """The tensors worth looking at: what leaves the scope of some layer, and the outputs."""
    scopes = {key(call.path) for call in calls}
    tensors = [tensor for scope, tensor in graph.leaving() if key(scope) in scopes]
    return tuple(dict.fromkeys([*graph.outputs, *filter(graph.is_watchable, tensors)]))


def match(
    graph: WrittenGraph, calls: Sequence[Call], answers: Sequence[np.ndarray], found: Arrays
) -> dict[int, str]:
    """The tensor of each call's first output, by the call's index; without those that have none.

    Args:
        graph: The artefact's.
        calls: What Keras did for one input.
        answers: Keras' outputs for it.
        found: The artefact's tensors for it.
    """
    matched = _outputs(graph, calls, answers)
    by_scope: dict[str, list[str]] = defaultdict(list)
    for scope, tensor in graph.leaving():
        if tensor in found and tensor not in matched.values():
            by_scope[key(scope)].append(tensor)
    members: dict[str, list[int]] = defaultdict(list)
    for index, call in enumerate(calls):
        if index not in matched and call.outputs:
            members[key(call.path)].append(index)
    for scope, indices in members.items():
        firsts = [calls[index].arrays[0] for index in indices]
        fitting = [
            tensor for tensor in by_scope.get(scope, ())
            if axes_order(found[tensor], firsts[0]) is not None
        ]  # fmt: skip
        each, rest = divmod(len(fitting), len(indices))
        if not each or rest:
            continue
        # Calls of one layer come in the order of their nodes.
        for number, (index, own) in enumerate(zip(indices, firsts, strict=True)):
            mine = fitting[number * each : (number + 1) * each]
            matched[index] = min(mine, key=partial(_distance_of, found, own))
    return matched


def _distance_of(found: Arrays, own: np.ndarray, tensor: str) -> float:
    """How far a tensor is from a layer's output: a layer's states may have its output's shape."""
    turned = in_keras_layout(found[tensor], own)
    if turned is None:
        return np.inf
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(turned.astype(np.float64) - own).sum()
    return float(np.nan_to_num(distance, nan=np.inf))


def _outputs(
    graph: WrittenGraph, calls: Sequence[Call], answers: Sequence[np.ndarray]
) -> dict[int, str]:
    """An output of the model bears the model's name for it, not its layer's scope."""
    matched = {}
    for tensor, answer in zip(graph.outputs, answers, strict=True):
        for index in reversed(range(len(calls))):
            own = calls[index].arrays
            if index not in matched and own and _equal(own[0], answer):
                matched[index] = tensor
                break
    return matched


def _equal(one: np.ndarray, other: np.ndarray) -> bool:
    return one.shape == other.shape and np.array_equal(one, other, equal_nan=True)


def in_keras_layout(found: np.ndarray, own: np.ndarray) -> np.ndarray | None:
    """`found` with its axes in Keras' order; None where no order gives Keras' shape."""
    order = axes_order(found, own)
    return None if order is None else found.transpose(order)


def axes_order(found: np.ndarray, own: np.ndarray) -> tuple[int, ...] | None:
    """The order of `found`'s axes that gives Keras' shape; None where there is none.

    Where several do, that which is nearest to Keras: a wrong order is far off.
    """
    straight = tuple(range(own.ndim))
    if found.shape == own.shape:
        return straight
    if found.ndim != own.ndim or sorted(found.shape) != sorted(own.shape) or own.ndim > _MOVED_AXES:
        return None
    fitting = [order for order in permutations(straight)
               if tuple(found.shape[axis] for axis in order) == own.shape]  # fmt: skip
    with np.errstate(invalid="ignore", over="ignore"):
        distances = [
            np.abs(found.transpose(order).astype(np.float64) - own).sum() for order in fitting
        ]
    return fitting[int(np.argmin(np.nan_to_num(distances, nan=np.inf)))]
