"""Bundles to be traced: right ones, written once, and copies with a fault."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from exporter.formats import get
from exporter.manifest import Artifact, measure
from exporter.runtimes import Engine, Runtime
from exporter.source import Source
from tests.mutations import subjects
from tests.mutations.subjects import Subject
from tests.running import kept_running


def nested(seed: int) -> Source:
    """A model called twice inside another one, on both of two inputs; names that TF refuses."""
    layers = keras.layers
    inner = keras.Sequential(
        [
            keras.Input((5,)),
            layers.Dense(6, activation="relu", name="wide one"),
            layers.Dropout(0.5, name="dropped"),
            layers.Dense(4, activation="tanh", name="narrow"),
        ],
        name="tower",
    )
    left, right = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    joined = layers.Concatenate(name="joined")([inner(left), inner(right)])
    scores = layers.Dense(3, activation="softmax", name="scores")(joined)
    model = keras.Model([left, right], scores, name="nested")
    return subjects._described(model, seed)


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Subject]:
    """The bundle of a subject, written when it is first wanted; not to be changed."""
    made: dict[str, Subject] = {}
    builders = {**subjects.BUILDERS, "nested": nested}

    def get_subject(name: str) -> Subject:
        if name not in made:
            folder = tmp_path_factory.mktemp("traced") / name
            found = subjects.make(name, folder, builders)
            source = get("keras").export(found.source, "float32", folder)
            artifact = Artifact("keras", "float32", source.path, measure(folder, source.files))
            manifest = replace(found.manifest, artifacts=(artifact, *found.manifest.artifacts))
            (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
            made[name] = replace(found, manifest=manifest)
        return made[name]

    return get_subject


@pytest.fixture
def spoilt(subject: Callable[[str], Subject], tmp_path: Path) -> Callable[..., Path]:
    """A copy of a bundle with a change made to one file: `spoilt(name, format, change)`."""

    def spoil(name: str, format: str, change: Callable[[Path], None]) -> Path:
        found = subject(name)
        folder = Path(shutil.copytree(found.directory, tmp_path / name))
        change(folder / found.manifest.artifact(format).path)
        return folder

    return spoil


@pytest.fixture(scope="module", autouse=True)
def _kept_running() -> Iterator[None]:
    """One Node for a module's traces: starting it costs half a second each time.

    Not for the session: what other tests start must be their own.
    """
    with ExitStack() as stack:
        engines: dict[str, Engine] = {}

        def engine_of(runtime: Runtime) -> Engine | None:
            if not runtime.everywhere:
                return None
            if runtime.name not in engines:
                engines[runtime.name] = stack.enter_context(runtime.start())
            return engines[runtime.name]

        with kept_running(engine_of):
            yield
