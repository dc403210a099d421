"""Every model of the zoo through TF.js itself: it answers as Keras, or it is refused by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exporter import runtimes
from exporter.formats.tfjs_layers import TfjsLayersFormat
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import Engine
from exporter.source import Source, describe
from tests import zoo

FORMAT = TfjsLayersFormat()

REFUSED = {
    "activation/exponential": "'exponential'",
    "activation/dense-exponential": "'exponential'",
    "activation/sparsemax": "'sparsemax'",
    "activation/squareplus": "'squareplus'",
    "activation/glu": "Keras expects shape",
    "activation/gelu-tanh": "a custom function",
    "dtype/quantised-int8": "quantised in Keras",
    "GRU/reset-after": "train with reset_after=False",
    "Bidirectional/reset-after": "train with reset_after=False",
    "mask/given": "neither Masking's nor Embedding's",
    "Lambda/plain": "Python code",
    "topology/random": "a custom class",
    "topology/seven-axes": "TF.js has tensors of up to 6 axes",
    "topology/subclassed": "Python code",
    "application/ConvNeXtTiny": "no such layer",
    "application/MobileNetV3Small": "keras.ops",
    "Discretization/plain": "no such layer",
    "RandomCrop/plain": "no such layer",
    **dict.fromkeys(
        ["AdaptiveAveragePooling1D/plain", "AdaptiveAveragePooling3D/plain",
         "AdaptiveMaxPooling1D/plain", "AdaptiveMaxPooling2D/plain", "AdaptiveMaxPooling3D/plain",
         "AugMix/plain", "AutoContrast/plain",
         "ContrastLimitedAdaptiveHistogramEqualization/plain", "ConvLSTM3D/plain", "CutMix/plain",
         "HashedCrossing/plain", "MelSpectrogram/plain", "MixUp/plain", "Pipeline/plain",
         "RandAugment/plain", "STFTSpectrogram/angle", "STFTSpectrogram/plain",
         "Solarization/plain", "AdditiveAttention/plain", "Attention/plain",
         "GroupNormalization/plain", "GroupQueryAttention/self", "Hashing/plain",
         "IntegerLookup/plain", "MultiHeadAttention/before-a-loop",
         "MultiHeadAttention/causal", "MultiHeadAttention/self",
         "ReversibleEmbedding/plain", "RMSNormalization/plain", "UnitNormalization/plain"],
        "no such layer",
    ),
    **dict.fromkeys([name for name in zoo.MODELS if name.startswith("ops/")], "keras.ops"),
}  # fmt: skip
"""What TF.js Layers cannot do, and a piece of the reason that is told."""


def _names() -> Iterator[object]:
    """One model of each class for every run; with `-m slow` the rest."""
    seen: set[str] = set()
    for name in zoo.MODELS:
        family = name.split("/")[0]
        quick = family in ("mask", "topology", "names", "dtype") or family not in seen
        seen.add(family)
        quick = quick and family != "application" and name != "topology/500-layers"
        yield pytest.param(name, id=name, marks=() if quick else pytest.mark.slow)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with runtimes.get("tfjs-node").start() as started:
        yield started


def _source(name: str) -> Source:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about models that are odd on purpose
        return describe(zoo.build(name), "zoo")


def _answer(source: Source, inputs: list[np.ndarray]) -> list[np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [np.asarray(y) for y in source.float32.call(inputs)]


def _manifest(source: Source, artifact: Artifact) -> Manifest:
    return Manifest("zoo", {}, {}, source.inputs, source.outputs, (artifact,), ())


@pytest.mark.parametrize("name", list(_names()))
def test_a_zoo_model_answers_as_keras_does_or_is_refused(
    name: str, tmp_path: Path, engine: Engine
) -> None:
    source = _source(name)
    refusals = FORMAT.refusals(source, "float32")
    if refusals:
        assert REFUSED.get(name, "is to be written") in str(refusals[0])
        return
    assert name not in REFUSED
    exported = FORMAT.export(source, "float32", tmp_path)
    artifact = Artifact("tfjs-layers", "float32", exported.path, measure(tmp_path, exported.files))
    inputs = [
        x.astype(spec.dtype)
        for x, spec in zip(zoo.inputs(source.model), source.inputs, strict=True)
    ]
    expected = _answer(source, inputs)
    for backend in ("cpu", "wasm"):
        session = engine.open(tmp_path, _manifest(source, artifact), artifact, backend)
        found = session.predict(inputs)
        session.close()
        for y, x, spec in zip(found, expected, source.outputs, strict=True):
            assert y.dtype == spec.dtype, (backend, spec.name)
            assert y.shape == x.shape, (backend, spec.name)
            largest = float(np.abs(x).max()) if x.size else 0.0
            np.testing.assert_allclose(
                y, x, rtol=0, atol=1e-5 + 1e-5 * largest, err_msg=f"{backend} {spec.name}"
            )
