"""Models as people have them, from file to bundle through the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

import exporter
from exporter.errors import BadModel, UnsupportedModel
from exporter.source import describe

WEB = {"tfjs-layers", "tfjs-graph", "onnx"}


def _two_inputs() -> keras.Model:
    """Words and numbers in, a dict out; names that graphs and files do not like."""
    words = keras.Input((6,), dtype="int32", name="die wörter")
    numbers = keras.Input((3,), name="numbers:0")
    x = layers.Embedding(20, 4, mask_zero=True, name="words.table")(words)
    x = layers.Bidirectional(layers.LSTM(3), name="both ways")(x)
    x = layers.Concatenate()([x, numbers])
    outputs = {
        "top class": layers.Dense(4, activation="softmax", name="a b")(x),
        "z": layers.Dense(1, name="größe")(x),
    }
    return keras.Model([words, numbers], outputs, name="mein modell")


def _line(result: Any) -> str:
    (line,) = result.stderr.strip().splitlines()
    return str(line)


@pytest.mark.parametrize("ending", [".keras", ".h5"])
def test_a_file_of_several_inputs_and_outputs_becomes_a_bundle_of_all_formats(
    run_exporter: Any, tmp_path: Path, ending: str
) -> None:
    model = _two_inputs()
    model.save(tmp_path / f"mine{ending}")
    result = run_exporter("export", tmp_path / f"mine{ending}", "-o", tmp_path / "bundle")
    assert result.exit_code == 0, result.output
    manifest = exporter.verify(tmp_path / "bundle")
    assert {artifact.format for artifact in manifest.artifacts} > WEB, manifest.skipped
    assert [spec.name for spec in manifest.inputs] == ["die wörter", "numbers:0"]
    assert [spec.name for spec in manifest.outputs] == ["top class", "z"]
    words = np.array([[3, 5, 19, 1, 0, 0], [1, 2, 0, 0, 0, 0]], "int32")
    numbers = np.array([[0.5, -1, 2], [0, 1, 0]], "float32")
    expected = keras.tree.flatten(model([words, numbers]))
    found = exporter.load(tmp_path / "bundle").predict([words, numbers])
    for y, x in zip(_flat(found), expected, strict=True):
        np.testing.assert_allclose(y, x, atol=1e-6)


def _flat(answer: Any) -> list[np.ndarray]:
    return list(keras.tree.flatten(answer))


def test_a_layer_that_a_format_lacks_is_refused_in_one_line(
    run_exporter: Any, tmp_path: Path
) -> None:
    start = keras.Input((5, 8), name="rows")
    model = keras.Model(start, layers.MultiHeadAttention(2, 4, name="look")(start, start))
    model.save(tmp_path / "mine.keras")
    arguments = ("export", tmp_path / "mine.keras", "-o", tmp_path / "b", "--formats")
    result = run_exporter(*arguments, "tfjs-layers")
    assert result.exit_code == 1
    assert "layer 'look' (MultiHeadAttention): TF.js Layers has no such layer" in _line(result)
    assert "tfjs-graph and onnx can take it" in _line(result)
    assert not (tmp_path / "b").exists()


def test_what_no_format_can_take_is_refused_with_each_reason(tmp_path: Path) -> None:
    start = keras.Input((4,), dtype="int32")
    model = keras.Model(start, layers.Hashing(5, name="hashed")(start))
    with pytest.raises(UnsupportedModel, match="no format for the web is left") as caught:
        exporter.export(model, tmp_path / "b")
    for format in WEB:
        assert f"{format}/float32: layer" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_custom_layer_is_asked_for_and_taken_from_a_module(
    run_exporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shop_layers.py").write_text(
        "import keras\n\n\nclass Counter(keras.layers.Layer):\n"
        "    def call(self, x):\n        return keras.ops.tanh(x) * 2.0\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import shop_layers  # type: ignore[import-not-found]

    model = keras.Sequential([keras.Input((4,)), shop_layers.Counter(name="till")])
    model.save(tmp_path / "mine.keras")
    arguments = ("export", tmp_path / "mine.keras", "-o", tmp_path / "b")
    refused = run_exporter(*arguments)
    assert refused.exit_code == 2
    assert "class 'Counter' is not Keras' own; give it with --custom-objects" in _line(refused)
    taken = run_exporter(*arguments, "--custom-objects", "shop_layers:Counter", "--json")
    assert taken.exit_code == 0, taken.output
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert {a["format"] for a in manifest["artifacts"]} == {"keras", "tfjs-graph", "onnx"}
    (skipped,) = manifest["skipped"]
    assert "layer 'till' (Counter): a custom class" in skipped["reason"]


def test_what_the_manifest_says_of_half_precision(tmp_path: Path) -> None:
    start = keras.Input((8,), name="x")
    x = layers.Dense(6, activation="relu", dtype="mixed_float16")(start)
    model = keras.Model(start, layers.Dense(2, activation="softmax", dtype="float32")(x))
    manifest = exporter.export(model, tmp_path / "b", formats=["tfjs-layers", "onnx"])
    for artifact in manifest.artifacts:
        if artifact.format != "keras":
            assert "computed in float32 instead of mixed_float16" in artifact.notes


def test_a_model_that_has_no_float64_form_is_judged_by_keras_alone(tmp_path: Path) -> None:
    """TensorFlow pools volumes in float32 only."""
    start = keras.Input((4, 4, 4, 2), name="volume")
    model = keras.Model(start, layers.Dense(3)(layers.AveragePooling3D(2)(start)))
    manifest = exporter.export(model, tmp_path / "b")
    assert "no float64 oracle" in manifest.source["oracle"]
    assert {artifact.format for artifact in manifest.artifacts} > WEB, manifest.skipped
    assert exporter.compare(tmp_path / "b", ["keras", "onnxruntime"]).failed == ()


def test_a_model_whose_answer_is_symbolic_is_told_as_such() -> None:
    start = keras.Input((4,), name="x")
    chosen = keras.ops.cond(keras.ops.mean(start) > 0, lambda: start * 2, lambda: start)
    source = describe(keras.Model(start, chosen), "m")
    with pytest.raises(BadModel, match="its call gives a symbolic tensor instead of numbers"):
        source.call([np.zeros((1, 4), "float32")])
