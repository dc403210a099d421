"""Keras as a runtime: the reference, and the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter import runtimes, source
from exporter.errors import BadUsage
from exporter.manifest import Artifact, Manifest, measure


@pytest.fixture
def bundle(tmp_path: Path) -> tuple[Path, Manifest, Artifact]:
    import keras

    keras.utils.clear_session()
    model = keras.Sequential([keras.Input((3,), name="x"), keras.layers.Dense(2, name="dense")])
    third = np.full((3, 2), 1 / 3, "float32")
    model.layers[-1].set_weights([third, np.zeros(2, "float32")])
    (tmp_path / "keras").mkdir()
    model.save(tmp_path / "keras" / "model.keras")
    described = source.describe(model, "thirds")
    path = "keras/model.keras"
    artifact = Artifact("keras", "float32", path, measure(tmp_path, [path]))
    manifest = Manifest(
        name="thirds", created_by={}, source={}, inputs=described.inputs,
        outputs=described.outputs, artifacts=(artifact,), files=(),
    )  # fmt: skip
    return tmp_path, manifest, artifact


def test_float32_answers_in_float32_and_float64_in_float64(
    bundle: tuple[Path, Manifest, Artifact],
) -> None:
    x = np.array([[1e8, 1, -1e8]], np.float32)
    third = float(np.float32(1 / 3))
    with runtimes.get("keras").start() as engine:
        single = engine.open(*bundle, "float32")
        double = engine.open(*bundle, "float64")
        assert single.ran_on.endswith("float32")
        assert double.ran_on.endswith("float64")
        (reference,) = single.predict([x])
        (oracle,) = double.predict([x])
    assert reference.dtype == np.float32
    assert oracle.dtype == np.float64
    # In float32 the one is lost beside 1e8.
    np.testing.assert_allclose(oracle, third, rtol=1e-6)
    assert np.abs(reference - third).max() > 0.1


def test_an_unknown_backend_is_bad_usage(bundle: tuple[Path, Manifest, Artifact]) -> None:
    with runtimes.get("keras").start() as engine:
        with pytest.raises(BadUsage, match="known backends: float32, float64"):
            engine.open(*bundle, "float16")
