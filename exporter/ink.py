"""Ink: what a person drew, as the 28x28 input that an MNIST model was trained on.

Owns the preprocessing contract "mnist-ink" version 1, Python half; `docs/ink.md` says every step as
a formula; `exporter/player/ink.js` is the other half. `tests/vectors/ink.json` pins both.
Only + - * / and sqrt in float64, in a fixed order, so that every machine gives the same numbers.
May import `exporter.picture` (pixels to ink) and `exporter.errors`.

The construction is that of MNIST itself, as facebookresearch/qmnist (`xnist.lsh`) reconstructed it:
the ink's bounding square is resampled to 20x20 by area, then moved by whole pixels so that its
centre of mass lies on pixel index 14.0.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.errors import BadUsage

if TYPE_CHECKING:
    from exporter.picture import Picture

SIDE = 28
BOX = 20
CENTRE = 14.0
PEN = 0.135
"""Pen width as a share of the drawn lines' larger side: MNIST's own mean stroke."""
SUBSAMPLES = 4
SMALLEST_MARK = 0.02
"""A drawing whose larger side is no more than this share of the canvas is a slip, no digit."""
TIE = 1e-6
"""Pixels by which the centre of mass is moved off a tie (symmetric ink lies on one exactly)."""

CONTRACT: Mapping[str, Any] = MappingProxyType(
    {
        "name": "mnist-ink",
        "version": 1,
        "parameters": {
            "side": SIDE,
            "box": BOX,
            "centre_of_mass": CENTRE,
            "pen": PEN,
            "subsamples": SUBSAMPLES,
            "smallest_mark": SMALLEST_MARK,
        },
    }
)
"""What the manifest says under `preprocessing`."""

Strokes = Sequence[Sequence[Sequence[float]]]
"""Strokes of points [x, y]: any unit, y downwards."""


def from_strokes(
    strokes: Strokes, *, canvas_side: float = 0.0, pen: float = PEN
) -> np.ndarray | None:
    """Strokes as model input, (28, 28) float32 in 0..1, white ink on black; None is no digit.

    Args:
        strokes: Any size and place; a stroke is the polyline through its points.
        canvas_side: Larger side of the canvas in the strokes' unit; 0 where it is not known.
        pen: Pen width as a share of the lines' larger side.

    Raises:
        BadUsage: Not strokes of finite [x, y].
    """
    lines = _lines(strokes)
    if not lines:
        return None
    points = np.concatenate(lines)
    low, high = points.min(axis=0), points.max(axis=0)
    larger = float(max(high[0] - low[0], high[1] - low[1]))
    if larger <= SMALLEST_MARK * canvas_side or larger <= 0.0:
        return None
    # Ink reaches half a pen beyond the lines on both sides.
    scale = BOX / (larger + pen * larger)
    middle = (low + high) / 2.0
    scaled = [(line - middle) * scale + BOX / 2.0 for line in lines]
    return _centre(coverage(scaled, pen * larger * scale / 2.0, BOX)).astype(np.float32)


def from_picture(picture: Picture) -> np.ndarray | None:
    """A picture of one digit as model input, (28, 28) float32 in 0..1; None is no digit.

    Args:
        picture: A path, encoded bytes, a Pillow image, or an array (h, w), (h, w, 3) or
            (h, w, 4) of uint8. Dark on light or light on dark, any size, colours, transparency.

    Raises:
        BadPicture: No picture, or one that cannot be decoded.
        MachineFailed: The file could not be read.
    """
    from exporter import picture as pictures

    found = pictures.ink_of(picture)
    if found is None:
        return None
    return fit(pictures.thicken(found, PEN)).astype(np.float32)


def fit(picture: np.ndarray) -> np.ndarray:
    """Ink of any size (h, w), float64 in 0..1 with some above 0, as (28, 28) float64."""
    if _is_input(picture):
        return picture.astype(np.float64)
    (top, bottom), (left, right) = (_bounds(picture.max(axis=axis)) for axis in (1, 0))
    crop = picture[top:bottom, left:right]
    height, width = crop.shape
    side = max(height, width)
    square = np.zeros((side, side))
    top, left = _margin(height, side), _margin(width, side)
    square[top : top + height, left : left + width] = crop
    return _centre(resample(square, BOX, BOX))


def _margin(length: int, side: int) -> int:
    """Pixels before ink of `length` in a square of `side`: whole pixels of the box.

    Ink that was enlarged from MNIST's grid so comes back onto it.
    """
    boxes = math.floor((BOX - BOX * length / side) / 2.0)
    return math.floor(boxes * side / BOX)


def resample(picture: np.ndarray, height: int, width: int) -> np.ndarray:
    """Area-weighted resampling: each new pixel is the mean over the area that it covers."""
    down = _overlaps(picture.shape[0], height)
    across = _overlaps(picture.shape[1], width)
    return down @ picture @ across.T


def coverage(lines: Sequence[np.ndarray], radius: float, side: int) -> np.ndarray:
    """Share of each pixel that round-ended pen strokes cover, (side, side) float64.

    A pixel is the mean of SUBSAMPLES² samples; a sample is covered by the distance d of its centre
    to the nearest line, min(1, max(0, (radius - d) · SUBSAMPLES + 1/2)): a ramp one sample wide, so
    that a small change of a point changes a pixel by little. Within 0.02 of the true area.

    Args:
        lines: Polylines (n, 2) of x, y in pixels; n = 1 is a dot.
        radius: Half the pen's width in pixels.
        side: Pixels along a side.
    """
    count = side * SUBSAMPLES
    grid = (np.arange(count) + 0.5) / SUBSAMPLES
    x, y = grid[None, :], grid[:, None]
    nearest = np.full((count, count), np.inf)
    for line in lines:
        # A dot is a segment from itself to itself.
        ends = line[1:] if len(line) > 1 else line
        for start, end in zip(line, ends, strict=False):
            _near(nearest, x, y, start, end, radius + 1.0)
    covered = np.minimum(1.0, np.maximum(0.0, (radius - np.sqrt(nearest)) * SUBSAMPLES + 0.5))
    total = np.zeros((side, side))
    for row in range(SUBSAMPLES):
        for column in range(SUBSAMPLES):
            total = total + covered[row::SUBSAMPLES, column::SUBSAMPLES]
    return total / (SUBSAMPLES * SUBSAMPLES)


def _near(
    nearest: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    start: np.ndarray,
    end: np.ndarray,
    reach: float,
) -> None:
    """Lower `nearest` to the squared distances to one segment, within `reach` of its bounds."""
    rows = _window(start[1], end[1], reach, len(nearest))
    columns = _window(start[0], end[0], reach, len(nearest))
    dx, dy = end[0] - start[0], end[1] - start[1]
    from_x, from_y = x[:, columns] - start[0], y[rows] - start[1]
    length = dx * dx + dy * dy
    if length > 0.0:
        along = np.minimum(1.0, np.maximum(0.0, (from_x * dx + from_y * dy) / length))
        from_x, from_y = from_x - along * dx, from_y - along * dy
    squared = from_x * from_x + from_y * from_y
    np.minimum(nearest[rows, columns], squared, out=nearest[rows, columns])


def _window(a: float, b: float, reach: float, count: int) -> slice:
    low = math.floor((min(a, b) - reach) * SUBSAMPLES)
    high = math.ceil((max(a, b) + reach) * SUBSAMPLES)
    return slice(max(0, low), min(count, high))


def _centre(box: np.ndarray) -> np.ndarray:
    """Put `box` into 28x28 by whole pixels: its centre of mass nearest to index 14.0, no ink cut.

    A tie, where symmetric ink lies exactly, goes to 13.5, as it does in MNIST.
    """
    index = np.arange(len(box), dtype=np.float64)
    # cumsum adds in order, which sum() does not.
    rows, columns = box.cumsum(axis=1)[:, -1], box.cumsum(axis=0)[-1]
    mass = rows.cumsum()[-1]
    result = np.zeros((SIDE, SIDE))
    ink, place = [], []
    for weights in (rows, columns):
        first, last = _bounds(weights)
        centre = (weights * index).cumsum()[-1] / mass
        offset = math.floor(CENTRE + 0.5 - centre - TIE)
        offset = min(max(offset, -first), SIDE - last)
        ink.append(slice(first, last))
        place.append(slice(first + offset, last + offset))
    result[place[0], place[1]] = box[ink[0], ink[1]]
    return result


def _is_input(picture: np.ndarray) -> bool:
    """Whether it is a 28x28 input already: MNIST cut a line off 17 of its 70,000 digits."""
    if picture.shape != (SIDE, SIDE):
        return False
    for axis in (1, 0):
        weights = picture.sum(axis=axis)
        first, last = _bounds(weights)
        centre = float((weights * np.arange(SIDE)).sum() / weights.sum())
        if last - first > BOX or abs(centre - CENTRE) > 0.55:
            return False
    longest = max(np.ptp(np.flatnonzero(picture.any(axis=axis))) + 1 for axis in (0, 1))
    return bool(longest >= BOX - 1)


def _bounds(weights: np.ndarray) -> tuple[int, int]:
    """First index above 0, and the index after the last."""
    above = np.flatnonzero(weights > 0.0)
    return int(above[0]), int(above[-1]) + 1


def _overlaps(old: int, new: int) -> np.ndarray:
    """(new, old): the share of new pixel i that old pixel j covers."""
    ratio = old / new
    low = np.arange(new)[:, None] * ratio
    j = np.arange(old)[None, :]
    covered = np.minimum(low + ratio, j + 1.0) - np.maximum(low, j)
    return np.maximum(0.0, covered) / ratio


def _lines(strokes: Strokes) -> list[np.ndarray]:
    if isinstance(strokes, str | bytes) or not isinstance(strokes, Iterable):
        raise BadUsage(f"strokes: a list of strokes expected, {str(strokes)[:60]} found")
    lines = []
    for index, stroke in enumerate(strokes):
        try:
            line = np.asarray(stroke, dtype=np.float64)
            empty = line.size == 0 and len(stroke) == 0
        except (TypeError, ValueError, OverflowError):
            line, empty = np.empty(0), False
        if empty:
            continue
        if line.ndim != 2 or line.shape[1] != 2 or not np.isfinite(line).all():
            raise BadUsage(
                f"strokes[{index}]: a list of finite [x, y] points expected, "
                f"{str(stroke)[:60]} found"
            )
        lines.append(line)
    return lines
