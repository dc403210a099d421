"""Smaller ONNX files: weights as integers of 8 bits, activations quantised as they run or before.

Own code instead of `onnxruntime.quantization`, which loads a model several times (5.8 GB at 100
million parameters), and which quantises every result of a product as well: a classifier's logits
in 256 steps cost more answers than all its weights. The formulas are those of the operators
(https://onnx.ai/onnx/operators, QuantizeLinear, MatMulInteger, ConvInteger).

All integers are unsigned. Products of signed and unsigned bytes overflow on x86 without VNNI, so
that answers would differ from machine to machine (onnxruntime, docs/performance/quantization).

May import its neighbours `file`, `names`, `rounding` and `calibration`; onnx is imported on use.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.formats.onnx import names
from exporter.formats.onnx.calibration import MOVERS
from exporter.formats.onnx.file import Large, OnnxModel
from exporter.formats.onnx.rounding import ZERO, activation_scale, quantize, weight_scales

if TYPE_CHECKING:
    Ranges = Mapping[str, tuple[float, float]]

SMALLEST_ELEMENTS = 64
"""Below it, a weight in 8 bits and what widens it take more room than they save."""
_PRODUCTS = ("MatMul", "Gemm", "Conv")
_RECTIFIERS = ("Relu", "Clip")


def quantizable(model: OnnxModel, ranges: Ranges | None = None) -> list[str]:
    """Results of the nodes that 8 bits make smaller; with `ranges`, of those that are measured.

    Args:
        model: In float32.
        ranges: Of the activations, for `to_int8_static`; None for `to_int8`.
    """
    weights = _Weights(model)
    return [
        node.output[0]
        for node in model.proto.graph.node
        if weights.fit(node) and (ranges is None or _measured(node, weights, ranges))
    ]


def _measured(node: Any, weights: _Weights, ranges: Ranges) -> bool:
    if node.input[0] not in ranges:
        return False
    if node.op_type == "MatMul":
        return True
    # The integer kernels of these add the bias in integers; Conv's gives integers, too.
    bias = node.input[2] if len(node.input) > 2 else ""
    return (not bias or bias in weights) and (node.op_type != "Conv" or node.output[0] in ranges)


def to_int8(model: OnnxModel) -> OnnxModel:
    """Weights in 8 bits, activations quantised at run time by their own range.

    Args:
        model: In float32, with something `quantizable`; it is not changed.
    """
    return _Rewriting(model).run(_Rewriting.integer_product, quantizable(model))


def to_int8_static(model: OnnxModel, ranges: Ranges) -> OnnxModel:
    """Weights and activations in 8 bits, with ranges measured beforehand (QDQ).

    The results of matrix products stay in float32; an activation is rounded where it enters the
    next product. Convolutions give 8 bits, because their integer kernels do.

    Args:
        model: In float32; it is not changed.
        ranges: Smallest and largest value of each activation, by its name in the model. An
            operation whose activations are not all there stays in float32.
    """
    rewriting = _Rewriting(model, ranges)
    return rewriting.run(_Rewriting.framed_product, quantizable(model, ranges))


class _Weights:
    """The constants of a model by their name, in the graph or beside it."""

    def __init__(self, model: OnnxModel) -> None:
        self._model = model
        self._shapes = {name: weight.shape for name, weight in model.large.items()}
        self._floats = {name for name, w in model.large.items() if w.dtype == "float32"}
        for tensor in model.proto.graph.initializer:
            self._shapes[tensor.name] = tuple(tensor.dims)
            if tensor.data_type == 1:  # TensorProto.FLOAT
                self._floats.add(tensor.name)

    def __contains__(self, name: str) -> bool:
        return name in self._floats

    def fit(self, node: Any) -> bool:
        """Whether the node multiplies something by a constant worth quantising."""
        if node.op_type not in _PRODUCTS or node.input[1] not in self._floats:
            return False
        if node.input[0] in self._shapes or (node.op_type == "Gemm" and not _is_plain(node)):
            return False
        shape = self.shape(node.input[1])
        return len(shape) >= 2 and int(np.prod(shape, dtype=np.int64)) >= SMALLEST_ELEMENTS

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes[name]

    def read(self, name: str) -> np.ndarray:
        return self._model.values(name)


def _is_plain(node: Any) -> bool:
    """A Gemm that is x · W + b, where nothing but W may be transposed."""
    from onnx import helper

    held = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return (
        held.get("alpha", 1.0) == held.get("beta", 1.0) == 1.0
        and not held.get("transA", 0)
        and (held.get("transB", 0) in (0, 1))
    )


@dataclass(frozen=True)
class _Quantized:
    """A weight in 8 bits: names of its values, scale and zero, and the axis of its channels."""

    name: str
    scale: str
    zero: str
    axis: int | None
    scales: np.ndarray


class _Rewriting:
    """One model while its products are replaced, node by node."""

    def __init__(self, model: OnnxModel, ranges: Ranges | None = None) -> None:
        self._model = model
        self._small = model.copy()
        self._weights = _Weights(model)
        self._ranges = ranges or {}
        self._nodes: list[Any] = []
        self._quantized: dict[tuple[str, int | None], _Quantized] = {}
        self._activations: dict[str, Any] = {}
        self._biases: dict[str, tuple[str, str]] = {}
        graph = model.proto.graph
        self._taken = {x for node in graph.node for x in (*node.input, *node.output)}
        self._readers: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            for name in names.needs(node):
                self._readers[name].append(node)
        for value in graph.output:
            self._readers[value.name].append(None)

    def run(self, replace: Callable[[_Rewriting, Any], None], chosen: Sequence[str]) -> OnnxModel:
        wanted = set(chosen)
        graph = self._small.proto.graph
        for node in graph.node:
            if node.output[0] in wanted:
                replace(self, node)
                continue
            if node.output[0] in self._biases:
                exact, rounded = self._biases[node.output[0]]
                node.input[list(node.input).index(exact)] = rounded
            self._nodes.append(node)
        # Copied, because what is in a message's list ends with it.
        nodes = [type(node).FromString(node.SerializeToString()) for node in self._nodes]
        del graph.node[:]
        graph.node.extend(nodes)
        used = {name for node in graph.node for name in names.needs(node)}
        used.update(value.name for value in graph.output)
        kept = [type(t).FromString(t.SerializeToString()) for t in graph.initializer
                if t.name in used]  # fmt: skip
        del graph.initializer[:]
        graph.initializer.extend(kept)
        self._small.large = {n: w for n, w in self._small.large.items() if n in used}
        return self._small

    # -- run-time ranges -------------------------------------------------------------------

    def integer_product(self, node: Any) -> None:
        """The product q(x) · q(W) in integers, times both scales, plus the bias."""
        x, result = node.input[0], node.output[0]
        convolution = node.op_type == "Conv"
        transposed = self._is_transposed(node)
        rank = len(self._weights.shape(node.input[1]))
        weight = self._weight(node.input[1], self._channel_axis(node), turned=transposed)
        if x not in self._activations:
            parts = [self._new(f"{x}/{what}") for what in ("uint8", "scale", "zero")]
            self._add("DynamicQuantizeLinear", [x], parts)
            self._activations[x] = parts
        quantized, scale, zero = self._activations[x]
        product, widened, factor = (
            self._new(f"{result}/{what}") for what in ("integers", "widened", "scale")
        )
        operator = "ConvInteger" if convolution else "MatMulInteger"
        attributes = node.attribute if convolution else ()
        self._add(operator, [quantized, weight.name, zero, weight.zero], [product], attributes)
        self._add("Cast", [product], [widened], to=1)
        own_scale = weight.scale
        if convolution and weight.scales.size > 1:
            own_scale = self._per_channel(weight, rank)
        self._add("Mul", [scale, own_scale], [factor])
        bias = node.input[2] if len(node.input) > 2 else ""
        scaled = self._new(f"{result}/scaled") if bias else result
        self._add("Mul", [widened, factor], [scaled])
        if bias:
            self._add("Add", [scaled, self._per_channel_bias(bias, rank, convolution)], [result])

    def _per_channel(self, weight: _Quantized, rank: int) -> str:
        """The scales, one for each output channel, which is the second axis of the result."""
        name = self._new(f"{weight.scale}/channels")
        return self._constant(name, weight.scales.reshape(-1, *[1] * (rank - 2)))

    def _per_channel_bias(self, bias: str, rank: int, convolution: bool) -> str:
        if not convolution:
            return bias
        wide = self._new(f"{bias}/channels")
        shape = np.array([-1, *[1] * (rank - 2)], np.int64)
        self._add("Reshape", [bias, self._constant(self._new(f"{wide}/shape"), shape)], [wide])
        return wide

    # -- measured ranges -------------------------------------------------------------------

    def framed_product(self, node: Any) -> None:
        """The product between DequantizeLinear and QuantizeLinear, which runtimes fuse with it."""
        axis = (
            0 if node.op_type == "Conv" or self._is_transposed(node) else self._channel_axis(node)
        )
        weight = self._weight(node.input[1], axis)
        widened = self._widened(weight)
        x, x_scale = self._rounded(node.input[0])
        inputs = [x, widened]
        if len(node.input) > 2 and node.input[2]:
            inputs.append(self._bias(node.input[2], x_scale * weight.scales))
        result = node.output[0]
        if node.op_type != "Conv":
            self._add(node.op_type, inputs, [result], node.attribute)
            self._round_added_bias(node, x_scale * weight.scales)
            return
        raw = self._new(f"{result}/float")
        self._add("Conv", inputs, [raw], node.attribute)
        self._round(raw, result, self._range_of(result))

    def _round_added_bias(self, node: Any, scales: np.ndarray) -> None:
        """Runtimes make one Gemm of a product and the bias added to it, in integers if both are."""
        reader = self._only_reader(node.output[0])
        if node.op_type != "MatMul" or reader is None or reader.op_type != "Add":
            return
        for bias in reader.input:
            if bias in self._weights and self._weights.shape(bias) == scales.shape:
                self._biases[reader.output[0]] = (bias, self._bias(bias, scales))

    def _range_of(self, result: str) -> tuple[float, float]:
        """What is left of the result's range where a rectifier is all that becomes of it.

        Rounding to the rectifier's range rectifies as well, with twice the steps for the rest.
        """
        reader = self._only_reader(result)
        while reader is not None and reader.op_type in MOVERS:
            reader = self._only_reader(reader.output[0])
        if reader is None or reader.op_type not in _RECTIFIERS:
            return self._ranges[result]
        return self._ranges.get(reader.output[0], self._ranges[result])

    def _only_reader(self, name: str) -> Any | None:
        readers = self._readers[name]
        return readers[0] if len(readers) == 1 else None

    def _rounded(self, x: str) -> tuple[str, float]:
        """`x` through 8 bits, once for all that read it; and its scale."""
        if x not in self._activations:
            rounded = self._new(f"{x}/rounded")
            self._activations[x] = (rounded, self._round(x, rounded, self._ranges[x]))
        name, scale = self._activations[x]
        return name, float(scale)

    def _round(self, x: str, result: str, span: tuple[float, float]) -> float:
        scale, zero = activation_scale(*span)
        quantized = self._new(f"{result}/uint8")
        names = [
            self._constant(self._new(f"{result}/scale"), np.float32(scale)),
            self._constant(self._new(f"{result}/zero"), np.uint8(zero)),
        ]
        self._add("QuantizeLinear", [x, *names], [quantized])
        self._add("DequantizeLinear", [quantized, *names], [result])
        self._activations[result] = (result, scale)
        return scale

    def _widened(self, weight: _Quantized) -> str:
        name = f"{weight.name}/float"
        if name not in self._taken:
            self._taken.add(name)
            parts = [weight.name, weight.scale, weight.zero]
            # Where there is one scale in all, the axis says nothing.
            self._add("DequantizeLinear", parts, [name], axis=weight.axis or 0)
        return name

    def _bias(self, bias: str, scales: np.ndarray) -> str:
        """The bias in 32-bit integers of the products' own unit, as integer kernels add it."""
        values = self._weights.read(bias).astype(np.float64).reshape(-1)
        scales = np.broadcast_to(scales.astype(np.float32), values.shape)
        limits = np.iinfo(np.int32)
        steps = np.clip(np.rint(values / scales), limits.min, limits.max).astype(np.int32)
        name = self._new(f"{bias}/float")
        names = [
            self._constant(self._new(f"{bias}/int32"), steps),
            self._constant(self._new(f"{bias}/scale"), scales),
            self._constant(self._new(f"{bias}/zero"), np.zeros(len(steps), np.int32)),
        ]
        self._add("DequantizeLinear", names, [name], axis=0)
        return name

    # -- weights ---------------------------------------------------------------------------

    def _channel_axis(self, node: Any) -> int | None:
        """The axis along which each part of a weight has a scale of its own."""
        if node.op_type == "Conv":
            return 0
        rank = len(self._weights.shape(node.input[1]))
        return 1 if rank == 2 else None

    def _is_transposed(self, node: Any) -> bool:
        return node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)

    def _weight(self, name: str, axis: int | None, turned: bool = False) -> _Quantized:
        """The weight in 8 bits; `turned`: transposed first."""
        key = (name, axis)
        if key not in self._quantized:

            def read() -> np.ndarray:
                values = self._weights.read(name)
                return values.T if turned else values

            scales = weight_scales(read(), axis)
            shape = self._weights.shape(name)
            shape = shape[::-1] if turned else shape
            stored = self._new(f"{name}/uint8")
            self._small.large[stored] = Large(
                shape, "uint8", lambda: quantize(read(), scales, axis)
            )
            plain = axis is None
            # ConvInteger takes one zero for all channels, DequantizeLinear one for each scale.
            one = plain or not self._ranges
            zeros = np.uint8(ZERO) if one else np.full(scales.shape, ZERO, np.uint8)
            made = _Quantized(
                stored,
                self._constant(self._new(f"{name}/scale"), scales[0] if plain else scales),
                self._constant(self._new(f"{name}/zero"), zeros),
                axis, scales,
            )  # fmt: skip
            self._quantized[key] = made
        return self._quantized[key]

    # -- the graph -------------------------------------------------------------------------

    def _new(self, name: str) -> str:
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def _constant(self, name: str, values: Any) -> str:
        from onnx import numpy_helper

        tensor = numpy_helper.from_array(np.asarray(values), name)
        self._small.proto.graph.initializer.append(tensor)
        return name

    def _add(
        self, operator: str, inputs: Sequence[str], outputs: Sequence[str],
        attributes: Sequence[Any] = (), **more: Any,
    ) -> None:  # fmt: skip
        from onnx import helper

        node = helper.make_node(operator, inputs, outputs, name=outputs[0], **more)
        node.attribute.extend(attributes)
        self._nodes.append(node)
