"""The weights of a written artefact, to be changed in place and written back.

Owns nothing of the formats: the layouts are read from the files themselves, by the map of
variables that each format leaves in its own metadata.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

Held = dict[str, np.ndarray]


@contextmanager
def opened(path: Path) -> Iterator[Held]:
    """Float32 weights by the path of the Keras variable, in Keras' layout; changes are saved.

    Constants that no variable stands behind bear the name that they have in the file.
    """
    with (_onnx if path.suffix == ".onnx" else _tfjs)(path) as held:
        yield held


def kept(path: Path) -> list[str]:
    """Which of them are Keras variables."""
    if path.suffix == ".onnx":
        return [name for name, _ in _onnx_variables(onnx.load(path)).values()]
    return list(_tfjs_variables(json.loads(path.read_text())).values())


def _tfjs_variables(document: dict[str, Any]) -> dict[str, str]:
    metadata = document["userDefinedMetadata"]
    return metadata.get("kerasVariables") or metadata["variables"]


@contextmanager
def _tfjs(path: Path) -> Iterator[Held]:
    document = json.loads(path.read_text())
    variables = _tfjs_variables(document)
    (group,) = document["weightsManifest"]
    shards = [path.parent / name for name in group["paths"]]
    sizes = [shard.stat().st_size for shard in shards]
    data = bytearray(b"".join(shard.read_bytes() for shard in shards))
    held: Held = {}
    offset = 0
    for entry in group["weights"]:
        dtype = np.dtype("bool" if entry["dtype"] == "bool" else entry["dtype"])
        count = int(np.prod(entry["shape"]))
        if dtype == np.float32:
            array = np.frombuffer(data, dtype, count, offset).reshape(entry["shape"])
            held[variables.get(entry["name"], entry["name"])] = array
        offset += count * dtype.itemsize
    yield held
    ends = np.cumsum(sizes).tolist()
    for shard, start, end in zip(shards, [0, *ends], ends, strict=False):
        shard.write_bytes(data[start:end])


def _onnx_variables(model: Any) -> dict[str, tuple[str, list[int]]]:
    (entry,) = [item for item in model.metadata_props if item.key == "keras_variables"]
    return {name: (path, order) for name, (path, order) in json.loads(entry.value).items()}


@contextmanager
def _onnx(path: Path) -> Iterator[Held]:
    model = onnx.load(path)
    variables = _onnx_variables(model)
    held: Held = {}
    stored = {}
    for tensor in model.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).copy()
            stored[tensor.name] = array
            name, order = variables.get(tensor.name, (tensor.name, range(array.ndim)))
            held[name] = array.transpose(np.argsort(order))
    yield held
    for tensor in model.graph.initializer:
        if tensor.name in stored:
            tensor.CopyFrom(numpy_helper.from_array(stored[tensor.name], tensor.name))
    onnx.save(model, path)
