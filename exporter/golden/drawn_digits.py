"""Digits of our own drawing: what the golden vectors of a digit recipe hold as pictures.

Owns the strokes, and nothing else. They were made up for this project and come from no data set.
Imports nothing but `exporter.ink`, which turns strokes into model input, inside the function.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

Stroke = list[tuple[float, float]]
"""Points (x, y), y downwards, any unit."""


def _arc(
    x: float, y: float, across: float, down: float, start: float, end: float, points: int = 14
) -> Stroke:
    """Part of an ellipse; angles in degrees, clockwise from the right, rounded to 0.01.

    Rounded, because sin and cos may differ in their last bit from machine to machine.
    """
    steps = [math.radians(start + (end - start) * i / (points - 1)) for i in range(points)]
    return [(round(x + across * math.cos(a), 2), round(y + down * math.sin(a), 2)) for a in steps]


UPRIGHT: tuple[list[Stroke], ...] = (
    [_arc(50, 50, 30, 45, -90, 270, 24)],
    [[(36, 22), (52, 6), (52, 96)]],
    [[*_arc(48, 30, 26, 24, -165, 35), (22, 94), (78, 92)]],
    [_arc(46, 28, 25, 22, -150, 85) + _arc(46, 72, 28, 24, -90, 150)],
    [[(60, 4), (18, 64), (82, 64)], [(62, 34), (62, 98)]],
    [[(74, 6), (32, 6), (27, 44), *_arc(46, 66, 29, 27, -120, 140)]],
    [[(64, 4), (40, 30), (25, 60), *_arc(48, 70, 24, 24, -170, 190, 22)]],
    [[(18, 8), (80, 8), (44, 97)]],
    [_arc(50, 27, 23, 22, 90, 450, 20) + _arc(50, 73, 28, 24, -90, 270, 20)],
    [[*_arc(50, 30, 25, 25, -10, -370, 20), (74, 34), (70, 64), (60, 97)]],
)
"""One drawing per digit, as it is taught."""

SLANTED: tuple[list[Stroke], ...] = (
    [_arc(56, 48, 24, 44, -60, 285, 22)],
    [[(66, 4), (38, 97)]],
    [_arc(56, 26, 22, 20, -160, 60) + _arc(36, 84, 14, 10, -60, -300) + [(74, 96)]],
    [[(30, 8), (76, 8), (48, 42), *_arc(44, 70, 26, 26, -80, 140)]],
    [[(38, 6), (28, 52), (78, 50)], [(72, 20), (54, 98)]],
    [[(42, 10), (34, 44), *_arc(46, 64, 26, 26, -110, 120)], [(42, 10), (84, 6)]],
    [[(72, 6), (46, 34), (32, 66), *_arc(52, 72, 20, 22, 180, -170, 20)]],
    [[(24, 14), (78, 8), (48, 52), (36, 98)], [(34, 54), (72, 48)]],
    [[(76, 18), *_arc(56, 22, 20, 18, -30, -230), (66, 62),
      *_arc(46, 76, 20, 20, -20, 200), (76, 18)]],
    [[*_arc(54, 28, 20, 24, 0, -350, 18), (74, 24), (66, 70), *_arc(46, 76, 20, 18, 10, 150)]],
)  # fmt: skip
"""The same digits in a hurry: narrower, leaning, with a bar through the seven."""

STYLES = {"upright": UPRIGHT, "slanted": SLANTED}


def draw_pictures() -> dict[str, np.ndarray]:
    """Name -> picture, (28, 28) uint8, white ink on black, through the ink contract."""
    import numpy as np

    from exporter import ink

    pictures = {}
    for style, digits in STYLES.items():
        for digit, strokes in enumerate(digits):
            picture = ink.from_strokes(strokes)
            assert picture is not None, f"{style} {digit} is no drawing"
            pictures[f"{digit} {style}"] = np.rint(picture * 255).astype(np.uint8)
    return pictures
