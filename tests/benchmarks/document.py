"""docs/benchmarks.json and what docs/benchmarks.md says of it.

The page's text around the marks is written by hand; between them stand the goals at a glance and a
section for each row: its module's docstring, its figures, its goals, its command and its machine.
"""

from __future__ import annotations

import ast
import inspect
import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.benchmarks import ROWS
from tests.benchmarks.result import Contender, Goal, Result, ratio

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "benchmarks.json"
PAGE = DOCS / "benchmarks.md"
PLOTS = DOCS / "benchmarks"
_WRITTEN = re.compile(
    r"(?<=<!-- written by python -m tests.benchmarks -->\n).*(?=<!-- end -->)", re.DOTALL
)


def tracked() -> dict[str, Result]:
    """The results that are kept, in the order of the page."""
    document = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return {row: Result.from_document(document[row]) for row in ROWS if row in document}


def keep(row: str, result: Result) -> None:
    """Put one row's result beside those of the others."""
    results = tracked() | {row: result}
    document = {name: results[name].to_document() for name in ROWS if name in results}
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    RESULTS.write_text(text + "\n", encoding="utf-8")


def write() -> None:
    """The page and its plots, from what is kept."""
    from tests.benchmarks import plots

    results = tracked()
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_WRITTEN.sub(lambda _: written(results), text), encoding="utf-8")
    for row, result in results.items():
        plots.draw(PLOTS / f"{row}.svg", result)


def page_part() -> str:
    """What the page says between its marks."""
    found = _WRITTEN.search(PAGE.read_text(encoding="utf-8"))
    assert found, f"{PAGE}: nothing between its marks"
    return found.group()


def written(results: Mapping[str, Result]) -> str:
    """All that stands between the marks."""
    lines = ["", "| row | goal | | found | |", "|---|---|---|---:|---|"]
    for row in ROWS:
        title = text_of(row)[0]
        goals = results[row].goals if row in results else ()
        if not goals:
            lines.append(f"| {title} | | | | not measured |")
        for number, goal in enumerate(goals):
            link = f"[{title}](#{_anchor(title)})" if number == 0 else ""
            lines.append(
                f"| {link} | {goal.what} | {'≥' if goal.least else '≤'} {number_text(goal.limit)} "
                f"| {found_text(goal)} | {verdict(goal)} |"
            )
    for row, result in results.items():
        lines += ["", *_section(row, result)]
    return "\n".join([*lines, "", ""])


def _section(row: str, result: Result) -> Iterator[str]:
    title, text = text_of(row)
    yield f"### {title}"
    yield ""
    if text:
        yield text
        yield ""
    columns = list(dict.fromkeys(key for one in result.contenders for key in one.figures))
    yield "| | " + " | ".join(columns) + " |"
    yield "|---" + "|---:" * len(columns) + "|"
    for contender in result.contenders:
        yield f"| {contender.name} | {_cells(contender, columns)} |"
    yield ""
    yield f"![{title}: {result.plot}](benchmarks/{row}.svg)"
    yield ""
    for note in result.notes:
        yield f"- {note}"
    if result.notes:
        yield ""
    turns = "once" if result.runs == 1 else f"{result.runs} times, in turns"
    yield f"Measured {turns}, by `python -m tests.benchmarks {row}` on: {result.machine}."


def _cells(contender: Contender, columns: list[str]) -> str:
    if contender.missing:
        return " | ".join([contender.missing, *[""] * (len(columns) - 1)])
    figures = (contender.figures.get(column) for column in columns)
    return " | ".join("" if figure is None else number_text(figure) for figure in figures)


def number_text(number: float) -> str:
    """Three digits that count; whole numbers whole."""
    if number == int(number) and abs(number) < 1e12:
        return f"{int(number):,}"
    digits = max(0, 2 - math.floor(math.log10(abs(number))))
    return f"{number:,.{digits}f}"


def found_text(goal: Goal) -> str:
    """The figure of a goal."""
    return "" if goal.found is None else number_text(goal.found)


def verdict(goal: Goal) -> str:
    """Met, missed and by how much, or not measured."""
    if goal.met is None:
        return "not measured"
    assert goal.found is not None
    if goal.met:
        return "met"
    share = ratio(goal.found, goal.limit)
    return "**missed**" + ("" if share is None else f", {number_text(share)} of the goal")


def text_of(row: str) -> tuple[str, str]:
    """Title and text of a row, from its module's docstring; nothing heavy is imported for it."""
    path = Path(__file__).with_name(f"{row}.py")
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")), clean=False) or ""
    title, _, text = inspect.cleandoc(said).partition("\n")
    return title.rstrip("."), text.strip()


def _anchor(title: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
