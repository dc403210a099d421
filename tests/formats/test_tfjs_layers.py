"""The files of the tfjs-layers format: what they say, what they hold, that they stay the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from exporter import runtimes
from exporter.errors import BadBundle, UnsupportedModel
from exporter.formats import get
from exporter.formats.tfjs_layers import TfjsLayersFormat
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import Engine
from exporter.source import describe
from tests import zoo

FORMAT = TfjsLayersFormat()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with runtimes.get("tfjs-node").start() as started:
        yield started


def _export(name: str, directory: Path, precision: str = "float32") -> tuple[Any, Any]:
    """The exported files of a zoo model, and the document in `model.json`."""
    exported = FORMAT.export(describe(zoo.build(name), "zoo"), precision, directory)
    return exported, json.loads((directory / exported.path).read_text(encoding="utf-8"))


def _layers(document: Any) -> dict[str, Any]:
    config = document["modelTopology"]["model_config"]["config"]
    return {layer["name"]: layer for layer in config["layers"]}


def test_the_table_of_formats_leads_here() -> None:
    assert isinstance(get("tfjs-layers"), TfjsLayersFormat)


def test_files_lie_where_the_bundle_wants_them(tmp_path: Path) -> None:
    for precision, folder in (("float32", "tfjs/layers"), ("uint8", "tfjs/layers-uint8")):
        exported, _ = _export("topology/mlp", tmp_path, precision)
        assert exported.path == f"{folder}/model.json"
        assert exported.files == (f"{folder}/model.json", f"{folder}/group1-shard1of1.bin")
        assert all((tmp_path / file).is_file() for file in exported.files)


def test_float32_weights_are_keras_own_bit_for_bit(tmp_path: Path) -> None:
    model = zoo.build("topology/cnn")
    exported = FORMAT.export(describe(model, "zoo"), "float32", tmp_path)
    stored = FORMAT.weights(tmp_path, exported.path)
    assert set(stored) == {variable.path for variable in model.weights}
    for variable in model.weights:
        np.testing.assert_array_equal(stored[variable.path], np.asarray(variable))


def test_changed_and_quantised_weights_are_left_out_of_the_comparison(tmp_path: Path) -> None:
    exported, _ = _export("GRU/hard-sigmoid", tmp_path / "scaled")
    assert FORMAT.weights(tmp_path / "scaled", exported.path) == {}
    exported, _ = _export("topology/mlp", tmp_path / "quantised", "uint8")
    assert FORMAT.weights(tmp_path / "quantised", exported.path) == {}


@pytest.mark.parametrize("precision", ["float16", "uint16", "uint8"])
def test_a_precision_shrinks_the_shards_and_changes_the_answer_a_little(
    precision: str, tmp_path: Path, engine: Engine
) -> None:
    source = describe(zoo.build("topology/mlp"), "zoo")
    exact = FORMAT.export(source, "float32", tmp_path)
    exported = FORMAT.export(source, precision, tmp_path)
    sizes = [(tmp_path / files.files[1]).stat().st_size for files in (exact, exported)]
    assert sizes[0] == sizes[1] * (4 if precision == "uint8" else 2)
    artifact = Artifact("tfjs-layers", precision, exported.path, measure(tmp_path, exported.files))
    manifest = Manifest("zoo", {}, {}, source.inputs, source.outputs, (artifact,), ())
    (x,) = zoo.inputs(source.model)
    expected = np.asarray(source.call([x])[0])
    (found,) = engine.open(tmp_path, manifest, artifact, "cpu").predict([x])
    difference = np.abs(found - expected).max()
    assert 0 < difference < {"float16": 2e-3, "uint16": 2e-4, "uint8": 3e-2}[precision]


SAME_BYTES = """
import sys, hashlib, pathlib
sys.path[:0] = [{root!r}]
from tests import zoo
from exporter.formats.tfjs_layers import TfjsLayersFormat
from exporter.source import describe
exported = TfjsLayersFormat().export(
    describe(zoo.build({name!r}), "zoo"), "uint8", pathlib.Path({directory!r}))
"""


@pytest.mark.parametrize("name", ["topology/deeply-nested", "mask/concatenate-time"])
def test_the_same_model_gives_the_same_bytes_in_any_process(name: str, tmp_path: Path) -> None:
    _export("topology/siamese", tmp_path / "something else first")
    here = [tmp_path / "first", tmp_path / "second"]
    for directory in here:
        exported, _ = _export(name, directory, "uint8")
    script = SAME_BYTES.format(
        root=str(Path(__file__).parents[2]), name=name, directory=str(tmp_path / "there")
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    for file in exported.files:
        contents = {(directory / file).read_bytes() for directory in (*here, tmp_path / "there")}
        assert len(contents) == 1, file


def test_the_document_names_no_path_host_or_date(tmp_path: Path) -> None:
    _, document = _export("topology/cnn", tmp_path)
    text = json.dumps(document)
    assert str(tmp_path) not in text
    assert not re.search(r"20\d\d-\d\d", text)
    assert document["generatedBy"] == document["convertedBy"] == "keras-web-exporter"
    assert document["format"] == "layers-model"


def test_inputs_and_outputs_bear_keras_names_in_keras_order(tmp_path: Path) -> None:
    _, document = _export("topology/dict-outputs", tmp_path)
    config = document["modelTopology"]["model_config"]["config"]
    assert config["input_layers"] == [["input_layer", 0, 0]]
    assert config["output_layers"] == [["alpha", 0, 0], ["zeta", 0, 0]]
    assert list(document["signature"]["outputs"]) == ["alpha", "zeta"]
    assert document["signature"]["outputs"]["zeta"] == {
        "name": "zeta", "dtype": "float32", "shape": [None, 2],
    }  # fmt: skip


def test_a_name_that_tfjs_does_not_take_is_replaced_and_noted(tmp_path: Path) -> None:
    exported, document = _export("names/non-ascii", tmp_path)
    assert document["signature"]["inputs"]["in größe_層"]["name"] == "in_gro_e__"
    assert "in_gro_e__" in _layers(document)
    assert any(
        note.startswith("input 'in größe_層': called 'in_gro_e__'") for note in exported.notes
    )


def test_layers_of_nested_models_keep_their_place_in_their_names(tmp_path: Path) -> None:
    _, document = _export("topology/sequential-in-functional", tmp_path)
    assert {"encoder/dense_1", "encoder/batch_normalization"} <= set(_layers(document))


def test_a_shared_layer_is_one_layer_with_several_calls(tmp_path: Path) -> None:
    _, document = _export("topology/siamese", tmp_path)
    layers = _layers(document)
    assert [len(layers[name]["inbound_nodes"]) for name in ("encoder/dense", "dot")] == [2, 1]
    weights = [entry["name"] for entry in document["weightsManifest"][0]["weights"]]
    assert weights.count("encoder/dense/kernel") == 1


def test_what_is_rewritten_is_noted(tmp_path: Path) -> None:
    for name, piece in (
        ("Normalization/adapted", "written as two Rescaling layers"),
        ("activation/dense-hard_sigmoid", "layer 'dense': activation hard_sigmoid written"),
        ("LSTM/hard-sigmoid", "times 5/6"),
        ("dtype/mixed-float16", "computed in float32"),
        ("mask/then-none", "layer 'lstm_1': shielded from the masks of other layers"),
    ):
        exported, _ = _export(name, tmp_path / name)
        assert any(piece in note for note in exported.notes), (name, exported.notes)


def test_nothing_is_noted_where_nothing_was_changed(tmp_path: Path) -> None:
    exported, _ = _export("topology/cnn", tmp_path)
    assert exported.notes == ()


def test_a_refused_model_is_an_error_that_names_each_layer_and_writes_nothing(
    tmp_path: Path,
) -> None:
    start = keras.Input((5, 8))
    x = keras.layers.GRU(4, return_sequences=True, name="reader")(start)
    x = keras.layers.UnitNormalization(name="unit")(x)
    model = keras.Model(start, keras.layers.Dense(2)(x))
    source = describe(model, "mine")
    refusals = FORMAT.refusals(source, "float32")
    assert [(r.layer, r.layer_class) for r in refusals] == [
        ("reader", "GRU"), ("unit", "UnitNormalization"),
    ]  # fmt: skip
    assert all("tfjs-graph and onnx can take it" in r.reason for r in refusals)
    with pytest.raises(UnsupportedModel, match=r"'reader' \(GRU\).*'unit' \(UnitNormalization\)"):
        FORMAT.export(source, "float32", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_names_only_formats_that_take_the_model() -> None:
    start = keras.Input((4,))
    model = keras.Model(start, keras.ops.erfinv(keras.layers.Dense(3, name="dense")(start)))
    (reason,) = (r.reason for r in FORMAT.refusals(describe(model, "mine"), "float32"))
    assert reason.endswith("; tfjs-graph and onnx cannot take it either")
    deep = keras.Input((2, 2, 2, 2, 2, 3))
    model = keras.Model(deep, keras.layers.UnitNormalization()(deep))
    (reason,) = (r.reason for r in FORMAT.refusals(describe(model, "mine"), "float32"))
    assert reason.endswith("; onnx can take it")


class Doubled(keras.layers.Dense):
    """A subclass that computes something else."""

    def call(self, inputs: Any, training: Any = None) -> Any:
        return 2 * super().call(inputs)


def test_a_subclass_of_a_known_layer_is_refused_by_name() -> None:
    start = keras.Input((4,))
    source = describe(keras.Model(start, Doubled(3, name="twice")(start)), "mine")
    (refusal,) = FORMAT.refusals(source, "float32")
    assert str(refusal).startswith("layer 'twice' (Doubled): a custom class")


def test_a_subclassed_functional_model_is_refused_not_traced() -> None:
    class Loud(keras.Model):
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            return 2 * super().call(inputs)

    start = keras.Input((4,))
    model = Loud(start, keras.layers.Dense(2)(start), name="loud")
    (refusal,) = FORMAT.refusals(describe(model, "mine"), "float32")
    assert str(refusal).startswith("layer 'loud' (Loud): its call is Python code")


def test_a_layer_inside_a_nested_model_is_refused_by_its_path() -> None:
    inner = keras.Sequential(
        [keras.Input((4,)), keras.layers.UnitNormalization(name="unit")], name="in"
    )
    start = keras.Input((4,))
    (refusal,) = FORMAT.refusals(describe(keras.Model(start, inner(start)), "mine"), "float32")
    assert refusal.layer == "in/unit"


@pytest.mark.parametrize("text", [None, "{", "{}", '{"userDefinedMetadata": {}}'])
def test_a_malformed_model_json_is_a_bad_bundle(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "model.json").write_text(text)
    with pytest.raises(BadBundle, match=r"model\.json"):
        FORMAT.weights(tmp_path, "model.json")
