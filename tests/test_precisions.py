"""Precisions through the main job: shipped where they hold their gate, left out or refused else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import exporter
from exporter import golden, jobs, recipe, samples
from exporter.errors import BadUsage, ParityFailed, UnsupportedModel
from tests.conftest import tiny_classifier

ROOT = Path(__file__).parent.parent


def lopsided() -> keras.Model:
    """A classifier with one weight so large that 255 steps leave nothing of the others."""
    keras.utils.set_random_seed(5)
    model = keras.Sequential(
        [keras.Input((8,), name="x"), keras.layers.Dense(64, name="first"),
         keras.layers.Dense(4, activation="softmax", name="answer")], name="lopsided",
    )  # fmt: skip
    kernel, bias = model.layers[1].get_weights()
    model.layers[1].set_weights([3 * kernel, bias])
    kernel, bias = model.layers[0].get_weights()
    kernel[:, 0] = 0
    kernel[0, 0] = 60
    model.layers[0].set_weights([kernel, bias])
    kernel, bias = model.layers[1].get_weights()
    kernel[0] = 0
    model.layers[1].set_weights([kernel, bias])
    return model


def test_a_precision_asked_for_by_name_that_fails_its_gate_publishes_nothing(
    tmp_path: Path,
) -> None:
    with pytest.raises(ParityFailed, match=r"tfjs-layers/uint8 on tiny-node .*; nothing was"):
        exporter.export(lopsided(), tmp_path / "m", precisions=["float32", "uint8"])
    assert list(tmp_path.iterdir()) == []


def test_of_all_precisions_those_that_fail_are_left_out_and_told_by_how_much(
    tmp_path: Path,
) -> None:
    manifest = exporter.export(
        lopsided(), tmp_path / "m", formats=["tfjs-layers", "onnx"], precisions=["all"]
    )
    shipped = {artifact.id for artifact in manifest.artifacts}
    assert {"tfjs-layers/float32", "tfjs-layers/uint16", "onnx/float32"} <= shipped
    reasons = {f"{s.format}/{s.precision}": s.reason for s in manifest.skipped}
    assert "top-1 differs on" in reasons["tfjs-layers/uint8"]
    assert "margin 0." in reasons["tfjs-layers/uint8"]
    assert not (tmp_path / "m" / "tfjs" / "layers-uint8").exists()
    assert exporter.verify(tmp_path / "m") == manifest


def test_the_summary_says_which_file_to_ship_and_what_was_left_out(
    run_exporter: Any, tmp_path: Path
) -> None:
    lopsided().save(tmp_path / "m.keras")
    result = run_exporter(
        "export", tmp_path / "m.keras", "-o", tmp_path / "m", "--formats", "tfjs-layers",
        "--precisions", "all",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "ship tfjs-layers/float16: " in result.stdout
    assert re.search(r" gzipped; 0 of \d+ answers differ from Keras'", result.stdout)
    assert "tfjs-layers/uint8" in result.stdout
    assert "left out: " in result.stdout


def test_a_precision_that_no_format_can_write_is_refused(tmp_path: Path) -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.ReLU()(inputs))
    with pytest.raises(UnsupportedModel, match=r"int8 in no format: .*onnx: .*nothing would be"):
        exporter.export(model, tmp_path / "m", precisions=["float32", "int8"])
    with pytest.raises(BadUsage, match="int8: none of tfjs-graph has it"):
        exporter.export(model, tmp_path / "m", formats=["tfjs-graph"], precisions=["int8"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", recipe.names())
def test_every_recipe_ships_the_precisions_of_the_design(name: str) -> None:
    assert recipe.load(name).ships == (
        "keras/float32",
        "tfjs-layers/float32", "tfjs-layers/float16", "tfjs-layers/uint8",
        "tfjs-graph/float32", "tfjs-graph/uint8",
        "onnx/float32", "onnx/float16", "onnx/int8-static",
    )  # fmt: skip


def test_ranges_are_measured_on_the_golden_vectors_and_the_users_own_data(tmp_path: Path) -> None:
    x = np.linspace(-3, 9, 20 * 784, dtype=np.float32).reshape(20, 28, 28)
    np.savez(tmp_path / "own.npz", x=x, y=np.arange(20) % 10)
    jobs_ = [
        jobs.of_model(tiny_classifier(), tmp_path / "m", data=data)
        for data in (None, str(tmp_path / "own.npz"))
    ]
    assert jobs_[0].calibration is None
    described = jobs_[0].source
    vectors = golden.build(described)
    alone = samples.calibrated(described, vectors, None).calibration
    both = samples.calibrated(described, vectors, jobs_[1].calibration).calibration
    assert alone is not None
    assert both is not None
    assert np.abs(alone[0]).max() <= 1
    assert (both[0].min(), both[0].max()) == (-3, 9)
    (rows,) = jobs_[1].samples
    assert (rows.count, rows.labels is not None) == (20, True)


def test_a_recipes_bundle_does_not_depend_on_the_data_that_is_there() -> None:
    job = jobs.of_recipe("mlp-128", ROOT / "models" / "mlp-128")
    assert job.calibration is None
    assert job.required == frozenset(job.wanted)
