"""Where things stand on a logarithmic axis: the arithmetic behind the drawings.

The drawings themselves are HTML and SVG in the templates. Imports `exporter.parity` and
`exporter.shipping` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from exporter.parity import HISTOGRAM_EDGES
from exporter.shipping import Offer

SMALLEST, LARGEST = HISTOGRAM_EDGES[0], HISTOGRAM_EDGES[-1]


def position(value: float) -> float:
    """Percent of the way from 1e-12 to 1, clipped; what is not finite stands at the far end."""
    if not math.isfinite(value):
        return 100.0
    if value <= SMALLEST:
        return 0.0
    span = math.log10(LARGEST / SMALLEST)
    return round(min(100.0, 100 * math.log10(value / SMALLEST) / span), 2)


def ticks() -> tuple[tuple[str, float], ...]:
    """Labels of the axis and where they stand."""
    powers = range(-12, 1, 3)
    return tuple((f"1e{power}" if power else "1", position(10.0**power)) for power in powers)


@dataclass(frozen=True, slots=True)
class Bin:
    """One bar of a histogram.

    Attributes:
        label: The range of errors in words.
        count: How many values.
        height: Percent of the tallest bar; a bar that holds anything is never invisible.
    """

    label: str
    count: int
    height: float


def histogram(rows: Iterable[Sequence[int]]) -> tuple[Bin, ...]:
    """The sum of `Row.histogram`s; empty where nothing was counted."""
    size = len(HISTOGRAM_EDGES) + 1
    totals = [sum(column) for column in zip(*(r for r in rows if len(r) == size), strict=True)]
    tallest = max(totals, default=0)
    if tallest == 0:
        return ()
    return tuple(
        Bin(_range(i), n, round(max(100 * n / tallest, 1.5), 2) if n else 0.0)
        for i, n in enumerate(totals)
    )


def _range(i: int) -> str:
    if i == 0:
        return "below 1e-12"
    if i == len(HISTOGRAM_EDGES):
        return "1 and over, or not finite"
    return f"1e{-13 + i} to 1e{-12 + i}"


WIDTH, HEIGHT = 720, 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 560, 14, 290
_LABEL_GAP = 15


@dataclass(frozen=True, slots=True)
class Dot:
    """One artefact in one place: where it stands in a `Scatter`, and what it is."""

    x: float
    y: float
    shape: str
    backend: str
    text: str


@dataclass(frozen=True, slots=True)
class Label:
    """An artefact's name beside the fastest of its dots; a line leads from `x, y` to the text."""

    text: str
    x: float
    y: float
    text_y: float
    recommended: bool


@dataclass(frozen=True, slots=True)
class Scatter:
    """Sizes against latency, both logarithmic, in a box of WIDTH x HEIGHT."""

    dots: tuple[Dot, ...]
    labels: tuple[Label, ...]
    x_ticks: tuple[tuple[str, float], ...]
    y_ticks: tuple[tuple[str, float], ...]
    backends: tuple[str, ...]


SHAPES = {"tfjs-layers": "circle", "tfjs-graph": "square", "onnx": "triangle"}


def scatter(offers: Sequence[Offer]) -> Scatter | None:
    """Bytes on the wire across, time of one answer upwards; None where nothing was timed.

    Only places in a browser where there are any: a page is what the choice is for.
    """
    points = [
        (offer, place, offer.gzip_bytes or offer.artifact.size_bytes, ms)
        for offer in offers
        for place, ms in offer.latencies_ms
        if ms > 0
    ]
    points = [point for point in points if "browser" in point[1]] or points
    if not points:
        return None
    across, x_ticks = _scale([size for _, _, size, _ in points], _LEFT, _RIGHT - 40, _bytes)
    upwards, y_ticks = _scale([ms for *_, ms in points], _BOTTOM, _TOP, _milliseconds)
    dots = tuple(
        Dot(across(size), upwards(ms), SHAPES.get(offer.artifact.format, "circle"),
            place.split()[-1], f"{offer.artifact.id} on {place}: {_milliseconds(ms)}")
        for offer, place, size, ms in points
    )  # fmt: skip
    first: dict[str, tuple[Offer, float, float]] = {}
    for offer, _, size, ms in sorted(points, key=lambda point: point[3]):
        first.setdefault(offer.artifact.id, (offer, across(size), upwards(ms)))
    backends = tuple(dict.fromkeys(dot.backend for dot in dots))
    return Scatter(dots, _labels(list(first.values())), x_ticks, y_ticks, backends)


def _labels(fastest: list[tuple[Offer, float, float]]) -> tuple[Label, ...]:
    """One below the other at the right, in the order of their dots, none over another."""
    ordered = sorted(fastest, key=lambda item: (item[2], -item[1]))
    height = _LABEL_GAP * (len(ordered) - 1)
    middle = sum(y for _, _, y in ordered) / len(ordered)
    top = min(max(middle - height / 2, _TOP + 6), max(_TOP + 6, _BOTTOM - height))
    return tuple(
        Label(offer.artifact.id, x, y, round(top + _LABEL_GAP * i, 1), offer.recommended)
        for i, (offer, x, y) in enumerate(ordered)
    )


def _scale(
    values: Sequence[float], start: float, end: float, word: Callable[[float], str]
) -> tuple[Callable[[float], float], tuple[tuple[str, float], ...]]:
    """A logarithmic axis over the values, with a handful of ticks."""
    low, high = math.log10(min(values)) - 0.08, math.log10(max(values)) + 0.08
    span = max(high - low, 0.3)

    def place(value: float) -> float:
        return round(start + (end - start) * (math.log10(value) - low) / span, 1)

    steps = [
        digit * 10.0**power
        for power in range(math.floor(low), math.ceil(low + span) + 1)
        for digit in ((1, 2, 5) if span < 1.5 else (1, 3) if span < 2.5 else (1,))
    ]
    inside = [step for step in steps if low <= math.log10(step) <= low + span]
    return place, tuple((word(step), place(step)) for step in inside)


def _bytes(value: float) -> str:
    for unit, amount in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= amount:
            return f"{value / amount:g} {unit}"
    return f"{value:g} B"


def _milliseconds(value: float) -> str:
    return f"{value:.2g} ms"
