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
from exporter.keras_file import first_line

if TYPE_CHECKING:
    import numpy as np

    from exporter.graphs.trace import Graph
    from exporter.manifest import TensorSpec
    from exporter.source import Source

_VARIABLES = "keras_variables"
_NOTHING_TO_QUANTIZE = (
    "it has no matrix product or convolution with a constant weight, so nothing would be smaller; "
    "take float32 or float16"
)


class OnnxFormat(Format):
    """`onnx/model.onnx`."""

    name = "onnx"
    precisions = ("float32", "float16", "int8", "int8-static")

    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """Operations that ONNX lacks, by the layer they come from; or nothing to be made small."""
        return _prepare(source, precision)[1]

    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write one file; large weights are in it."""
        model, refused = _prepare(source, precision)
        if refused or model is None:
            raise UnsupportedModel(f"{self.name}: {'; '.join(map(str, refused))}")
        path = "onnx/model.onnx" if precision == "float32" else f"onnx/model.{precision}.onnx"
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(model.SerializeToString(deterministic=True))
        return Exported(path, (path,), source.float32.notes)

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


_Prepared = tuple[Any, tuple[Refusal, ...]]  # the ModelProto or None, and why


def _prepare(source: Source, precision: str) -> _Prepared:
    """The model at that precision, or why there is none; each made once."""
    if precision == "float32":
        result: _Prepared = source.once("onnx", lambda: _prepare_float32(source))
    else:
        result = source.once(f"onnx/{precision}", lambda: _prepare_small(source, precision))
    return result


def _prepare_float32(source: Source) -> _Prepared:
    from exporter.graphs.trace import Refused

    try:
        model, origins = build(source.float32)
    except Refused as refused:
        return None, (Refusal(refused.layer, refused.layer_class, refused.reason),)
    source.once("onnx-origins", lambda: origins)
    return model, ()


def _prepare_small(source: Source, precision: str) -> _Prepared:
    from exporter.formats.onnx import precisions

    model, refused = _prepare(source, "float32")
    if model is None:
        return None, refused

    def refuse(reason: str) -> _Prepared:
        return None, (Refusal(source.model.name, type(source.model).__name__, reason),)

    if precision == "float16":
        return precisions.to_float16(model), ()
    if precision == "int8":
        if not precisions.quantizable(model.graph):
            return refuse(_NOTHING_TO_QUANTIZE)
        return precisions.to_int8(model), ()
    if source.calibration is None:
        return refuse("calibration data expected, none found; give data, or take int8")
    origins: dict[str, str] = source.once("onnx-origins", dict)
    measured = precisions.measure(source, sorted(set(origins.values())))
    ranges = {new: measured[old] for new, old in origins.items() if old in measured}
    ranges = precisions.carry_over(model.graph, ranges)
    if not precisions.quantizable(model.graph, ranges):
        return refuse(_NOTHING_TO_QUANTIZE)
    return precisions.to_int8_static(model, ranges), ()


def build(source: Source) -> tuple[Any, dict[str, str]]:
    """The float32 ONNX model of a float32 source, checked by onnx's full check.

    Returns:
        The ModelProto, and for each of its values the operation of the traced graph.

    Raises:
        Refused: ONNX, tf2onnx or the check has no way for an operation of the model.
    """
    import onnx

    from exporter.graphs.rewrites import ONNX
    from exporter.graphs.trace import Refused, trace

    graph = trace(source, ONNX)
    weights = [graph.graph.get_tensor_by_name(f"{name}:0") for name in graph.weights]
    beside = [x for x in weights if x.op.type == "Placeholder"]
    try:
        model = upstream_tf2onnx.convert(graph.graph, [*graph.inputs, *beside], graph.outputs)
    except Exception as error:  # tf2onnx raises nearly anything
        reason = f"tf2onnx cannot convert it: {type(error).__name__}: {first_line(error)}"
        raise Refused(source.model.name, type(source.model).__name__, reason) from error
    foreign = _foreign_operations(model.graph)
    if foreign:
        name, operation = foreign[0]
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        raise Refused(*graph.layer_of(name), f"ONNX has no operation {operation}{more}")
    _take_in(model, graph, {x.name for x in beside})
    _keep_initializers(model)
    names.sort_nodes(model.graph)
    origins = _name(model, source, graph)
    _describe(model, source)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = f"onnx's check refuses the result: {first_line(error)}"
        raise Refused(source.model.name, type(source.model).__name__, reason) from error
    return model, origins


def _foreign_operations(graph: Any) -> list[tuple[str, str]]:
    """(name, operation) of nodes that tf2onnx left as TensorFlow has them."""
    import onnx

    found = []
    for node in graph.node:
        if not onnx.defs.has(node.op_type, upstream_tf2onnx.OPSET, node.domain):
            found.append((node.name, node.op_type))
        for body in names.bodies(node):
            found += _foreign_operations(body)
    return found


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


def _name(model: Any, source: Source, graph: Graph) -> dict[str, str]:
    """Inputs and outputs under Keras' names, variables under their paths; the origins."""
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
    given = names.rename(model.graph, wanted)
    order = {
        name: i for i, node in reversed(list(enumerate(model.graph.node))) for name in node.input
    }
    tensors = sorted(model.graph.initializer, key=lambda t: (order.get(t.name, -1), t.name))
    copies = [type(t).FromString(t.SerializeToString()) for t in tensors]
    del model.graph.initializer[:]
    model.graph.initializer.extend(copies)
    entry = model.metadata_props.add()
    entry.key, entry.value = _VARIABLES, json.dumps(variables, sort_keys=True, ensure_ascii=False)
    return {new: old.removesuffix(":0") for old, new in given.items()}


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
