"""Recipes: what is packaged, what is refused and with which line, what the fingerprint covers."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter import recipe, train
from exporter.errors import BadRecipe, BadUsage
from exporter.toml_lines import locate

TEXT = (recipe.RECIPES_FOLDER / "mlp-128-64.toml").read_text(encoding="utf-8")
PATH = Path("mine.toml")


def line_with(text: str, part: str) -> int:
    return next(n for n, line in enumerate(text.splitlines(), 1) if part in line)


def test_the_recipes_are_packaged() -> None:
    assert recipe.names() == (
        "cnn", "mlp-100-sigmoid", "mlp-128", "mlp-128-64", "mlp-256-128", "mlp-sigmoid", "resnet",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "units", "activation", "loss"),
    [
        ("mlp-128-64", [128, 64, 10], "softmax", "categorical_crossentropy"),
        ("mlp-100-sigmoid", [100, 10], "sigmoid", "sparse_categorical_crossentropy"),
        ("mlp-256-128", [256, 128, 10], "softmax", "categorical_crossentropy"),
        ("mlp-128", [128, 10], "softmax", "sparse_categorical_crossentropy"),
        ("mlp-sigmoid", [128, 64, 32, 10], "sigmoid", "categorical_crossentropy"),
    ],
)
def test_a_packaged_recipe_has_the_published_architecture_loss_and_optimizer(
    name: str, units: list[int], activation: str, loss: str
) -> None:
    loaded = recipe.load(name)
    dense = [layer.arguments for layer in loaded.layers if layer.class_name == "Dense"]
    assert loaded.layers[0].class_name == "Flatten"
    assert [arguments["units"] for arguments in dense] == units
    activations = [arguments["activation"] for arguments in dense]
    assert activations == ["relu"] * (len(units) - 1) + [activation]
    assert (loaded.training.loss, loaded.training.optimizer) == (loss, "Adam")


def test_a_recipe_is_read_from_a_path(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(TEXT, encoding="utf-8")
    loaded = recipe.load(path)
    assert (loaded.name, loaded.fingerprint) == ("own", recipe.load("mlp-128-64").fingerprint)


def test_a_recipe_without_a_published_figure_is_one_but_for_its_schedule() -> None:
    own = recipe.parse(TEXT.partition("[published]")[0], PATH)
    assert own.published is None
    assert train.adapt(own, epochs=3).training.epochs == 3
    with pytest.raises(BadUsage, match=r"mine\.toml: no table \[published\]"):
        train.adapt(own, published=True)


def test_an_unknown_recipe_is_refused_with_the_known_names() -> None:
    with pytest.raises(BadRecipe, match=r"'mpl-128': unknown; known recipes: .*mlp-128-64"):
        recipe.load("mpl-128")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRecipe, match=r"gone\.toml: no such recipe file"):
        recipe.load(tmp_path / "gone.toml")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.toml"
    path.write_bytes(b'title = "caf\xe9"\n')
    with pytest.raises(BadRecipe, match="not UTF-8 at byte 12"):
        recipe.load(path)


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ("seed = 7", 'seed = "7"', "training.seed", "a whole number expected, a text '7' found"),
        ("seed = 7", "seed = true", "training.seed", "a whole number expected"),
        ("seed = 7", "seed = -1", "training.seed", "0 to "),
        ("seed = 7", "sed = 7\nseed = 7", "training.sed", "unknown key; known here: data, loss"),
        ("rotation", "rotations", "augmentation.rotations", "unknown key"),
        ('"cosine"', '"sine"', "training.schedule", "one of cosine, constant expected"),
        ('data = "mnist"', 'data = "cifar"', "training.data", "one of mnist, digits expected"),
        ("shape = [28, 28]", "shape = [28, 0]", "input.shape", "whole numbers above 0"),
        ("range = [0.0, 1.0]", "range = [1, 0]", "input.range", "[lowest, highest] expected"),
        ('name = "hidden_2"', 'name = "hidden_1"', "layers[2].name", "'hidden_1' is taken"),
        ('name = "hidden_2"', 'name = "hidden_2"\ninputs = ["top"]', "layers[2].inputs", "'top'"),
        ("learning_rate", "learning_rat", "training.optimizer.learning_rate", "missing"),
        ('"keras/float32"', '"keras"', "ships", "\"format/precision\" expected, 'keras'"),
        ('labels = ["0"', 'labels = ["1"', "labels", "distinct texts expected"),
        ("title =", "titel =", "title", "missing; a text expected"),
        ("accuracy = 0.991", "accuracy = 99.1", "minimum.accuracy", "0 to 1 expected, 99.1"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(
    old: str, new: str, place: str, found: str
) -> None:
    assert old in TEXT
    broken = TEXT.replace(old, new, 1)
    with pytest.raises(BadRecipe) as caught:
        recipe.parse(broken, PATH)
    message = str(caught.value)
    assert message.startswith("mine.toml")
    assert f": {place}: " in message
    assert found in message
    assert "\n" not in message


def test_the_line_of_a_wrong_value_is_told() -> None:
    broken = TEXT.replace("seed = 7", "seed = 7.5")
    with pytest.raises(BadRecipe, match=rf"line {line_with(broken, 'seed = 7.5')}: training.seed"):
        recipe.parse(broken, PATH)


def test_the_line_of_an_unknown_layer_key_is_its_own_not_the_first_layers() -> None:
    broken = TEXT.replace("units = 64", "units = 64\nname2 = 3", 1)
    loaded = recipe.parse(broken, PATH)
    line = line_with(broken, "name2 = 3")
    with pytest.raises(BadRecipe, match=rf"line {line}: layers\[2\].name2: no such thing"):
        loaded.complain(("layers", 2, "name2"), "no such thing")


def test_malformed_toml_is_told_with_its_line() -> None:
    broken = TEXT.replace("seed = 7", "seed = = 7")
    line = line_with(broken, "seed = = 7")
    with pytest.raises(BadRecipe, match=rf"mine\.toml: not TOML: .*line {line}"):
        recipe.parse(broken, PATH)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("units = 64", "units = 65"),
        ("seed = 7", "seed = 8"),
        ("shift = 1", "shift = 2"),
        ('activation = "softmax"', 'activation = "sigmoid"'),
        ('name = "hidden_1"', 'name = "first"'),
        ("learning_rate = 0.002", "learning_rate = 0.003"),
        ("drawn = 0.06", "drawn = 0.07"),
        ("seed = 7", "seed = 7\njit_compile = false"),
    ],
)
def test_the_fingerprint_changes_with_what_is_trained(old: str, new: str) -> None:
    assert old in TEXT
    changed = recipe.parse(TEXT.replace(old, new, 1), PATH)
    assert changed.fingerprint != recipe.parse(TEXT, PATH).fingerprint


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("title = ", "# a comment\ntitle = "),
        ("title = \"", "title = \"New "),
        ("accuracy = 0.991", "accuracy = 0.5"),
        ("accuracy = 0.985", "accuracy = 0.5"),
        ('"tfjs-layers/float16", ', ""),
        ("drawn = 0.06", "drawn = 0.06\nplain = 0.0"),
        ("seed = 7", "seed = 7\njit_compile = true"),
    ],
)  # fmt: skip
def test_the_fingerprint_leaves_out_what_does_not_influence_training(old: str, new: str) -> None:
    assert old in TEXT
    changed = recipe.parse(TEXT.replace(old, new, 1), PATH)
    assert changed.fingerprint == recipe.parse(TEXT, PATH).fingerprint


def test_lines_are_found_past_strings_and_brackets_that_look_like_keys() -> None:
    text = (
        'a = """\nb = 1\n"""\nc = [\n  # d = 2\n  "]",\n]\n["x.y".z]\n'
        "e = '''\n[f]\n'''\n[[g]]\nh = {i = 1}\n[[g]]\n'h' = 2\n[g.k]\nl.m = 1\n"
    )
    assert tomllib.loads(text)["g"][1]["h"] == 2
    assert locate(text) == {
        ("a",): 1, ("c",): 4, ("x.y", "z"): 8, ("x.y", "z", "e"): 9, ("g", 0): 12,
        ("g", 0, "h"): 13, ("g", 1): 14, ("g", 1, "h"): 15, ("g", 1, "k"): 16,
        ("g", 1, "k", "l"): 17, ("g", 1, "k", "l", "m"): 17,
    }  # fmt: skip


@settings(deadline=None)
@given(st.data())
def test_any_line_cut_out_gives_a_recipe_or_a_clear_error(data: st.DataObject) -> None:
    lines = TEXT.splitlines(keepends=True)
    cut = data.draw(st.integers(0, len(lines) - 1))
    message = "mine.toml"
    try:
        recipe.parse("".join(lines[:cut] + lines[cut + 1 :]), PATH)
    except BadRecipe as error:
        message = str(error)
    assert "\n" not in message
    assert message.startswith("mine.toml")


def test_reading_a_recipe_loads_no_numpy_and_no_tensorflow() -> None:
    code = (
        "import sys; from exporter import recipe; recipe.load('mlp-128-64'); "
        "assert not {'numpy', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
