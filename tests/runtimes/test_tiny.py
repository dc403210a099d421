"""The tiny runner in Node, on what our own writer makes of real Keras models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter import formats, runtimes, source
from exporter.errors import UnsupportedModel
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import Engine

ACTIVATIONS = (
    "linear", "relu", "relu6", "sigmoid", "tanh", "elu", "selu", "softplus", "softsign",
    "softmax", "log_softmax", "silu", "mish",
)  # fmt: skip


def dense(activation: str) -> list[Any]:
    from keras import Input, layers

    return [Input((6, 5)), layers.Flatten(), layers.Dense(9, activation), layers.Dense(4)]


def everything() -> list[Any]:
    from keras import Input, layers

    return [
        Input((6, 5), name="x"), layers.Rescaling(2.0, -1.0), layers.Dropout(0.3),
        layers.Reshape((3, 10)), layers.Dense(8, "relu"), layers.BatchNormalization(),
        layers.Flatten(), layers.BatchNormalization(scale=False), layers.Activation("tanh"),
        layers.Dense(5, use_bias=False), layers.Softmax(),
    ]  # fmt: skip


def stack(layers: list[Any]) -> Any:
    """A model whose weights, moving statistics too, are not the initial ones."""
    import keras

    keras.utils.set_random_seed(5)
    model = keras.Sequential(layers)
    rng = np.random.default_rng(6)
    for variable in model.variables:
        if "seed" not in variable.path:
            low = 0.5 if "variance" in variable.path else -0.5
            variable.assign(rng.uniform(low, 1.0, variable.shape))
    return model


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with runtimes.get("tiny-node").start() as started:
        yield started


@pytest.fixture
def answer(engine: Engine, tmp_path: Path) -> Callable[..., np.ndarray]:
    def answer(model: Any, x: np.ndarray, precision: str = "float32") -> np.ndarray:
        described = source.describe(model, "model")
        exported = formats.get("tfjs-layers").export(described, precision, tmp_path)
        files = measure(tmp_path, list(exported.files))
        artifact = Artifact("tfjs-layers", precision, exported.path, files)
        manifest = Manifest(
            name="model", created_by={}, source={}, inputs=described.inputs,
            outputs=described.outputs, artifacts=(artifact,), files=(),
        )  # fmt: skip
        session = engine.open(tmp_path, manifest, artifact, "js")
        assert session.ran_on == "tiny js"
        (found,) = session.predict([x])
        session.close()
        return found

    return answer


def inputs(count: int) -> np.ndarray:
    return np.random.default_rng(7).uniform(-2, 2, (count, 6, 5)).astype(np.float32)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_it_computes_each_activation_as_keras_does(
    answer: Callable[..., np.ndarray], activation: str
) -> None:
    model = stack(dense(activation))
    x = inputs(7)
    expected = np.asarray(model(x))
    found = answer(model, x)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("precision", "most"), [("float32", 2e-6), ("float16", 2e-3), ("uint16", 2e-3), ("uint8", 0.1)]
)
@pytest.mark.parametrize("count", [1, 256])
def test_it_computes_every_layer_that_it_knows_in_every_precision(
    answer: Callable[..., np.ndarray], precision: str, most: float, count: int
) -> None:
    model = stack(everything())
    x = inputs(count)
    np.testing.assert_allclose(answer(model, x, precision), np.asarray(model(x)), atol=most)


def test_a_model_for_other_runtimes_is_refused_as_such(answer: Callable[..., np.ndarray]) -> None:
    from keras import Input, layers

    model = stack([Input((6, 5, 1)), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)])
    with pytest.raises(UnsupportedModel, match="Conv2D is not known here; use the runtime tfjs"):
        answer(model, inputs(1)[..., None])
