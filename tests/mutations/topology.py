"""Faults in a written graph: an activation, a layer, an end that is not what it should be.

Owns how each format's file is edited for them. The subjects' layers are known by their names.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

_TF_OPS = {"relu": "Relu", "relu6": "Relu6", "elu": "Elu", "tanh": "Tanh", "sigmoid": "Sigmoid",
           None: "Identity"}  # fmt: skip
_ACTIVATION_OPS = {"Relu", "Tanh"}


@contextmanager
def _document(path: Path) -> Iterator[dict[str, Any]]:
    document = json.loads(path.read_text())
    yield document
    path.write_text(json.dumps(document))


@contextmanager
def _model(path: Path) -> Iterator[Any]:
    model = onnx.load(path)
    yield model
    onnx.save(model, path)


def _layers(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    return document["modelTopology"]["model_config"]["config"]["layers"]


def _is_layers(document: Mapping[str, Any]) -> bool:
    return document["format"] == "layers-model"


def _of_layer(name: str, layer: str) -> bool:
    """Whether a node belongs to a layer: "model/layer/op"."""
    return name.split("/")[1:2] == [layer]


def configure(path: Path, layer: str, changes: Mapping[str, Any]) -> None:
    """Change the configuration of a TF.js layer."""
    with _document(path) as document:
        (found,) = [item for item in _layers(document) if item["name"] == layer]
        assert all(found["config"][key] != value for key, value in changes.items())
        found["config"].update(changes)


def activate(path: Path, layer: str, activation: str | None) -> None:
    """Give a layer another activation, or none."""
    if path.suffix == ".onnx":
        with _model(path) as model:
            (node,) = [
                n for n in model.graph.node
                if _of_layer(n.name, layer) and n.op_type in _ACTIVATION_OPS
            ]  # fmt: skip
            if activation == "relu6":
                _to_relu6(model, node)
            else:
                node.op_type = _TF_OPS[activation]
        return
    with _document(path) as document:
        if _is_layers(document):
            _activate_layer(document, layer, activation)
        else:
            _activate_nodes(document, layer, activation)


def _to_relu6(model: Any, node: Any) -> None:
    """ONNX has it as Clip."""
    node.op_type = "Clip"
    for name, limit in (("clip_low", 0.0), ("clip_high", 6.0)):
        tensor = onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, [], [limit])
        model.graph.initializer.append(tensor)
        node.input.append(name)


def _activate_layer(document: dict[str, Any], layer: str, activation: str | None) -> None:
    (found,) = [item for item in _layers(document) if item["name"] == layer]
    if found["class_name"] == "ReLU":
        found["class_name"] = "Activation"
        found["config"] = {"name": layer}
    found["config"]["activation"] = activation or "linear"


def _activate_nodes(document: dict[str, Any], layer: str, activation: str | None) -> None:
    for node in document["modelTopology"]["node"]:
        if not _of_layer(node["name"], layer):
            continue
        fused = node.get("attr", {}).get("fused_ops", {}).get("list", {}).get("s", [])
        names = [base64.b64decode(text).decode() for text in fused]
        if names[1:] and names[1] in _ACTIVATION_OPS:
            names[1:] = [_TF_OPS[activation]] if activation else []
            node["attr"]["fused_ops"]["list"]["s"] = [
                base64.b64encode(name.encode()).decode() for name in names
            ]
            return
        if node["op"] in _ACTIVATION_OPS:
            node["op"] = _TF_OPS[activation]
            return
    raise AssertionError(f"{layer}: no activation found")


def bypass(path: Path, layer: str) -> None:
    """Leave out a layer whose output has the shape of its input."""
    if path.suffix == ".onnx":
        with _model(path) as model:
            inside = [n for n in model.graph.node if _of_layer(n.name, layer)]
            made = {name for n in inside for name in n.output}
            constants = {tensor.name for tensor in model.graph.initializer}
            given = next(x for n in inside for x in n.input if x not in made and x not in constants)
            for node in model.graph.node:
                if node not in inside:
                    renamed = [given if x in made else x for x in node.input]
                    del node.input[:]
                    node.input.extend(renamed)
            keep = [n for n in model.graph.node if n not in inside]
            del model.graph.node[:]
            model.graph.node.extend(keep)
        return
    with _document(path) as document:
        if _is_layers(document):
            _bypass_layer(document, path, layer)
        else:
            _bypass_nodes(document, layer)


def _bypass_layer(document: dict[str, Any], path: Path, layer: str) -> None:
    """What took this layer's output takes its input; its weights are gone from the file."""
    items = _layers(document)
    (found,) = [item for item in items if item["name"] == layer]
    ((given, *_),) = found["inbound_nodes"][0]
    items.remove(found)
    for item in items:
        for call in item["inbound_nodes"]:
            for tensor in call:
                if tensor[0] == layer:
                    tensor[0] = given
    _drop_weights(document, path, layer)


def _drop_weights(document: dict[str, Any], path: Path, layer: str) -> None:
    """TF.js refuses a file with weights that no layer wants."""
    (group,) = document["weightsManifest"]
    (name,) = group["paths"]
    data = (path.parent / name).read_bytes()
    offset = 0
    parts, entries = [], []
    for entry in group["weights"]:
        size = int(np.prod(entry["shape"])) * 4
        if not entry["name"].startswith(f"{layer}/"):
            parts.append(data[offset : offset + size])
            entries.append(entry)
        offset += size
    group["weights"] = entries
    (path.parent / name).write_bytes(b"".join(parts))


def _bypass_nodes(document: dict[str, Any], layer: str) -> None:
    nodes = document["modelTopology"]["node"]
    inside = {n["name"] for n in nodes if _of_layer(n["name"], layer)}
    constants = {n["name"] for n in nodes if n["op"] == "Const"}
    given = next(
        x for n in nodes if n["name"] in inside
        for x in n.get("input", ()) if x not in inside and x not in constants
    )  # fmt: skip
    for node in nodes:
        if node["name"] not in inside:
            node["input"] = [given if x in inside else x for x in node.get("input", ())]


def average_pooling(path: Path) -> None:
    """The mean of a window where its largest value is wanted."""
    if path.suffix == ".onnx":
        with _model(path) as model:
            (node,) = [n for n in model.graph.node if n.op_type == "MaxPool"]
            node.op_type = "AveragePool"
        return
    with _document(path) as document:
        if _is_layers(document):
            (layer,) = [x for x in _layers(document) if x["class_name"] == "MaxPooling2D"]
            layer["class_name"] = "AveragePooling2D"
        else:
            (node,) = [x for x in document["modelTopology"]["node"] if x["op"] == "MaxPool"]
            node["op"] = "AvgPool"


def swap_ends(path: Path, ends: str) -> None:
    """The two inputs, or outputs, each under the other's name."""
    if path.suffix == ".onnx":
        with _model(path) as model:
            first, second = (value.name for value in getattr(model.graph, ends[:-1]))
            other = {first: second, second: first}
            for node in model.graph.node:
                part = node.output if ends == "outputs" else node.input
                renamed = [other.get(name, name) for name in part]
                del part[:]
                part.extend(renamed)
        return
    with _document(path) as document:
        if _is_layers(document):
            config = document["modelTopology"]["model_config"]["config"]
            config[f"{ends[:-1]}_layers"].reverse()
        else:
            signature = document["signature"][ends]
            first, second = signature
            signature[first], signature[second] = signature[second], signature[first]
