"""ONNX: what onnxruntime opens in Python, and ONNX Runtime Web in a page.

Owns the way from a traced graph to `model.onnx`, through tf2onnx. May import `exporter.graphs`,
`exporter.source`, `exporter.manifest`, `exporter.errors`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.errors import UnsupportedModel
from exporter.formats import Exported, Format, Refusal, upstream_tf2onnx
from exporter.formats.onnx import names

if TYPE_CHECKING:
    import numpy as np

    from exporter.graphs.trace import Graph
    from exporter.manifest import TensorSpec
    from exporter.source import Source

_VARIABLES = "keras_variables"


class OnnxFormat(Format):
    """`onnx/model.onnx`."""

    name = "onnx"
    precisions = ("float32", "float16", "int8", "int8-static")

    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """Operations that ONNX Runtime lacks, by the layer they come from."""
        return ()

    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write one file; large weights are in it."""
        import onnx

        refused = self.refusals(source, precision)
        if refused:
            raise UnsupportedModel(f"{self.name}: {'; '.join(map(str, refused))}")
        source = source.float32
        model = build(source)
        path = "onnx/model.onnx" if precision == "float32" else f"onnx/model.{precision}.onnx"
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        onnx.checker.check_model(model, full_check=True)
        (directory / path).write_bytes(model.SerializeToString(deterministic=True))
        return Exported(path, (path,), source.notes)

    def weights(self, directory: Path, path: str) -> Mapping[str, np.ndarray]:
        """Initializers that hold a Keras variable as it is."""
        import onnx
        from onnx import numpy_helper

        model = onnx.load(directory / path)
        held = {entry.key: entry.value for entry in model.metadata_props}
        variables = json.loads(held.get(_VARIABLES, "{}"))
        return {
            variables[tensor.name]: numpy_helper.to_array(tensor)
            for tensor in model.graph.initializer
            if tensor.name in variables and tensor.data_type == onnx.TensorProto.FLOAT
        }


def build(source: Source) -> Any:
    """The float32 ONNX model of a float32 source."""
    from exporter.graphs.rewrites import ONNX
    from exporter.graphs.trace import trace

    graph = trace(source, ONNX)
    weights = [graph.graph.get_tensor_by_name(f"{name}:0") for name in graph.weights]
    beside = [x for x in weights if x.op.type == "Placeholder"]
    model = upstream_tf2onnx.convert(graph.graph, [*graph.inputs, *beside], graph.outputs)
    _take_in(model, graph, {x.name for x in beside})
    _keep_initializers(model)
    names.sort_nodes(model.graph)
    _name(model, source, graph)
    _describe(model, source)
    return model


def _take_in(model: Any, graph: Graph, beside: set[str]) -> None:
    """Weights that travelled beside the graph become initializers."""
    from onnx import numpy_helper

    kept = [value for value in model.graph.input if value.name not in beside]
    lost = [value.name for value in model.graph.input if value.name in beside]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    for name in lost:
        value = graph.weights[name.removesuffix(":0")].read()
        model.graph.initializer.append(numpy_helper.from_array(value, name))


def _keep_initializers(model: Any) -> None:
    """Constants as initializers, in the order in which they are used; unused ones go."""
    used: dict[str, None] = {}
    for node in model.graph.node:
        used.update(dict.fromkeys(names._needs(node)))
    used.update(dict.fromkeys(value.name for value in model.graph.output))
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    copies = [type(t).FromString(t.SerializeToString()) for n, t in held.items() if n in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)


def _name(model: Any, source: Source, graph: Graph) -> None:
    """Inputs and outputs under Keras' names, variables under their paths."""
    import numpy as np
    from onnx import numpy_helper

    wanted: dict[str, str] = {}
    for tensor, spec in zip(
        [*graph.inputs, *graph.outputs], [*source.inputs, *source.outputs], strict=True
    ):
        wanted[tensor.name] = spec.name
    variables = {}
    for tensor in model.graph.initializer:
        weight = graph.weights.get(tensor.name.removesuffix(":0"))
        if weight is None or not weight.path or weight.path in wanted.values():
            continue
        if np.array_equal(numpy_helper.to_array(tensor), weight.read(), equal_nan=True):
            wanted[tensor.name] = weight.path
            variables[weight.path] = weight.path
    names.rename(model.graph, wanted)
    order = {
        name: i for i, node in reversed(list(enumerate(model.graph.node))) for name in node.input
    }
    tensors = sorted(model.graph.initializer, key=lambda t: (order.get(t.name, -1), t.name))
    copies = [type(t).FromString(t.SerializeToString()) for t in tensors]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    entry = model.metadata_props.add()
    entry.key, entry.value = _VARIABLES, json.dumps(variables, sort_keys=True, ensure_ascii=False)


def _describe(model: Any, source: Source) -> None:
    from exporter import __version__

    model.producer_name, model.producer_version = "keras-web-exporter", __version__
    model.doc_string = model.graph.doc_string = ""
    model.graph.name = source.name
    inputs = {value.name: value for value in model.graph.input}
    del model.graph.input[:]
    for spec in source.inputs:
        model.graph.input.append(_value(spec, inputs.get(spec.name)))
    for value, spec in zip(list(model.graph.output), source.outputs, strict=True):
        value.CopyFrom(_value(spec, value))
    for key, text in (("labels", source.labels), ("preprocessing", source.preprocessing)):
        if text is not None:
            entry = model.metadata_props.add()
            entry.key, entry.value = key, json.dumps(text, ensure_ascii=False)


def _value(spec: TensorSpec, found: Any) -> Any:
    """The declaration of an input or output; free sizes bear names."""
    from onnx import TensorProto, helper

    types = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "bool": TensorProto.BOOL}
    sizes = [
        ("batch" if axis == 0 else f"{spec.name}_{axis}") if size is None else size
        for axis, size in enumerate(spec.shape)
    ]
    return helper.make_tensor_value_info(spec.name, types[spec.dtype], sizes)
