"""The Keras artefact: the source model itself."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest

from exporter.errors import BadModel
from exporter.formats.keras import KerasFormat
from exporter.keras_file import trusting
from exporter.source import describe, load
from tests.conftest import tiny_classifier


def test_the_artefact_is_the_model(tmp_path: Path) -> None:
    model = tiny_classifier()
    exported = KerasFormat().export(describe(model, "tiny"), "float32", tmp_path)
    assert exported.path == "keras/model.keras"
    assert exported.files == ("keras/model.keras",)
    loaded = load(tmp_path / exported.path)
    x = np.random.default_rng(0).random((3, 28, 28), "float32")
    np.testing.assert_array_equal(loaded(x), model(x))


def test_its_weights_are_read_back_by_path(tmp_path: Path) -> None:
    format = KerasFormat()
    format.export(describe(tiny_classifier(), "tiny"), "float32", tmp_path)
    model = load(tmp_path / "keras/model.keras")
    found = format.weights(tmp_path, "keras/model.keras")
    assert sorted(found) == sorted(v.path for v in model.variables)
    for variable in model.variables:
        np.testing.assert_array_equal(found[variable.path], variable)


def test_code_in_it_is_run_only_where_that_was_agreed(tmp_path: Path) -> None:
    start = keras.Input((4,))
    model = keras.Model(start, keras.layers.Lambda(lambda x: x + 1)(keras.layers.Dense(2)(start)))
    path = KerasFormat().export(describe(model, "m"), "float32", tmp_path).path
    with pytest.raises(BadModel, match="unsafe"):
        KerasFormat().weights(tmp_path, path)
    with trusting({}, unsafe=True):
        assert len(KerasFormat().weights(tmp_path, path)) == 2


def test_it_is_written_in_the_models_own_precision(tmp_path: Path) -> None:
    start = keras.Input((4,))
    model = keras.Model(start, keras.layers.Dense(2, dtype="mixed_float16")(start))
    KerasFormat().export(describe(model, "m"), "float32", tmp_path)
    assert load(tmp_path / "keras/model.keras").layers[1].compute_dtype == "float16"
