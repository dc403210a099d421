"""From a Keras model to a float32 ONNX model: traced, converted, named, checked.

May import `exporter.graphs`, `exporter.source`, `exporter.manifest`, `exporter.errors`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import permutations
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from exporter.formats import upstream_tf2onnx
from exporter.formats.onnx import names
from exporter.formats.onnx.file import Large, OnnxModel
from exporter.graphs.copier import needed_operations
from exporter.graphs.refusal import RANDOM, Refused, is_random
from exporter.graphs.rewrites import ONNX
from exporter.graphs.trace import Graph, trace
from exporter.keras_file import first_line
from exporter.manifest import TensorSpec
from exporter.source import Source

VARIABLES = "keras_variables"
"""The entry of metadata_props that says which initializers hold Keras variables."""

_TYPES = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32, "bool": TensorProto.BOOL}


def build(source: Source) -> OnnxModel:
    """The float32 ONNX model of a float32 source, checked by onnx's full check.

    Raises:
        Refused: ONNX, tf2onnx or the check has no way for an operation of the model.
    """
    graph = trace(source, ONNX)
    _check_before(graph)
    beside = {
        f"{name}:0": weight
        for name, weight in graph.weights.items()
        if graph.graph.get_operation_by_name(name).type == "Placeholder"
    }
    tensors = [graph.graph.get_tensor_by_name(name) for name in beside]
    try:
        proto = upstream_tf2onnx.convert(graph.graph, [*graph.inputs, *tensors], graph.outputs)
    except Exception as error:  # tf2onnx raises nearly anything
        reason = f"tf2onnx cannot convert it: {type(error).__name__}: {first_line(error)}"
        raise Refused(source.model.name, type(source.model).__name__, reason) from error
    _check_operations(proto, graph)
    large = {
        x.name: Large(tuple(x.shape.as_list()), x.dtype.name, beside[x.name].read) for x in tensors
    }
    model = OnnxModel(proto, large)
    layouts: dict[str, tuple[str | None, tuple[int, ...]]] = {
        x.name: (beside[x.name].path, tuple(range(x.shape.rank))) for x in tensors
    }
    _fold_layouts(model, layouts)
    _drop_unused(model)
    names.sort_nodes(proto.graph)
    _name(model, source, graph, layouts)
    _describe(model, source)
    _check(model, source)
    return model


def read_variables(model: OnnxModel) -> Iterator[tuple[str, np.ndarray]]:
    """The Keras variables that a written model holds, in Keras' own layout, with their paths.

    Raises:
        ValueError: What the model says of them is not what it holds.
    """
    entries = {entry.key: entry.value for entry in model.proto.metadata_props}
    try:
        held = json.loads(entries.get(VARIABLES, "{}"))
        listed = [
            (name, str(path), [int(i) for i in order]) for name, (path, order) in held.items()
        ]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"metadata {VARIABLES!r}: path and order of axes by initializer expected; {error}"
        ) from None
    for name, path, order in listed:
        try:
            values = model.values(name)
        except KeyError:
            raise ValueError(
                f"metadata {VARIABLES!r}: an initializer {name!r} expected, none found"
            ) from None
        if values.dtype == np.float32:
            yield path, values.transpose(np.argsort(order))


_MISREAD = {"ResizeArea": "tf2onnx takes it for bilinear; give Input fixed sizes"}
"""What tf2onnx converts, and wrongly; `exporter.graphs` replaces it where it can."""


def _check_before(graph: Graph) -> None:
    """Refuse what tf2onnx would get wrong in silence, or what is random."""
    needed = needed_operations(graph.outputs)
    for op in graph.graph.get_operations():
        if op.name in needed and op.type in _MISREAD:
            raise Refused(*graph.layer_of(op.name), f"operation {op.type}: {_MISREAD[op.type]}")
        if op.name in needed and is_random(op.type):
            raise Refused(*graph.layer_of(op.name), RANDOM)


def _check_operations(proto: Any, graph: Graph) -> None:
    """tf2onnx leaves what it does not know as TensorFlow has it."""
    foreign = list(_foreign(proto.graph))
    if foreign:
        name, operation = foreign[0]
        more = f" (and {len(foreign) - 1} more)" if len(foreign) > 1 else ""
        raise Refused(*graph.layer_of(name), f"ONNX has no operation {operation}{more}")


def _foreign(graph: Any) -> Iterable[tuple[str, str]]:
    for node in graph.node:
        if not onnx.defs.has(node.op_type, upstream_tf2onnx.OPSET, node.domain):
            yield node.name, node.op_type
        for body in names.bodies(node):
            yield from _foreign(body)


def _fold_layouts(model: OnnxModel, layouts: dict[str, tuple[str | None, tuple[int, ...]]]) -> None:
    """A large weight that is only transposed or reshaped is stored so."""
    graph = model.proto.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    outputs = {value.name for value in graph.output}
    for node in list(graph.node):
        weight = model.large.get(node.input[0]) if node.input else None
        if weight is None or node.output[0] in outputs:
            continue
        made = _relaid(node, weight, constants)
        if made is None:
            continue
        model.large[node.output[0]] = made
        if node.op_type == "Transpose" and node.input[0] in layouts:
            path, order = layouts[node.input[0]]
            perm = helper.get_attribute_value(node.attribute[0])
            layouts[node.output[0]] = (path, tuple(order[i] for i in perm))
        graph.node.remove(node)


def _relaid(node: Any, weight: Large, constants: Mapping[str, Any]) -> Large | None:
    if node.op_type == "Identity":
        return weight
    if node.op_type == "Transpose":
        perm = helper.get_attribute_value(node.attribute[0])
        shape = tuple(weight.shape[i] for i in perm)
        return Large(shape, weight.dtype, lambda: weight.read().transpose(perm))
    if node.op_type == "Reshape" and node.input[1] in constants:
        wanted = numpy_helper.to_array(constants[node.input[1]])
        if (wanted == 0).any():
            return None
        shape = np.empty(weight.shape, np.bool_).reshape(wanted).shape
        return Large(shape, weight.dtype, lambda: weight.read().reshape(shape))
    return None


def _drop_unused(model: OnnxModel) -> None:
    graph = model.proto.graph
    used = {value.name for value in graph.output}
    for node in graph.node:
        used.update(names.needs(node))
    _replace(graph.initializer, [t for t in graph.initializer if t.name in used])
    _replace(graph.input, [v for v in graph.input if v.name not in model.large])
    for name in [name for name in model.large if name not in used]:
        del model.large[name]


def _replace(field: Any, items: Iterable[Any]) -> None:
    """Assign to a repeated field of a message."""
    copies = [type(item).FromString(item.SerializeToString()) for item in items]
    del field[:]
    field.extend(copies)


def _name(
    model: OnnxModel,
    source: Source,
    graph: Graph,
    layouts: Mapping[str, tuple[str | None, tuple[int, ...]]],
) -> None:
    """Inputs and outputs under Keras' names, variables under their paths."""
    specs = [*source.inputs, *source.outputs]
    tensors = [*graph.inputs, *graph.outputs]
    wanted = {x.name: spec.name for x, spec in zip(tensors, specs, strict=True)}
    held: dict[str, tuple[str, list[int]]] = {}
    found = {name: layouts[name] for name in model.large if name in layouts}
    found.update(_small_variables(model, graph))
    for name, (path, order) in found.items():
        if path is not None and path not in wanted.values():
            wanted[name] = path
            held[path] = (path, list(order))
    given = names.rename(model.proto.graph, wanted, model.large)
    model.large = {given[name]: weight for name, weight in model.large.items()}
    model.origins = {new: old.removesuffix(":0") for old, new in given.items()}
    _sort_initializers(model)
    entry = model.proto.metadata_props.add()
    entry.key, entry.value = VARIABLES, json.dumps(held, sort_keys=True, ensure_ascii=False)


def _small_variables(
    model: OnnxModel, graph: Graph
) -> dict[str, tuple[str | None, tuple[int, ...]]]:
    """Initializers that hold a variable in some order of its axes, by comparing values."""
    found: dict[str, tuple[str | None, tuple[int, ...]]] = {}
    for tensor in model.proto.graph.initializer:
        weight = graph.weights.get(tensor.name.removesuffix(":0"))
        if weight is None or weight.path is None:
            continue
        stored, own = numpy_helper.to_array(tensor), weight.read()
        for order in permutations(range(own.ndim)):
            turned = own.transpose(order)
            if turned.shape == stored.shape and np.array_equal(turned, stored, equal_nan=True):
                found[tensor.name] = (weight.path, order)
                break
    return found


def _sort_initializers(model: OnnxModel) -> None:
    graph = model.proto.graph
    order: dict[str, int] = {}
    for index, node in enumerate(graph.node):
        for name in names.needs(node):
            order.setdefault(name, index)
    last = len(graph.node)
    _replace(graph.initializer, sorted(
        graph.initializer, key=lambda t: (order.get(t.name, last), t.name)))  # fmt: skip


def _describe(model: OnnxModel, source: Source) -> None:
    from exporter import __version__

    proto = model.proto
    proto.producer_name, proto.producer_version = "keras-web-exporter", __version__
    proto.doc_string = proto.graph.doc_string = ""
    proto.graph.name = source.name
    _replace(proto.graph.input, [_value(spec) for spec in source.inputs])
    _replace(proto.graph.output, [_value(spec) for spec in source.outputs])
    for key, text in (("labels", source.labels), ("preprocessing", source.preprocessing)):
        if text is not None:
            entry = proto.metadata_props.add()
            entry.key, entry.value = key, json.dumps(text, ensure_ascii=False)


def _value(spec: TensorSpec) -> Any:
    """The declaration of an input or output; free sizes bear names."""
    sizes = [
        ("batch" if axis == 0 else f"{spec.name}_{axis}") if size is None else size
        for axis, size in enumerate(spec.shape)
    ]
    return helper.make_tensor_value_info(spec.name, _TYPES[spec.dtype], sizes)


def _check(model: OnnxModel, source: Source) -> None:
    """Apply onnx's full check, with shape inference; large weights stand in as inputs."""
    proto = model.copy().proto
    for name, weight in model.large.items():
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(weight.dtype))
        proto.graph.input.append(helper.make_tensor_value_info(name, dtype, weight.shape))
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = f"onnx's check refuses the result: {first_line(error)}"
        raise Refused(source.model.name, type(source.model).__name__, reason) from error
