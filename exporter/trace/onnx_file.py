"""The graph of an ONNX file. May import what `written` may, and the names of the ONNX format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.message import DecodeError
from onnx import helper

from exporter.errors import BadBundle
from exporter.formats.onnx.names import needs
from exporter.manifest import Artifact, Manifest
from exporter.trace.written import End, Node, WrittenGraph, below_model

_FILE = "onnx/model.onnx"


class OnnxFile(WrittenGraph):
    """An ONNX file; tensors bear the names that the file gives them."""

    def __init__(self, directory: Path, manifest: Manifest, artifact: Artifact) -> None:
        path = directory / artifact.path
        try:
            self._model = onnx.load(path)
        except (OSError, DecodeError) as error:
            raise BadBundle(f"{path}: an ONNX model expected; {error}") from None
        graph = self._model.graph
        self.inputs = tuple(spec.name for spec in manifest.inputs)
        self.outputs = tuple(spec.name for spec in manifest.outputs)
        constants = {tensor.name for tensor in graph.initializer}
        self._protos = {}
        nodes = []
        for proto in graph.node:
            given = tuple(dict.fromkeys(x for x in needs(proto) if x not in constants))
            outputs = tuple(name for name in proto.output if name)
            nodes.append(Node(given, outputs, below_model(proto.name), proto.op_type))
            self._protos[outputs] = proto
        self.nodes = tuple(_outer(nodes, self.inputs))

    def watch(self, directory: Path, tensors: Sequence[str]) -> tuple[str, tuple[str, ...]]:
        """See `WrittenGraph.watch`."""
        return self._write(directory, self._model.graph.node, None, tensors)

    def cut(
        self, directory: Path, inputs: Sequence[End], outputs: Sequence[str]
    ) -> tuple[str, tuple[str, ...]]:
        """See `WrittenGraph.cut`."""
        kept = self.between([end.tensor for end in inputs], outputs)
        return self._write(directory, [self._protos[n.outputs] for n in kept], inputs, outputs)

    def _write(
        self, directory: Path, nodes: Iterable[Any], inputs: Sequence[End] | None,
        outputs: Sequence[str],
    ) -> tuple[str, tuple[str, ...]]:  # fmt: skip
        model = type(self._model)()
        model.CopyFrom(self._model)
        graph = model.graph
        kept = [type(node).FromString(node.SerializeToString()) for node in nodes]
        used = {name for node in kept for name in needs(node)}
        weights = [
            type(tensor).FromString(tensor.SerializeToString())
            for tensor in graph.initializer if tensor.name in used
        ]  # fmt: skip
        for field, items in ((graph.node, kept), (graph.initializer, weights)):
            del field[:]
            field.extend(items)
        if inputs is not None:
            del graph.input[:]
            graph.input.extend(_value(end) for end in inputs)
        declared = {value.name: type(value).FromString(value.SerializeToString())
                    for value in graph.output}  # fmt: skip
        del graph.output[:]
        # ONNX Runtime finds the types of the others out by itself.
        graph.output.extend(declared.get(x) or onnx.ValueInfoProto(name=x) for x in outputs)
        (directory / _FILE).parent.mkdir(parents=True, exist_ok=True)
        onnx.save(model, directory / _FILE)
        return _FILE, (_FILE,)


def _value(end: End) -> Any:
    dtype = helper.np_dtype_to_tensor_dtype(helper.np.dtype(end.dtype))
    sizes = ["batch" if size is None else size for size in end.shape]
    return helper.make_tensor_value_info(end.tensor, dtype, sizes)


def _outer(nodes: Iterable[Node], inputs: Sequence[str]) -> Iterable[Node]:
    """Nodes without the names that only bodies of loops know."""
    nodes = list(nodes)
    known = {*inputs, *(tensor for node in nodes for tensor in node.outputs)}
    for node in nodes:
        yield replace(node, inputs=tuple(x for x in node.inputs if x in known))
