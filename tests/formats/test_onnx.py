"""ONNX files: names, bytes, weights, precisions; what is refused; what tf2onnx still needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from keras import layers
from onnx import TensorProto, numpy_helper

from exporter.errors import BadBundle, UnsupportedModel
from exporter.formats import upstream_tf2onnx
from exporter.formats.onnx import OnnxFormat
from exporter.formats.onnx.file import Large, OnnxModel
from exporter.source import Source, describe
from tests.conftest import tiny_classifier

ROOT = Path(__file__).parent.parent.parent
FORMAT = OnnxFormat()


def _randomized(model: keras.Model) -> keras.Model:
    for index, variable in enumerate(model.variables):
        generator = np.random.default_rng(index)
        variable.assign(generator.normal(0, 0.3, variable.shape))
    return model


def _classifier() -> Source:
    model = _randomized(tiny_classifier())
    pictures = np.random.default_rng(9).random((64, 28, 28), "float32")
    return describe(
        model, "tiny", labels=tuple("0123456789"), preprocessing={"name": "ink", "version": 1},
        calibration=(pictures,),
    )  # fmt: skip


def _convolutional() -> Source:
    start = keras.Input((12, 12, 3), name="picture")
    x = layers.Conv2D(24, 3, activation="relu", name="first")(start)
    x = layers.DepthwiseConv2D(3, name="deep")(x)
    x = layers.Conv2DTranspose(8, 3, name="up")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return describe(_randomized(keras.Model(start, layers.Dense(5, name="last")(x))), "cnn")


def _export(source: Source, directory: Path, precision: str = "float32") -> Any:
    exported = FORMAT.export(source, precision, directory)
    return onnx.load(directory / exported.path)


def _predict(path: Path, *inputs: np.ndarray) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(str(path))
    feeds = dict(zip([i.name for i in session.get_inputs()], inputs, strict=True))
    answers: list[np.ndarray] = session.run(None, feeds)
    return answers


# Names and metadata ---------------------------------------------------------------------------


def test_inputs_and_outputs_are_keras_own_and_the_batch_is_called_batch(tmp_path: Path) -> None:
    first, second = keras.Input((None, 3), name="zeta: 1"), keras.Input((2,), name="größe")
    total = layers.GlobalMaxPooling1D(name="sum up")(first)
    model = keras.Model([first, second], {"b": second * 2, "a": total})
    graph = _export(describe(model, "two"), tmp_path).graph

    def declared(values: Any) -> list[tuple[str, list[Any]]]:
        return [
            (v.name, [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim])
            for v in values
        ]

    assert declared(graph.input) == [
        ("zeta: 1", ["batch", "zeta: 1_1", 3]),
        ("größe", ["batch", 2]),
    ]
    assert declared(graph.output) == [("a", ["batch", 3]), ("b", ["batch", 2])]


def test_labels_and_preprocessing_are_in_the_file(tmp_path: Path) -> None:
    model = _export(_classifier(), tmp_path)
    held = {entry.key: json.loads(entry.value) for entry in model.metadata_props}
    assert held["labels"] == list("0123456789")
    assert held["preprocessing"] == {"name": "ink", "version": 1}
    assert model.producer_name == "keras-web-exporter"


def test_opset_and_ir_version_are_those_that_the_web_runtime_reads(tmp_path: Path) -> None:
    model = _export(_classifier(), tmp_path)
    assert model.ir_version == 8
    assert {o.version for o in model.opset_import if o.domain == ""} == {upstream_tf2onnx.OPSET}
    onnx.checker.check_model(model, full_check=True)


# Bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", FORMAT.precisions)
def test_the_bytes_are_the_same_twice_and_in_another_process(
    precision: str, tmp_path: Path
) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.formats.test_onnx import *; "
        "from tests.formats.test_onnx import _classifier; "
        f"FORMAT.export(_classifier(), {precision!r}, Path(sys.argv[1]))"
    )
    keras.utils.clear_session()
    paths = []
    for name in ("once", "twice"):
        exported = FORMAT.export(_classifier(), precision, tmp_path / name)
        paths.append(tmp_path / name / exported.path)
    subprocess.run([sys.executable, "-c", code, tmp_path / "there"], check=True, cwd=ROOT)
    paths.append(tmp_path / "there" / exported.path)
    assert len({path.read_bytes() for path in paths}) == 1


def test_a_large_weight_is_written_as_onnx_itself_would(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]> g (float[2, 300] x) => (float[2, 70] y) '
        "{ y = MatMul(x, w) }"
    )
    values = np.random.default_rng(0).normal(0, 1, (300, 70)).astype("float32")
    model = OnnxModel(proto, {"w": Large((300, 70), "float32", lambda: values)})
    model.write(tmp_path / "streamed.onnx")
    read = onnx.load(tmp_path / "streamed.onnx")
    assert read == model.complete()
    onnx.checker.check_model(read, full_check=True)
    again = OnnxModel.read(tmp_path / "streamed.onnx", later_bytes=1000)
    assert again.proto == proto
    np.testing.assert_array_equal(again.values("w"), values)
    assert OnnxModel.read(tmp_path / "streamed.onnx").proto == read  # 84 kB are not large
    x = np.ones((2, 300), "float32")
    np.testing.assert_allclose(_predict(tmp_path / "streamed.onnx", x)[0], x @ values, rtol=1e-5)


# Weights --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [_classifier, _convolutional])
def test_weights_are_keras_own_bit_for_bit_whatever_their_layout(make: Any, tmp_path: Path) -> None:
    source = make()
    exported = FORMAT.export(source, "float32", tmp_path)
    found = FORMAT.weights(tmp_path, exported.path)
    expected = {v.path: np.asarray(v.value) for v in source.model.variables}
    assert {"cnn": 7, "tiny": 4}[source.name] == len(found)
    for path, values in found.items():
        np.testing.assert_array_equal(values, expected[path])


def _keras_variables(model: Any) -> Any:
    return next(entry for entry in model.metadata_props if entry.key == "keras_variables")


def _said(text: str) -> Callable[[Any], None]:
    return lambda model: setattr(_keras_variables(model), "value", text)


def _shorter(model: Any) -> None:
    kernel = next(tensor for tensor in model.graph.initializer if len(tensor.dims) == 2)
    kernel.raw_data = kernel.raw_data[:-4]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_said("{"), "path and order of axes by initializer expected"),
        (_said("[]"), "path and order of axes by initializer expected"),
        (_said('{"w": 1}'), "path and order of axes by initializer expected"),
        (_said('{"none": ["a/b", [0]]}'), "an initializer 'none' expected, none found"),
        (_shorter, "an ONNX model expected"),
    ],
)
@pytest.mark.parametrize("later_bytes", [1 << 20, 100])
def test_a_file_that_does_not_hold_what_it_says_is_no_bundle(
    damage: Callable[[Any], None],
    reason: str,
    later_bytes: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Told while the weights are read, which is after the call."""
    exported = FORMAT.export(_classifier(), "float32", tmp_path)
    model = onnx.load(tmp_path / exported.path)
    damage(model)
    onnx.save(model, tmp_path / exported.path)
    read = OnnxModel.read
    monkeypatch.setattr(OnnxModel, "read", lambda path: read(path, later_bytes))
    with pytest.raises(BadBundle, match=reason):
        FORMAT.weights(tmp_path, exported.path)


def _field(number: int, kind: int, value: bytes) -> bytes:
    return bytes([number << 3 | kind]) + value


def _tensor_of(*fields: bytes) -> bytes:
    """A model of one initializer "w" of two float32, with further fields."""
    own = (b"\x08\x02", b"\x10\x01", b"\x42\x01w")  # dims 2, data_type FLOAT, name
    tensor = b"".join((*own, *fields))
    graph = _field(5, 2, bytes([len(tensor)]) + tensor)
    return _field(7, 2, bytes([len(graph)]) + graph)


VALUES = np.array([1, 2], "<f4")
RAW = _field(9, 2, b"\x08" + VALUES.tobytes())


@pytest.mark.parametrize(
    "unknown",
    [
        _field(15, 0, b"\xff\x01"), _field(15, 1, b"12345678"), _field(15, 5, b"\x48\x00\x00\x00"),
        _field(15, 2, b"\x02\x4a\x08"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_before", [True, False])
def test_fields_that_nobody_knows_are_passed_over(
    unknown: bytes, is_before: bool, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(_tensor_of(*((unknown, RAW) if is_before else (RAW, unknown))))
    model = OnnxModel.read(path, later_bytes=1)
    assert list(model.large) == ["w"]
    np.testing.assert_array_equal(model.values("w"), VALUES)
    assert model.complete().graph.initializer[0].raw_data == VALUES.tobytes()


@pytest.mark.parametrize(
    ("damaged", "reason"),
    [
        (_field(9, 2, b"\x09" + VALUES.tobytes()), "1 bytes more expected after byte"),
        (_field(15, 1, b"1234"), "4 bytes more expected after byte"),
        (_field(15, 3, b""), "a field of wire type 3 found"),
        (_field(9, 2, b"\x04" + VALUES[:1].tobytes()), "8 bytes expected by its shape, 4 found"),
        (b"", "values as raw bytes expected"),
    ],
)
def test_an_initializer_that_goes_beyond_its_end_is_refused(
    damaged: bytes, reason: str, tmp_path: Path
) -> None:
    # What follows in the file must not be taken for its values.
    (tmp_path / "m.onnx").write_bytes(_tensor_of(damaged) + _field(2, 2, b"\x04name"))
    with pytest.raises(ValueError, match=reason):
        OnnxModel.read(tmp_path / "m.onnx", later_bytes=1)


def test_initializers_bear_the_paths_of_variables(tmp_path: Path) -> None:
    source = _classifier()
    model = _export(source, tmp_path)
    held = {tensor.name for tensor in model.graph.initializer}
    assert {variable.path for variable in source.model.variables} <= held


# Precisions -----------------------------------------------------------------------------------


def test_float16_halves_the_weights_and_keeps_float32_at_the_ends(tmp_path: Path) -> None:
    source = _classifier()
    full, half = _export(source, tmp_path), _export(source, tmp_path, "float16")
    sizes = [(tmp_path / f"onnx/model{name}.onnx").stat().st_size for name in ("", ".float16")]
    assert sizes[1] < 0.55 * sizes[0]
    for one, other in zip(full.graph.input, half.graph.input, strict=True):
        assert one == other
    assert full.graph.output == half.graph.output
    assert source.calibration is not None
    (expected,) = source.call(source.calibration)
    (found,) = _predict(tmp_path / "onnx/model.float16.onnx", *source.calibration)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert not np.array_equal(found, expected)


def test_a_weight_beyond_float16_stays_float32(tmp_path: Path) -> None:
    start = keras.Input((40,))
    model = keras.Model(start, layers.Dense(40, use_bias=False)(start))
    model.variables[0].assign(np.full((40, 40), 1e5))
    half = _export(describe(model, "m"), tmp_path, "float16")
    assert {t.data_type for t in half.graph.initializer} == {TensorProto.FLOAT}


@pytest.mark.parametrize("precision", ["int8", "int8-static"])
def test_eight_bits_quarter_the_file_and_change_answers_little(
    precision: str, tmp_path: Path
) -> None:
    source = _classifier()
    FORMAT.export(source, "float32", tmp_path)
    small = _export(source, tmp_path, precision)
    sizes = [(tmp_path / f"onnx/model{n}.onnx").stat().st_size for n in ("", f".{precision}")]
    assert sizes[1] < 0.4 * sizes[0]
    kinds = {t.data_type for t in small.graph.initializer if np.prod(t.dims) > 100}
    assert kinds <= {TensorProto.INT8, TensorProto.UINT8}
    assert source.calibration is not None
    (expected,) = (np.asarray(y) for y in source.call(source.calibration))
    (found,) = _predict(tmp_path / f"onnx/model.{precision}.onnx", *source.calibration)
    np.testing.assert_allclose(found, expected, atol=0.1)
    ordered = np.sort(expected, axis=1)
    sure = ordered[:, -1] - ordered[:, -2] > 0.1
    assert sure.sum() > 10
    assert (found.argmax(1) == expected.argmax(1))[sure].all()


def test_static_ranges_are_those_of_the_calibration_data(tmp_path: Path) -> None:
    start = keras.Input((4,), name="x")
    model = _randomized(keras.Model(start, layers.Dense(64, use_bias=False, name="y")(start)))
    x = np.array([[-2.0, 0.5, 3.0, 1.0], [0, 0, 0, 0]], "float32")
    small = _export(describe(model, "m", calibration=(x,)), tmp_path, "int8-static")
    scales = {
        t.name: float(numpy_helper.to_array(t)) for t in small.graph.initializer
        if t.name.endswith("/scale") and not t.dims
    }  # fmt: skip
    assert scales == {"x/rounded/scale": pytest.approx(5 / 255)}


def test_static_quantisation_asks_for_data_and_for_something_to_quantise() -> None:
    source = replace(_classifier(), calibration=None)
    assert "calibration data expected" in str(FORMAT.refusals(source, "int8-static")[0])
    start = keras.Input((3,))
    source = describe(keras.Model(start, layers.ReLU()(start)), "m")
    source = replace(source, calibration=(np.zeros((2, 3), "float32"),))
    for precision in ("int8", "int8-static"):
        assert "nothing would be smaller" in str(FORMAT.refusals(source, precision)[0])


# Refusals and upstream ------------------------------------------------------------------------


def test_what_onnx_lacks_is_refused_by_layer_before_anything_is_written(tmp_path: Path) -> None:
    start = keras.Input((4, 4), name="x")
    inner = keras.Model(start, keras.ops.cholesky(start), name="inner")
    source = describe(keras.Model(start, inner(start), name="outer"), "m")
    (refusal,) = FORMAT.refusals(source, "float32")
    path = f"outer/inner/{inner.operations[-1].name}"
    assert (refusal.layer, refusal.layer_class) == (path, "Cholesky")
    with pytest.raises(UnsupportedModel, match="ONNX has no operation Cholesky"):
        FORMAT.export(source, "float32", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_picture_is_resized_to_the_size_that_was_asked_for(tmp_path: Path) -> None:
    start = keras.Input((6, 5, 3))
    source = describe(keras.Model(start, layers.Resizing(4, 7)(start)), "m")
    exported = FORMAT.export(source, "float32", tmp_path)
    x = np.random.default_rng(0).random((2, 6, 5, 3), "float32")
    (found,) = _predict(tmp_path / exported.path, x)
    assert found.shape == (2, 4, 7, 3)
    np.testing.assert_allclose(found, source.call([x])[0], atol=1e-6)


def _bare(function: Any, *shape: int | None) -> Any:
    """What tf2onnx makes of a function by itself."""
    from tf2onnx import convert

    spec = tf.TensorSpec(shape, tf.float32, name="x")
    return convert.from_function(tf.function(function), [spec], opset=upstream_tf2onnx.OPSET)[0]


def test_the_own_resize_is_still_needed() -> None:
    model = _bare(lambda x: tf.image.resize(x, (4, 7)), None, 6, 5, 3)
    with pytest.raises(onnx.shape_inference.InferenceError, match="differ in dimension"):
        onnx.checker.check_model(model, full_check=True)


def _rows() -> np.ndarray:
    """As many rows as there are channels, each with a number of its own."""
    return np.arange(4, dtype="float32").reshape(1, 4, 1, 1)


def test_moving_transposes_is_still_wrong_upstream(tmp_path: Path) -> None:
    def add_rows(x: Any) -> Any:
        return tf.nn.conv2d(x, tf.ones((1, 1, 3, 4)), 1, "VALID") + tf.constant(_rows())

    onnx.save(_bare(add_rows, None, 4, 4, 3), tmp_path / "m.onnx")
    (found,) = _predict(tmp_path / "m.onnx", np.zeros((1, 4, 4, 3), "float32"))
    assert not np.array_equal(found, np.broadcast_to(_rows(), (1, 4, 4, 4)))


def test_rows_are_not_taken_for_channels(tmp_path: Path) -> None:
    class AddRows(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return tf.add(inputs, tf.constant(_rows()))

    start = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 1, use_bias=False, kernel_initializer="ones")(start)
    exported = FORMAT.export(describe(keras.Model(start, AddRows()(x)), "m"), "float32", tmp_path)
    (found,) = _predict(tmp_path / exported.path, np.zeros((1, 4, 4, 3), "float32"))
    np.testing.assert_array_equal(found, np.broadcast_to(_rows(), (1, 4, 4, 4)))


def test_a_resizing_that_tf2onnx_would_take_for_another_is_refused() -> None:
    start = keras.Input((None, None, 3))
    made = layers.Resizing(3, 5, interpolation="area", name="smaller")(start)
    (refusal,) = FORMAT.refusals(describe(keras.Model(start, made), "m"), "float32")
    assert (refusal.layer_class, refusal.reason) == (
        "Resizing",
        "operation ResizeArea: tf2onnx takes it for bilinear; give Input fixed sizes",
    )
