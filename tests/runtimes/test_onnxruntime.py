"""ONNX Runtime, seen from Python."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter import runtimes
from exporter.errors import BadUsage, RuntimeCrashed
from tests.runtimes import handmade

ROWS = [("onnxruntime", "cpu"), ("onnxruntime-web-node", "wasm")]


@pytest.mark.parametrize(("runtime", "backend"), ROWS)
def test_a_file_that_is_no_onnx_is_the_runtimes_own_error(
    runtime: str, backend: str, tmp_path: Path
) -> None:
    from exporter.manifest import Artifact, measure

    (tmp_path / "model.onnx").write_bytes(b"no protobuf at all")
    artifact = Artifact("onnx", "float32", "model.onnx", measure(tmp_path, ["model.onnx"]))
    manifest = handmade.manifest(tmp_path, artifact)
    with runtimes.get(runtime).start() as engine:
        with pytest.raises(RuntimeCrashed, match=r"(?i)protobuf"):
            engine.open(tmp_path, manifest, artifact, backend)


@pytest.mark.parametrize(("runtime", "backend"), ROWS)
def test_names_that_are_not_the_manifests_are_told(
    runtime: str, backend: str, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "onnx")
    renamed = replace(manifest, inputs=(replace(manifest.inputs[0], name="pixels"),))
    with runtimes.get(runtime).start() as engine:
        with pytest.raises(RuntimeCrashed, match="inputs pixels expected, x found"):
            engine.open(tmp_path, renamed, artifact, backend)


@pytest.mark.parametrize(("runtime", "backend"), ROWS)
def test_a_wrong_shape_is_the_runtimes_own_error(
    runtime: str, backend: str, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, "onnx")
    with runtimes.get(runtime).start() as engine:
        session = engine.open(tmp_path, manifest, artifact, backend)
        with pytest.raises(RuntimeCrashed, match=r"(?i)dimension"):
            session.predict([np.zeros((2, 4), np.float32)])
        assert session.predict([np.zeros((0, 3), np.float32)])[0].shape == (0, 2)


def test_an_unknown_backend_is_bad_usage(tmp_path: Path) -> None:
    manifest, artifact = handmade.write(tmp_path, "onnx")
    with runtimes.get("onnxruntime").start() as engine:
        with pytest.raises(BadUsage, match="known backends: cpu"):
            engine.open(tmp_path, manifest, artifact, "cuda")
