"""What every format in the table keeps: it writes what it says, the same each time, or refuses."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

import exporter
from exporter import formats
from exporter.errors import UnsupportedModel
from exporter.source import Source, describe, load, save_keras
from tests import zoo

# Model -> the formats that refuse it, with a word of the reason.
MODELS = {
    "topology/cnn": {},
    "topology/residual": {},
    "LSTM/plain": {},
    "BatchNormalization/plain": {},
    "Embedding/plain": {},
    "MultiHeadAttention/self": {"tfjs-layers": "MultiHeadAttention"},
    "GRU/reset-after": {"tfjs-layers": "reset_after"},
    "ops/where": {"tfjs-layers": "keras.ops"},
}


@pytest.fixture(params=[name for name in MODELS if name in zoo.MODELS])
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=formats.NAMES)
def format(request: pytest.FixtureRequest) -> formats.Format:
    return formats.get(request.param)


def source_of(name: str) -> Source:
    """As from a file: Keras names the paths of variables anew when it loads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        save_keras(zoo.build(name), path)
        return describe(load(path), "model")


def files(directory: Path) -> dict[str, bytes]:
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_the_models_are_in_the_zoo() -> None:
    assert set(MODELS) - set(zoo.MODELS) == set()


def test_a_format_writes_the_same_files_each_time_or_refuses_and_writes_none(
    format: formats.Format, name: str, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    if format.name in MODELS[name]:
        (refusal, *_) = format.refusals(source_of(name), "float32")
        assert MODELS[name][format.name] in str(refusal)
        with pytest.raises(UnsupportedModel, match=MODELS[name][format.name]):
            format.export(source_of(name), "float32", first)
        assert files(first) == {}
        return
    assert format.refusals(source_of(name), "float32") == ()
    exported = format.export(source_of(name), "float32", first)
    assert set(exported.files) == set(files(first))
    assert exported.path in exported.files
    format.export(source_of(name), "float32", second)
    assert files(first) == files(second)


def test_weights_come_back_bit_for_bit(format: formats.Format, name: str, tmp_path: Path) -> None:
    if format.name in MODELS[name]:
        pytest.skip(f"{format.name} refuses {name}, as another test shows")
    source = source_of(name)
    exported = format.export(source, "float32", tmp_path)
    stored = format.weights(tmp_path, exported.path)
    own = {variable.path: np.asarray(variable) for variable in source.float32.model.variables}
    kept = set(stored) & set(own)
    assert set(stored) <= set(own)
    for path in kept:
        assert stored[path].tobytes() == own[path].astype(stored[path].dtype).tobytes(), path
    kernels = [p for p in own if own[p].ndim > 1 and "seed" not in p]
    if name in ("topology/cnn", "topology/residual", "Embedding/plain"):
        assert set(kernels) & kept, (format.name, kernels)


def test_an_export_proves_all_that_can_take_the_model(name: str, tmp_path: Path) -> None:
    manifest = exporter.export(zoo.build(name), tmp_path / "bundle")
    assert {skipped.format for skipped in manifest.skipped} == set(MODELS[name]), manifest.skipped
    proven = {row["artifact"] for row in manifest.parity}
    assert proven == {artifact.id for artifact in manifest.artifacts}
    document = json.loads((tmp_path / "bundle" / "report" / "parity.json").read_text())
    assert document["failed"] == 0
