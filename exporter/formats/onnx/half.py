"""ONNX with weights in float16.

May import `exporter.formats.onnx.file`; onnx is imported on use.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from exporter.formats.onnx.file import Large, OnnxModel

_SMALLEST_ELEMENTS = 64  # below it, a weight in float16 and its Cast take more room than they save
_FLOAT16_MAX = 65504.0


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
