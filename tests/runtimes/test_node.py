"""Node, seen from Python: what it says when it fails, and that it always ends."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter import runtimes
from exporter.errors import RuntimeCrashed
from exporter.manifest import measure
from exporter.runtimes import node
from exporter.runtimes.node import NodeEngine, NodeProcess
from tests.runtimes import handmade


@pytest.fixture
def engine() -> Iterator[NodeEngine]:
    with runtimes.get("tfjs-node").start() as started:
        yield started


def _pid(engine: NodeEngine) -> int:
    return engine._process._process.pid


def test_one_process_serves_several_artefacts_on_several_backends(
    engine: NodeEngine, tmp_path: Path
) -> None:
    pid = _pid(engine)
    for format in ("tfjs-layers", "tfjs-graph"):
        manifest, artifact = handmade.write(tmp_path / format, format)
        sessions = [
            engine.open(tmp_path / format, manifest, artifact, backend)
            for backend in ("cpu", "wasm")
        ]
        for session in sessions:
            found = session.predict([handmade.X])
            np.testing.assert_array_equal(found[0], handmade.answers(handmade.X)[0])
        assert [session.ran_on for session in sessions] == ["tfjs 4.22.0 cpu", "tfjs 4.22.0 wasm"]
        for session in sessions:
            session.close()
    assert _pid(engine) == pid


def test_a_large_artefact_gets_a_process_of_its_own_where_no_other_is_open(
    engine: NodeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "BIG_BYTES", 10)
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    first, second = (engine.open(tmp_path, manifest, artifact, "cpu") for _ in range(2))
    pid = _pid(engine)
    for session in (first, second):
        session.predict([handmade.X])
        session.close()
    engine.open(tmp_path, manifest, artifact, "cpu").predict([handmade.X])
    assert _pid(engine) != pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_ends_with_its_block() -> None:
    with runtimes.get("tfjs-node").start() as engine:
        pid = _pid(engine)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_process_ends_with_its_block_when_the_block_fails() -> None:
    with pytest.raises(KeyError), runtimes.get("tfjs-node").start() as engine:
        pid = _pid(engine)
        raise KeyError
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_op_that_only_cpu_has_is_the_runtimes_own_error_on_wasm(
    engine: NodeEngine, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-graph", product="Einsum")
    found = engine.open(tmp_path, manifest, artifact, "cpu").predict([handmade.X])
    np.testing.assert_array_equal(found[1], handmade.answers(handmade.X)[1])
    session = engine.open(tmp_path, manifest, artifact, "wasm")
    with pytest.raises(RuntimeCrashed, match="Kernel 'Einsum' not registered for backend 'wasm'"):
        session.predict([handmade.X])


def test_an_op_that_tfjs_does_not_know_is_named(engine: NodeEngine, tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-graph", last="Erfc")
    with pytest.raises(RuntimeCrashed, match="Erfc"):
        engine.open(tmp_path, manifest, artifact, "cpu").predict([handmade.X])


def test_a_graph_of_unknown_output_shape_is_run_asynchronously(
    engine: NodeEngine, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-graph", last="Where")
    found = engine.open(tmp_path, manifest, artifact, "cpu").predict([handmade.X])
    expected = np.argwhere(handmade.answers(handmade.X)[0] != 0)
    np.testing.assert_array_equal(found[0], expected)


@pytest.mark.parametrize("backend", ["webgl", "steam"])
def test_a_backend_that_is_not_there_is_an_error(
    engine: NodeEngine, tmp_path: Path, backend: str
) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    with pytest.raises(RuntimeCrashed, match=f"backend {backend}"):
        engine.open(tmp_path, manifest, artifact, backend)


def test_a_file_that_is_not_the_manifests_is_refused(engine: NodeEngine, tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    shard = tmp_path / "tfjs" / "layers" / "group1-shard2of2.bin"
    content = bytearray(shard.read_bytes())
    content[3] ^= 1
    shard.write_bytes(content)
    with pytest.raises(RuntimeCrashed, match=r"group1-shard2of2\.bin: sha256 \w+ expected"):
        engine.open(tmp_path, manifest, artifact, "cpu")


def test_a_model_json_may_not_name_files_outside_the_manifest(
    engine: NodeEngine, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    model = tmp_path / artifact.path
    document = json.loads(model.read_text())
    document["weightsManifest"][0]["paths"] = ["../../../../etc/passwd"]
    model.write_text(json.dumps(document))
    files = measure(tmp_path, [file.path for file in artifact.files])
    artifact = replace(artifact, files=files)
    manifest = replace(manifest, artifacts=(artifact,))
    with pytest.raises(RuntimeCrashed, match="which is not in the manifest"):
        engine.open(tmp_path, manifest, artifact, "cpu")


def test_outputs_that_are_not_there_are_named(engine: NodeEngine, tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-graph")
    specs = (replace(manifest.outputs[0], name="other"), manifest.outputs[1])
    with pytest.raises(RuntimeCrashed, match="outputs other expected"):
        engine.open(tmp_path, replace(manifest, outputs=specs), artifact, "cpu")


def test_a_wrong_shape_is_the_runtimes_own_error_and_the_process_goes_on(
    engine: NodeEngine, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    session = engine.open(tmp_path, manifest, artifact, "cpu")
    with pytest.raises(RuntimeCrashed, match=r"\[null,3\]"):
        session.predict([np.zeros((2, 4), np.float32)])
    assert session.predict([handmade.X])[0].shape == (4, 2)


def test_a_process_that_died_is_told_and_replaced(engine: NodeEngine, tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    session = engine.open(tmp_path, manifest, artifact, "cpu")
    engine._process._process.kill()
    engine._process._process.wait()
    with pytest.raises(RuntimeCrashed, match="predict ended with status -9"):
        session.predict([handmade.X])
    session.close()
    again = engine.open(tmp_path, manifest, artifact, "cpu")
    assert again.predict([handmade.X])[0].shape == (4, 2)


def test_a_process_in_which_webassembly_trapped_is_ended_told_and_replaced(
    engine: NodeEngine, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "tfjs-graph", last="GatherNd")
    session = engine.open(tmp_path, manifest, artifact, "wasm")
    np.testing.assert_array_equal(session.predict([np.zeros((1, 3), np.float32)])[0], [0])
    pid, far_out = _pid(engine), np.full((1, 3), 5e8, np.float32)
    with pytest.raises(RuntimeCrashed, match="WebAssembly trapped: memory access out of bounds"):
        session.predict([far_out])
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(RuntimeCrashed, match="ended after an earlier call: WebAssembly trapped"):
        session.predict([np.zeros((1, 3), np.float32)])
    session.close()
    manifest, artifact = handmade.write(tmp_path / "next", "tfjs-layers")
    again = engine.open(tmp_path / "next", manifest, artifact, "wasm")
    np.testing.assert_array_equal(again.predict([handmade.X])[0], handmade.answers(handmade.X)[0])


def test_what_takes_too_long_is_ended_and_told(tmp_path: Path) -> None:
    manifest, _ = handmade.write(tmp_path, "tfjs-layers")
    process = NodeProcess(request_seconds=0.01)
    try:
        with pytest.raises(RuntimeCrashed, match=r"open took more than 0\.01 s and was ended"):
            process.request({"operation": "open", "manifest": manifest.to_json()})
        assert not process.alive
    finally:
        process.close()


def test_what_the_process_printed_stands_in_the_error() -> None:
    process = NodeProcess()
    try:
        with pytest.raises(RuntimeCrashed, match=r"ended with status 1; it printed: .*SyntaxError"):
            stream = process._process.stdin
            assert stream is not None
            stream.write(b"\x02\x00\x00\x00{]")
            process.request({"operation": "close", "session": 1})
    finally:
        process.close()


def test_ten_thousand_pictures_take_seconds(engine: NodeEngine, tmp_path: Path) -> None:
    """Frames of 256 × 784 numbers come and go; the time is reported, not judged."""
    manifest, artifact = handmade.write(tmp_path, "tfjs-layers")
    session = engine.open(tmp_path, manifest, artifact, "wasm")
    x = np.linspace(-4, 4, 3 * 80_000, dtype=np.float32).reshape(-1, 3)
    found = session.predict([x])[0]
    assert found.shape == (80_000, 2)
    np.testing.assert_allclose(found, handmade.answers(x)[0], atol=1e-5)
