"""Generates ink.json: strokes and pictures of our own making, and what the contract makes of them.

The expected numbers are Python's half of the contract, rounded to 9 decimals; test_ink.py holds
that half against independent measurements (supersampled areas, moments, MNIST itself).
`python -m tests.vectors.generate_ink --check` says whether the file is up to date.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from exporter import ink
from exporter.golden.drawn_digits import SLANTED, UPRIGHT

PATH = Path(__file__).with_name("ink.json")
DECIMALS = 9


def arc(x: float, y: float, radius: float, start: float, end: float) -> list[list[float]]:
    angles = np.linspace(math.radians(start), math.radians(end), 13)
    return [
        [round(x + radius * math.cos(a), 3), round(y + radius * math.sin(a), 3)] for a in angles
    ]


STROKES: dict[str, dict[str, Any]] = {
    **{f"upright {i}": {"strokes": digit} for i, digit in enumerate(UPRIGHT)},
    **{f"slanted {i}": {"strokes": digit} for i, digit in enumerate(SLANTED)},
    "vertical line": {"strokes": [[[5, 0], [5, 100]]]},
    "horizontal line, far away, tiny": {"strokes": [[[1e6, 1e6], [1e6 + 0.5, 1e6]]]},
    "diagonal of two points": {"strokes": [[[0, 0], [37, 91]]]},
    "dot beside a line": {"strokes": [[[0, 0], [0, 50]], [[20, 25]]]},
    "repeated points and an empty stroke": {"strokes": [[[1, 1], [1, 1], [9, 4], [9, 4]], []]},
    "symmetric cross": {"strokes": [[[0, 50], [100, 50]], [[50, 0], [50, 100]]]},
    "heavy foot": {"strokes": [[[50, 0], [50, 100], [0, 100], [100, 100], [0, 97], [100, 97]]]},
    "thin pen": {"strokes": [arc(0, 0, 40, 0, 330)], "pen": 0.05},
    "on a canvas": {"strokes": [arc(140, 140, 40, 0, 330)], "canvas_side": 280},
    "nothing": {"strokes": []},
    "a tap": {"strokes": [[[10, 10]]]},
    "a slip on a canvas": {"strokes": [[[10, 10], [15.6, 12]]], "canvas_side": 280},
}  # fmt: skip


def disc_and_bar(height: int, width: int) -> np.ndarray:
    """A ring with a bar, 0..1, by plain arithmetic on pixel centres."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    cy, cx, radius = 0.45 * height, 0.5 * width, 0.22 * min(height, width)
    thick = 0.06 * min(height, width)
    ring = np.clip(thick - np.abs(np.sqrt((y - cy) ** 2 + (x - cx) ** 2) - radius) + 0.5, 0, 1)
    bar = np.clip(thick - np.abs(x - cx - radius) + 0.5, 0, 1) * ((y > cy) & (y < 0.85 * height))
    return np.maximum(ring, bar)


def paint(shape: np.ndarray, ground: tuple[int, ...], colour: tuple[int, ...]) -> np.ndarray:
    mixed = np.array(ground) + shape[..., None] * (np.array(colour) - np.array(ground))
    return np.rint(mixed).astype(np.uint8)


def pictures() -> dict[str, np.ndarray]:
    shape = disc_and_bar(40, 33)
    clear = paint(shape, (0, 0, 0, 0), (0, 0, 0, 255))
    thin = np.zeros((60, 60))
    thin[8:52, 30] = 1.0
    thin[8, 20:30] = 1.0
    y, x = np.mgrid[0:48, 0:48]
    dither = ((x * 7 + y * 13) % 11) - 5.0
    noisy = paint(disc_and_bar(48, 48), (200, 195, 180, 255), (60, 60, 110, 255)).astype(float)
    noisy[..., :3] += dither[..., None] - 0.8 * x[..., None]
    small = np.zeros((28, 28))
    small[4:24, 9:19] = disc_and_bar(20, 10)
    return {
        "dark on light": paint(shape, (255, 255, 255, 255), (0, 0, 0, 255)),
        "light on dark": paint(shape, (0, 0, 0, 255), (255, 255, 255, 255)),
        "red on green": paint(shape, (0, 120, 0, 255), (210, 40, 30, 255)),
        "faint": paint(shape, (255, 255, 255, 255), (190, 190, 200, 255)),
        "black on nothing": clear,
        "white on nothing": paint(shape, (255, 255, 255, 0), (255, 255, 255, 255)),
        "thin": paint(thin, (255, 255, 255, 255), (20, 20, 20, 255)),
        "noise and falling light": np.clip(np.rint(noisy), 0, 255).astype(np.uint8),
        "28x28": paint(small, (0, 0, 0, 255), (255, 255, 255, 255)),
        "one pixel": paint(np.eye(3)[1:2] * [[0, 1, 0]], (0, 0, 0, 255), (255, 255, 255, 255)),
        "large, with ringing": paint(
            np.maximum(disc_and_bar(90, 64), 0.03 * (disc_and_bar(90, 64)[::-1] > 0)),
            (255, 255, 255, 255),
            (0, 0, 0, 255),
        ),
        "blank": np.full((20, 20, 4), 255, np.uint8),
    }


def expected(found: np.ndarray | None) -> list[float] | None:
    if found is None:
        return None
    return [round(float(value), DECIMALS) for value in found.ravel()]


def document() -> dict[str, Any]:
    strokes = [
        {"name": name, **case, "expected": expected(
            ink.from_strokes(case["strokes"], canvas_side=case.get("canvas_side", 0.0),
                             pen=case.get("pen", ink.PEN)))}
        for name, case in STROKES.items()
    ]  # fmt: skip
    drawn = [
        {"name": name, "height": rgba.shape[0], "width": rgba.shape[1],
         "rgba": rgba.ravel().tolist(), "expected": expected(ink.from_picture(rgba))}
        for name, rgba in pictures().items()
    ]  # fmt: skip
    contract = {key: ink.CONTRACT[key] for key in ("name", "version", "parameters")}
    return {"contract": contract, "tolerance": 1e-6, "strokes": strokes, "pictures": drawn}


def text() -> str:
    return json.dumps(document(), separators=(",", ":")).replace('{"name"', '\n{"name"') + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PATH.read_text(encoding="utf-8") == text() else f"{PATH.name}: run me")
    PATH.write_text(text(), encoding="utf-8")
