"""Digits of our own drawing in the ways that people write them: strokes, varied, as pictures.

Owns the ways of writing and how a hand wavers; the strokes were made up for this project and come
from no data set. They are training material, what MNIST's American forms of the 1990s lack:
slashed and barred zeros, ones with upstroke, base or tick, looped fours, curled nines. May import
`exporter.ink`.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import numpy as np

from exporter import ink

Way = tuple[tuple[bool, np.ndarray], ...]
"""Strokes: whether a curve, and its points, (n, 2), x and y in 0..100, y downwards."""

PENS = (0.09, 0.19)
"""Pen widths as shares of the larger side; MNIST's own lie between 0.08 and 0.20."""
WAVER = 4.0
"""Standard deviation of a point's place, in those units."""
LEAN = (-0.35, 0.2)
TURN = 8.0
"""Degrees."""
WIDTH = (0.64, 1.22)
STEPS = 8
"""Points of a smooth stroke between two of its own."""


@cache
def ways() -> tuple[tuple[Way, ...], ...]:
    """Digit -> its ways of writing, as handwriting.toml lists them."""
    text = (Path(__file__).parent / "handwriting.toml").read_text(encoding="utf-8")
    digits = tomllib.loads(text)
    return tuple(tuple(_way(line) for line in digits[str(digit)]) for digit in range(10))


def _way(text: str) -> Way:
    way = []
    for stroke in text.split("|"):
        kind, *points = stroke.split()
        way.append((kind == "~", np.array([point.split(",") for point in points], float)))
    return tuple(way)


def strokes(digit: int, rng: np.random.Generator) -> list[np.ndarray]:
    """One digit as one hand may write it: strokes of shape (points, 2), float64, y downwards."""
    known = ways()[digit]
    way = known[rng.integers(len(known))]
    lean, turn = rng.uniform(*LEAN), np.deg2rad(rng.uniform(-TURN, TURN))
    width = np.exp(rng.uniform(*np.log(WIDTH)))
    cos, sin = np.cos(turn), np.sin(turn)
    shape = np.array([[cos, -sin], [sin, cos]]) @ np.array([[width, lean], [0.0, 1.0]])
    # Strokes that meet in a point still meet in it: a point wavers once.
    places: dict[tuple[float, ...], np.ndarray] = {}
    written = []
    for smooth, points in way:
        for point in points:
            if tuple(point) not in places:
                places[tuple(point)] = point + rng.normal(0.0, WAVER, 2)
        line = np.array([places[tuple(point)] for point in points])
        written.append((_smooth(line) if smooth else line) @ shape.T)
    return written


def pictures(digit: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` pictures of a digit through the ink contract, (count, 28, 28) float32 in 0..1."""
    drawn: list[np.ndarray] = []
    while len(drawn) < count:
        lines = [stroke.tolist() for stroke in strokes(digit, rng)]
        picture = ink.from_strokes(lines, pen=rng.uniform(*PENS))
        assert picture is not None, f"a way of writing {digit} is no drawing"
        drawn.append(picture)
    return np.stack(drawn)


def _smooth(points: np.ndarray) -> np.ndarray:
    """A Catmull-Rom spline through the points (Catmull and Rom 1974), STEPS points a piece."""
    ends = [2.0 * points[:1] - points[1:2], points, 2.0 * points[-1:] - points[-2:-1]]
    knots = np.concatenate(ends)
    t = np.linspace(0.0, 1.0, STEPS, endpoint=False)[:, None]
    pieces: list[np.ndarray] = []
    for before, start, end, after in zip(knots, knots[1:], knots[2:], knots[3:], strict=False):
        bend = 2.0 * before - 5.0 * start + 4.0 * end - after
        twist = 3.0 * (start - end) + after - before
        pieces.append(start + 0.5 * ((end - before) * t + bend * t**2 + twist * t**3))
    return np.concatenate([*pieces, points[-1:]])
