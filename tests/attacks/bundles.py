"""Hostile bundles, whose hashes are all right: manifests, `model.json`, shards, ONNX.

Whoever makes a hostile bundle also writes its manifest, so a hash protects from nothing here.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

TFJS, SHARD, ONNX = "tfjs/layers/model.json", "tfjs/layers/group1-shard1of1.bin", "onnx/model.onnx"
Make = Callable[[Path], None]
"""Writes a bundle into an empty folder."""
PATHS = (
    "../evil", "/etc/passwd", "a/../../evil", "%2e%2e/evil", "..%2fevil", "//host/evil",
    "http://127.0.0.1:9/evil", "file:///etc/passwd", "a\0b", "a\\..\\b", "C:/evil", ".", "..", "",
    "a//b", "./a", "a?b", "a#b", "a\x1b[2Jb", "\ud800",
)  # fmt: skip


def topology(**weights: Any) -> dict[str, Any]:
    """A `model.json` of one Dense from 784 to 10, or what is given in its weights' manifest."""
    kernel = {"name": "dense/kernel", "shape": [784, 10], "dtype": "float32"}
    group = {"paths": ["group1-shard1of1.bin"], "weights": [kernel], **weights}
    return {"format": "layers-model", "modelTopology": {}, "weightsManifest": [group]}


@cache
def good_onnx() -> bytes:
    """Flatten, MatMul, Softmax."""
    from onnx import TensorProto, helper, numpy_helper

    make = helper.make_tensor_value_info
    weights = np.random.default_rng(1).normal(size=(784, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "good", [make("x", TensorProto.FLOAT, ["batch", 28, 28])],
        [make("y", TensorProto.FLOAT, ["batch", 10])], [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def files(**changes: Any) -> dict[str, bytes]:
    """What is in the good bundle; by name `model_json`, `shard` and `onnx` may be others."""
    document = changes.get("model_json", topology())
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    return {
        TFJS: text,
        SHARD: changes.get("shard", np.zeros((784, 10), np.float32).tobytes()),
        ONNX: changes.get("onnx") or good_onnx(),
    }


def listed(data: dict[str, bytes], *paths: str) -> list[dict[str, Any]]:
    """Entries of a manifest."""
    return [
        {"path": p, "size_bytes": len(data[p]), "sha256": hashlib.sha256(data[p]).hexdigest()}
        for p in paths
    ]


def manifest(data: dict[str, bytes], **changes: Any) -> dict[str, Any]:
    """The manifest of the good bundle, with `changes`."""
    shards = [path for path in data if path.startswith("tfjs/")]
    return {
        "schema": 1, "name": "hostile", "created_by": {"keras": "3.15.1"},
        "source": {"path": "keras/model.keras", "sha256": "0" * 64, "oracle": "float64"},
        "inputs": [{"name": "x", "shape": [None, 28, 28], "dtype": "float32", "range": [0, 1]}],
        "outputs": [
            {"name": "y", "shape": [None, 10], "dtype": "float32", "meaning": "probabilities"}
        ],
        "labels": [str(i) for i in range(10)],
        "preprocessing": {"name": "mnist-ink", "version": 1, "parameters": {}},
        "artifacts": [
            {"format": "tfjs-layers", "precision": "float32", "path": TFJS,
             "files": listed(data, *shards)},
            {"format": "onnx", "precision": "float32", "path": ONNX, "files": listed(data, ONNX)},
        ],
        "files": [], "skipped": [], "metrics": {}, "parity": [], **changes,
    }  # fmt: skip


def write(folder: Path, data: dict[str, bytes], document: Any = None) -> None:
    """Write files and manifest; the manifest may be text as it is."""
    for path, contents in data.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(contents)
    document = manifest(data) if document is None else document
    text = document if isinstance(document, bytes) else json.dumps(document).encode()
    (folder / "manifest.json").write_bytes(text)


def good(folder: Path) -> None:
    """A bundle with nothing wrong."""
    write(folder, files())


def attacks() -> Iterator[tuple[str, Make]]:
    """(what is wrong, what writes it)."""
    yield from _manifests()
    for what, document in _topologies():
        yield f"model.json: {what}", lambda f, d=document: write(f, files(model_json=d))
    yield from _shards()
    for what, make in _models():
        yield f"ONNX: {what}", lambda f, m=make: write(f, files(onnx=m()))
    yield from _links()


def _manifests() -> Iterator[tuple[str, Make]]:
    def changed(**changes: Any) -> Make:
        return lambda folder: write(folder, files(), manifest(files(), **changes))

    entry = {"size_bytes": 1, "sha256": "0" * 64}
    for path in PATHS:
        yield f"manifest: files names {path!a}", changed(files=[{"path": path, **entry}])
        artifact = {"format": "onnx", "precision": "float32", "path": path}
        yield (
            f"manifest: an artefact at {path!a}",
            changed(artifacts=[{**artifact, "files": [{"path": path, **entry}]}]),
        )
    wrong: tuple[dict[str, Any], ...] = (
        {"schema": 2}, {"schema": None}, {"name": 5}, {"name": "a\x1b[2Jb"}, {"name": "\ud800"},
        {"artifacts": {}}, {"artifacts": [5]}, {"files": None}, {"inputs": [{}]}, {"labels": [1]},
        {"inputs": [{"name": "x", "shape": [-1], "dtype": "float32"}]},
        {"inputs": [{"name": "x", "shape": ["28"], "dtype": "float32"}]},
        {"files": [{"path": "a", "size_bytes": -1, "sha256": "0" * 64}]},
        {"files": [{"path": "a", "size_bytes": 1.5, "sha256": "0" * 64}]},
        {"files": [{"path": "a", "size_bytes": 1, "sha256": "0" * 63 + "G"}]},
        {"files": listed(files(), ONNX)},
        {"artifacts": [{"format": "onnx", "precision": "float32", "path": "no", "files": []}]},
        {"preprocessing": 5}, {"parity": [5]}, {"metrics": []}, {"source": []},
    )  # fmt: skip
    for change in wrong:
        yield f"manifest: {str(change)[:60]!a}", changed(**change)
    texts = {
        "100,000 lists": b"[" * 100_000 + b"]" * 100_000, "empty": b"", "no UTF-8": b'{"\xff": 1}',
        "NaN": b'{"schema": NaN}', "UTF-16": "{}".encode("utf-16"), "null": b"null",
        "a number of 5,000 digits": b"9" * 5000, "9 MiB": b"{" + b" " * (9 << 20) + b"}",
        "two million values": b"[" + b"1," * 2_000_000 + b"1]", "NUL": b"\0" * 100,
        "300 levels": b'{"a":' * 300 + b"1" + b"}" * 300,
    }  # fmt: skip
    for what, text in texts.items():
        yield f"manifest: {what}", lambda folder, t=text: write(folder, files(), t)


def _topologies() -> Iterator[tuple[str, Any]]:
    for path in PATHS:
        yield f"names {path!a}", topology(paths=[path])
    weight = {"name": "w", "shape": [784, 10], "dtype": "float32"}
    yield "names a shard twice", topology(paths=["group1-shard1of1.bin"] * 2, weights=[weight] * 2)
    many = {**weight, "shape": [7840 * 100_000]}
    yield "names a shard 100,000 times", topology(paths=[SHARD.split("/")[-1]] * 100_000,
                                                  weights=[many])  # fmt: skip
    yield "a weight of 300,000 axes", topology(weights=[{**weight, "shape": [9] * 300_000}])
    yield "a weight of 300,000 axes of 0", topology(weights=[{**weight, "shape": [0] * 300_000}])
    huge = [int("9" * 4000)] * 250
    yield "a weight of axes of 4,000 digits", topology(weights=[{**weight, "shape": huge}])
    yield "20,000 weights more than are stored", topology(weights=[weight] * 20_000)
    document = topology()
    document["weightsManifest"] *= 2
    yield "two groups of one shard", document
    yield "names itself", topology(paths=["model.json"])
    yield "names the other model", topology(paths=["../../onnx/model.onnx"])
    yield "names no shard", topology(paths=[], weights=[])
    for shape in ([2**50], [2**31, 2**31], [-1, -7840], [7840.0], ["7840"], None, [784, 11], [1]):
        yield f"a weight of {shape}", topology(weights=[{**weight, "shape": shape}])
    for dtype in ("float63", 5, None, "object", "string[]"):
        yield f"a weight of dtype {dtype}", topology(weights=[{**weight, "dtype": dtype}])
    quantizations: tuple[Any, ...] = (
        {"dtype": "uint8", "scale": "1", "min": 0}, {"dtype": "uint8", "scale": 1, "min": []},
        {"dtype": "evil"}, [], {"dtype": "uint8", "scale": 1, "min": 0},
    )  # fmt: skip
    for quantization in quantizations:
        given = {**weight, "quantization": quantization}
        yield f"quantization {quantization}", topology(weights=[given])
    texts = {
        "100,000 lists": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no JSON": b"evil",
        "a list": b"[]", "no UTF-8": b'{"\xff": 1}', "empty": b"", "cut": b'{"weightsManifest": [',
        "groups of a number": b'{"weightsManifest": [5]}',
        "groups no list": b'{"weightsManifest":5}',
    }  # fmt: skip
    yield from texts.items()


def _shards() -> Iterator[tuple[str, Make]]:
    size = 784 * 10 * 4
    for what, length in {
        "short": size - 1,
        "empty": 0,
        "trailing": size + 1,
        "double": 2 * size,
    }.items():
        yield f"a {what} shard", lambda f, n=length: write(f, files(shard=bytes(n)))

    def unnamed(folder: Path) -> None:
        data = files() | {"tfjs/layers/spare.bin": b"evil"}
        write(folder, data)

    yield "a shard that model.json does not name", unnamed


def _tensor(*, external: dict[str, str] | None = None, dims: tuple[int, ...] = (784, 10),
            raw: int | None = None) -> bytes:  # fmt: skip
    """The good model with another tensor of weights."""
    import onnx

    model = onnx.ModelProto.FromString(good_onnx())
    weights = model.graph.initializer[0]
    _spoil(weights, external, dims, raw)
    return model.SerializeToString()


def _spoil(
    tensor: Any, external: dict[str, str] | None, dims: tuple[int, ...], raw: int | None
) -> None:
    tensor.dims[:] = dims
    if raw is not None:
        tensor.raw_data = bytes(raw)
    if external is not None:
        tensor.ClearField("raw_data")
        tensor.data_location = 1
        for key, value in external.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value


def _elsewhere(place: str) -> bytes:
    """External data in a tensor that is no initializer."""
    import onnx
    from onnx import helper

    model = onnx.ModelProto.FromString(good_onnx())
    tensor = onnx.TensorProto(name="evil", data_type=1)
    _spoil(tensor, {"location": "/etc/passwd"}, (4,), None)
    if place == "attribute":
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=tensor))
    elif place == "function":
        node = helper.make_node("Constant", [], ["c"], value=tensor)
        opsets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("evil", "F", [], ["c"], [node], opsets))
    elif place == "subgraph":
        graph = helper.make_graph([], "g", [], [], [tensor])
        model.graph.node.append(helper.make_node("If", ["x"], ["i"], then_branch=graph))
    else:
        model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    return model.SerializeToString()


def _models() -> Iterator[tuple[str, Callable[[], bytes]]]:
    places = ("../evil", "/etc/passwd", "weights.bin", "C:\\evil", "a/../../evil", "model.onnx", "")
    for place in places:
        yield f"external data at {place!r}", lambda p=place: _tensor(external={"location": p})
    for key in ("offset", "length"):
        for value in (str(2**50), "-1", "9" * 400):
            yield (
                f"external data of {key} {value[:20]}",
                lambda k=key, v=value: _tensor(external={"location": "weights.bin", k: v}),
            )
    for where in ("attribute", "function", "subgraph", "sparse"):
        yield f"external data in a {where}", lambda w=where: _elsewhere(w)
    for dims in ((2**50,), (2**31, 2**31), (-1, 10), (784, 11), (784, 9), (2**62, 4), ()):
        yield f"a tensor of {dims}", lambda d=dims: _tensor(dims=d)
    for raw in (0, 1, 31359, 31361):
        yield f"a tensor of {raw} bytes", lambda r=raw: _tensor(raw=r)
    for percent in (1, 10, 50, 99):
        yield (
            f"cut at {percent} %",
            lambda p=percent: (data := good_onnx())[: len(data) * p // 100] or b"\x08",
        )
    for kind, field, path in _paths():
        for high in (0, 1):
            what = f"external data below field {field} of a {kind}"
            yield what + (" and 2^32" if high else ""), lambda p=path, h=high: _below(p, h)
    for what, tensor in {
        "external data under 2^32 and its number": _field(13, b"evil", high=1),
        "a place under 2^32 and its number": _varint(1 << 32 | 14 << 3) + b"\x01",
        "a place of 2^32": b"\x70" + _varint(1 << 32),
        "a place that is a text": _field(14, b"\x01"),
        "a field of number 0": _field(0, b"evil"),
        "a number of 70 bits": b"\x10" + b"\xff" * 9 + b"\x7f",
        "a data type of 2^32 + 1": b"\x10" + _varint(1 << 32 | 1),
        "300,000 axes": _field(1, b"\x09" * 300_000) + b"\x10\x01",
        "300,000 axes of 0": _field(1, b"\x00" * 300_000) + b"\x10\x01",
        "300,000 axes, one by one": b"\x08\x09" * 300_000 + b"\x10\x01",
    }.items():
        yield what, lambda t=tensor: good_onnx() + _field(7, _field(5, t))
    yield "text", lambda: b"This is no model. " * 20
    yield "one byte", lambda: b"\x08"
    yield "no graph", lambda: b"\x08\x08"
    yield "5,000 graphs in graphs", _nested
    yield "varints without end", lambda: b"\xff" * 1000
    yield "groups", lambda: b"\x3b" * 1000


def _nested() -> bytes:
    """ModelProto.graph.node.attribute.g.node…, 5,000 deep."""
    data = b""
    for _ in range(5000):
        for field in (6, 5, 1):
            size, length = len(data), b""
            while size > 127:
                length += bytes([size & 127 | 128])
                size >>= 7
            data = bytes([field << 3 | 2]) + length + bytes([size]) + data
        if len(data) > 60_000:
            break
    return b"\x3a" + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    parts = []
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _field(number: int, body: bytes, *, high: int = 0) -> bytes:
    """A field of bytes; `high` are bits of its tag that protobuf does not look at."""
    return _varint(high << 32 | number << 3 | 2) + _varint(len(body)) + body


def _paths() -> Iterator[tuple[str, int, list[tuple[int, bool]]]]:
    """For each field where a tensor may lie: the fields from the model through it to a tensor."""
    from exporter.contents import _PLACES

    to = {"model": list[int]()}
    waiting = ["model"]
    while waiting:
        kind = waiting.pop(0)
        for field, inner in _PLACES[kind].items():
            if inner not in to:
                to[inner] = [*to[kind], field]
                waiting += [inner] if inner in _PLACES else []
    on = {"tensor": [], "sparse": [1], "attribute": [5], "graph": [5], "node": [5, 5],
          "training": [1, 5], "function": [11, 5]}  # fmt: skip
    for kind, fields in _PLACES.items():
        for field, inner in fields.items():
            before, after = [(one, False) for one in to[kind]], [(one, False) for one in on[inner]]
            yield kind, field, [*before, (field, True), *after]


def _below(path: list[tuple[int, bool]], high: int) -> bytes:
    data = _field(13, _field(1, b"location") + _field(2, b"/etc/passwd")) + b"\x70\x01"
    for field, marked in reversed(path):
        data = _field(field, data, high=high if marked else 0)
    return good_onnx() + data


def _links() -> Iterator[tuple[str, Make]]:
    def linked(hard: bool) -> Make:
        def make(folder: Path) -> None:
            good(folder)
            secret = folder.parent / "secret.bin"
            secret.write_bytes(struct.pack("<4f", 1, 2, 3, 4))
            place = folder / "onnx" / "weights.bin"
            (os.link if hard else os.symlink)(secret, place)
            data = files(onnx=_tensor(external={"location": "weights.bin"}))
            both = data | {"onnx/weights.bin": secret.read_bytes()}
            document = manifest(data)
            document["artifacts"][1]["files"] = listed(both, ONNX, "onnx/weights.bin")
            (folder / ONNX).write_bytes(data[ONNX])
            (folder / "manifest.json").write_text(json.dumps(document))

        return make

    yield "ONNX: external data, listed, through a hard link", linked(True)
