"""What `exporter tune` shows: trials as they go, and what the search found.

Imported by `exporter.cli` when there is something to show. Knows no arguments and no exit codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape

from exporter.tables import new_console, new_table
from exporter.tune import Outcome, Told

if TYPE_CHECKING:
    from exporter.train import Epoch


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name.rpartition('.')[2]} {value}" for name, value in values.items())


def line_of(told: Told) -> str:
    """A trial that ended, with the best so far, on one line."""
    how = told.state
    if told.accuracy is not None:
        where = "" if told.state == "complete" else f" after {told.epoch} of {told.epochs} epochs"
        how += f", {told.accuracy:.2%}{where}"
    if told.reason:
        how += f" ({told.reason})"
    best = told.best
    if told.state == "complete" and (best is None or (told.accuracy or 0.0) > best[1]):
        best = (told.number, told.accuracy or 0.0)
    lead = "none yet" if best is None else f"{best[1]:.2%} (trial {best[0]})"
    return (
        f"trial {told.number}: {how}; best {lead}; {told.finished} of {told.wanted} finished; "
        f"{_words(told.values)}"
    )


@contextmanager
def tuning_progress(
    name: str, live: bool
) -> Iterator[tuple[Callable[[Told], None], Callable[[Epoch], None]]]:
    """For the search and for the training of its best: what is to be told of progress.

    Bars with the best so far on a terminal; in a pipe a line for each trial that ended.
    """
    if not live:

        def say(told: Told) -> None:
            if told.state != "running":
                click.echo(line_of(told), err=True)

        yield say, lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(), TextColumn("{task.fields[figures]}"),
    )  # fmt: skip
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as progress:
        search = progress.add_task(f"tuning {name}", total=None, figures="")
        trial = progress.add_task("trial", total=None, figures="")

        def tell(told: Told) -> None:
            best = "" if told.best is None else f"best {told.best[1]:.2%} (trial {told.best[0]})"
            progress.update(search, completed=told.finished, total=told.wanted, figures=best)
            reached = "" if told.accuracy is None else f"{told.accuracy:.2%}"
            progress.update(
                trial, description=f"trial {told.number}", completed=told.epoch,
                total=told.epochs, figures=f"{reached} {_words(told.values)}",
            )  # fmt: skip
            if told.state != "running":
                console.print(escape(line_of(told)), soft_wrap=True, highlight=False)

        def tell_epoch(epoch: Epoch) -> None:
            figures = "  ".join(f"{key} {value:.4f}" for key, value in epoch.figures.items())
            progress.update(
                trial, description="training the best", completed=epoch.number,
                total=epoch.count, figures=figures,
            )  # fmt: skip

        yield tell, tell_epoch


def show_tuning(outcome: Outcome) -> None:
    """The best values beside the recipe's own, what they reach, and where all of it lies."""
    console = new_console()
    table = new_table("", "recipe", "best", right=("recipe", "best"))
    for name, value in outcome.values.items():
        own = outcome.own[name]
        table.add_row(escape(name), f"{own}", f"{value}" if own == value else f"[bold]{value}[/]")
    own_accuracy = outcome.own_accuracy
    table.add_row(
        "accuracy, held out",
        "not tried" if own_accuracy is None else f"{own_accuracy:.2%}",
        f"[bold]{outcome.accuracy:.2%}[/]",
    )
    console.print(table)
    counts = outcome.counts
    console.print(
        f"trials:   {counts['complete']} complete, {counts['pruned']} pruned, "
        f"{counts['given_up']} failed or given up, {counts['running']} running elsewhere, "
        f"{counts['waiting']} waiting; ended by {outcome.ended}",
        soft_wrap=True,
    )
    if outcome.metrics is not None:
        test = outcome.metrics["test"]
        console.print(
            f"model:    {escape(str(outcome.directory / 'model'))}: test accuracy "
            f"{test['accuracy']:.2%}, loss {test['loss']:.4f}, trained on all training pictures",
            soft_wrap=True,
        )
    else:
        console.print("model:    not trained")
    console.print(f"recipe:   {escape(str(outcome.recipe))}", soft_wrap=True)
    console.print(f"pictures: {escape(', '.join(map(str, outcome.pages)))}", soft_wrap=True)
    for reason in outcome.undrawn:
        console.print(f"[yellow]not drawn: {escape(reason)}[/]", soft_wrap=True)
