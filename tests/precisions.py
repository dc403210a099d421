"""Writes the tables of docs/precisions.md: `python -m tests.precisions` (minutes; wants MNIST).

Exports two models in every precision that a format has, runs them in Python and Node, and notes
what each costs and gives. Without MNIST both are measured on the scans inside scikit-learn.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from exporter import data, formats, jobs, pipeline, runtimes
from exporter.errors import DataMissing
from exporter.report import wording

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "precisions.md"
MARKS = ("<!-- written by python -m tests.precisions -->", "<!-- end -->")
HEAD = (
    "| artefact | bytes | gzipped | accuracy | change | answers that differ | widest margin "
    "| largest error |\n|---|---:|---:|---:|---:|---:|---:|---:|"
)


def data_at_hand() -> str:
    """The data set to measure on."""
    try:
        data.load("mnist")
    except DataMissing:
        return "digits"
    return "mnist"


def convolutional(source: str) -> keras.Model:
    """A small convolutional network, trained for one pass over MNIST or ten over the scans."""
    digits = data.load(source)
    keras.utils.set_random_seed(11)
    model = keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            keras.layers.Reshape((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="convolutional",
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    epochs = 1 if source == "mnist" else 10
    model.fit(data.as_input(digits.x_train), digits.y_train, 64, epochs, verbose=0)
    return model


def exported(job: pipeline.Job) -> pipeline.Result:
    """The job with every precision, none of them required."""
    pairs = [("keras", "float32")] + [
        (name, precision)
        for name in formats.NAMES[1:]
        for precision in formats.get(name).precisions
    ]
    return pipeline.run(replace(job, wanted=tuple(pairs), required=frozenset(pairs[:1])))


def table(result: pipeline.Result) -> Iterator[str]:
    """One line for each artefact, the smallest first, then what was left out."""
    yield HEAD
    for offer in result.offers:
        name = f"**{offer.artifact.id}**" if offer.recommended else offer.artifact.id
        yield (
            f"| {name} | {offer.artifact.size_bytes:,} | {wording.size(offer.gzip_bytes or 0)} "
            f"| {wording.share(offer.accuracy)} "
            f"| {wording.change(offer.accuracy, offer.keras_accuracy)} "
            f"| {offer.flips} of {offer.samples:,} | {wording.error(offer.flip_margin)} "
            f"| {wording.error(offer.max_abs)} |"
        )
    for left in result.manifest.skipped:
        yield f"\n{left.format}/{left.precision} was left out: {left.reason}"


def main() -> None:
    """Measure and write."""
    runtimes.NAMES = tuple(name for name in runtimes.NAMES if runtimes.get(name).everywhere)
    source = data_at_hand()
    lines = []
    with tempfile.TemporaryDirectory() as scratch:
        recipe = jobs.of_recipe("mlp-128-64", ROOT / "models" / "mlp-128-64", data=source)
        recipe = replace(recipe, directory=Path(scratch) / "mlp-128-64")
        model = convolutional(source)
        own = jobs.of_model(model, Path(scratch) / "convolutional", data=source)
        for title, job in (("`mlp-128-64`", recipe), ("A convolutional model", own)):
            count = f"{job.source.model.count_params():,} parameters"
            lines += [f"### {title}: {count}, measured on {source}'s test part", ""]
            lines += [*table(exported(job)), ""]
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    text = "\n".join([before + MARKS[0], "", *lines, MARKS[1] + after])
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
