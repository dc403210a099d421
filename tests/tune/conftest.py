"""A recipe with ranges, small enough that a trial takes a second."""

from __future__ import annotations

from pathlib import Path

import pytest

RECIPE = """\
# A small recipe.
title = "Digits"
labels = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
ships = ["keras/float32"]

[input]
shape = [28, 28]
layout = "NHW"
polarity = "white ink on black"
preprocessing = "mnist-ink/1"

[[layers]]
class = "Flatten"
name = "flatten"

[[layers]]
class = "Dense"
name = "hidden"
units = 8       # few
activation = "relu"

[[layers]]
class = "Dense"
name = "probabilities"
units = 10
activation = "softmax"

[training]
data = "digits"
loss = "sparse_categorical_crossentropy"
optimizer = { class = "Adam", learning_rate = 0.01 }
schedule = "constant"
epochs = 3
batch_size = 128
seed = 1
jit_compile = false

[published]
source = "nobody"
figure = "none"
epochs = 1
batch_size = 32
"""

RANGES = """
[tune]
training.optimizer.learning_rate = { choices = [0.01, 0.0000001] }
layers.hidden.units = { low = 8, high = 16, step = 4 }
"""


def write_recipe(folder: Path, ranges: str = RANGES) -> Path:
    """The recipe's file, `folder/small.toml`."""
    path = folder / "small.toml"
    path.write_text(RECIPE + ranges, encoding="utf-8")
    return path


@pytest.fixture
def recipe_path(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)
