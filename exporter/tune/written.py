"""A recipe's text with other values: what every trial trains, and the new recipe file.

Comments and order stay as they are. May import `exporter.{train, data, ranges, recipe}`;
tomlkit is imported inside.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter import recipe as recipes
from exporter.data import Dataset
from exporter.errors import BadRecipe, BadUsage, MachineFailed
from exporter.ranges import Range
from exporter.recipe import Recipe

_LOCK_NAME = ".writing"

DIGITS = 4
"""Of every number that is not whole: what a recipe file says, and what a trial trains with."""


def rounded(value: Any, found: Range) -> Any:
    """A suggested value as it is written: few digits, and still within the range."""
    if found.choices or found.whole:
        return value
    low, high = found.ends
    return float(min(max(float(f"{value:.{DIGITS}g}"), low), high))


def changed(text: str, values: Mapping[tuple[str, ...], Any]) -> str:
    """The recipe's text with other values at these places."""
    import tomlkit

    document = tomlkit.parse(text)
    _change(document, values)
    return tomlkit.dumps(document)


def new_recipe(text: str, values: Mapping[tuple[str, ...], Any], remark: str) -> str:
    """As `changed`, with a remark on top, a title of its own and the old values beside the new."""
    import tomlkit

    document = tomlkit.parse(text)
    document["title"] = f"{document['title']}, tuned"
    _change(document, values, told=True)
    return f"# {remark}\n{tomlkit.dumps(document).rstrip()}\n"


def recipe_of(text: str, path: Path, values: Mapping[tuple[str, ...], Any]) -> Recipe:
    """The recipe with other values.

    Raises:
        BadRecipe: A value is refused; the message names the values.
    """
    try:
        return recipes.parse(changed(text, values), path)
    except BadRecipe as error:
        raise BadRecipe(f"with {in_words(values)}: {error}") from error


def in_words(values: Mapping[tuple[str, ...], Any]) -> str:
    """ "layers.hidden_1.units 128, training.batch_size 64"."""
    return ", ".join(f"{'.'.join(place)} {value}" for place, value in values.items())


def _change(document: Any, values: Mapping[tuple[str, ...], Any], *, told: bool = False) -> None:
    import tomlkit

    for (table, *keys), value in values.items():
        if table == "layers":
            [place] = [layer for layer in document["layers"] if layer["name"] == keys[0]]
            keys = keys[1:]
        else:
            if table not in document:
                document[table] = tomlkit.table()
            place = document[table]
        *above, last = keys
        for key in above:
            place = place[key]
        old = place.get(last)
        if old is not None and type(old.unwrap()) is type(value) and old.unwrap() == value:
            continue
        item = tomlkit.item(value)
        place[last] = item
        # An inline table is one line: no comment fits into it.
        if told and not above:
            kept = "" if old is None else old.trivia.comment.lstrip("# ")
            was = "was left out" if old is None else f"was {old.unwrap()}"
            item.comment(f"{kept}; {was}" if kept else was)


def check_ends(recipe: Recipe, text: str, dataset: Dataset) -> None:
    """Build the model at both ends of every range, and with every choice, before any time is spent.

    Raises:
        BadRecipe: The recipe, Keras or the data refuses one; file, line and range are named.
    """
    from exporter import architecture, train

    for found in recipe.tune:
        for value in found.ends:
            try:
                tried = recipe_of(text, recipe.path, {found.place: value})
                train.check(tried, dataset)
                architecture.build(tried)
                architecture.loss(tried)
                rate = tried.training.optimizer_arguments["learning_rate"]
                architecture.optimizer(tried, rate)
            except (BadRecipe, BadUsage) as error:
                recipe.complain(("tune", *found.place), f"{value!r} cannot be trained: {error}")


def own_values(recipe: Recipe, found: Sequence[Range]) -> dict[tuple[str, ...], Any]:
    """What the recipe itself has at the places of the ranges."""
    return {one.place: recipe.value_at(one.place) for one in found}


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Only one process at a time writes what was found; the others wait."""
    import fcntl

    try:
        directory.mkdir(parents=True, exist_ok=True)
        with (directory / _LOCK_NAME).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise MachineFailed(f"{error.filename or directory}: {error.strerror}") from error


def replace_file(path: Path, text: str) -> None:
    """The file whole, or as it was."""
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        staging.write_text(text, encoding="utf-8")
        staging.replace(path)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise MachineFailed(f"{path}: {error.strerror}") from error
