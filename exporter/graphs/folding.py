"""Constants: what can be computed now instead of in every prediction.

Owns a scratch graph in float64. Folding in float64 and rounding once gives the same float32
constants on every machine, where float32 kernels differ with the processor's vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

# Larger results stay computations: folding them would make files grow.
LARGEST_ELEMENTS = 1 << 16

# All have float64 kernels on the CPU and the same meaning in float64.
FOLDABLE = frozenset({
    "Abs", "Acos", "Acosh", "Add", "AddN", "AddV2", "All", "Any", "ArgMax", "ArgMin", "Asin",
    "Asinh", "Atan", "Atan2", "Atanh", "BroadcastArgs", "BroadcastTo", "Cast", "Ceil",
    "ClipByValue", "ConcatV2", "Cos", "Cosh", "Cumprod", "Cumsum", "Diag", "DiagPart",
    "DivNoNan", "Equal", "Erf", "Exp", "ExpandDims", "Expm1", "Fill", "Floor", "FloorDiv",
    "FloorMod", "GatherV2", "Greater", "GreaterEqual", "Identity", "InvertPermutation",
    "LinSpace", "Less", "LessEqual", "Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr",
    "MatrixBandPart", "MatrixDiagPartV3", "MatrixDiagV3", "Max", "Maximum", "Mean", "Min",
    "Minimum", "Mul", "Neg", "NotEqual", "OneHot", "OnesLike", "Pack", "Pad", "PadV2", "Pow",
    "Prod", "Range", "Rank", "RealDiv", "Reciprocal", "Reshape", "ReverseV2", "Round", "Rsqrt",
    "Select", "SelectV2", "Shape", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice",
    "Softplus", "Split", "SplitV", "Sqrt", "Square", "SquaredDifference", "Squeeze",
    "StridedSlice", "Sub", "Sum", "Tan", "Tanh", "Tile", "Transpose", "TruncateDiv", "Unpack",
    "Where", "ZerosLike",
})  # fmt: skip


@dataclass(frozen=True)
class Weight:
    """A large constant that travels beside the graph.

    Attributes:
        path: The Keras variable's path, or None for any other constant.
        read: Returns the values; called when they are needed, so that they lie in memory once.
    """

    path: str | None
    read: Callable[[], np.ndarray]


class Constants:
    """Builds and evaluates operations on constants, in float64."""

    def __init__(self) -> None:
        import tensorflow as tf

        self._tf = tf
        self._graph = tf.Graph()
        self._session: Any = None
        self._feeds: dict[Any, Weight] = {}

    def add(self, value: np.ndarray) -> tf.Tensor:
        """A constant tensor of the scratch graph."""
        with self._graph.as_default():
            return self._tf.constant(_widen(value))

    def add_weight(self, weight: Weight, shape: Sequence[int], dtype: Any) -> tf.Tensor:
        """A tensor whose values are read when something is computed from it."""
        with self._graph.as_default():
            wide = self._tf.float64 if dtype.is_floating else dtype
            tensor = self._tf.compat.v1.placeholder(wide, shape)
        self._feeds[tensor.ref()] = weight
        return tensor

    def apply(self, op: Any, inputs: Sequence[tf.Tensor]) -> list[tf.Tensor] | None:
        """The same operation on constants; None if it cannot, or if the result is too large."""
        if op.type not in FOLDABLE:
            return None
        with self._graph.as_default():
            try:
                made = self._graph.create_op(
                    op.type, list(inputs), None, attrs=_wide_attributes(op.node_def.attr)
                )
            except (TypeError, ValueError):
                return None
        for output in made.outputs:
            if not output.shape.is_fully_defined():
                if self._size(output) > LARGEST_ELEMENTS:
                    return None
            elif output.shape.num_elements() > LARGEST_ELEMENTS:
                return None
        return list(made.outputs)

    def value(self, tensor: tf.Tensor, dtype: Any) -> np.ndarray:
        """Evaluate, and round to `dtype`."""
        static = self._tf.get_static_value(tensor)
        return np.asarray(self._run(tensor) if static is None else static).astype(
            dtype.as_numpy_dtype
        )

    def _size(self, tensor: tf.Tensor) -> int:
        return int(np.asarray(self._run(tensor)).size)

    def _run(self, tensor: tf.Tensor) -> Any:
        if self._session is None:
            self._session = self._tf.compat.v1.Session(graph=self._graph)
        needed = _ancestors(tensor)
        feeds = {
            ref.deref(): _widen(weight.read())
            for ref, weight in self._feeds.items()
            if ref.deref().op.name in needed
        }
        return self._session.run(tensor, feeds)


def _ancestors(tensor: tf.Tensor) -> set[str]:
    names: set[str] = set()
    waiting = [tensor.op]
    while waiting:
        op = waiting.pop()
        if op.name not in names:
            names.add(op.name)
            waiting.extend(x.op for x in op.inputs)
    return names


def _widen(value: np.ndarray) -> np.ndarray:
    value = np.asarray(value)
    return value.astype(np.float64) if value.dtype == np.float32 else value


def _wide_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The operation's attributes with float64 in place of float32, and without bookkeeping."""
    from tensorflow.core.framework import attr_value_pb2, types_pb2

    wide = {}
    for key, value in attributes.items():
        if key.startswith("_"):
            continue
        if value.type == types_pb2.DT_FLOAT:
            value = attr_value_pb2.AttrValue(type=types_pb2.DT_DOUBLE)
        wide[key] = value
    return wide
