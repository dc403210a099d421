"""One order and one set of names for a graph, whatever made it.

Optimisers hand nodes back in an order that depends on hash seeds. Here a node's place follows
from the outputs alone. May import nothing of the project.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def canonical(
    graph_def: Any, outputs: Sequence[str], keep: Sequence[str], names: Mapping[str, str]
) -> Any:
    """A GraphDef with the nodes that `outputs` need, each after what it needs.

    Args:
        graph_def: The graph to be put in order; not changed.
        outputs: Names of the output nodes, in order.
        keep: Names of nodes (inputs) that stay even where no output needs them; they come first.
        names: New names for some nodes.
    """
    from tensorflow.core.framework import graph_pb2

    nodes = {node.name: node for node in graph_def.node}
    ordered: list[Any] = [nodes[name] for name in keep]
    placed = set(keep)
    opened: set[str] = set()  # a loop's back edge leads to a node that is open already
    for output in outputs:
        waiting = [(output, False)]
        while waiting:
            name, ready = waiting.pop()
            if name in placed:
                continue
            if ready:
                placed.add(name)
                ordered.append(nodes[name])
            elif name not in opened:
                opened.add(name)
                waiting.append((name, True))
                needed = [node_name(x) for x in nodes[name].input if not x.startswith("^")]
                waiting.extend((x, False) for x in reversed(needed) if x not in placed)
    result = graph_pb2.GraphDef()
    result.versions.CopyFrom(graph_def.versions)
    result.library.CopyFrom(graph_def.library)
    new = _unique_names([node.name for node in ordered], names)
    for node in ordered:
        made = result.node.add()
        made.CopyFrom(node)
        made.name = new[node.name]
        made.device = ""
        inputs = [_rename(x, new) for x in node.input if not x.startswith("^")]
        del made.input[:]
        made.input.extend(inputs)
        for key in [key for key in node.attr if key.startswith("_")]:
            del made.attr[key]
    return result


def node_name(tensor: str) -> str:
    """The node that makes a tensor ("dense/MatMul:0" -> "dense/MatMul")."""
    return tensor.removeprefix("^").partition(":")[0]


def _rename(tensor: str, new: Mapping[str, str]) -> str:
    name, colon, index = tensor.partition(":")
    return f"{new[name]}{colon}{index}"


def _unique_names(old: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """The names asked for win; a node that has one of them by chance gives way."""
    taken = set(names.values())
    result = dict(names)
    for name in old:
        if name in names:
            continue
        unique, number = name, 0
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        taken.add(unique)
        result[name] = unique
    return result
