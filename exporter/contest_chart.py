"""The plot of a contest as SVG: bytes to fetch across, mistakes upwards; down and left is better.

Owns where things stand; how they look is the style of the page that holds it. May import
`exporter.contest`; Jinja is imported inside.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.contest import Contest, Entrant

TEMPLATES = Path(__file__).parent / "templates"
WIDTH, HEIGHT = 760, 400
LEFT, RIGHT, TOP, BOTTOM = 46, 590, 18, 340
_LABEL_GAP = 16
_ROOM = 1.12  # above the worst one
SHAPES = {"tfjs-layers": "circle", "tfjs-graph": "square", "onnx": "triangle"}
SHAPE_NAMES = {"circle": "TF.js layers", "square": "TF.js graph", "triangle": "ONNX"}

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """One artefact: where it stands, its shape, what it is in words, and whether it is chosen."""

    x: float
    y: float
    shape: str
    text: str
    chosen: bool
    on_front: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One bundle: a line through its marks, and its name at the right, led to from the last."""

    name: str
    marks: tuple[Mark, ...]
    text_y: float
    chosen: bool


@dataclass(frozen=True, slots=True)
class Chart:
    """All of the plot."""

    rows: tuple[Row, ...]
    x_ticks: tuple[tuple[str, float], ...]
    y_ticks: tuple[tuple[str, float], ...]
    shapes: tuple[tuple[str, str], ...]
    unknown: tuple[str, ...]
    across: str
    upwards: str


def chart_of(contest: Contest) -> Chart | None:
    """The plot; None where no accuracy is known."""
    known = [e for e in contest.entrants if contest.score(e) is not None]
    if not known:
        return None
    chosen, front = contest.choice(), contest.front
    mistakes = {e.id: 1000 * (1 - (contest.score(e) or 0.0)) for e in known}
    sizes = [math.log10(e.fetch_bytes) for e in known]
    low, high = min(sizes) - 0.06, max(sizes) + 0.06
    span = max(high - low, 0.3)
    most = max(*mistakes.values(), 0.5) * _ROOM

    def place(entrant: Entrant) -> Point:
        across = (math.log10(entrant.fetch_bytes) - low) / span
        upwards = mistakes[entrant.id] / most
        return round(LEFT + (RIGHT - LEFT) * across, 1), round(BOTTOM - (BOTTOM - TOP) * upwards, 1)

    rows = []
    for name in dict.fromkeys(e.bundle for e in known):
        mine = sorted((e for e in known if e.bundle == name), key=lambda e: e.fetch_bytes)
        marks = tuple(
            Mark(*place(e), SHAPES.get(e.format, "circle"), _words(contest, e), e == chosen,
                 e in front)
            for e in mine
        )  # fmt: skip
        rows.append(Row(name, marks, marks[-1].y, chosen is not None and name == chosen.bundle))
    shapes = dict.fromkeys(mark.shape for row in rows for mark in row.marks)
    judged = {
        "pens": f"{contest.pen_digits:,} pen digits",
        "test": "the test set",
        "recorded": "the test set, as Keras recorded",
    }
    return Chart(
        rows=_spread(rows),
        x_ticks=tuple(
            (_bytes(10**at), round(LEFT + (RIGHT - LEFT) * (at - low) / span, 1))
            for at in _powers(low, low + span)
        ),
        y_ticks=tuple(
            (f"{tick:g}", round(BOTTOM - (BOTTOM - TOP) * tick / most, 1)) for tick in _ticks(most)
        ),
        shapes=tuple((shape, SHAPE_NAMES[shape]) for shape in shapes),
        unknown=tuple(sorted({e.bundle for e in contest.entrants if e not in known})),
        across="to fetch: model and runtime, gzipped",
        upwards=f"misread of 1,000 of {judged[contest.judged_by]}",
    )


def svg(contest: Contest) -> str:
    """The plot as an SVG element; empty where there is nothing to show."""
    import jinja2

    chart = chart_of(contest)
    if chart is None:
        return ""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("contest.svg.jinja").render(
        chart=chart, width=WIDTH, height=HEIGHT, left=LEFT, right=RIGHT, top=TOP, bottom=BOTTOM
    )


def _words(contest: Contest, entrant: Entrant) -> str:
    parts = [entrant.id, f"{_bytes(entrant.fetch_bytes)} to fetch"]
    if entrant.accuracy is not None:
        parts.append(f"test {entrant.accuracy:.2%}")
    elif entrant.recorded is not None:
        parts.append(f"Keras recorded {entrant.recorded:.2%}")
    if entrant.pens is not None and contest.pens_are_real:
        parts.append(f"pens {entrant.pens:.2%}")
    if (fastest := entrant.fastest) is not None:
        parts.append(f"{fastest[1]:.2g} ms on {fastest[0]}")
    return ", ".join(parts)


def _spread(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Names from top to bottom in the order of their marks, none over another, all in the box."""
    ordered = sorted(rows, key=lambda row: row.marks[-1].y)
    at: list[float] = []
    for row in ordered:
        at.append(max(row.text_y, at[-1] + _LABEL_GAP if at else TOP))
    for index in range(len(at) - 1, -1, -1):
        limit = BOTTOM if index == len(at) - 1 else at[index + 1] - _LABEL_GAP
        at[index] = round(min(at[index], limit), 1)
    return tuple(
        Row(row.name, row.marks, y, row.chosen) for row, y in zip(ordered, at, strict=True)
    )


def _powers(low: float, high: float) -> list[float]:
    """Logarithms of round numbers of bytes, four to eight of them."""
    digits = (1, 2, 5) if high - low < 2 else (1, 3)
    found = [
        math.log10(digit) + power
        for power in range(math.floor(low), math.ceil(high) + 1)
        for digit in digits
    ]
    return [at for at in found if low <= at <= high]


def _ticks(most: float) -> list[float]:
    """Round numbers from 0 up to `most`, about five."""
    rough = most / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough)
    return [round(index * step, 10) for index in range(int(most / step) + 1)]


def _bytes(count: float) -> str:
    if count < 999.5:
        return f"{count:.0f} B"
    if count < 999_500:
        return f"{count / 1e3:.3g} kB"
    return f"{count / 1e6:.2g} MB"
