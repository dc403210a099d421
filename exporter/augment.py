"""Augmentation: every epoch sees each training picture anew, as another hand might have drawn it.

Owns the variations that `Recipe.augmentation` describes. NumPy only, so that one seed gives the
same pictures on every run. May import `exporter.recipe` and `exporter.ink`.
"""

from __future__ import annotations

import numpy as np

from exporter import ink
from exporter.recipe import Augmentation

CHUNK = 1000
"""Pictures varied at once: their coordinates then fit the processor's cache."""


class Augmenter:
    """Varies pictures; one generator of random numbers, so that calls are a sequence."""

    def __init__(self, augmentation: Augmentation, rng: np.random.Generator) -> None:
        self._amounts = augmentation
        self._rng = rng

    def vary(self, pictures: np.ndarray) -> np.ndarray:
        """(n, s, s) float32 in 0..1 to new ones of the same shape."""
        chunks = [
            self._vary(pictures[start : start + CHUNK])
            for start in range(0, len(pictures), CHUNK)
        ]
        return np.concatenate(chunks)

    def _vary(self, pictures: np.ndarray) -> np.ndarray:
        amounts, rng = self._amounts, self._rng
        varied = pictures
        if amounts.pen:
            varied = change_pen(varied, self._uniform(len(pictures), amounts.pen))
        if amounts.contrast:
            gain = 1.0 + rng.random((len(pictures), 1, 1), np.float32) * amounts.contrast
            varied = np.clip((varied - 0.5) * gain + 0.5, 0.0, 1.0)
        varied = sample(varied, *self._coordinates(len(pictures), pictures.shape[1]))
        if amounts.plain:
            plain = rng.random(len(pictures)) < amounts.plain
            varied[plain] = pictures[plain]
        return varied

    def _uniform(self, count: int, amount: float) -> np.ndarray:
        return self._rng.uniform(-amount, amount, count).astype(np.float32)

    def _coordinates(self, count: int, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Where in the old picture each new pixel lies: y and x, (count, side²) each."""
        amounts = self._amounts
        angle = np.deg2rad(self._uniform(count, amounts.rotation))
        shear = self._uniform(count, amounts.shear)
        wide, high = (1.0 + self._uniform(count, amounts.scale) for _ in range(2))
        cos, sin = np.cos(angle), np.sin(angle)
        grid = np.arange(side, dtype=np.float32) - ink.CENTRE * side / ink.SIDE
        new_y, new_x = (part.ravel() for part in np.meshgrid(grid, grid, indexing="ij"))
        middle = np.float32(ink.CENTRE * side / ink.SIDE)
        # new = R(angle) · S(wide, high) · H(shear) · old, undone from the left.
        x = np.outer(cos / wide, new_x) + np.outer(sin / wide, new_y)
        y = np.outer(-sin / high, new_x) + np.outer(cos / high, new_y)
        x -= shear[:, None] * y
        x += (middle + self._uniform(count, amounts.shift))[:, None]
        y += (middle + self._uniform(count, amounts.shift))[:, None]
        if amounts.elastic:
            field = _smooth_field(side, amounts.elastic_grid)
            nodes = amounts.elastic_grid**2
            for coordinates in (x, y):
                moves = self._rng.uniform(-1.0, 1.0, (count, nodes)).astype(np.float32)
                coordinates += (moves * amounts.elastic) @ field
        return y, x


def change_pen(pictures: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Make strokes thicker (pixels > 0) or thinner by about so many pixels on each side.

    Args:
        pictures: (n, s, s) float32.
        pixels: (n,) float32; a fraction mixes the whole steps on both sides of it.
    """
    thicker = np.clip(pixels, 0.0, None)[:, None, None]
    thinner = np.clip(-pixels, 0.0, None)[:, None, None]
    varied = pictures
    for step in range(int(np.ceil(np.abs(pixels).max()))):
        up = np.clip(thicker - step, 0.0, 1.0)
        down = np.clip(thinner - step, 0.0, 1.0)
        varied = (
            varied
            + up * (_neighbours(varied, np.maximum) - varied)
            + down * (_neighbours(varied, np.minimum) - varied)
        )
    return varied


def sample(pictures: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Bilinear samples at y and x, (n, s²) each, of pictures (n, s, s); 0 lies outside."""
    count, side = pictures.shape[:2]
    wide = side + 2
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    y, x = (np.clip(c, -1.0, np.float32(side - 1e-3)) + np.float32(1.0) for c in (y, x))
    top, left = y.astype(np.int32), x.astype(np.int32)
    down, right = y - top, x - left
    flat = padded.ravel()
    index = top * wide + left + (np.arange(count, dtype=np.int32) * (wide * wide))[:, None]
    above = flat.take(index)
    above += (flat.take(index + 1) - above) * right
    index += wide
    below = flat.take(index)
    below += (flat.take(index + 1) - below) * right
    above += (below - above) * down
    return above.reshape(count, side, side)


def slash(zero: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A zero, (28, 28) in 0..1, with the slash through it that some people write.

    The slash may reach beyond the ring, so the whole is fitted again as MNIST's digits were.
    """
    room = 10
    large = np.pad(zero.astype(np.float64), room)
    rows, columns = np.flatnonzero(large.any(axis=1)), np.flatnonzero(large.any(axis=0))
    middle_y, middle_x = (rows[0] + rows[-1] + 1) / 2, (columns[0] + columns[-1] + 1) / 2
    reach_y = rng.uniform(0.35, 0.65) * len(rows)
    reach_x = rng.uniform(0.35, 0.75) * len(columns)
    middle_x += rng.uniform(-1.0, 1.0)
    middle_y += rng.uniform(-1.0, 1.0)
    ends = np.array([[middle_x + reach_x, middle_y - reach_y], [middle_x - reach_x, middle_y + reach_y]])
    line = ink.coverage([ends], rng.uniform(0.7, 1.4), len(large))
    return ink.fit(np.maximum(large, line)).astype(np.float32)


def _smooth_field(side: int, nodes: int) -> np.ndarray:
    """(nodes², side²): cubic B-spline weights that spread displacements of nodes over pixels."""
    at = np.linspace(0.0, nodes - 1.0, side)[:, None] - np.arange(nodes)[None, :]
    near, far = np.abs(at) < 1.0, (np.abs(at) >= 1.0) & (np.abs(at) < 2.0)
    weights = np.where(near, (4.0 - 6.0 * at**2 + 3.0 * np.abs(at) ** 3) / 6.0, 0.0)
    weights = np.where(far, (2.0 - np.abs(at)) ** 3 / 6.0, weights)
    return np.einsum("ia,jb->abij", weights, weights).reshape(nodes**2, side**2).astype(np.float32)


def _neighbours(pictures: np.ndarray, pick: np.ufunc) -> np.ndarray:
    """The largest (or smallest) of each pixel and its four neighbours."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    result = pick(padded[:, :-2, 1:-1], padded[:, 2:, 1:-1])
    pick(result, padded[:, 1:-1, :-2], out=result)
    pick(result, padded[:, 1:-1, 2:], out=result)
    return pick(result, pictures, out=result)
