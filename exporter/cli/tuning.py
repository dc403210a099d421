"""Search for better values of a recipe."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from exporter.cli.shell import data_option, json_option, print_json

INTERRUPTED = 130


@click.command(
    epilog="Examples: exporter tune mlp-128-64 --trials 30 --epochs 20; the same command again "
    "goes on, and in a second terminal shares the work"
)
@click.argument("recipe_name", metavar="RECIPE")
@click.option(
    "--trials", type=click.IntRange(1), default=20, show_default=True,
    help="Until the study holds so many finished trials, of all processes.",
)  # fmt: skip
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), metavar="SECONDS",
    help="End the search after so long; the best is still trained.",
)  # fmt: skip
@click.option(
    "--epochs", type=click.IntRange(1), help="Of a trial, instead of the recipe's."
)  # fmt: skip
@click.option(
    "--storage", metavar="PATH|URL",
    help="Where the study lies: a journal file, by default in the output folder, or a database.",
)  # fmt: skip
@click.option("--study", "study_name", help="The study's name; the recipe's by default.")
@click.option("--seed", type=click.IntRange(0), help="Of the suggestions.")
@click.option(
    "--pruner", type=click.Choice(["median", "hyperband", "none"]), default="median",
    show_default=True, help="How trials that fall behind are ended early.",
)  # fmt: skip
@click.option("--no-train", is_flag=True, help="Search only: train no model at the end.")
@data_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; out/tune/RECIPE by default."
)
@json_option
def tune(
    recipe_name: str, trials: int, timeout: float | None, epochs: int | None,
    storage: str | None, study_name: str | None, seed: int | None, pruner: str, no_train: bool,
    data: str | None, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Search the ranges of RECIPE for better values; write the best as a recipe, and train it.

    What the study holds is kept after every epoch, whatever happens; the best so far is written
    after every trial. Ctrl-C ends with exit code 130.
    """
    from exporter import data as datasets
    from exporter import recipe as recipes
    from exporter import trained
    from exporter import tune as tuning
    from exporter import tuning_tables as shown
    from exporter.tune import study

    study.require()
    recipe = recipes.load(recipe_name)
    directory = output or Path("out") / "tune" / recipe.name
    trained.refuse_bundle(directory)
    dataset = datasets.load(data or recipe.training.data)
    live = sys.stderr.isatty() and not as_json
    with (
        _terminated_as_interrupted(),
        shown.tuning_progress(recipe.name, live) as (tell, tell_epoch),
    ):
        outcome = tuning.run(
            recipe, dataset, directory, trials=trials, timeout_seconds=timeout, epochs=epochs,
            storage=storage, name=study_name, seed=seed, pruner=pruner, train_best=not no_train,
            on_told=tell, on_epoch=tell_epoch,
        )  # fmt: skip
    if as_json:
        print_json(outcome.to_json())
    else:
        shown.show_tuning(outcome)
    if outcome.ended == "interrupted":
        click.echo("interrupted: the best so far is written; the same command goes on", err=True)
        sys.exit(INTERRUPTED)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """`kill` ends the search as Ctrl-C does, so that the best so far is written."""

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
