"""The graph of a TF.js layers model. May import what `written` may."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from exporter.errors import BadBundle
from exporter.manifest import Artifact, Manifest
from exporter.trace import shards
from exporter.trace.written import End, Node, WrittenGraph

_FILE = "tfjs/layers/model.json"
_AGAIN = re.compile(r"-\d+$")
"""What the exporter puts behind a name that is taken."""

Place = tuple[str, int, int]
"""A tensor: layer, which of its calls, which output of that call."""


class TfjsLayersFile(WrittenGraph):
    """`model.json` and shards; a tensor is "layer:call:output"."""

    def __init__(self, directory: Path, manifest: Manifest, artifact: Artifact) -> None:
        path = directory / artifact.path
        try:
            self._document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            self._config = self._document["modelTopology"]["model_config"]["config"]
            self._layers: list[dict[str, Any]] = self._config["layers"]
            inputs, outputs = self._config["input_layers"], self._config["output_layers"]
        except (OSError, ValueError, KeyError) as error:
            raise BadBundle(f"{path}: a tfjs-layers model.json expected; {error!r}") from None
        self._folder = path.parent
        self.inputs, self.outputs = (tuple(map(_name, ends)) for ends in (inputs, outputs))
        used = {_name(x) for layer in self._layers for call in layer["inbound_nodes"] for x in call}
        self._calls: dict[tuple[str, ...], tuple[dict[str, Any], int]] = {}
        nodes = []
        for layer in self._layers:
            scope = _AGAIN.sub("", layer["name"])
            for number, call in enumerate(layer["inbound_nodes"]):
                own = f"{layer['name']}:{number}:"
                later = sorted(x for x in used if x.startswith(own) and x != f"{own}0")
                node = Node(
                    tuple(map(_name, call)), (f"{own}0", *later), scope, layer["class_name"]
                )
                self._calls[node.outputs] = (layer, number)
                nodes.append(node)
        self.nodes = tuple(_sorted(nodes, self.inputs))

    def watch(self, directory: Path, tensors: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """See `WrittenGraph.watch`."""
        target = (directory / _FILE).parent
        target.mkdir(parents=True, exist_ok=True)
        config = {**self._config, "output_layers": [list(_place(x)) for x in tensors]}
        names = shards.copy(self._document, self._folder, target)
        return self._save(directory, config, self._document["weightsManifest"], names)

    def cut(
        self, directory: Path, inputs: Sequence[End], outputs: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        """See `WrittenGraph.cut`."""
        target = (directory / _FILE).parent
        target.mkdir(parents=True, exist_ok=True)
        names = {end.tensor: f"input_{number}" for number, end in enumerate(inputs)}
        places: dict[str, Place] = {tensor: (name, 0, 0) for tensor, name in names.items()}
        calls: dict[str, list[list[Any]]] = {}
        for node in self.between(list(names), outputs):
            layer, number = self._calls[node.outputs]
            made = calls.setdefault(layer["name"], [])
            for tensor in node.outputs:
                places.setdefault(tensor, (layer["name"], len(made), _place(tensor)[2]))
            made.append([[*places[_name(x)], *x[3:]] for x in layer["inbound_nodes"][number]])
        layers = [_input_layer(names[end.tensor], end) for end in inputs]
        layers += [
            {**layer, "inbound_nodes": calls[layer["name"]]}
            for layer in self._layers if layer["name"] in calls
        ]  # fmt: skip
        config = {
            **self._config,
            "layers": layers,
            "input_layers": [[names[end.tensor], 0, 0] for end in inputs],
            "output_layers": [list(places[x]) for x in outputs],
        }
        wanted = {
            entry["name"]
            for group in self._document["weightsManifest"] for entry in group["weights"]
            if self._owner(entry["name"]) in calls
        }  # fmt: skip
        weights, shard = shards.take(self._document, self._folder, target, wanted)
        return self._save(directory, config, weights, (shard,))

    def _owner(self, weight: str) -> str:
        """The layer of a weight; one layer may be called "a", another one "a/b"."""
        names = [x["name"] for x in self._layers if weight.startswith(f"{x['name']}/")]
        return max(names, key=len, default="")

    def _save(
        self, directory: Path, config: Mapping[str, Any], weights: Any, names: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        topology = self._document["modelTopology"]
        model = {**topology["model_config"], "config": config}
        document = {
            **{k: v for k, v in self._document.items() if k != "signature"},
            "modelTopology": {**topology, "model_config": model},
            "weightsManifest": weights,
        }
        (directory / _FILE).write_text(json.dumps(document), encoding="utf-8")
        folder = _FILE.rpartition("/")[0]
        return _FILE, (_FILE, *(f"{folder}/{name}" for name in names))


def _name(place: Sequence[Any]) -> str:
    layer, call, output = place[:3]
    return f"{layer}:{call}:{output}"


def _place(tensor: str) -> Place:
    layer, call, output = tensor.rsplit(":", 2)
    return layer, int(call), int(output)


def _input_layer(name: str, end: End) -> dict[str, Any]:
    config = {"name": name, "batch_input_shape": list(end.shape), "dtype": end.dtype,
              "sparse": False}  # fmt: skip
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


def _sorted(nodes: Sequence[Node], inputs: Sequence[str]) -> list[Node]:
    """Each after what it needs; a layer that is called twice stands once in the file."""
    known, waiting, done = set(inputs), list(nodes), []
    while waiting:
        ready = [node for node in waiting if known.issuperset(node.inputs)]
        if not ready:
            raise BadBundle(f"layer {waiting[0].outputs[0]!r}: takes what no layer makes")
        known.update(tensor for node in ready for tensor in node.outputs)
        done += ready
        waiting = [node for node in waiting if node not in ready]
    return done
