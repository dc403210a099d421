"""What honest files declare is taken: every model that Keras saves, of whatever layers."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from keras.src.applications.convnext import ConvNeXt
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from exporter import declared
from exporter.keras_file import _is_layer, load
from tests import zoo

QUICK = (
    "Dense/plain", "LSTM/sequences", "MultiHeadAttention/causal", "Normalization/adapted",
    "topology/shared-layer", "topology/deeply-nested", "dtype/quantised-int8", "dtype/bfloat16",
    "activation/gelu-tanh",
)  # fmt: skip
NOT_IN_HDF5 = (
    "RandomBrightness/plain", "RandomColorDegeneration/plain", "RandomPosterization/plain",
    "RandomSaturation/plain", "RandomSharpness/plain", "Solarization/plain",
)  # fmt: skip
"""Keras itself fails to write an `.h5` of them."""


def _convnext() -> keras.Model:
    """Layers without a public name: LayerScale and StochasticDepth."""
    return ConvNeXt(
        depths=[1, 1, 1, 1], projection_dims=[4, 4, 8, 8], drop_path_rate=0.1, weights=None,
        input_shape=(32, 32, 3), classes=3, include_preprocessing=False,
    )  # fmt: skip


def _inception_resnet() -> keras.Model:
    x = keras.Input((4,))
    return keras.Model(x, CustomScaleLayer(scale=0.2)([x, layers.Dense(4)(x)]))


def _features() -> keras.Model:
    """What FeatureSpace makes of a table: TFDConcat and TFDIdentity."""
    from keras.src.layers.preprocessing.feature_space import TFDConcat, TFDIdentity

    x, y = keras.Input((2,), name="x"), keras.Input((3,), name="y")
    joined = TFDConcat(axis=-1)([TFDIdentity()(x), y])
    return keras.Model([x, y], layers.Dense(2)(joined))


def _word_vectors() -> keras.Model:
    """The matrix stands in the config, number by number."""
    matrix = np.random.default_rng(1).normal(size=(10_000, 100))
    given = layers.Embedding(
        10_000, 100, embeddings_initializer=keras.initializers.Constant(matrix)
    )
    return keras.Sequential([keras.Input((3,)), given])


OTHERS: dict[str, Callable[[], keras.Model]] = {
    "convnext": _convnext, "inception-resnet": _inception_resnet, "features": _features,
    "word-vectors": _word_vectors,
}  # fmt: skip


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize("name", OTHERS)
def test_layers_without_a_public_name_and_matrices_are_taken(
    name: str, suffix: str, tmp_path: Path
) -> None:
    keras.utils.clear_session()
    model = OTHERS[name]()
    _judged(model, tmp_path / f"m.{suffix}")
    if suffix == "keras":  # an .h5 names classes alone, and Keras finds those without a name not
        found = load(tmp_path / f"m.{suffix}")
        assert [type(layer) for layer in found.layers] == [type(layer) for layer in model.layers]


@pytest.mark.parametrize("suffix", ["keras", "h5"])
@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in zoo.MODELS]
)
def test_every_model_that_keras_saves_is_taken(name: str, suffix: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of Keras, of layers that it cannot quantise
        model = zoo.build(name)
    if suffix == "h5" and name in NOT_IN_HDF5:
        with pytest.raises(TypeError, match="cannot pickle"):
            _judged(model, tmp_path / "m.h5")
    else:
        _judged(model, tmp_path / f"m.{suffix}")


def _judged(model: keras.Model, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of Keras, that .h5 is its older format
        model.save(path)
    held = declared.judge(path, _is_layer)
    assert declared.FEWEST_STORED * held >= model.count_params()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.src.applications.convnext", "ConvNeXtTiny"),
        ("keras.src.applications.convnext", "keras"),
        ("keras.src.applications.imagenet_utils", "preprocess_input"),
        ("keras.src.applications.nowhere", "LayerScale"),
    ],
)
def test_what_is_beside_layers_is_no_layer(module: str, name: str) -> None:
    assert not _is_layer(module, name)
    assert _is_layer("keras.src.applications.convnext", "LayerScale")
