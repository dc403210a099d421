"""Recipes: list them, train them, measure what was trained."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from exporter.cli.shell import (
    data_option,
    json_option,
    listed,
    print_json,
    progress,
    tables,
)
from exporter.errors import BadUsage, DataMissing, ExporterError

if TYPE_CHECKING:
    from exporter.api import Evaluated


@click.command(epilog="Example: exporter recipes --json")
@click.option(
    "--models", default="models", show_default=True, type=click.Path(path_type=Path),
    help="Where the bundles lie.",
)  # fmt: skip
@json_option
def recipes(models: Path, as_json: bool) -> None:
    """List the recipes, their architecture and the figures of their shipped model."""
    from exporter import recipe

    known = [recipe.load(name) for name in recipe.names()]
    rows = [tables().recipe_row(item, models / item.name) for item in known]
    if as_json:
        print_json(rows)
    else:
        tables().show_recipes(rows)


@click.command(epilog="Example: exporter train mlp-128-64 --epochs 5 --data digits -o out/mine")
@click.argument("recipe_name", metavar="RECIPE")
@click.option("--epochs", type=click.IntRange(1), help="Instead of the recipe's.")
@click.option("--batch-size", type=click.IntRange(1), help="Instead of the recipe's.")
@click.option("--seed", type=click.IntRange(0), help="Instead of the recipe's.")
@click.option(
    "--published", is_flag=True, help="The schedule of the published text: no augmentation."
)
@click.option(
    "--held-out", is_flag=True,
    help="Train on 80 % and measure on the other 20 %: how a schedule is chosen.",
)  # fmt: skip
@data_option
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; out/RECIPE by default."
)
@json_option
def train(
    recipe_name: str, epochs: int | None, batch_size: int | None, seed: int | None,
    published: bool, held_out: bool, data: str | None, output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Train RECIPE, evaluate it, and write the Keras model, its metrics and pictures."""
    from exporter import data as datasets
    from exporter import recipe as recipes_module

    recipe = recipes_module.load(recipe_name)
    directory = output or Path("out") / recipe.name
    dataset = datasets.load(data or recipe.training.data)
    from exporter import evaluate as evaluation
    from exporter import train as training
    from exporter import trained

    trained.refuse_bundle(directory)
    with tables().training_progress(recipe.name, sys.stderr.isatty() and not as_json) as tell:
        result = training.fit(
            recipe, dataset, epochs=epochs, batch_size=batch_size, seed=seed,
            published=published, held_out=held_out, on_epoch=tell,
        )  # fmt: skip
    model = trained.record_of(result)
    trained.save(model, directory)
    measured = evaluation.evaluate(result.model, dataset, labels=recipe.labels)
    evaluation.write_pictures(measured, result.history, directory / "report")
    if as_json:
        print_json({**model.record, "evaluation": measured.to_json()})
    else:
        tables().show_evaluations([(recipe.name, measured)])
        if held := result.metrics.get("validation"):
            click.echo(f"held out: accuracy {held['accuracy']:.2%}, loss {held['loss']:.4f}")
        click.echo(f"model:    {directory / trained.MODEL_PATH}")
        click.echo(f"pictures: {directory / 'report' / 'evaluation.html'}")


@click.command(
    epilog="Examples: exporter evaluate models/mlp-128-64 --data mnist --json; "
    "exporter evaluate models/* --pens pens.jsonl.gz"
)
@click.argument(
    "paths", metavar="BUNDLE|MODEL...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@data_option
@click.option(
    "--pens", metavar="PATH", type=click.Path(path_type=Path),
    help="Several bundles: drawn digits to read as well (JSON lines of label and strokes); "
    "PEN_DIGITS_PATH by default.",
)  # fmt: skip
@click.option(
    "--runtimes",
    metavar="NAME,...",
    help="Several bundles: where to time them; by default where every machine can.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path),
    help="Folder for the pictures; out/evaluation/NAME by default.",
)  # fmt: skip
@json_option
def evaluate(
    paths: tuple[Path, ...], data: str | None, pens: Path | None, runtimes: str | None,
    output: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Accuracy, loss, precision/recall/F1 per class, confusion matrix and worst mistakes.

    Several bundles are compared as well: what each artefact weighs, reads and takes, in one table
    and one plot, and which of all to ship.
    """
    from exporter import api

    several = len(paths) > 1 and all(path.is_dir() for path in paths)
    if not several and (pens or runtimes):
        raise BadUsage("--pens and --runtimes: two bundles or more expected, to be compared")
    names = _known_runtimes(runtimes)
    # What is mistyped is told before anything takes its time.
    asked = (api.open_bundles(paths), api.read_pens(pens)) if several else None
    contest = unread = failed = None
    results: list[api.Evaluated] = []
    with progress("evaluating", as_json) as tell:
        try:
            results = api.evaluate(paths, data or "mnist", output, tell)
        except DataMissing as error:
            # Several bundles can be compared by what is recorded in them.
            if data is not None or asked is None:
                raise
            unread = error
        if asked is not None:
            try:
                contest = api.compare_bundles(asked[0], data, asked[1], names, tell)
            except ExporterError as error:
                failed = error  # what was evaluated is shown before it is told
    document: dict[str, Any] = {r.name: r.evaluation.to_json() for r in results}
    page = None
    if contest is not None:
        from exporter import contest_page

        folder = (output or Path("out") / "evaluation") / "comparison"
        page = contest_page.write(contest, folder) if contest.entrants else None
        document["comparison"] = contest.to_json() | {"page": page and str(page)}
    if as_json:
        print_json(document)
    else:
        _show_evaluated(results)
        if contest is not None and page is not None:
            click.echo()
            tables().show_contest(contest)
            click.echo(f"plot:     {page}")
        elif contest is not None:
            for line in contest.missing:
                click.echo(line, err=True)
        if unread is not None:
            click.echo(f"not evaluated: {unread}", err=True)
    if failed is not None:
        raise failed


def _known_runtimes(text: str | None) -> tuple[str, ...] | None:
    """The names in a list, each of a runtime; None where none are given."""
    from exporter import runtimes

    names = listed(text)
    for name in names or ():
        runtimes.get(name)
    return names


def _show_evaluated(results: Sequence[Evaluated]) -> None:
    if results:
        tables().show_evaluations([(result.name, result.evaluation) for result in results])
    for result in results:
        click.echo(f"pictures: {result.page}")
