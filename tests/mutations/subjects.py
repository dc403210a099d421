"""The models that mutants are made of: the shipped recipe, a convolutional, a recurrent one, a
regression with two inputs and two outputs; each as an export leaves it, in every format.

Owns the models and their unmutated bundles. The product writes and describes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from exporter import formats, golden, jobs, pipeline, recipe, samples, source
from exporter.golden import Golden
from exporter.manifest import Artifact, Manifest, measure
from exporter.parity import Samples
from exporter.source import Source
from tests import zoo

ROOT = Path(__file__).parent.parent.parent
RECIPE = "mlp-128-64"
WEB_FORMATS = ("tfjs-layers", "tfjs-graph", "onnx")


@dataclass(frozen=True)
class Subject:
    """One model with its bundle.

    Attributes:
        twin: The same architecture with other weights.
    """

    name: str
    directory: Path
    manifest: Manifest
    source: Source
    golden: Golden
    twin: Source

    @cached_property
    def sets(self) -> tuple[Samples, ...]:
        """The golden vectors with Keras' answers."""
        return samples.of_golden(self.golden, self.source)


def recipe_model(seed: int) -> Source:
    """The shipped model of the recipe; with another seed its architecture, not trained."""
    found = recipe.load(RECIPE)
    model = source.load(ROOT / "models" / RECIPE / "keras" / "model.keras")
    if seed:
        zoo.randomize(model, seed)
    return jobs.with_contract(source.describe(model, RECIPE), found)


def convolutional(seed: int) -> Source:
    """Three channels in, batch normalisation, pooling, four classes."""
    layers = keras.layers
    x = keras.Input((12, 12, 3), name="image")
    y = layers.Conv2D(8, 3, padding="same", activation="relu", name="first")(x)
    y = layers.BatchNormalization(name="normalised")(y)
    y = layers.MaxPooling2D(2, name="pooled")(y)
    y = layers.Conv2D(8, 3, padding="same", name="second")(y)
    y = layers.ReLU(name="rectified")(y)
    y = layers.GlobalAveragePooling2D(name="averaged")(y)
    y = layers.Dense(4, activation="softmax", name="classes")(y)
    return _described(keras.Model(x, y, name="convolutional"), seed)


def recurrent(seed: int) -> Source:
    """An LSTM and a GRU over sequences of five, three classes."""
    layers = keras.layers
    x = keras.Input((5, 6), name="sequence")
    y = layers.LSTM(6, return_sequences=True, name="lstm")(x)
    y = layers.GRU(6, reset_after=False, name="gru")(y)
    y = layers.Dense(6, activation="tanh", name="square")(y)
    y = layers.Dense(3, activation="softmax", name="classes")(y)
    return _described(keras.Model(x, y, name="recurrent"), seed)


def regression(seed: int) -> Source:
    """Two inputs of one shape, two outputs of one shape, values without bounds."""
    layers = keras.layers
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    y = layers.Concatenate(name="both")([layers.Dense(6, activation="tanh", name="left")(a), b])
    y = layers.Dense(12, activation="elu", name="square")(y)
    y = layers.LayerNormalization(name="normalised")(y)
    first = layers.Dense(3, name="price")(y)
    second = layers.Dense(3, name="rent")(y)
    return _described(keras.Model([a, b], [first, second], name="regression"), seed)


BUILDERS = {
    RECIPE: recipe_model,
    "convolutional": convolutional,
    "recurrent": recurrent,
    "regression": regression,
}


def _described(model: keras.Model, seed: int) -> Source:
    zoo.randomize(model, seed + 1)
    return source.describe(model, model.name)


def make(
    name: str, directory: Path, builders: Mapping[str, Callable[[int], Source]] = BUILDERS
) -> Subject:
    """Write the model in every format below `directory`, as an export does before it judges."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(5)
    described = builders[name](0)
    path = directory / "keras" / "model.keras"
    path.parent.mkdir(parents=True)
    source.save_keras(described.model, path)
    # The published file is what is compared, and Keras names variables anew when it loads.
    described = replace(described, model=source.load(path))
    vectors = golden.build(described)
    (directory / pipeline.GOLDEN_NAME).write_text(vectors.to_json(), encoding="utf-8")
    artifacts = []
    for format in WEB_FORMATS:
        written = formats.get(format).export(described, "float32", directory)
        files = measure(directory, written.files)
        artifacts.append(Artifact(format, "float32", written.path, files))
    manifest = Manifest(
        name=name, created_by={}, source={}, inputs=described.inputs, outputs=described.outputs,
        artifacts=tuple(artifacts), files=measure(directory, [pipeline.GOLDEN_NAME]),
        labels=described.labels, preprocessing=described.preprocessing,
    )  # fmt: skip
    return Subject(name, directory, manifest, described, vectors, builders[name](1))


def uniform(subject: Subject, count: int, seed: int) -> list[np.ndarray]:
    """`count` samples of uniform numbers of 0..1 for each input."""
    generator = np.random.default_rng(seed)
    return [
        generator.uniform(0, 1, (count, *shape[1:])).astype(np.float32)  # type: ignore[misc]
        for shape in subject.source.shapes
    ]
