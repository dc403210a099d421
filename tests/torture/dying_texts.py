"""Publications of texts that die, fail and race: what the quick tests do in a forked process.

They need no Keras: the whole of `publish`, over five small files.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from exporter import publish
from tests.torture.faults import Case, at_every_call, race

SEED = 7


def of_texts(folder: Path, before: str = "old", after: str = "new") -> Case:
    """A bundle of five small files, which needs no Keras: for the quick tests."""
    target = folder / "bundles" / "bundle"

    def write(root: Path, text: str) -> None:
        for path in ("manifest.json", "golden.json", "a/one", "a/two", "b/three"):
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text(f"{text} {path}")

    def reset() -> None:
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        if before == "old":
            target.mkdir()
            write(target, "old")

    def publish_new() -> None:
        with publish.staged(target) as staging:
            write(staging, after)

    def state() -> str:
        if not target.exists():
            return "nothing"
        files = [path for path in target.rglob("*") if path.is_file()]
        words = {path.read_text().split()[0] for path in files}
        return words.pop() if len(words) == 1 and len(files) == 5 else f"mixed: {sorted(files)}"

    return Case(target, reset, publish_new, state, before)


def tried_quickly(folder: Path) -> dict[str, Any]:
    """Bundles that need no Keras: over an old one and for the first time, with exchange and not."""
    wrong: list[str] = []
    tries: Counter[str] = Counter()
    for before in ("old", "nothing"):
        for exchange in (True, False):
            case = of_texts(folder, before)
            for fault, out in at_every_call(case, exchange):
                tries[out.state] += 1
                wrong += [f"{fault}: {sentence}" for sentence in out.faults(before, fault)]
    return {"tries": dict(tries), "wrong": wrong}


def tried_on_careless(folder: Path) -> dict[str, Any]:
    """What a publication that removes the old one first comes to: all of it must be found."""

    def swap(staging: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(staging, target)

    publish._swap = swap
    case = of_texts(folder)
    states: Counter[str] = Counter()
    wrong: list[str] = []
    for fault, out in at_every_call(case):
        states[out.state.split(":")[0]] += 1
        wrong += out.faults(case.before, fault)
    return {"tries": dict(states), "wrong": sorted({sentence.split(":")[0] for sentence in wrong})}


def raced_quickly(folder: Path) -> dict[str, Any]:
    """Two that race onto one place: for the first time, over an old one, with exchange or not."""
    won: Counter[str] = Counter()
    wrong: list[str] = []
    chance = random.Random(SEED)
    for before in ("old", "nothing"):
        case, other = of_texts(folder, before), of_texts(folder, before, "other")
        for number in range(80):
            case.reset()
            racers = [case.publish, other.publish]
            said = race(case.target, racers, chance, exchange=number % 2 == 0)
            left = sorted(path.name for path in case.target.parent.iterdir())
            won[case.state()] += 1
            if any(said) or left != [case.target.name]:
                wrong.append(f"{said} {left}")
    return {"tries": dict(won), "wrong": wrong}


if __name__ == "__main__":
    ways = {"quick": tried_quickly, "careless": tried_on_careless, "race": raced_quickly}
    print(json.dumps(ways[sys.argv[2]](Path(sys.argv[1]))))
