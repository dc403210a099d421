"""Smaller ONNX files: float16 weights, int8 at run time, int8 with measured ranges.

May import `exporter.source` and `exporter.graphs`; onnx and onnxruntime are imported on use.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from exporter.formats.onnx.file import Large, OnnxModel
    from exporter.source import Source

_SMALLEST_ELEMENTS = 64  # below it, a weight in float16 and its Cast take more room than they save
_FLOAT16_MAX = 65504.0
_QUANTIZED = ("MatMul", "Gemm", "Conv")
_BATCH = 32
# What moves values without changing them: ranges carry over.
_MOVERS = frozenset({"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"})


def to_float16(model: OnnxModel) -> OnnxModel:
    """Weights in float16, each followed by a Cast; everything is computed in float32.

    onnxruntime widens them once, when the session is made. Sums in float16 would lose more, and
    run on few processors. Weights beyond the range of float16 stay as they are.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    small = model.copy()
    graph = small.proto.graph
    casts = []

    def widen(name: str) -> str:
        stored = f"{name}/float16"
        casts.append(helper.make_node("Cast", [stored], [name], name=name, to=TensorProto.FLOAT))
        return stored

    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < _SMALLEST_ELEMENTS:
            continue
        values = numpy_helper.to_array(tensor)
        if _fits(values):
            tensor.CopyFrom(numpy_helper.from_array(values.astype("float16"), widen(tensor.name)))
    for name, weight in model.large.items():
        if weight.dtype == "float32" and _fits(weight.read()):
            del small.large[name]
            small.large[widen(name)] = replace(
                weight, dtype="float16", read=partial(_read_half, weight)
            )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    return small


def _fits(values: np.ndarray) -> bool:
    import numpy as np

    return bool(np.isfinite(values).all() and np.abs(values).max() <= _FLOAT16_MAX)


def _read_half(weight: Large) -> np.ndarray:
    return weight.read().astype("float16")


def to_int8(model: OnnxModel) -> OnnxModel:
    """Weights as integers of 8 bits, activations quantised at run time by their own range.

    Both unsigned: products of signed and unsigned bytes overflow on x86 without VNNI, so that
    results would differ from machine to machine (onnxruntime, docs/performance/quantization).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _workshop() as folder:
        quantize_dynamic(
            model.complete(),
            folder / "small.onnx",
            op_types_to_quantize=["MatMul", "Conv"],
            weight_type=QuantType.QUInt8,
        )
        return _finish(model, folder / "small.onnx")


def to_int8_static(model: OnnxModel, ranges: Mapping[str, tuple[float, float]]) -> OnnxModel:
    """Weights and activations as integers of 8 bits, with ranges measured beforehand (QDQ).

    Weights have 7 bits: so no sum of two products overflows on x86 without VNNI.

    Args:
        model: The float32 model.
        ranges: Smallest and largest value of each activation, by its name in the model. An
            operation whose activations are not all there stays in float32.
    """
    import numpy as np
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.calibrate import TensorsData
    from onnxruntime.quantization.quantize import save_tensors_data

    with _workshop() as folder:
        data = {
            name: (np.array(low, np.float32), np.array(high, np.float32))
            for name, (low, high) in ranges.items()
        }
        cache = folder / "ranges.json"
        save_tensors_data(TensorsData(CalibrationMethod.MinMax, data), cache)
        quantize_static(
            model.complete(),
            folder / "small.onnx",
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            nodes_to_quantize=quantizable(model, ranges),
            calibration_cache_path=cache,
        )
        return _finish(model, folder / "small.onnx")


def measure(source: Source, wanted: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of operations of the traced graph on `source.calibration`.

    In float64, by the oracle where there is one, so that every machine measures the same.

    Args:
        source: With calibration arrays, one for each input.
        wanted: Names of operations of the graph; unknown ones are left out.

    """
    import numpy as np
    import tensorflow as tf

    from exporter.graphs.rewrites import ONNX
    from exporter.graphs.trace import trace

    assert source.calibration is not None
    graph = trace(source.oracle or source.float32, ONNX)
    operations = {op.name for op in graph.graph.get_operations()}
    fetched, names = [], []
    with graph.graph.as_default():
        for name in wanted:
            if name in operations:
                tensor = graph.graph.get_tensor_by_name(f"{name}:0")
                if tensor.dtype.is_floating and not graph.weights.get(name):
                    names.append(name)
                    fetched.append((tf.reduce_min(tensor), tf.reduce_max(tensor)))
    beside = {
        graph.graph.get_tensor_by_name(f"{name}:0"): weight.read()
        for name, weight in graph.weights.items()
        if graph.graph.get_operation_by_name(name).type == "Placeholder"
    }
    lows, highs = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    count = len(source.calibration[0])
    with tf.compat.v1.Session(graph=graph.graph) as session:
        for start in range(0, count, _BATCH):
            part = [array[start : start + _BATCH] for array in source.calibration]
            feeds = {**beside, **dict(zip(graph.inputs, part, strict=True))}
            for index, (low, high) in enumerate(session.run(fetched, feeds)):
                lows[index] = min(lows[index], low)
                highs[index] = max(highs[index], high)
    pairs = zip(names, lows, highs, strict=True)
    return {name: (float(low), float(high)) for name, low, high in pairs}


def carry_over(
    graph: Any, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Ranges of values that are others in another shape or order, in both directions."""
    known = dict(ranges)
    nodes = [node for node in graph.node if node.op_type in _MOVERS]
    for node in nodes:
        if node.input[0] in known:
            known.setdefault(node.output[0], known[node.input[0]])
    for node in reversed(nodes):
        if node.output[0] in known:
            known.setdefault(node.input[0], known[node.output[0]])
    return known


def quantizable(model: OnnxModel, ranges: Mapping[str, Any] | None = None) -> list[str]:
    """Names of the nodes that 8 bits make smaller; with `ranges`, of those whose range is known."""
    graph = model.proto.graph
    constants = {tensor.name for tensor in graph.initializer} | set(model.large)
    return [
        node.name
        for node in graph.node
        if node.op_type in _QUANTIZED
        and node.input[1] in constants
        and (ranges is None or (node.input[0] in ranges and node.output[0] in ranges))
    ]


@contextmanager
def _workshop() -> Iterator[Path]:
    """A scratch folder, and silence: onnxruntime warns of each model that it did not prepare."""
    logging.disable(logging.WARNING)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        logging.disable(logging.NOTSET)


def _finish(original: OnnxModel, path: Path) -> OnnxModel:
    """The quantised model with the original's description instead of the quantiser's."""
    import onnx

    from exporter.formats.onnx.file import OnnxModel

    model = original.proto
    made = onnx.load(path)
    for field in ("producer_name", "producer_version", "doc_string", "domain"):
        setattr(made, field, getattr(model, field))
    made.graph.name = model.graph.name
    del made.graph.value_info[:]
    del made.metadata_props[:]
    made.metadata_props.extend(model.metadata_props)
    del made.graph.input[:], made.graph.output[:]
    made.graph.input.extend(model.graph.input)
    made.graph.output.extend(model.graph.output)
    return OnnxModel(made)
