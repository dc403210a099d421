"""Every runtime, on every backend, answers a model written by hand as NumPy does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter import runtimes
from tests.runtimes import handmade

ROWS = [
    ("onnxruntime", "cpu", "onnx"),
    ("tfjs-node", "cpu", "tfjs-layers"),
    ("tfjs-node", "wasm", "tfjs-layers"),
    ("tfjs-node", "cpu", "tfjs-graph"),
    ("tfjs-node", "wasm", "tfjs-graph"),
    ("onnxruntime-web-node", "wasm", "onnx"),
]


@pytest.mark.parametrize(("runtime", "backend", "format"), ROWS)
def test_outputs_come_in_the_manifest_order_and_are_right(
    runtime: str, backend: str, format: str, tmp_path: Path
) -> None:
    manifest, artifact = handmade.write(tmp_path, format)
    with runtimes.get(runtime).start() as engine:
        session = engine.open(tmp_path, manifest, artifact, backend)
        found = session.predict([handmade.X])
        session.close()
    expected = handmade.answers(handmade.X)
    assert [array.dtype for array in found] == [np.float32, np.float32]
    for answer, array in zip(expected, found, strict=True):
        np.testing.assert_array_equal(array, answer)
    assert backend in session.ran_on.lower()
