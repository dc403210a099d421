"""Ranges of a recipe: read with their places, every mistake told with file, line and key."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter import data, recipe
from exporter.errors import BadRecipe
from exporter.ranges import Range
from exporter.tune import written
from tests.tune.conftest import RECIPE

LINE = RECIPE.count("\n") + 3


def ranges_of(table: str) -> tuple[Range, ...]:
    return recipe.parse(f"{RECIPE}\n[tune]\n{table}\n", Path("small.toml")).tune


def test_ranges_are_read_in_the_order_of_the_file() -> None:
    rate, units, activation, rotation = ranges_of(
        "training.optimizer.learning_rate = { low = 1e-4, high = 1, log = true }\n"
        "layers.hidden.units = { low = 8, high = 32, step = 8 }\n"
        'layers.hidden.activation = { choices = ["relu", "tanh"] }\n'
        "augmentation.rotation = { low = 0, high = 10 }"
    )
    assert (rate.name, rate.low, rate.high, rate.log) == (
        "training.optimizer.learning_rate", 1e-4, 1.0, True
    )  # fmt: skip
    assert not rate.whole
    assert units.whole
    assert units.ends == (8, 32)
    assert activation.ends == ("relu", "tanh")
    assert type(rotation.high) is float


@pytest.mark.parametrize("name", ["low", "high", "step", "log", "choices"])
def test_a_layer_may_be_named_as_a_key_of_a_range_is(name: str) -> None:
    text = RECIPE.replace('name = "hidden"', f'name = "{name}"')
    table = f"[tune]\nlayers.{name}.units = {{ low = 8, high = 32 }}\n"
    [found] = recipe.parse(f"{text}\n{table}", Path("small.toml")).tune
    assert found.place == ("layers", name, "units")


def test_subtables_say_the_same() -> None:
    [found] = ranges_of("[tune.layers.hidden]\nunits = { low = 1, high = 2 }")
    assert found.place == ("layers", "hidden", "units")


def test_a_range_knows_what_it_holds() -> None:
    stepped = Range(("x",), 8, 32, 8)
    assert [stepped.holds(value) for value in (8, 24, 12, 40, "8")] == [True, True, *[False] * 3]
    assert Range(("x",), 0.0, 1.0, 0.1).holds(0.3)
    assert Range(("x",), choices=("relu", "tanh")).holds("tanh")
    assert not Range(("x",), choices=("relu", "tanh")).holds("elu")


@pytest.mark.parametrize(
    ("table", "parts"),
    [
        ("epochs = { low = 1, high = 2 }", ["tune.epochs", "one of training, augmentation"]),
        ("training.seed = { low = 1, high = 2 }", ["tune.training.seed", "luck"]),
        ("training.epochs = { low = 1, high = 2 }", ["--epochs"]),
        ("training.nonsense = { low = 1, high = 2 }", ["no 'nonsense'", "batch_size"]),
        ("training.optimizer.beta = { low = 0, high = 1 }", ["training.optimizer has no 'beta'"]),
        ("layers.nowhere.units = { low = 1, high = 2 }", ["layers has no 'nowhere'", "hidden"]),
        ("layers.hidden.rate = { low = 0, high = 1 }", ["layers.hidden has no 'rate'", "units"]),
        ("training.batch_size = 32", ["low = …", "32 found"]),
        ("training.batch_size = {}", ["low = …"]),
        ("training.batch_size = { low = 32 }", ["high: a number expected, None found"]),
        ("training.batch_size = { low = 32, high = 16 }", ["low below high", "32 and 16"]),
        ("training.batch_size = { low = 1.5, high = 3 }", ["whole low and high"]),
        ("training.batch_size = { low = 1, high = 9, mid = 3 }", ["unknown key 'mid'"]),
        ("training.batch_size = { low = 1, high = 9, step = 20 }", ["step", "up to 8"]),
        ("training.batch_size = { low = 1, high = 9, step = 0.5 }", ["step: a whole number"]),
        ("training.batch_size = { low = 0, high = 9, log = true }", ["log: low above 0"]),
        ("training.batch_size = { low = 1, high = 9, log = 1 }", ["true or false"]),
        ("training.batch_size = { low = 1, high = 9, step = 2, log = true }", ["one of them"]),
        ("training.batch_size = { low = nan, high = 9 }", ["low: a number"]),
        ("training.loss = { low = 1, high = 9 }", ["no number", "choices"]),
        ("training.batch_size = { choices = [32] }", ["two or more"]),
        ("training.batch_size = { choices = [32, 32] }", ["each another"]),
        ("training.batch_size = { choices = [[1], [2]] }", ["a list of texts, numbers"]),
        ("training.batch_size = { choices = [1, 2], low = 1 }", ["choices alone"]),
    ],
)
def test_a_mistake_is_told_with_its_line(table: str, parts: list[str]) -> None:
    with pytest.raises(BadRecipe) as caught:
        ranges_of(table)
    assert f"small.toml, line {LINE}: tune" in str(caught.value)
    assert all(part in str(caught.value) for part in parts), caught.value


def test_ranges_influence_no_weights() -> None:
    plain = recipe.parse(RECIPE, Path("small.toml"))
    ranged = recipe.parse(
        f"{RECIPE}\n[tune]\nlayers.hidden.units = {{ low = 1, high = 2 }}\n", Path("small.toml")
    )
    assert ranged.tune
    assert not plain.tune
    assert ranged.fingerprint == plain.fingerprint


@pytest.mark.parametrize("name", recipe.names())
def test_what_ships_can_be_searched_to_both_ends(name: str) -> None:
    known = recipe.load(name)
    assert known.tune, f"{name}: no [tune]"
    for found in known.tune:
        assert found.holds(known.value_at(found.place)), f"{name}: {found.name} lacks its own value"
    blank = np.zeros((1000, 28, 28), np.uint8)
    pictures = data.Dataset("blank", blank, blank[:, 0, 0], blank, blank[:, 0, 0])
    written.check_ends(known, known.path.read_text(encoding="utf-8"), pictures)
