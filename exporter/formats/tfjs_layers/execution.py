"""The order in which TF.js executes a graph, and what leaks from one layer into the next.

Owns a replay of `execute` (`engine/executor.js` of TF.js Layers 4.22). One `kwargs` object goes
through the whole execution once a mask was seen: its `mask` stays for layers that have none, and
the `initialState` that a recurrent layer puts there makes the next one throw. A tensor is freed
when it was read as often as it has recipients, and who reads it twice counts once as a recipient
and twice as a reading. May import `graph` and `masks`.
"""

from __future__ import annotations

from collections.abc import Iterator

from exporter.formats.tfjs_layers.graph import Call, Graph, Layer, Tensor
from exporter.formats.tfjs_layers.masks import NEVER, RECURRENT, AllPass


def execution_order(graph: Graph) -> list[Tensor]:
    """Tensors in the order in which TF.js computes them; a layer runs once per output wanted."""
    order: list[Tensor] = []
    taken: set[tuple[int, int]] = set()
    for fetch in graph.outputs:
        for tensor in _order_for(fetch, graph.inputs):
            if tensor.key not in taken:
                taken.add(tensor.key)
                order.append(tensor)
    return order


def _order_for(fetch: Tensor, inputs: list[Tensor]) -> Iterator[Tensor]:
    visited = {tensor.key for tensor in inputs}
    stack = [fetch]
    marks: list[int] = []
    while stack:
        top = stack[-1]
        if top.key in visited:
            stack.pop()
        elif marks and marks[-1] == len(stack) - 1:
            stack.pop()
            marks.pop()
            visited.add(top.key)
            yield top
        else:
            marks.append(len(stack) - 1)
            stack += [tensor for tensor in top.call.inputs if tensor.key not in visited]


def copy_what_is_read_twice(graph: Graph) -> None:
    """Give a call that takes one tensor twice a copy of it, so that it is not freed too early."""
    recipients: dict[tuple[int, int], int] = {}
    for call in graph.calls:
        for key in {tensor.key for tensor in call.inputs}:
            recipients[key] = recipients.get(key, 0) + 1
    kept = {tensor.key for tensor in (*graph.inputs, *graph.outputs)}
    for call in list(graph.calls):
        own: list[Tensor] = []
        for tensor in call.inputs:
            twice = any(tensor.key == other.key for other in own)
            if twice and recipients[tensor.key] > 1 and tensor.key not in kept:
                # TF.js clones what a layer hands on as it is.
                layer = Layer("Activation", {"activation": "linear"}, (), f"{call.layer.wish}/copy")
                mask = tensor.mask
                tensor = graph.add_call(layer, [tensor], [tensor.shape], tensor.dtype)[0]
                tensor.mask = mask
            own.append(tensor)
        call.inputs = tuple(own)
    graph.calls.sort(key=_depth_first(graph))


def shield_from_leaks(graph: Graph) -> tuple[list[str], list[tuple[Call, str]]]:
    """Give a mask that lets everything pass to each call that would inherit another's.

    Returns:
        The names of the layers that were shielded, and the calls that no mask can save, each with
        the reason.
    """
    shielded: list[str] = []
    while True:
        stale, lost = _replay(graph)
        if not stale:
            return shielded, lost
        for call in stale:
            layer = Layer("Masking", {"mask_value": NEVER}, (), f"{call.layer.wish}/mask/all")
            first = call.inputs[0]
            passing = graph.add_call(layer, [first], [first.shape], first.dtype)[0]
            passing.mask = AllPass()
            call.inputs = (passing, *call.inputs[1:])
            shielded.append(call.layer.wish)
            graph.calls.sort(key=_depth_first(graph))


def _replay(graph: Graph) -> tuple[list[Call], list[tuple[Call, str]]]:
    """Calls that inherit a mask, and calls that inherit an initial state."""
    stale: dict[int, Call] = {}
    lost: list[tuple[Call, str]] = []
    mask, shared, state = None, False, False
    for tensor in execution_order(graph):
        call = tensor.call
        own = [t.mask for t in call.inputs]
        if any(token is not None for token in own):
            mask, shared = own[0], True
        elif mask is not None and _is_recurrent(call):
            stale[id(call)] = call
        inside = call.layer.config.get("layer", {}).get("class_name")
        if call.layer.class_name == "TimeDistributed" and inside in RECURRENT and mask is not None:
            reason = "a recurrent layer inside TimeDistributed takes a mask of other steps in TF.js"
            lost.append((call, reason))
        if _is_recurrent(call) and shared:
            if state:
                reason = "TF.js cannot run it after a layer with initial_state in a masked model"
                lost.append((call, reason))
            state = state or len(call.inputs) > 1
    return list(stale.values()), lost


def _is_recurrent(call: Call) -> bool:
    return call.layer.class_name in RECURRENT


def _depth_first(graph: Graph):  # type: ignore[no-untyped-def]
    """A key that sorts calls so that none comes before its inputs, else as they are."""
    place: dict[int, int] = {}
    waiting = list(graph.calls)
    done: set[int] = set()
    while waiting:
        rest = []
        for call in waiting:
            if all(id(tensor.call) in done for tensor in call.inputs):
                done.add(id(call))
                place[id(call)] = len(place)
            else:
                rest.append(call)
        waiting = rest
    return lambda call: place[id(call)]
