"""TF.js graph models: what `tf.loadGraphModel` opens, on every backend.

Owns the way from a traced graph to `model.json` and shards, through tensorflowjs' converter. May
import `exporter.graphs`, `exporter.source`, `exporter.manifest`, `exporter.errors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.errors import UnsupportedModel
from exporter.formats import Exported, Format, Refusal, upstream_tensorflowjs, way_out
from exporter.formats.tfjs_weights import Weight, read_shards, write_shards

if TYPE_CHECKING:
    import numpy as np

    from exporter.graphs.trace import Graph
    from exporter.source import Source


class TfjsGraphFormat(Format):
    """`tfjs/graph/model.json` and its shards."""

    name = "tfjs-graph"
    precisions = ("float32", "float16", "uint16", "uint8")

    def missing(self) -> str | None:
        """The one-line remedy where tensorflowjs is not installed."""
        return upstream_tensorflowjs.missing()

    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """Operations that TF.js lacks on cpu or wasm, by the layer they come from."""
        return _prepare(source)[1]

    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write the model; one weight file per 4 MB."""
        graph, refused = _prepare(source)
        if refused or graph is None:
            raise UnsupportedModel(f"{self.name}: {'; '.join(map(str, refused))}")
        folder = "tfjs/graph" if precision == "float32" else f"tfjs/graph-{precision}"
        target = directory / folder
        target.mkdir(parents=True, exist_ok=True)
        topology = _write(source, graph, target, precision)
        files = tuple(sorted(f"{folder}/{path.name}" for path in target.iterdir()))
        notes = source.float32.notes
        if any(node.op == "LoopCond" for node in topology.node):
            notes = (*notes, "has a loop: call executeAsync instead of predict")
        return Exported(f"{folder}/model.json", files, notes)

    def read_weights(self, directory: Path, path: str) -> Iterator[tuple[str, np.ndarray]]:
        """Variables that the graph holds as they are; see `Format.read_weights`."""
        document = json.loads((directory / path).read_text())
        return _read_weights((directory / path).parent, document)


# Of constants: what TF.js has no dtype for, and what it computes with instead.
_STORED = {"int64": "int32", "float64": "float32", "uint8": "int32", "int8": "int32"}


def _prepare(source: Source) -> tuple[Graph | None, tuple[Refusal, ...]]:
    """The traced graph, or why there is none; traced once for all precisions."""

    def make() -> tuple[Graph | None, tuple[Refusal, ...]]:
        from exporter.formats.tfjs_operations import objections
        from exporter.graphs.copier import needed_operations
        from exporter.graphs.refusal import Refused
        from exporter.graphs.rewrites import TFJS
        from exporter.graphs.trace import trace

        try:
            graph = trace(source.float32, TFJS)
        except Refused as refused:
            return None, (Refusal(refused.layer, refused.layer_class, refused.reason),)
        known = upstream_tensorflowjs.supported_operations()
        found: dict[tuple[str, str], tuple[str, str]] = {}
        for name, reason in objections(graph.graph, needed_operations(graph.outputs), known):
            layer = graph.layer_of(name)
            found.setdefault((layer[0], reason), layer)
        others = way_out(source, ("onnx",)) if found else ""
        return graph, tuple(Refusal(*layer, why + others) for (_, why), layer in found.items())

    result: tuple[Graph | None, tuple[Refusal, ...]] = source.once("tfjs-graph", make)
    return result


def _write(source: Source, graph: Graph, target: Path, precision: str) -> Any:
    from exporter.graphs.canonical import canonical
    from exporter.graphs.fusion import fuse

    converter = upstream_tensorflowjs.converter()
    names = _names(source, graph)
    optimized = upstream_tensorflowjs.optimize(graph.graph, _signature_def(converter, graph))
    outputs = [x.op.name for x in graph.outputs]
    inputs = [x.op.name for x in graph.inputs]
    topology = canonical(optimized, outputs, inputs, {})
    fuse(topology, frozenset(outputs))
    topology = canonical(topology, outputs, inputs, names)
    entries = _take_weights(topology, graph)
    manifest, _ = write_shards(entries, precision, target)
    variables = {
        entry.name: graph.weights[entry.name].path
        for entry in entries
        if entry.name in graph.weights and graph.weights[entry.name].path
    }
    document = {
        "format": "graph-model",
        "generatedBy": converter.tf.__version__,
        "convertedBy": converter.common.get_converted_by(),
        "signature": _signature(source, names, graph),
        "userDefinedMetadata": {"variables": variables},
        "modelTopology": _sorted(converter.MessageToDict(topology)),
        "weightsManifest": manifest,
    }
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    (target / "model.json").write_text(text, encoding="utf-8")
    return topology


def _names(source: Source, graph: Graph) -> dict[str, str]:
    """Node names of inputs and outputs: Keras' own, as far as TF.js can parse them."""
    tensors = [*graph.inputs, *graph.outputs]
    specs = [*source.inputs, *source.outputs]
    names: dict[str, str] = {}
    for tensor, spec in zip(tensors, specs, strict=True):
        # TF.js splits names at colons and reads a leading ^ as a control input.
        name = unique = spec.name.replace(":", "_").lstrip("^") or "tensor"
        number = 0
        while unique in names.values():
            number += 1
            unique = f"{name}_{number}"
        names[tensor.op.name] = unique
    return names


def _signature_def(converter: Any, graph: Graph) -> Any:
    """What the optimiser wants to know: which nodes it may not touch."""
    signature = converter.meta_graph_pb2.SignatureDef()
    for tensors, infos in ((graph.inputs, signature.inputs), (graph.outputs, signature.outputs)):
        for tensor in tensors:
            info = infos[tensor.op.name]
            info.name = tensor.name
            info.dtype = tensor.dtype.as_datatype_enum
            info.tensor_shape.CopyFrom(tensor.shape.as_proto())
    return signature


def _signature(source: Source, names: Mapping[str, str], graph: Graph) -> dict[str, Any]:
    """The signature of model.json. TF.js takes the order of inputs and outputs from it."""
    types = {"float32": "DT_FLOAT", "int32": "DT_INT32", "bool": "DT_BOOL"}

    def entry(spec: Any, tensor: Any) -> dict[str, Any]:
        sizes = [{"size": str(-1 if n is None else n)} for n in spec.shape]
        return {
            "name": f"{names[tensor.op.name]}:0",
            "dtype": types[spec.dtype],
            "tensorShape": {"dim": sizes} if sizes else {},
        }

    def entries(specs: Sequence[Any], tensors: Sequence[Any]) -> dict[str, Any]:
        return {s.name: entry(s, t) for s, t in zip(specs, tensors, strict=True)}

    return {
        "inputs": entries(source.inputs, graph.inputs),
        "outputs": entries(source.outputs, graph.outputs),
    }


def _take_weights(topology: Any, graph: Graph) -> list[Weight]:
    """Take constants out of the graph, in its order; placeholders of weights become constants."""
    import numpy as np
    import tensorflow as tf

    entries = []
    for node in topology.node:
        weight = graph.weights.get(node.name)
        if node.op == "Placeholder" and weight is not None:
            node.op = "Const"
            dtype, shape = node.attr["dtype"], node.attr["shape"].shape
            node.attr["value"].tensor.dtype = dtype.type
            node.attr["value"].tensor.tensor_shape.CopyFrom(shape)
            del node.attr["shape"]
            sizes = tuple(dim.size for dim in shape.dim)
            entries.append(Weight(node.name, sizes, "float32", weight.read))
        elif node.op == "Const":
            tensor = node.attr["value"].tensor
            data = np.asarray(tf.make_ndarray(tensor))
            empty = type(tensor)(dtype=tensor.dtype, tensor_shape=tensor.tensor_shape)
            tensor.CopyFrom(empty)
            data = data.astype(_STORED.get(data.dtype.name, data.dtype))
            exact = node.name not in graph.weights or data.ndim < 2
            entries.append(Weight.of(node.name, data, exact=exact))
    return entries


def _sorted(node: Any) -> Any:
    """Protobuf hands maps over in the order of a hash."""
    if isinstance(node, dict):
        return {key: _sorted(node[key]) for key in sorted(node)}
    return [_sorted(item) for item in node] if isinstance(node, list) else node


def _read_weights(folder: Path, document: dict[str, Any]) -> Iterator[tuple[str, np.ndarray]]:
    import numpy as np

    variables = document.get("userDefinedMetadata", {}).get("variables", {})
    for name, values, rounded in read_shards(document["weightsManifest"], folder):
        if name in variables and not rounded and values.dtype == np.float32:
            yield variables[name], values
