"""Every model of the zoo through tfjs-graph and onnx: it answers as Keras, or is refused."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter import runtimes
from exporter.formats import Format
from exporter.formats.onnx import OnnxFormat
from exporter.formats.tfjs_graph import TfjsGraphFormat
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import Engine
from exporter.source import Source, describe
from tests import zoo

REFUSED = {
    "HashedCrossing/plain": "layer 'functional/hashed_crossing' (HashedCrossing)",
    "Hashing/plain": "layer 'functional/hashing' (Hashing)",
    "topology/random": "layer 'functional/code' (Sampling): it draws random numbers",
}
"""What neither format can do, and a piece of what is told."""
REFUSED_BY_TFJS = {"topology/seven-axes": "TF.js has tensors of up to 6 axes"}


def _names() -> Iterator[Any]:
    """One model of each family for every run; with `-m slow` the rest."""
    seen: set[str] = set()
    for name in zoo.MODELS:
        family = name.split("/")[0]
        quick = family not in seen and family != "application"
        seen.add(family)
        yield pytest.param(name, id=name, marks=() if quick else pytest.mark.slow)


@pytest.fixture(scope="module")
def engines() -> Iterator[dict[str, Engine]]:
    with (
        runtimes.get("tfjs-node").start() as node,
        runtimes.get("onnxruntime").start() as python,
    ):
        yield {"tfjs-graph": node, "onnx": python}


def _inputs(source: Source) -> list[np.ndarray]:
    if hasattr(source.model, "inputs"):
        arrays = zoo.inputs(source.model)
    else:
        generator = np.random.default_rng(1)
        arrays = [generator.normal(0, 1, [n or 3 for n in shape]) for shape in source.shapes]
    return [x.astype(spec.dtype) for x, spec in zip(arrays, source.inputs, strict=True)]


def _check(
    format: Format, source: Source, expected: list[np.ndarray], engine: Engine, directory: Path
) -> None:
    exported = format.export(source, "float32", directory)
    artifact = Artifact(format.name, "float32", exported.path, measure(directory, exported.files))
    manifest = Manifest("zoo", {}, {}, source.inputs, source.outputs, (artifact,), ())
    for backend in ("cpu", "wasm") if format.name == "tfjs-graph" else ("cpu",):
        session = engine.open(directory, manifest, artifact, backend)
        found = session.predict(_inputs(source))
        session.close()
        for y, x, spec in zip(found, expected, source.outputs, strict=True):
            place = f"{format.name} {backend} {spec.name}"
            assert y.dtype == spec.dtype, place
            assert y.shape == x.shape, place
            largest = float(np.abs(x).max()) if x.size else 0.0
            limit = 1e-5 + 1e-5 * largest
            np.testing.assert_allclose(y, x, rtol=0, atol=limit, err_msg=place)
    own = {v.path: np.asarray(v.value) for v in source.float32.model.variables}
    for path, values in format.weights(directory, exported.path).items():
        np.testing.assert_array_equal(values, own[path], err_msg=f"{format.name} {path}")


@pytest.mark.parametrize("name", tuple(_names()))
def test_a_zoo_model_answers_as_keras_does_or_is_refused(
    name: str, tmp_path: Path, engines: dict[str, Engine]
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about models that are odd on purpose
        source = describe(zoo.build(name), "zoo")
        expected = [np.asarray(y) for y in source.float32.call(_inputs(source))]
        for format in (TfjsGraphFormat(), OnnxFormat()):
            refusals = format.refusals(source, "float32")
            refused = REFUSED | (REFUSED_BY_TFJS if format.name == "tfjs-graph" else {})
            if refusals:
                assert refused.get(name, "is to be written") in " ".join(map(str, refusals))
                continue
            assert name not in refused
            _check(format, source, expected, engines[format.name], tmp_path)
