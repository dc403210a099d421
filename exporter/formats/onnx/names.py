"""One order and one set of names for an ONNX model.

tf2onnx numbers what it makes with a counter that never starts again, so that a second export in
one process differs from the first. May import nothing of the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

_COUNTER = re.compile(r"__\d+")
_NUMBER = re.compile(r"_\d+$")


def sort_nodes(graph: Any) -> None:
    """Put nodes into the order in which the outputs need them; drop what nothing needs."""
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    order: list[int] = []
    placed: set[int] = set()
    for output in graph.output:
        waiting = [(output.name, False)]
        while waiting:
            name, ready = waiting.pop()
            index = makers.get(name)
            if index is None or index in placed:
                continue
            if ready:
                placed.add(index)
                order.append(index)
            else:
                waiting.append((name, True))
                waiting.extend((x, False) for x in reversed(list(needs(graph.node[index]))))
    nodes = [graph.node[index] for index in order]
    copies = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def needs(node: Any) -> Iterator[str]:
    """What a node reads, bodies of loops and branches included."""
    yield from (name for name in node.input if name)
    for body in bodies(node):
        for inner in body.node:
            yield from needs(inner)
        yield from (output.name for output in body.output)


def bodies(node: Any) -> Iterator[Any]:
    """The graphs inside a node: a loop's body, the branches of a choice."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def rename(graph: Any, wanted: Mapping[str, str], beside: Iterable[str] = ()) -> dict[str, str]:
    """Name every value: as in `wanted`, else after what made it, numbered as it is needed.

    Of equal nodes and constants tf2onnx keeps any one, so neither their own numbers nor a
    constant's old name say anything that is the same the next time.

    Args:
        graph: Changed in place.
        wanted: New names by the old.
        beside: Names of initializers that are not in the graph.

    Returns:
        The new names by the old.
    """
    names = dict(wanted)
    taken = set(wanted.values())
    constants = {tensor.name for tensor in graph.initializer} | set(beside)
    _name_values(graph, names, taken, constants)
    _apply(graph, names)
    return names


def _name_values(graph: Any, names: dict[str, str], taken: set[str], constants: set[str]) -> None:
    def name(old: str) -> None:
        if not old or old in names:
            return
        base = _NUMBER.sub("", _COUNTER.sub("", old).removesuffix(":0")) or "value"
        if old in constants:
            base = "constant"
        unique, number = base, 0
        while unique in taken:
            number += 1
            unique = f"{base}_{number}"
        taken.add(unique)
        names[old] = unique

    for value in graph.input:
        name(value.name)
    for node in graph.node:
        for old in node.input:
            name(old)
        for body in bodies(node):
            inner = constants | {tensor.name for tensor in body.initializer}
            _name_values(body, names, taken, inner)
        for old in node.output:
            name(old)
    for tensor in graph.initializer:
        name(tensor.name)
    for value in graph.output:
        name(value.name)


def _apply(graph: Any, names: Mapping[str, str]) -> None:
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = names[value.name]
    del graph.value_info[:]
    node_names: set[str] = set()
    for node in graph.node:
        for part in (node.input, node.output):
            renamed = [names.get(x, x) for x in part]
            del part[:]
            part.extend(renamed)
        first = next((x for x in node.output if x), node.op_type)
        unique, number = first, 0
        while unique in node_names:
            number += 1
            unique = f"{first}_{number}"
        node_names.add(unique)
        node.name = unique
        node.doc_string = ""
        for body in bodies(node):
            _apply(body, names)
