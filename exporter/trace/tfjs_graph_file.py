"""The graph of a TF.js graph model. May import what `written` may."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exporter.errors import BadBundle
from exporter.manifest import Artifact, Manifest
from exporter.trace import shards
from exporter.trace.written import End, Node, WrittenGraph, below_model

_FILE = "tfjs/graph/model.json"
_TYPES = {"float32": "DT_FLOAT", "int32": "DT_INT32", "bool": "DT_BOOL"}


class TfjsGraphFile(WrittenGraph):
    """`model.json` and shards; a tensor is "node" or, of a node's later outputs, "node:1"."""

    def __init__(self, directory: Path, manifest: Manifest, artifact: Artifact) -> None:
        path = directory / artifact.path
        try:
            self._document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._nodes: list[dict[str, Any]] = self._document["modelTopology"]["node"]
            signature = self._document["signature"]
        except (OSError, ValueError, KeyError) as error:
            raise BadBundle(f"{path}: a tfjs-graph model.json expected; {error!r}") from None
        self._folder = path.parent
        self.inputs, self.outputs = (
            tuple(_tensor(signature[ends][spec.name]["name"]) for spec in specs)
            for ends, specs in (("inputs", manifest.inputs), ("outputs", manifest.outputs))
        )
        self._looped = _looped(self._nodes)
        constants = {node["name"] for node in self._nodes if node["op"] == "Const"}
        later = {x for node in self._nodes for x in map(_tensor, node.get("input", ())) if ":" in x}
        self.nodes = tuple(
            Node(
                tuple(x for x in map(_tensor, node.get("input", ())) if x not in constants),
                (node["name"], *sorted(x for x in later if x.rpartition(":")[0] == node["name"])),
                below_model(node["name"]),
                node["op"],
            )
            for node in self._nodes
            if node["op"] not in ("Const", "Placeholder")
        )

    def is_watchable(self, tensor: str) -> bool:
        """Only first outputs, which signatures can name, and nothing inside of loops."""
        return ":" not in tensor and tensor not in self._looped

    def watch(self, directory: Path, tensors: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """See `WrittenGraph.watch`."""
        target = (directory / _FILE).parent
        target.mkdir(parents=True, exist_ok=True)
        signature = {**self._document["signature"], "outputs": _outputs(tensors)}
        names = shards.copy(self._document, self._folder, target)
        return self._save(directory, {**self._document, "signature": signature}, names)

    def cut(
        self, directory: Path, inputs: Sequence[End], outputs: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        """See `WrittenGraph.cut`."""
        target = (directory / _FILE).parent
        target.mkdir(parents=True, exist_ok=True)
        # A later output of a node cannot be an input of its own: the name belongs to the node.
        names = {end.tensor: end.tensor.replace(":", "_") for end in inputs}
        kept = {n.outputs[0] for n in self.between(list(names), outputs)}
        nodes = [_placeholder(names[end.tensor], end) for end in inputs]
        wanted = set()
        for node in self._nodes:
            if node["name"] in kept:
                given = [names.get(_tensor(x), x) for x in node.get("input", ())]
                nodes.append({**node, "input": given})
                wanted.update(given)
        constants = [n for n in self._nodes if n["op"] == "Const" and n["name"] in wanted]
        weights, shard = shards.take(self._document, self._folder, target, wanted)
        document = {
            **self._document,
            "modelTopology": {**self._document["modelTopology"], "node": [*constants, *nodes]},
            "signature": {
                "inputs": {end.tensor: _entry(names[end.tensor], end) for end in inputs},
                "outputs": _outputs(outputs),
            },
            "weightsManifest": weights,
        }
        return self._save(directory, document, (shard,))

    def _save(
        self, directory: Path, document: Mapping[str, Any], names: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        (directory / _FILE).write_text(json.dumps(document), encoding="utf-8")
        folder = _FILE.rpartition("/")[0]
        return _FILE, (_FILE, *(f"{folder}/{name}" for name in names))


def _looped(nodes: Sequence[Mapping[str, Any]]) -> set[str]:
    """Nodes that compute inside of a loop: what is reached from its entry and not through its exit.

    In the order of the graph, but for a loop's way back, which leads to its beginning.
    """
    operations = {node["name"]: node["op"] for node in nodes}
    looped: set[str] = set()
    for node in nodes:
        given = {_tensor(x).partition(":")[0] for x in node.get("input", ())}
        inside = any(x in looped and operations[x] != "Exit" for x in given)
        if inside or node["op"] in ("Enter", "Merge", "Switch", "LoopCond", "NextIteration"):
            looped.add(node["name"])
    return {name for name in looped if operations[name] != "Exit"}


def _tensor(name: str) -> str:
    """A node's first output bears the node's name."""
    return name.removeprefix("^").removesuffix(":0")


def _outputs(tensors: Sequence[str]) -> dict[str, Any]:
    return {x: {"name": x if ":" in x else f"{x}:0", "dtype": "DT_FLOAT"} for x in tensors}


def _entry(name: str, end: End) -> dict[str, Any]:
    return {"name": f"{name}:0", "dtype": _TYPES[end.dtype], "tensorShape": _shape(end)}


def _shape(end: End) -> dict[str, Any]:
    return {"dim": [{"size": str(-1 if size is None else size)} for size in end.shape]}


def _placeholder(name: str, end: End) -> dict[str, Any]:
    attributes = {"dtype": {"type": _TYPES[end.dtype]}, "shape": {"shape": _shape(end)}}
    return {"name": name, "op": "Placeholder", "attr": attributes}
