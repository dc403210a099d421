"""The Keras model as a source: opened safely, described, called flat, rewritten in other floats."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from exporter import retype
from exporter import source as source_module
from exporter.errors import BadModel
from exporter.source import Source, describe, load, save_keras, wire_dtype
from tests import zoo
from tests.conftest import tiny_classifier

ROOT = Path(__file__).parent.parent


def _two_by_two() -> keras.Model:
    """Two inputs of different dtypes, a dict of outputs, a layer with three of them."""
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    extra = keras.Input((5,), name="extra")
    rows = layers.Embedding(11, 6)(tokens)
    last, h, c = layers.LSTM(4, return_state=True, name="lstm")(rows)
    joined = layers.Concatenate()([last, extra])
    answer = layers.Dense(2, activation="sigmoid")(joined)
    return keras.Model({"tokens": tokens, "extra": extra}, {"answer": answer, "states": [h, c]})


def _inputs(source: Source, batch: int = 3) -> list[np.ndarray]:
    generator = np.random.default_rng(1)
    made = []
    for spec, shape in zip(source.inputs, source.shapes, strict=True):
        assert spec.value_range is not None
        values = generator.uniform(*spec.value_range, [n or batch for n in shape])
        made.append(values.astype(spec.dtype))
    return made


def _answers(source: Source, inputs: list[np.ndarray]) -> list[np.ndarray]:
    return [np.asarray(y) for y in source.call(inputs)]


# Describing -----------------------------------------------------------------------------------


def test_inputs_and_outputs_bear_keras_own_names() -> None:
    source = describe(tiny_classifier(), "tiny")
    assert [(s.name, s.shape, s.dtype) for s in source.inputs] == [
        ("pixels", (None, 28, 28), "float32")
    ]
    assert [(s.name, s.shape, s.dtype, s.meaning) for s in source.outputs] == [
        ("probabilities", (None, 10), "float32", "probabilities")
    ]


def test_dict_outputs_are_named_by_their_keys_and_numbered_where_one_name_serves_several() -> None:
    source = describe(_two_by_two(), "two")
    assert [s.name for s in source.inputs] == ["extra", "tokens"]  # as Keras flattens a dict
    assert [s.name for s in source.outputs] == ["answer", "states", "states_1"]
    assert [s.meaning for s in source.outputs] == ["probabilities", "values", "values"]


def test_list_outputs_are_named_by_their_layers() -> None:
    start = keras.Input((3, 2), name="x")
    model = keras.Model(start, [start, *layers.LSTM(4, return_state=True, name="lstm")(start)])
    assert [s.name for s in describe(model, "m").outputs] == ["x_1", "lstm", "lstm_1", "lstm_2"]


@pytest.mark.parametrize(
    ("layer", "dtype", "expected"),
    [
        (lambda: layers.Embedding(11, 2), "int32", (0, 10)),
        (lambda: layers.Embedding(11, 2), "float32", (0, 10)),
        (lambda: layers.CategoryEncoding(7), "int32", (0, 6)),
        (lambda: layers.Rescaling(1 / 255), "float32", (0, 255)),
        (lambda: layers.Rescaling(0.5), "float32", (-1, 1)),
        (lambda: layers.Dense(2), "float32", (-1, 1)),
        (lambda: layers.Discretization([1.0, 3.0]), "float32", (0, 4)),
    ],
)
def test_ranges_of_inputs_follow_from_the_layers_that_read_them(
    layer: Any, dtype: str, expected: tuple[float, float]
) -> None:
    start = keras.Input((4,), dtype=dtype)
    nested = keras.Sequential([keras.Input((4,), dtype=dtype), layers.Reshape((4,)), layer()])
    for model in (keras.Model(start, layer()(start)), keras.Model(start, nested(start))):
        assert describe(model, "m").inputs[0].value_range == expected


def test_dtypes_that_a_browser_lacks_become_the_nearest_and_are_noted() -> None:
    start = keras.Input((4, 4, 3), dtype="uint8", name="picture")
    model = keras.Model(start, layers.Rescaling(1 / 255, dtype="float16", name="scaled")(start))
    source = describe(model, "m")
    assert (source.inputs[0].dtype, source.inputs[0].value_range) == ("int32", (0, 255))
    assert source.outputs[0].dtype == "float32"
    assert source.notes == (
        "input 'picture': int32 instead of uint8",
        "output 'scaled': float32 instead of float16",
    )


def test_text_has_no_dtype_on_the_wire() -> None:
    with pytest.raises(BadModel, match="input 'words': a number or boolean expected, string found"):
        wire_dtype("string", "input 'words'")


def test_a_model_that_was_never_built_is_refused() -> None:
    with pytest.raises(BadModel, match="a built model expected"):
        describe(keras.Sequential([layers.Dense(2)]), "m")


def test_shapes_of_outputs_are_those_that_are_computed() -> None:
    start = keras.Input((8,))
    model = keras.Model(start, layers.Activation("glu")(start))
    assert model.output.shape == (None, 8)  # Keras' own inference
    assert describe(model, "m").outputs[0].shape == (None, 4)


def test_dtypes_of_outputs_are_those_that_are_computed() -> None:
    start = keras.Input((8,), dtype="int32")
    model = keras.Model(start, keras.ops.leaky_relu(start))
    assert model.output.dtype == "int32"  # Keras' own inference
    assert describe(model, "m").outputs[0].dtype == "float32"


def test_free_dimensions_get_a_size_that_the_model_runs_with() -> None:
    start = keras.Input((None, None, 3))
    deep = layers.Conv2D(2, 3, strides=2)(layers.Conv2D(2, 5, strides=2)(start))
    source = describe(keras.Model(start, deep), "m")
    ((batch, height, width, channels),) = source.shapes
    assert (batch, channels) == (None, 3)
    assert source.call([np.zeros((1, height or 0, width or 0, 3), "float32")])[0].shape[1] > 0


def test_no_size_that_runs_is_an_error() -> None:
    start = keras.Input((None,))
    model = keras.Model(start, layers.Reshape((999, 999))(start))
    with pytest.raises(BadModel, match="give its Input fixed sizes"):
        _ = describe(model, "m").shapes


def test_a_subclassed_model_is_described_from_what_it_was_called_on() -> None:
    class Twice(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, inputs: Any) -> Any:
            return {"once": self.dense(inputs), "twice": 2 * self.dense(inputs)}

    model = Twice()
    model(np.zeros((2, 4), "float32"))
    source = describe(model, "twice")
    assert [(s.name, s.shape) for s in source.inputs] == [("inputs", (None, 4))]
    assert [(s.name, s.shape) for s in source.outputs] == [
        ("once", (None, 3)),
        ("twice", (None, 3)),
    ]
    once, twice = _answers(source, _inputs(source))
    np.testing.assert_array_equal(twice, 2 * once)


# Calling --------------------------------------------------------------------------------------


def test_call_gives_flat_answers_in_the_order_of_the_outputs() -> None:
    model = _two_by_two()
    source = describe(model, "two")
    extra, tokens = inputs = _inputs(source)
    expected = model({"tokens": tokens, "extra": extra}, training=False)
    answer, h, c = _answers(source, inputs)
    np.testing.assert_array_equal(answer, expected["answer"])
    np.testing.assert_array_equal(h, expected["states"][0])
    np.testing.assert_array_equal(c, expected["states"][1])


def test_a_stateful_layer_answers_the_same_every_time() -> None:
    start = keras.Input(batch_shape=(2, 3, 4))
    source = describe(keras.Model(start, layers.GRU(5, stateful=True)(start)), "m")
    inputs = _inputs(source)
    (first,), (second,) = _answers(source, inputs), _answers(source, inputs)
    np.testing.assert_array_equal(first, second)


def test_layers_whose_names_tensorflow_refuses_can_be_traced() -> None:
    start = keras.Input((4,), name="my input")
    model = keras.Model(start, layers.Dense(2, name="größe: 2")(start), name="a model")
    source = describe(model, "m")
    concrete, scopes = source.concrete
    assert [s.name for s in source.outputs] == ["größe: 2"]
    assert ("a model/größe: 2", "Dense") in scopes.values()
    assert concrete.outputs[0].shape == (None, 2)


# The oracle and other floats -----------------------------------------------------------------


def test_the_oracle_is_the_same_model_in_float64() -> None:
    source = describe(_two_by_two(), "two")
    assert source.oracle is not None
    assert source.oracle_missing is None
    inputs = _inputs(source)
    for exact, rounded in zip(
        _answers(source.oracle, inputs), _answers(source, inputs), strict=True
    ):
        assert exact.dtype == np.float64
        np.testing.assert_allclose(rounded, exact, atol=1e-6)
        assert np.abs(rounded - exact).max() > 0  # or it was computed in float32 after all


def test_the_oracle_keeps_adapted_statistics_and_shared_layers() -> None:
    normalize = layers.Normalization()
    normalize.adapt(np.random.default_rng(0).normal(3, 2, (50, 4)).astype("float32"))
    shared = keras.Sequential([keras.Input((4,)), layers.Dense(4, name="dense")])
    start = keras.Input((4,))
    model = keras.Model(start, shared(shared(normalize(start))))
    source = describe(model, "m")
    assert source.oracle is not None
    inputs = _inputs(source)
    (exact,), (rounded,) = _answers(source.oracle, inputs), _answers(source, inputs)
    np.testing.assert_allclose(rounded, exact, atol=1e-5)


_BORROWED = (
    "Dense/lora", "Conv2D/same", "SeparableConv2D/plain", "Conv2DTranspose/same-strided",
    "BatchNormalization/plain", "LayerNormalization/plain", "Embedding/plain", "LSTM/sequences",
    "GRU/reset-after", "Bidirectional/masked", "MultiHeadAttention/causal", "EinsumDense/plain",
    "Normalization/adapted", "topology/shared-in-chain", "dtype/mixed-float16",
)  # fmt: skip


@pytest.mark.parametrize("name", _BORROWED)
def test_an_oracle_that_borrows_its_weights_is_bit_for_bit_the_one_that_copies_them(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retype, "_PART", 0)  # every weight is a large one
    model = zoo.build(name)
    copying = describe(model, "m").oracle
    monkeypatch.setattr(source_module, "BORROWING", 0)
    borrowing = describe(model, "m").oracle
    assert copying is not None
    assert borrowing is not None
    assert any(variable._value is None for variable in borrowing.model.variables)
    arrays = zoo.inputs(model)
    for mine, other in zip(_answers(copying, arrays), _answers(borrowing, arrays), strict=True):
        assert mine.dtype == other.dtype
        assert mine.tobytes() == other.tobytes()


def test_a_borrowed_weight_stays_borrowed_after_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retype, "_PART", 0)
    monkeypatch.setattr(source_module, "BORROWING", 0)
    source = describe(_two_by_two(), "two")
    assert source.oracle is not None
    with keras.StatelessScope():  # Keras fills what waits when it leaves its outermost scope
        pass
    before = _answers(source.oracle, _inputs(source))
    assert all(v._value is None for v in source.oracle.model.trainable_variables)
    for variable in source.model.trainable_variables:
        variable.assign(2 * variable.value)
    after = _answers(source.oracle, _inputs(source))
    assert any((a != b).any() for a, b in zip(before, after, strict=True))


def test_a_big_model_whose_layers_borrow_nothing_has_an_oracle_that_copies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(source_module, "BORROWING", 0)

    @keras.saving.register_keras_serializable("test_source")
    class Filled(layers.Layer):
        def build(self, shape: Any) -> None:
            self.scale = keras.Variable(np.full(shape[-1], 3.0))  # by value: cannot be deferred
            self.built = True

        def call(self, inputs: Any) -> Any:
            return inputs * self.scale

    start = keras.Input((2,))
    source = describe(keras.Model(start, layers.Dense(2)(Filled()(start))), "m")
    assert source.oracle is not None
    assert all(variable._value is not None for variable in source.oracle.model.variables)


def test_keras_own_float_type_is_as_before_after_an_oracle() -> None:
    source = describe(tiny_classifier(), "tiny")
    assert source.oracle is not None
    source.oracle.call(_inputs(source))
    assert keras.config.floatx() == "float32"
    assert keras.config.dtype_policy().name == "float32"


def test_where_there_is_no_oracle_the_reason_is_told() -> None:
    @keras.saving.register_keras_serializable("test_source")
    class Stubborn(layers.Layer):
        def call(self, inputs: Any) -> Any:
            if inputs.dtype != "float32":
                raise ValueError("float32 only")
            return inputs

    start = keras.Input((2,))
    source = describe(keras.Model(start, Stubborn()(start)), "m")
    assert source.oracle is None
    assert "no float64 oracle: ValueError: Stubborn.call()" in (source.oracle_missing or "")


def test_an_oracle_that_does_not_run_is_none() -> None:
    start = keras.Input((4, 4, 4, 1))
    source = describe(keras.Model(start, layers.MaxPooling3D()(start)), "m")
    assert source.oracle is None  # TensorFlow has that kernel in float32 only
    assert "no float64 oracle: it does not run" in (source.oracle_missing or "")


def test_a_mixed_precision_model_is_exported_in_float32_with_the_same_weights() -> None:
    start = keras.Input((6,))
    hidden = layers.Dense(8, dtype="mixed_float16")(start)
    model = keras.Model(start, layers.Dense(2, dtype="bfloat16")(hidden))
    source = describe(model, "m")
    full = source.float32
    assert full is not source
    assert full.notes[-1] == "computed in float32 instead of bfloat16, mixed_float16"
    inputs = _inputs(source)
    (rough,), (exact,) = _answers(source, inputs), _answers(full, inputs)
    np.testing.assert_allclose(rough, exact, atol=0.05)
    for old, new in zip(source.model.variables, full.model.variables, strict=True):
        np.testing.assert_array_equal(np.asarray(old.value, "float32"), new)


def test_a_float32_model_is_its_own_float32_form() -> None:
    source = describe(tiny_classifier(), "tiny")
    assert source.float32 is source


# Files ----------------------------------------------------------------------------------------


def test_the_same_model_gives_the_same_bytes_with_and_without_an_optimizer(tmp_path: Path) -> None:
    model = tiny_classifier()
    save_keras(model, tmp_path / "bare.keras")
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    save_keras(model, tmp_path / "compiled.keras")
    assert (tmp_path / "bare.keras").read_bytes() == (tmp_path / "compiled.keras").read_bytes()
    with zipfile.ZipFile(tmp_path / "bare.keras") as archive:
        assert b"date" not in archive.read("metadata.json")
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


def test_the_bytes_are_the_same_in_another_process_and_after_loading(tmp_path: Path) -> None:
    keras.utils.clear_session()
    save_keras(tiny_classifier(), tmp_path / "here.keras")
    code = (
        "import sys; from pathlib import Path; from exporter.source import save_keras; "
        "from tests.conftest import tiny_classifier; "
        "save_keras(tiny_classifier(), Path(sys.argv[1]))"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "there.keras"], check=True, cwd=ROOT)
    save_keras(load(tmp_path / "here.keras"), tmp_path / "again.keras")
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.iterdir()}
    assert len(digests) == 1


def test_what_was_written_can_be_loaded_and_answers_the_same(tmp_path: Path) -> None:
    model = _two_by_two()
    save_keras(model, tmp_path / "two.keras")
    first, second = describe(model, "two"), describe(load(tmp_path / "two.keras"), "two")
    assert (first.inputs, first.outputs) == (second.inputs, second.outputs)
    inputs = _inputs(first)
    for x, y in zip(_answers(first, inputs), _answers(second, inputs), strict=True):
        np.testing.assert_array_equal(x, y)


def test_hdf5_files_are_read(tmp_path: Path) -> None:
    model = tiny_classifier()
    model.save(tmp_path / "tiny.h5")
    loaded = load(tmp_path / "tiny.h5")
    for old, new in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(old, new)


def _lambda(path: Path) -> Path:
    keras.Sequential([keras.Input((3,)), layers.Lambda(lambda x: x + 1)]).save(path)
    return path


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_code_in_a_file_is_run_only_where_the_user_trusts_it(tmp_path: Path, ending: str) -> None:
    path = _lambda(tmp_path / f"code{ending}")
    with pytest.raises(BadModel, match=r"it carries Python code .* give --unsafe") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert load(path, unsafe=True).count_params() == 0


class LambdaRank(layers.Layer):
    """A custom layer whose name is none of a Lambda layer."""

    def call(self, inputs: Any) -> Any:
        return inputs


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_custom_layer_called_lambda_something_is_no_code_in_the_file(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"rank{ending}"
    keras.Sequential([keras.Input((3,)), LambdaRank(name="lambda")]).save(path)
    with pytest.raises(BadModel, match=r"'LambdaRank' is not Keras' own; .*--custom-objects"):
        load(path)


def test_a_vocabulary_outside_of_the_file_is_told_from_code(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("3\n5\n")
    words = str(tmp_path / "words.txt")
    model = keras.Sequential([keras.Input((3,)), layers.StringLookup(vocabulary=words)])
    model.save(tmp_path / "words.keras")
    config = _config_of(tmp_path / "words.keras")
    config["config"]["layers"][1]["config"]["vocabulary"] = words
    _replace_config(tmp_path / "words.keras", config)
    with pytest.raises(BadModel, match=r"it reads another file on loading .* give --unsafe"):
        load(tmp_path / "words.keras")


def _config_of(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def _replace_config(path: Path, config: Any) -> None:
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, contents in members.items():
            archive.writestr(name, json.dumps(config) if name == "config.json" else contents)


class Doubling(layers.Layer):
    """A custom layer that no registry knows."""

    def call(self, inputs: Any) -> Any:
        return 2 * inputs


def test_a_custom_layer_is_named_and_can_be_given(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((3,)), Doubling()]).save(tmp_path / "custom.keras")
    with pytest.raises(BadModel, match=r"class 'Doubling' is not Keras' own; .*--custom-objects"):
        load(tmp_path / "custom.keras")
    model = load(tmp_path / "custom.keras", custom_objects={"Doubling": Doubling})
    source = describe(model, "m", custom_objects={"Doubling": Doubling})
    assert source.oracle is not None


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("none.keras", None, "no such file"),
        ("empty.keras", b"", "a zip archive written by Keras 3 expected, something else found"),
        ("cut.keras", "cut", "a zip archive written by Keras 3 expected"),
        ("other.keras", "zip", "not a model that Keras can load"),
        ("other.h5", b"hello", "an HDF5 file written by Keras expected, something else found"),
        ("zip.h5", "zip", r"a zip \(rename it to .keras\) found"),
        ("hdf5.keras", b"\x89HDF\r\n\x1a\n", r"an HDF5 file \(rename it to .h5\) found"),
        ("model.bin", b"hello", "a name that ends in .keras or .h5 expected, '.bin' found"),
    ],
)
def test_what_is_no_model_is_said_in_one_line(
    tmp_path: Path, name: str, contents: bytes | str | None, message: str
) -> None:
    path = tmp_path / name
    if contents == "cut":
        save_keras(tiny_classifier(), path)
        path.write_bytes(path.read_bytes()[:3000])
    elif contents == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", '{"class_name": "Nothing"}')
    elif isinstance(contents, bytes):
        path.write_bytes(contents)
    with pytest.raises(BadModel, match=message) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_weights_without_a_model_are_told_from_a_model(tmp_path: Path) -> None:
    tiny_classifier().save_weights(tmp_path / "tiny.weights.h5")
    with pytest.raises(BadModel, match="weights without a model found"):
        load(tmp_path / "tiny.weights.h5")


def test_a_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match="a folder found"):
        load(tmp_path)
