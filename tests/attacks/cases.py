"""Every attack, with the command that is to refuse it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.attacks import archives, bundles, configs, texts, weights

BUNDLE = "hostile"


@dataclass(frozen=True)
class Attack:
    """One hostile file, and one command.

    Attributes:
        name: What is wrong, and the command.
        make: Writes it into an empty folder; gives the command's arguments.
    """

    name: str
    make: Callable[[Path], list[str]]


def every() -> list[Attack]:
    """All of them; names are distinct."""
    return [*_models(), *_bundles(), *_recipes(), *_pictures(), *_arguments()]


def _models() -> Iterator[Attack]:
    files: list[tuple[str, str, Callable[[], bytes]]] = [
        (what, "model.keras", make) for what, make in archives.attacks()
    ]
    for what, document in configs.attacks():
        files.append((what, "model.keras", lambda d=document: archives.with_config(d)))
    files += weights.attacks()
    for number, (what, name, make) in enumerate(files):
        yield _model(what, name, make, ["export", name, "-o", "out"])
        # The other commands that open a model's file go the same way: a spread of each.
        if number % 12 == 5:
            yield _model(what, name, make, ["trace", name])
        if number % 12 == 11:
            yield _model(what, name, make, ["evaluate", name, "--data", "digits"])


def _model(what: str, name: str, make: Callable[[], bytes], arguments: list[str]) -> Attack:
    def write(folder: Path) -> list[str]:
        (folder / name).write_bytes(make())
        return arguments

    return Attack(f"{arguments[0]}: {what}", write)


def _bundles() -> Iterator[Attack]:
    others = (
        ["parity", BUNDLE], ["predict", BUNDLE, "x.png"], ["site", BUNDLE, "-o", "out"],
        ["trace", BUNDLE], ["site", BUNDLE, "-o", "out.html", "--single-file"],
        ["predict", BUNDLE, "x.png", "--runtime", "tfjs-node"],
    )  # fmt: skip
    for number, (what, make) in enumerate(bundles.attacks()):
        yield _bundle(what, make, ["verify", BUNDLE])
        if number % 4 == 3:
            yield _bundle(what, make, others[number // 4 % len(others)])


def _bundle(what: str, make: bundles.Make, arguments: list[str]) -> Attack:
    def write(folder: Path) -> list[str]:
        (folder / BUNDLE).mkdir()
        make(folder / BUNDLE)
        (folder / "x.png").write_bytes(texts.png(28, 28, bytes(29 * 28)))
        return arguments

    return Attack(f"{' '.join(arguments)}: {what}", write)


def _recipes() -> Iterator[Attack]:
    for number, (what, data) in enumerate(texts.recipes()):
        for command in ("export", "train") if number % 4 == 1 else ("export",):

            def write(folder: Path, data: bytes = data, command: str = command) -> list[str]:
                (folder / "evil.toml").write_bytes(data)
                return [command, "evil.toml", "-o", "out"]

            yield Attack(f"{command} recipe: {what}", write)


def _pictures() -> Iterator[Attack]:
    for what, name, make in texts.pictures():

        def write(folder: Path, name: str = name, make: Callable[[], bytes] = make) -> list[str]:
            (folder / BUNDLE).mkdir()
            bundles.good(folder / BUNDLE)
            (folder / name).write_bytes(make())
            return ["predict", BUNDLE, name]

        yield Attack(f"predict picture: {what}", write)


def _arguments() -> Iterator[Attack]:
    for given in texts.CUSTOM_OBJECTS:

        def write(folder: Path, given: str = given) -> list[str]:
            (folder / "model.keras").write_bytes(archives.with_config(archives.good_config()))
            return ["export", "model.keras", "-o", "out", "--custom-objects", given]

        yield Attack(f"export --custom-objects {json.dumps(given)}", write)
