"""Eight bits in ONNX: the numbers, the operators, and what onnxruntime makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from keras import layers
from onnx import TensorProto, helper, numpy_helper

from exporter.formats.onnx import OnnxFormat
from exporter.formats.onnx.file import LARGEST_BYTES, Large, OnnxModel
from exporter.formats.onnx.quantization import quantizable, to_int8, to_int8_static
from exporter.formats.onnx.rounding import ZERO, activation_scale, quantize, weight_scales
from exporter.source import Source, describe

FORMAT = OnnxFormat()
FLOATS = st.floats(-1e4, 1e4, width=32)


@given(arrays(np.float32, (5, 3), elements=FLOATS), st.sampled_from([None, 0, 1]))
def test_a_weight_comes_back_within_half_a_step_and_zero_as_zero(
    values: np.ndarray, axis: int | None
) -> None:
    values[2, 1] = 0
    scales = weight_scales(values, axis)
    shape = (-1, 1) if axis == 0 else (-1,)
    back = (quantize(values, scales, axis).astype(np.float64) - ZERO) * scales.reshape(shape)
    assert np.all(np.abs(back - values) <= 0.5001 * scales.reshape(shape))
    assert back[2, 1] == 0


@given(FLOATS, FLOATS)
def test_the_range_of_an_activation_holds_its_ends_and_zero(low: float, high: float) -> None:
    scale, zero = activation_scale(min(low, high), max(low, high))
    for value in (low, high, 0.0):
        step = min(max(round(value / scale) + zero, 0), 255)
        assert abs((step - zero) * scale - value) <= 1.001 * scale
    assert 0 <= zero <= 255


def _network() -> Source:
    start = keras.Input((10, 10, 3), name="picture")
    x = layers.Conv2D(12, 3, activation="relu", name="first")(start)
    x = layers.DepthwiseConv2D(3, padding="same", name="deep")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(8, 3, name="second")(x)
    x = layers.LeakyReLU()(x)
    outputs = layers.Dense(6, name="last")(layers.Flatten()(x))
    keras.utils.set_random_seed(4)
    model = keras.Model(start, outputs, name="network")
    for index, variable in enumerate(model.variables):
        generator = np.random.default_rng(index)
        variable.assign(generator.normal(0, 0.3, variable.shape))
    pictures = np.random.default_rng(1).random((40, 10, 10, 3), "float32")
    return describe(model, "network", calibration=(pictures,))


@pytest.mark.parametrize("precision", ["int8", "int8-static"])
def test_convolutions_and_products_run_in_integers_and_stay_close(
    tmp_path: Path, precision: str
) -> None:
    source = _network()
    exported = FORMAT.export(source, precision, tmp_path)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(tmp_path / exported.path, options)
    assert source.calibration is not None
    pictures = source.calibration[0]
    rows = [session.run(None, {"picture": pictures[i : i + 1]})[0] for i in range(len(pictures))]
    found, expected = np.concatenate(rows), np.asarray(source.call([pictures])[0])
    assert np.abs(found - expected).max() < 0.08 * np.abs(expected).max()  # the gate is 0.1
    optimized = [n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert not {"Conv", "FusedConv", "MatMul", "Gemm"} & set(optimized)
    in_integers = {"int8": "ConvInteger", "int8-static": "QLinearConv"}[precision]
    assert optimized.count(in_integers) == 3


def _handmade(*nodes: Any, **constants: np.ndarray) -> OnnxModel:
    graph = helper.make_graph(
        nodes, "handmade",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16])],
        [numpy_helper.from_array(values, name) for name, values in constants.items()],
    )  # fmt: skip
    opset = [helper.make_opsetid("", 18)]
    return OnnxModel(helper.make_model(graph, opset_imports=opset, ir_version=8))


def _answer(model: OnnxModel, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.complete().SerializeToString())
    return np.asarray(session.run(None, {"x": x})[0])


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("biased", [False, True])
def test_a_gemm_is_quantised_with_its_bias_and_its_transposed_weight(
    turned: int, biased: bool
) -> None:
    generator = np.random.default_rng(2)
    w = generator.normal(size=(16, 8) if turned else (8, 16)).astype("float32")
    constants = {"w": w} | ({"b": generator.normal(size=16).astype("float32")} if biased else {})
    model = _handmade(
        helper.make_node("Gemm", ["x", *constants], ["y"], transB=turned), **constants
    )
    x = generator.normal(size=(9, 8)).astype("float32")
    expected = _answer(model, x)
    ranges = {"x": (float(x.min()), float(x.max()))}
    assert quantizable(model) == quantizable(model, ranges) == ["y"]
    for small in (to_int8(model), to_int8_static(model, ranges)):
        assert "w" not in {t.name for t in small.proto.graph.initializer}
        np.testing.assert_allclose(_answer(small, x), expected, atol=0.02 * np.abs(expected).max())


def test_a_scaled_gemm_a_product_of_two_constants_and_a_tiny_weight_stay_as_they_are() -> None:
    w = np.ones((8, 16), "float32")
    scaled = _handmade(helper.make_node("Gemm", ["x", "w"], ["y"], alpha=0.5), w=w)
    assert quantizable(scaled) == []
    constant = _handmade(
        helper.make_node("MatMul", ["v", "w"], ["u"]), helper.make_node("Add", ["x", "u"], ["y"]),
        v=np.ones((1, 8), "float32"), w=w,
    )  # fmt: skip
    assert quantizable(constant) == []
    assert quantizable(_handmade(helper.make_node("MatMul", ["x", "w"], ["y"]), w=w[:, :4])) == []


def test_a_weight_that_something_else_reads_too_is_kept_for_it() -> None:
    w = np.random.default_rng(3).normal(size=(16, 16)).astype("float32")
    model = _handmade(
        helper.make_node("MatMul", ["x", "v"], ["u"]),
        helper.make_node("MatMul", ["u", "w"], ["t"]),
        helper.make_node("ReduceSum", ["w", "axes"], ["s"], keepdims=0),
        helper.make_node("Add", ["t", "s"], ["y"]),
        v=np.eye(8, 16, dtype="float32"), w=w, axes=np.array([0]),
    )  # fmt: skip
    small = to_int8(model)
    assert "w" in {t.name for t in small.proto.graph.initializer}
    x = np.random.default_rng(4).normal(size=(3, 8)).astype("float32")
    np.testing.assert_allclose(_answer(small, x), _answer(model, x), atol=0.1)


def test_without_a_range_a_product_stays_in_float32() -> None:
    w = np.ones((8, 16), "float32")
    model = _handmade(helper.make_node("MatMul", ["x", "w"], ["y"]), w=w)
    assert quantizable(model, {"y": (0.0, 1.0)}) == []


def test_a_file_beyond_what_protobuf_holds_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    def read() -> np.ndarray:
        raise AssertionError("a weight was read")

    source = replace(_network())
    model = _handmade(helper.make_node("MatMul", ["x", "w"], ["y"]))
    model.large["w"] = Large((8, 2**26), "float32", read)
    assert model.size_bytes > LARGEST_BYTES
    source.once("onnx", lambda: (model, ()))
    (refusal,) = FORMAT.refusals(source, "float32")
    assert "2.1 GB, and an ONNX file holds no more than 2.1" in str(refusal)
    with pytest.raises(Exception, match="take a smaller precision"):
        FORMAT.export(source, "float32", tmp_path)
    assert list(tmp_path.iterdir()) == []
