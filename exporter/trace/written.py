"""A written artefact as a graph of named tensors that can be watched, or cut out of it.

Owns the interface, the table of formats, and what all of them share. One module per format beside
this one, listed in `_TABLE`: what is traced is the file itself, never a fresh export. May import
`exporter.manifest` and `exporter.errors`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from exporter.errors import BadUsage
from exporter.manifest import Artifact, Manifest

# format -> "module:class"
_TABLE = {
    "tfjs-layers": "exporter.trace.tfjs_layers_file:TfjsLayersFile",
    "tfjs-graph": "exporter.trace.tfjs_graph_file:TfjsGraphFile",
    "onnx": "exporter.trace.onnx_file:OnnxFile",
}
FORMATS = tuple(_TABLE)


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the file.

    Attributes:
        inputs, outputs: Tensors by their names; constants are left out of `inputs`.
        scope: The path of the Keras layer that it was made for, as the file's names say it, without
            the outermost model's name ("encoder/dense"); "" where they say nothing.
        operation: What it does, in the format's own word.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scope: str
    operation: str


@dataclass(frozen=True, slots=True)
class End:
    """A tensor as an input of a part that is cut out.

    Attributes:
        shape: With the batch first; None is free.
        dtype: NumPy's name.
    """

    tensor: str
    shape: tuple[int | None, ...]
    dtype: str


class WrittenGraph(ABC):
    """The graph in one artefact's files.

    Attributes:
        nodes: In an order in which each comes after what it needs.
        inputs, outputs: The model's own, in the manifest's order.
    """

    nodes: tuple[Node, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]

    @abstractmethod
    def watch(self, directory: Path, tensors: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """Write the whole artefact below `directory`, `tensors` being its outputs.

        Returns:
            The path that a runtime opens, and all files.
        """

    @abstractmethod
    def cut(
        self, directory: Path, inputs: Sequence[End], outputs: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        """Write the part that makes `outputs` of `inputs`, and nothing else; see `watch`."""

    def is_watchable(self, tensor: str) -> bool:
        """Whether a runtime can give it out."""
        return True

    def between(self, inputs: Sequence[str], outputs: Sequence[str]) -> list[Node]:
        """The nodes that `outputs` need when `inputs` are given, in order.

        Raises:
            BadUsage: They need another input of the model.
        """
        makers = {tensor: node for node in self.nodes for tensor in node.outputs}
        given, needed = set(inputs), set()
        waiting = [tensor for tensor in outputs if tensor not in given]
        while waiting:
            tensor = waiting.pop()
            node = makers.get(tensor)
            if node is None:
                raise BadUsage(f"tensor {tensor!r}: an input of the part expected, none found")
            if id(node) not in needed:
                needed.add(id(node))
                waiting += [x for x in node.inputs if x not in given]
        return [node for node in self.nodes if id(node) in needed]

    def leaving(self) -> list[tuple[str, str]]:
        """(scope, tensor) of every tensor that leaves the scope of its layer, in order.

        A tensor made in "a/b" and used in "a/c" leaves "a/b"; used outside "a", it leaves "a", too.
        Without those on the way to an operation of the same layer that an optimiser has put behind
        other layers: there the layer is not at its end yet.
        """
        users: dict[str, list[Node]] = {}
        for node in self.nodes:
            for tensor in node.inputs:
                users.setdefault(tensor, []).append(node)
        found = [
            (scope, tensor, node)
            for node in self.nodes for tensor in node.outputs for scope in _outer(node.scope)
            if tensor in self.outputs
            or any(not _within(user.scope, scope) for user in users.get(tensor, ()))
        ]  # fmt: skip
        displaced: set[str] = set()
        for scope, tensor, node in found:
            displaced |= self._before_moved(scope, tensor, node, users)
        return [(scope, tensor) for scope, tensor, _ in found if tensor not in displaced]

    def _before_moved(
        self, scope: str, tensor: str, node: Node, users: Mapping[str, list[Node]]
    ) -> set[str]:
        """What lies between `tensor` and an operation of `scope` that comes after other layers."""
        after = _downstream(tensor, users)
        later = [other for other in after if _within(other.scope, scope)]
        if not later:
            return set()
        makers = {name: maker for maker in self.nodes for name in maker.outputs}
        own = {maker.operation for maker in _upstream(node, makers) if _within(maker.scope, scope)}
        # A layer that is called again does the same as before; one that was moved does the rest.
        moved = [other for other in later if other.operation not in own]
        between = {id(n) for last in moved for n in _upstream(last, makers) if n is not last}
        kept = [n for n in (node, *after) if id(n) in between]
        return {name for n in kept for name in n.outputs}


def _outer(scope: str) -> Iterator[str]:
    """The scope and those around it, the innermost first."""
    while scope:
        yield scope
        scope = scope.rpartition("/")[0]


def _downstream(tensor: str, users: Mapping[str, list[Node]]) -> list[Node]:
    """Every node that needs `tensor`, however far."""
    found: dict[int, Node] = {}
    waiting = [tensor]
    while waiting:
        for user in users.get(waiting.pop(), ()):
            if id(user) not in found:
                found[id(user)] = user
                waiting += user.outputs
    return list(found.values())


def _upstream(node: Node, makers: Mapping[str, Node]) -> list[Node]:
    """Every node that `node` needs, itself among them."""
    found = {id(node): node}
    waiting = list(node.inputs)
    while waiting:
        maker = makers.get(waiting.pop())
        if maker is not None and id(maker) not in found:
            found[id(maker)] = maker
            waiting += maker.inputs
    return list(found.values())


def _within(scope: str, outer: str) -> bool:
    return scope == outer or scope.startswith(f"{outer}/")


def read(directory: Path, manifest: Manifest, artifact: Artifact) -> WrittenGraph:
    """The graph of one artefact.

    Raises:
        BadUsage: The format has no graph to look at.
        BadBundle: The files cannot be read.
    """
    if artifact.format not in _TABLE:
        raise BadUsage(f"{artifact.id}: cannot be traced; {', '.join(FORMATS)} can")
    module, attribute = _TABLE[artifact.format].split(":")
    graph: WrittenGraph = getattr(import_module(module), attribute)(directory, manifest, artifact)
    return graph


def below_model(name: str) -> str:
    """A node's scope below the outermost model: "model/encoder/dense/MatMul" -> "encoder/dense"."""
    return "/".join(name.split("/")[1:-1])
