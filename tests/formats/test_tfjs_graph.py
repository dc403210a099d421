"""TF.js graph models: the files, their names, their bytes; what is refused before anything is."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from exporter.errors import PackageMissing, UnsupportedModel
from exporter.formats import tfjs_operations, upstream_tensorflowjs
from exporter.formats.tfjs_graph import TfjsGraphFormat
from exporter.source import Source, describe
from tests.conftest import tiny_classifier

ROOT = Path(__file__).parent.parent.parent
FORMAT = TfjsGraphFormat()


def _document(directory: Path, path: str = "tfjs/graph/model.json") -> dict[str, Any]:
    document: dict[str, Any] = json.loads((directory / path).read_text())
    return document


def _operations(directory: Path) -> list[str]:
    return [node["op"] for node in _document(directory)["modelTopology"]["node"]]


def _two_by_two() -> Source:
    a, b = keras.Input((3,), name="zeta"), keras.Input((3,), dtype="int32", name="alpha")
    total = layers.Add(name="total")([a, layers.Rescaling(0.5)(b)])
    return describe(keras.Model([a, b], [total, layers.Dense(2, name="dense")(total)]), "two")


# Names and order ------------------------------------------------------------------------------


def test_the_signature_is_keras_own_in_keras_order(tmp_path: Path) -> None:
    FORMAT.export(_two_by_two(), "float32", tmp_path)
    signature = _document(tmp_path)["signature"]
    assert [(name, i["dtype"], i["tensorShape"]) for name, i in signature["inputs"].items()] == [
        ("zeta", "DT_FLOAT", {"dim": [{"size": "-1"}, {"size": "3"}]}),
        ("alpha", "DT_INT32", {"dim": [{"size": "-1"}, {"size": "3"}]}),
    ]
    assert list(signature["outputs"]) == ["total", "dense"]
    nodes = {node["name"]: node["op"] for node in _document(tmp_path)["modelTopology"]["node"]}
    assert nodes["zeta"] == nodes["alpha"] == "Placeholder"
    assert nodes["total"] == nodes["dense"] == "Identity"


def test_names_that_tfjs_cannot_parse_stay_in_the_signature(tmp_path: Path) -> None:
    start = keras.Input((2,), name="ein: gabe")
    model = keras.Model(start, layers.Dense(2, name="größe")(start))
    FORMAT.export(describe(model, "m"), "float32", tmp_path)
    signature = _document(tmp_path)["signature"]
    assert signature["inputs"]["ein: gabe"]["name"] == "ein_ gabe:0"
    assert signature["outputs"]["größe"]["name"] == "größe:0"


def test_one_tensor_under_two_names_and_an_input_as_output_are_nodes_of_their_own(
    tmp_path: Path,
) -> None:
    start = keras.Input((2,), name="x")
    twice = layers.Dense(2, name="twice")(start)
    model = keras.Model(start, {"a": twice, "b": twice, "c": start})
    FORMAT.export(describe(model, "m"), "float32", tmp_path)
    outputs = _document(tmp_path)["signature"]["outputs"]
    assert [outputs[name]["name"] for name in "abc"] == ["a:0", "b:0", "c:0"]


def test_an_unused_input_stays(tmp_path: Path) -> None:
    used, unused = keras.Input((2,), name="used"), keras.Input((2,), name="unused")
    model = keras.Model([used, unused], layers.Dense(1)(used))
    FORMAT.export(describe(model, "m"), "float32", tmp_path)
    names = [node["name"] for node in _document(tmp_path)["modelTopology"]["node"]]
    assert {"used", "unused"} <= set(names)


# Bytes ----------------------------------------------------------------------------------------


def _bytes(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory / "tfjs/graph").iterdir()}


def test_the_bytes_are_the_same_twice_and_in_another_process(tmp_path: Path) -> None:
    code = (
        "import sys, keras; from pathlib import Path; from exporter.source import describe; "
        "from exporter.formats.tfjs_graph import TfjsGraphFormat; "
        "from tests.conftest import tiny_classifier; "
        "source = describe(tiny_classifier(), 'tiny'); "
        "TfjsGraphFormat().export(source, 'float32', Path(sys.argv[1]))"
    )
    keras.utils.clear_session()
    for name in ("once", "twice"):
        FORMAT.export(describe(tiny_classifier(), "tiny"), "float32", tmp_path / name)
    for name in ("there", "again"):
        subprocess.run([sys.executable, "-c", code, tmp_path / name], check=True, cwd=ROOT)
    first, *others = [_bytes(tmp_path / name) for name in ("once", "twice", "there", "again")]
    assert others == [first, first, first]


def test_nothing_in_the_files_says_where_they_were_made(tmp_path: Path) -> None:
    FORMAT.export(describe(tiny_classifier(), "tiny"), "float32", tmp_path)
    text = (tmp_path / "tfjs/graph/model.json").read_text()
    assert str(tmp_path) not in text
    assert "device" not in text
    assert "_output_shapes" not in text


# Weights --------------------------------------------------------------------------------------


def test_weights_are_keras_own_bit_for_bit(tmp_path: Path) -> None:
    model = tiny_classifier()
    for variable in model.variables:  # zeros would be optimised away
        variable.assign(np.random.default_rng(1).normal(0, 1, variable.shape))
    exported = FORMAT.export(describe(model, "tiny"), "float32", tmp_path)
    found = FORMAT.weights(tmp_path, exported.path)
    assert sorted(found) == sorted(v.path for v in model.variables)
    for variable in model.variables:
        np.testing.assert_array_equal(found[variable.path], variable)


def test_two_variables_with_one_path_are_left_out(tmp_path: Path) -> None:
    # Keras gives the two layers one path once the model was saved and loaded.
    def branch() -> keras.Model:
        return keras.Sequential([keras.Input((2,)), layers.Dense(2, name="same")], name=None)

    start = keras.Input((2,))
    model = keras.Model(start, branch()(branch()(start)))
    for variable in model.variables:
        variable._path = "same/" + variable.name
        variable.assign(np.random.default_rng(len(variable.shape)).normal(0, 1, variable.shape))
    exported = FORMAT.export(describe(model, "m"), "float32", tmp_path)
    assert FORMAT.weights(tmp_path, exported.path) == {}


@pytest.mark.parametrize(("precision", "bytes_each"), [("float16", 2), ("uint16", 2), ("uint8", 1)])
def test_smaller_precisions_store_matrices_small_and_vectors_exactly(
    precision: str, bytes_each: int, tmp_path: Path
) -> None:
    model = tiny_classifier()
    for variable in model.variables:
        variable.assign(np.random.default_rng(1).normal(0, 1, variable.shape))
    exported = FORMAT.export(describe(model, "tiny"), precision, tmp_path)
    assert exported.path == f"tfjs/graph-{precision}/model.json"
    (group,) = _document(tmp_path, exported.path)["weightsManifest"]
    small = {w["name"] for w in group["weights"] if "quantization" in w}
    assert small == {"tiny/hidden/kernel", "tiny/probabilities/kernel"}
    shards = sum((tmp_path / path).stat().st_size for path in exported.files if ".bin" in path)
    assert shards < (784 * 16 + 16 * 10) * bytes_each + 200
    assert set(FORMAT.weights(tmp_path, exported.path)) == {
        "tiny/hidden/bias", "tiny/probabilities/bias",
    }  # fmt: skip


# The graph ------------------------------------------------------------------------------------


def test_bias_and_activation_are_fused_where_tfjs_can(tmp_path: Path) -> None:
    start = keras.Input((4,))
    x = start
    for activation in ("relu", "tanh", "sigmoid", "gelu"):
        x = layers.Dense(4, activation=activation, bias_initializer="ones")(x)
    FORMAT.export(describe(keras.Model(start, x), "m"), "float32", tmp_path)
    nodes = _document(tmp_path)["modelTopology"]["node"]
    fused = [n["attr"]["fused_ops"]["list"]["s"] for n in nodes if n["op"] == "_FusedMatMul"]
    bias, relu, sigmoid = "Qmlhc0FkZA==", "UmVsdQ==", "U2lnbW9pZA=="  # base64, as TF.js wants it
    assert fused == [[bias, relu], [bias], [bias, sigmoid], [bias]]
    assert "Tanh" in _operations(tmp_path)


def test_sizes_that_are_known_are_not_computed(tmp_path: Path) -> None:
    start = keras.Input((6, 6, 2))
    x = layers.Flatten()(layers.Reshape((3, 12, 2))(start))
    FORMAT.export(describe(keras.Model(start, x), "m"), "float32", tmp_path)
    assert "Shape" not in _operations(tmp_path)


def test_batch_normalisation_is_two_operations_with_folded_constants(tmp_path: Path) -> None:
    start = keras.Input((5,))
    normalize = layers.BatchNormalization()
    model = keras.Model(start, normalize(start))
    for variable in normalize.variables:
        variable.assign(np.random.default_rng(1).uniform(0.5, 2, variable.shape))
    FORMAT.export(describe(model, "m"), "float32", tmp_path)
    operations = [op for op in _operations(tmp_path) if op not in ("Const", "Placeholder")]
    assert operations == ["Mul", "AddV2", "Identity"]


@pytest.mark.parametrize("layer", ["LSTM", "GRU", "SimpleRNN"])
def test_recurrent_layers_are_unrolled_and_loops_are_noted(layer: str, tmp_path: Path) -> None:
    for length, notes in ((6, ()), (None, ("has a loop: call executeAsync instead of predict",))):
        start = keras.Input((length, 3))
        model = keras.Model(start, getattr(layers, layer)(4)(start))
        assert FORMAT.export(describe(model, "m"), "float32", tmp_path / layer).notes == notes
        assert ("LoopCond" in _operations(tmp_path / layer)) == (length is None)


# Refusals -------------------------------------------------------------------------------------


def test_what_tfjs_lacks_is_refused_by_layer_before_anything_is_written(tmp_path: Path) -> None:
    start = keras.Input((4, 4), name="x")
    inner = keras.Model(start, keras.ops.cholesky(start), name="inner")
    source = describe(keras.Model(start, inner(start), name="outer"), "m")
    (refusal,) = FORMAT.refusals(source, "float32")
    path = f"outer/inner/{inner.operations[-1].name}"
    assert (refusal.layer, refusal.layer_class) == (path, "Cholesky")
    assert "TF.js has no operation Cholesky" in refusal.reason
    with pytest.raises(UnsupportedModel, match=r"layer 'outer/inner/"):
        FORMAT.export(source, "float32", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_tensors_of_more_axes_than_tfjs_has_are_refused() -> None:
    start = keras.Input((64,))
    model = keras.Model(start, layers.Reshape((2, 2, 2, 2, 2, 2))(start))
    assert "up to 6 axes, this has 7" in str(FORMAT.refusals(describe(model, "m"), "float32")[0])


def test_a_model_that_cannot_be_traced_is_refused() -> None:
    class Odd(layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs if float(np.asarray(inputs).sum()) > 0 else -inputs

        def compute_output_spec(self, inputs: Any) -> Any:
            return keras.KerasTensor(inputs.shape, inputs.dtype)

    start = keras.Input((2,))
    (refusal,) = FORMAT.refusals(describe(keras.Model(start, Odd()(start)), "m"), "float32")
    assert "it cannot be traced" in refusal.reason


def test_excluded_operations_are_those_that_tfjs_knows_and_cannot_run() -> None:
    assert set(tfjs_operations.EXCLUDED) <= upstream_tensorflowjs.supported_operations()


# Upstream -------------------------------------------------------------------------------------


def test_without_tensorflowjs_the_remedy_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(upstream_tensorflowjs, "version", absent)
    assert "pip install --no-deps tensorflowjs==4.22.0" in (FORMAT.missing() or "")
    with pytest.raises(PackageMissing, match=r"pip install --no-deps tensorflowjs==4\.22\.0"):
        upstream_tensorflowjs.converter()


@pytest.mark.parametrize("name", upstream_tensorflowjs.STAND_INS)
def test_each_stand_in_is_still_needed(name: str) -> None:
    others = [other for other in upstream_tensorflowjs.STAND_INS if other != name]
    code = (
        f"import sys; from exporter.formats import upstream_tensorflowjs as u; "
        f"u.STAND_INS = {tuple(others)!r}; u.converter()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode != 0, f"{name} imports by now: take its stand-in away"
    assert "Error" in done.stderr


@pytest.mark.parametrize(("slow", "imported"), [(upstream_tensorflowjs.SLOW, False), ((), True)])
def test_keras_2_is_imported_only_where_nothing_stands_in_for_it(
    slow: tuple[str, ...], imported: bool
) -> None:
    code = (
        "import sys; from exporter.formats import upstream_tensorflowjs as u; "
        f"u.SLOW = {slow!r}; u.converter(); print('tf_keras.src' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == str(imported)


def test_no_stand_in_is_left_behind() -> None:
    code = (
        "import sys; from exporter.formats import upstream_tensorflowjs as u; u.converter(); "
        "print([name for name in u.STAND_INS + u.SLOW if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"
