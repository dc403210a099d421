"""Where things stand on a logarithmic axis: the arithmetic behind the drawings.

The drawings themselves are HTML and SVG in the templates. Imports `exporter.parity` only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from exporter.parity import HISTOGRAM_EDGES

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
