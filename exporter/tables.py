"""What the command line shows: tables and live progress, by rich.

Imported by `exporter.cli` when there is something to show. Knows no arguments and no exit codes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from exporter.errors import BadBundle
from exporter.manifest import Manifest

if TYPE_CHECKING:
    from exporter.contest import Contest
    from exporter.parity import ParityReport, Row
    from exporter.pipeline import Result
    from exporter.predictor import Answer
    from exporter.recipe import Recipe
    from exporter.shipping import Offer
    from exporter.trace import Trace
    from exporter.train import Epoch

MOST_IN_A_CHAIN = 12
"""Layers of a recipe that are shown one after another."""
_STYLES = {"passed": "green", "failed": "bold red", "warned": "yellow", "not run": "yellow"}


def new_console(stderr: bool = False) -> Console:
    """A console as wide as the terminal; a pipe gets whole lines."""
    # A table cut at 80 columns helps no program.
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=160)


def new_table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table without lines; `right` names the columns of numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def size(count: int) -> str:
    """Bytes as people read them: 1,024 kB steps are not used anywhere in this project."""
    if count < 1000:
        return f"{count} B"
    return f"{count / 1e3:,.0f} kB" if count < 1e6 else f"{count / 1e6:,.1f} MB"


def recipe_row(recipe: Recipe, bundle: Path) -> dict[str, Any]:
    """A recipe with the figures of its shipped model, as plain JSON types."""
    try:
        figures = dict(Manifest.read(bundle).metrics.get("test", {}))
    except BadBundle:
        figures = {}
    return {
        "name": recipe.name,
        "title": recipe.title,
        "layers": _layers(recipe),
        "loss": recipe.training.loss,
        "published": recipe.published.figure if recipe.published else "none",
        "shipped": figures,
    }


def _layers(recipe: Recipe) -> str:
    """One after another, a dense one by its units; of a long or branched model how many of each."""
    if len(recipe.layers) <= MOST_IN_A_CHAIN:
        return " - ".join(
            str(layer.arguments.get("units", layer.class_name)) for layer in recipe.layers
        )
    counts = Counter(layer.class_name for layer in recipe.layers)
    return ", ".join(f"{count} {name}" for name, count in counts.most_common())


def show_recipes(rows: Sequence[dict[str, Any]]) -> None:
    """The table of `exporter recipes`."""
    table = new_table("recipe", "layers", "loss", "published", "shipped")
    for row in rows:
        shipped = row["shipped"]
        figures = (
            f"{shipped['accuracy']:.2%}, loss {shipped['loss']:.3f}, F1 {shipped['f1']:.4f}"
            if shipped
            else "not trained yet"
        )
        table.add_row(row["name"], row["layers"], row["loss"], row["published"], figures)
    new_console().print(table)


@contextmanager
def training_progress(name: str, live: bool) -> Iterator[Callable[[Epoch], None]]:
    """A bar with the latest figures on a terminal; nothing in a pipe."""
    if not live:
        yield lambda _: None
        return
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(), TextColumn("{task.fields[figures]}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"training {name}", total=None, figures="")

        def tell(epoch: Epoch) -> None:
            figures = "  ".join(f"{key} {value:.4f}" for key, value in epoch.figures.items())
            progress.update(task, completed=epoch.number, total=epoch.count, figures=figures)

        yield tell


def _outcomes(rows: Sequence[Row]) -> str:
    words = {"passed": "passed", "failed": "failed", "not_run": "not run"}
    found = ["warned" if r.advisory and r.status == "failed" else words[r.status] for r in rows]
    counts = {word: found.count(word) for word in _STYLES}
    parts = [f"[{_STYLES[word]}]{count} {word}[/]" for word, count in counts.items() if count]
    return ", ".join(parts) or "[bold red]nothing was compared[/]"


def export_row(result: Result, directory: Path) -> dict[str, Any]:
    """One exported bundle as plain JSON types."""
    from exporter import shipping  # NumPy comes with it; lists need none

    report = result.report
    return {
        "name": result.manifest.name,
        "directory": str(directory),
        "artifacts": {a.id: a.size_bytes for a in result.manifest.artifacts},
        "skipped": {f"{s.format}/{s.precision}": s.reason for s in result.manifest.skipped},
        "parity": {
            "passed": report.count("passed"),
            "failed": len(report.failed),
            "warned": len(report.warned),
            "not_run": report.count("not_run"),
        },
        "half_float": report.half_float.verdict if report.half_float else None,
        "ship": shipping.why(result.manifest) or None,
        "not_run": _unrun(report),
        "remarks": list(result.remarks),
        "seconds": round(result.seconds, 2),
    }


def _advice(offers: Sequence[Offer]) -> str:
    """The recommended artefact with its figures; empty where there is none."""
    offer = next((offer for offer in offers if offer.recommended), None)
    if offer is None:
        return ""
    parts = [size(offer.artifact.size_bytes)]
    if offer.gzip_bytes is not None:
        parts.append(f"{size(offer.gzip_bytes)} gzipped")
    if offer.accuracy is not None and offer.keras_accuracy is not None:
        parts.append(f"accuracy {offer.accuracy:.2%}, Keras {offer.keras_accuracy:.2%}")
    if offer.samples:
        parts.append(f"{offer.flips:,} of {offer.samples:,} answers differ from Keras'")
    return f"{offer.artifact.id}: {'; '.join(parts)}"


def _unrun(report: ParityReport) -> dict[str, str]:
    """Runtime and backend -> why not and what to do, each once."""
    return {f"{row.runtime} {row.backend}": row.reason for row in report.not_run}


def show_exports(results: Sequence[tuple[Result, Path]]) -> None:
    """The table at the end of `exporter export`, and what was not run or not published."""
    console = new_console()
    table = new_table("bundle", "artefact", "size", "parity", "seconds", right=("size", "seconds"))
    for result, _ in results:
        rows = defaultdict(list)
        for row in result.report.rows:
            rows[row.artifact].append(row)
        first = True
        for artifact in result.manifest.artifacts:
            table.add_row(
                result.manifest.name if first else "",
                artifact.id,
                size(artifact.size_bytes),
                _outcomes(rows[artifact.id]),
                f"{result.seconds:.1f}" if first else "",
            )
            first = False
        for left in result.manifest.skipped:
            name = f"{left.format}/{left.precision}"
            table.add_row(
                "", f"[yellow]{name}[/]", "", f"[yellow]left out: {escape(left.reason)}[/]"
            )
    console.print(table)
    for result, directory in results:
        console.print(
            f"{escape(str(directory))}: published, "
            f"report in {escape(str(directory / 'report' / 'report.html'))}",
            soft_wrap=True,
        )
        if advice := _advice(result.offers):
            console.print(f"  ship {escape(advice)}", soft_wrap=True)
    for remark in dict.fromkeys(remark for result, _ in results for remark in result.remarks):
        console.print(f"[yellow]{escape(remark)}[/]", soft_wrap=True)
    unrun: dict[str, str] = {}
    for result, _ in results:
        unrun |= _unrun(result.report)
    _show_unrun(console, unrun)


def _show_unrun(console: Console, unrun: dict[str, str]) -> None:
    reasons = defaultdict(list)
    for name, reason in unrun.items():
        reasons[reason].append(name)
    for reason, names in reasons.items():
        console.print(
            f"[yellow]not run: {escape(', '.join(names))}: {escape(reason)}[/]", soft_wrap=True
        )


def show_parity(report: ParityReport) -> None:
    """The table of `exporter parity`: one line per artefact, runtime and backend."""
    console = new_console()
    table = new_table(
        "artefact", "runtime", "backend", "verdict", "max error", "top-1", "median",
        right=("max error", "top-1", "median"),
    )  # fmt: skip
    cells: dict[tuple[str, str, str], list[Row]] = defaultdict(list)
    for row in report.rows:
        cells[row.artifact, row.runtime, row.backend].append(row)
    for key, rows in cells.items():
        errors = [r.max_abs for r in rows if r.max_abs is not None and "edge" not in r.samples_name]
        agreements = [row.top1_agreement for row in rows if row.top1_agreement is not None]
        alone = [row.latency_ms for row in rows if row.batch == 1 and row.latency_ms is not None]
        table.add_row(
            *key,
            _outcomes(rows),
            f"{max(errors):.1e}" if errors else "",
            f"{min(agreements):.2%}" if agreements else "",
            f"{min(alone):.2f} ms" if alone else "",
        )
    console.print(table)
    for row in report.failed:
        place = f"{row.artifact} on {row.runtime} {row.backend}, {row.samples_name}"
        console.print(f"[red]{escape(place)}: {escape(row.reason)}[/]", soft_wrap=True)
    if report.half_float:
        style = "green" if report.half_float.safe and not report.warned else "yellow"
        console.print(f"[{style}]phones: {escape(report.half_float.verdict)}[/]", soft_wrap=True)
    _show_unrun(console, _unrun(report))


def show_traces(traces: Sequence[Trace], folder: Path | None, cut_out: Path | None) -> None:
    """The tables of `exporter trace`: one line per layer, the first that is wrong marked."""
    console = new_console()
    for found in traces:
        console.print(f"[bold]{escape(found.artifact)}[/] in {escape(found.ran_on)}, "
                      f"on {escape(found.input_name)}", soft_wrap=True)  # fmt: skip
        table = new_table(
            "", "layer", "class", "shape", "max error", "allowed", "Keras' own", "in the file as",
            right=("max error", "allowed", "Keras' own"),
        )  # fmt: skip
        for layer in found.layers:
            mark = {"failed": "[bold red]wrong[/]", "passed": "[green]right[/]"}
            numbers = (layer.max_abs, layer.allowed, layer.keras_max_abs)
            table.add_row(
                mark.get(layer.status, ""),
                escape(layer.path) + (f" (call {layer.call})" if layer.call > 1 else ""),
                layer.layer_class, "×".join(map(str, layer.shape)),
                *("" if number is None else f"{number:.1e}" for number in numbers),
                escape(layer.tensor or layer.reason),
            )  # fmt: skip
        console.print(table)
        for remark in (*found.remarks, *([found.weights] if found.weights else ())):
            console.print(f"[yellow]{escape(remark)}[/]", soft_wrap=True)
        if found.verdict is None:
            console.print("[green]no layer leaves the gate[/]")
        console.print()
    for what, place in (("written to", folder), ("the fault, cut out:", cut_out)):
        if place is not None:
            console.print(f"{what} {escape(str(place))}", soft_wrap=True)


def show_evaluations(evaluations: Sequence[tuple[str, Any]]) -> None:
    """The table of `exporter evaluate`, and for a single model its classes and confusions."""
    console = new_console()
    table = new_table("model", "data", "samples", "accuracy", "loss", "precision", "recall", "F1")
    for name, found in evaluations:
        table.add_row(escape(name), *found.summary_row())
    console.print(table)
    if len(evaluations) == 1:
        classes = new_table("class", "precision", "recall", "F1", "samples", "most confused with")
        for row in evaluations[0][1].class_rows():
            classes.add_row(*map(escape, row))
        console.print()
        console.print(classes)
        console.print()
        console.print(_confusions(evaluations[0][1]))


def show_contest(contest: Contest) -> None:
    """Every artefact of several bundles, and which to ship."""
    console = new_console()
    right = ("gzipped", "to fetch", "accuracy", "pens", "drawings", *contest.places)
    pens = "pens" if contest.pens_are_real else "drawings"
    table = new_table(
        "model", "artefact", "gzipped", "to fetch", "accuracy", pens, *contest.places, right=right
    )
    chosen = contest.choice()
    before = ""
    for entrant in contest.entrants:
        accuracy = f"{entrant.tested:.2%}" if entrant.tested is not None else ""
        if entrant.accuracy is None and accuracy:
            accuracy = f"({accuracy})"
        times = [entrant.latencies_ms.get(place) for place in contest.places]
        table.add_row(
            "" if entrant.bundle == before else escape(entrant.bundle),
            escape(entrant.artifact), size(entrant.gzip_bytes), size(entrant.fetch_bytes),
            accuracy, "" if entrant.pens is None else f"{entrant.pens:.2%}",
            *("" if ms is None else f"{ms:.2g} ms" for ms in times),
            style="bold green" if entrant == chosen else None,
        )  # fmt: skip
        before = entrant.bundle
    console.print(table)
    if any(e.accuracy is None and e.recorded is not None for e in contest.entrants):
        console.print("(accuracy): as recorded by Keras in float32 when the model was trained")
    if chosen is not None:
        console.print(f"[bold]ship {escape(chosen.id)}[/]: {contest.why()}", soft_wrap=True)
    else:
        console.print(f"[yellow]{contest.why()}[/]", soft_wrap=True)
    for line in contest.missing:
        console.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)


def _confusions(found: Any) -> Table:
    """The confusion matrix: rows are what is there, columns what was read."""
    labels = [escape(label) for label in found.labels]
    table = new_table("is / read as", *labels, right=labels)
    for label, counts in zip(labels, found.confusion, strict=True):
        table.add_row(label, *(str(count) if count else "·" for count in counts))
    return table


def show_answers(answers: Sequence[Answer]) -> None:
    """The table of `exporter predict`."""
    table = new_table("picture", "answer", "probability", "", right=("probability",))
    for answer in answers:
        if answer.label is None:
            table.add_row(escape(answer.image), "[yellow]no digit: too little ink[/]", "", "")
            continue
        probability = max(answer.probabilities)
        table.add_row(
            escape(answer.image),
            escape(answer.label),
            f"{probability:.1%}",
            "█" * round(20 * probability),
        )
    new_console().print(table)
