"""The player loads what the exporter writes, and refuses it once it is another model's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from exporter import formats, golden, source
from exporter.manifest import MANIFEST_NAME, Artifact, Manifest, measure
from tests.player.test_player import HERE, _run

WAYS = {
    ("tfjs-layers", "tiny", "js"),
    ("tfjs-layers", "tfjs", "wasm"),
    ("tfjs-layers", "tfjs", "cpu"),
    ("tfjs-graph", "tfjs", "wasm"),
    ("tfjs-graph", "tfjs", "cpu"),
    ("onnx", "onnx", "wasm"),
}


def _load(directory: Path) -> dict[tuple[str, str, str], dict]:
    done = _run(str(HERE / "load-bundle.js"), str(directory))
    assert done.returncode == 0, done.stderr
    return {
        (result["artifact"].split("/")[0], result["runtime"], result["backend"]): result
        for result in json.loads(done.stdout)
    }


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(5)
    layers = [
        keras.Input((6, 6), name="pixels"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(16, activation="relu", name="hidden"),
        keras.layers.Dense(4, activation="softmax", name="classes"),
    ]
    model = keras.Sequential(layers, name="small")
    directory = tmp_path_factory.mktemp("bundle")
    _write(source.describe(model, "small"), directory)
    return directory


def _write(described: source.Source, directory: Path) -> None:
    """The formats, the golden vectors and the manifest: a bundle without its proof."""
    artifacts = []
    for name in ("tfjs-layers", "tfjs-graph", "onnx"):
        exported = formats.get(name).export(described, "float32", directory)
        files = measure(directory, exported.files)
        artifacts.append(Artifact(name, "float32", exported.path, files))
    (directory / "golden.json").write_text(golden.build(described).to_json(), encoding="utf-8")
    manifest = Manifest(
        name=described.name, created_by={}, source={}, inputs=described.inputs,
        outputs=described.outputs, artifacts=tuple(artifacts),
        files=measure(directory, ["golden.json"]),
    )  # fmt: skip
    (directory / MANIFEST_NAME).write_text(manifest.to_json(), encoding="utf-8")


@pytest.mark.slow
def test_every_artefact_passes_the_self_test_in_every_runtime(bundle: Path) -> None:
    results = _load(bundle)
    assert {way for way, result in results.items() if result.get("passed")} == WAYS
    for way in WAYS:
        assert results[way]["rows"] >= 14
        assert results[way]["maxError"] < 1e-5


@pytest.mark.slow
def test_a_wrong_bias_is_caught_though_every_hash_is_right(bundle: Path) -> None:
    import numpy as np

    manifest = Manifest.read(bundle)
    artifact = manifest.artifact("tfjs-layers")
    (shard,) = (file.path for file in artifact.files if file.path.endswith(".bin"))
    kept = {path: (bundle / path).read_bytes() for path in (shard, MANIFEST_NAME)}
    weights = np.frombuffer(kept[shard], np.float32).copy()
    weights[-1] += 1e-2
    try:
        (bundle / shard).write_bytes(weights.tobytes())
        old = next(file for file in artifact.files if file.path == shard)
        (new,) = measure(bundle, [shard])
        text = kept[MANIFEST_NAME].decode().replace(old.sha256, new.sha256)
        (bundle / MANIFEST_NAME).write_text(text, encoding="utf-8")
        results = _load(bundle)
    finally:
        for path, content in kept.items():
            (bundle / path).write_bytes(content)
    for way, result in results.items():
        if way[0] == "tfjs-layers" and way in WAYS:
            assert "SelfTestFailed" in result["error"]
            assert "golden row" in result["error"]
