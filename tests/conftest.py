"""What many tests share: quiet TensorFlow, tiny models, one published bundle."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if TYPE_CHECKING:
    import keras


def tiny_classifier(seed: int = 3) -> keras.Model:
    """An MLP of a digit recogniser's shape, small and untrained."""
    import keras

    keras.utils.set_random_seed(seed)
    return keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.Dense(16, activation="relu", name="hidden"),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ],
        name="tiny",
    )


@pytest.fixture(scope="session", autouse=True)
def _runtimes_of_every_machine() -> Iterator[tuple[str, ...]]:
    """Exports of the tests run in the runtimes that are everywhere: a browser costs each 15 s."""
    from exporter import runtimes

    every = runtimes.NAMES
    runtimes.NAMES = tuple(name for name in every if runtimes.get(name).everywhere)
    yield every
    runtimes.NAMES = every


@pytest.fixture(autouse=True)
def _every_runtime_where_marked(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    _runtimes_of_every_machine: tuple[str, ...],
) -> None:
    """Tests that are marked `browser` run in all runtimes, as an export does."""
    if request.node.get_closest_marker("browser"):
        monkeypatch.setattr("exporter.runtimes.NAMES", _runtimes_of_every_machine)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A published bundle of `tiny_classifier` in every format; not to be changed."""
    import exporter

    directory = tmp_path_factory.mktemp("published") / "tiny"
    exporter.export(tiny_classifier(), directory)
    return directory


@pytest.fixture
def own_bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the published bundle, to be damaged."""
    import shutil

    return Path(shutil.copytree(tiny_bundle, tmp_path / "tiny"))


@pytest.fixture
def run_exporter() -> Any:
    """Run the command line in this process: `run_exporter("verify", path)` -> click's Result."""
    from click.testing import CliRunner

    from exporter.cli import main

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(
            main, [str(argument) for argument in arguments], prog_name="exporter"
        )

    return run


@pytest.fixture(scope="session")
def chromium_here() -> None:
    """A browser that the parity runs can drive; where CI=true a missing one fails."""
    from exporter import runtimes

    reason = runtimes.get("tfjs-browser").missing("wasm")
    if reason and os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
