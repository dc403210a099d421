"""Augmentation: every epoch sees each training picture anew, as another hand might have drawn it.

Owns the variations that `Recipe.augmentation` describes. Random numbers come from one NumPy
generator, and XLA computes the pictures on one thread, so that one seed gives the same pictures
on every run. May import `exporter.recipe` and `exporter.ink`; TensorFlow is imported inside.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter import ink
from exporter.recipe import Augmentation


class Draws:
    """The random numbers of the variations: one generator, so that calls are a sequence."""

    def __init__(self, augmentation: Augmentation, side: int, rng: np.random.Generator) -> None:
        self._amounts = augmentation
        self._side = side
        self._rng = rng

    def draw(self, count: int) -> tuple[np.ndarray, ...]:
        """What `vary` takes beside `count` pictures, float32: maps, moves, pen, gain."""
        amounts, rng = self._amounts, self._rng
        pen = self._uniform(amounts.pen, count)
        gain = 1.0 + rng.uniform(0.0, amounts.contrast, count)
        maps = self._maps(count)
        moves = rng.uniform(-amounts.elastic, amounts.elastic, (2, count, amounts.elastic_grid**2))
        plain = rng.random(count) < amounts.plain
        maps[plain] = np.eye(2, 3)
        moves[:, plain], pen[plain], gain[plain] = 0.0, 0.0, 1.0
        return tuple(part.astype(np.float32) for part in (maps, moves, pen, gain))

    def _uniform(self, amount: float, count: int) -> np.ndarray:
        return self._rng.uniform(-amount, amount, count)

    def _maps(self, count: int) -> np.ndarray:
        """(count, 2, 3): from a new pixel's x, y, 1 (from the centre) to the old picture's x, y."""
        amounts = self._amounts
        angle = np.deg2rad(self._uniform(amounts.rotation, count))
        shear = self._uniform(amounts.shear, count)
        wide, high = (
            1.0 + self._uniform(amounts.scale, count),
            1.0 + self._uniform(amounts.scale, count),
        )
        cos, sin = np.cos(angle), np.sin(angle)
        # new = R(angle) · S(wide, high) · H(shear) · old, undone from the left.
        maps = np.zeros((count, 2, 3))
        maps[:, 1, 0], maps[:, 1, 1] = -sin / high, cos / high
        maps[:, 0, 0], maps[:, 0, 1] = cos / wide, sin / wide
        maps[:, 0, :2] -= shear[:, None] * maps[:, 1, :2]
        shift = amounts.shift * self._side / ink.SIDE
        maps[:, 0, 2], maps[:, 1, 2] = (self._uniform(shift, count) for _ in range(2))
        return maps


def vary(pictures: Any, maps: Any, moves: Any, pen: Any, gain: Any) -> Any:
    """Pen, edge, then one bilinear resampling: (n, s, s) float32 tensors in 0..1, n and s static.

    The other arguments are one call's `Draws.draw(n)`.
    """
    import tensorflow as tf

    count, side = pictures.shape[:2]
    varied = _change_pen(pictures, pen[:, None, None])
    varied = tf.clip_by_value((varied - 0.5) * gain[:, None, None] + 0.5, 0.0, 1.0)
    middle = ink.CENTRE * side / ink.SIDE
    axis = np.arange(side, dtype=np.float32) - middle
    y, x = (part.ravel() for part in np.meshgrid(axis, axis, indexing="ij"))
    at = tf.matmul(maps, np.stack([x, y, np.ones_like(x)]).astype(np.float32)) + middle
    nodes = int(moves.shape[-1] ** 0.5)
    at_x, at_y = (at[:, i] + tf.matmul(moves[i], _smooth_field(side, nodes)) for i in range(2))
    return tf.reshape(_sample(varied, at_y, at_x), (count, side, side))


def _change_pen(pictures: Any, pen: Any) -> Any:
    """Thicker (pen > 0) or thinner strokes: mixed with the largest or smallest neighbour.

    `pen` 1 moves each edge by a whole pixel, 0.5 half-way in grey.
    """
    import tensorflow as tf

    padded = tf.pad(pictures, ((0, 0), (1, 1), (1, 1)))
    around = [
        padded[:, :-2, 1:-1], padded[:, 2:, 1:-1], padded[:, 1:-1, :-2], padded[:, 1:-1, 2:]
    ]  # fmt: skip
    largest = smallest = pictures
    for neighbour in around:
        largest = tf.maximum(largest, neighbour)
        smallest = tf.minimum(smallest, neighbour)
    thicker, thinner = tf.maximum(pen, 0.0), tf.maximum(-pen, 0.0)
    return pictures + thicker * (largest - pictures) + thinner * (smallest - pictures)


def _sample(pictures: Any, y: Any, x: Any) -> Any:
    """Bilinear samples at y and x, (n, s²) each, of pictures (n, s, s); 0 lies outside."""
    import tensorflow as tf

    count, side = pictures.shape[:2]
    wide = side + 2
    flat = tf.reshape(tf.pad(pictures, ((0, 0), (1, 1), (1, 1))), (-1,))
    y, x = (tf.clip_by_value(c, -1.0, side - 1e-3) + 1.0 for c in (y, x))
    top, left = tf.cast(y, tf.int32), tf.cast(x, tf.int32)
    down, right = y - tf.cast(top, tf.float32), x - tf.cast(left, tf.float32)
    corner = top * wide + left + np.arange(count, dtype=np.int32)[:, None] * (wide * wide)
    upper_left, upper_right, lower_left, lower_right = (
        tf.gather(flat, corner + offset) for offset in (0, 1, wide, wide + 1)
    )
    above = upper_left + (upper_right - upper_left) * right
    below = lower_left + (lower_right - lower_left) * right
    return above + (below - above) * down


def slash_zero(zero: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A zero, (28, 28) float32 in 0..1, with the slash through it that some people write."""
    large = np.pad(zero.astype(np.float64), _ROOM)
    top, bottom, left, right = _bounds(large)
    x = (left + right) / 2 + rng.uniform(-1.0, 1.0)
    y = (top + bottom) / 2 + rng.uniform(-1.0, 1.0)
    reach_x = rng.uniform(0.2, 0.75) * (right - left)
    reach_y = rng.uniform(0.35, 0.65) * (bottom - top)
    return _draw_on(large, [[x + reach_x, y - reach_y], [x - reach_x, y + reach_y]], rng)


def flag_one(one: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A one, (28, 28) float32 in 0..1, with the upstroke that continental hands begin it with."""
    large = np.pad(one.astype(np.float64), _ROOM)
    top, bottom, _, _ = _bounds(large)
    row = large[top]
    x, y = float((row * np.arange(len(row))).sum() / row.sum()) + 0.5, top + 1.0
    back, down = rng.uniform(0.15, 0.5), rng.uniform(0.12, 0.45)
    height = bottom - top
    return _draw_on(large, [[x - back * height, y + down * height], [x, y]], rng)


STYLES = {"slashed_zeros": (0, slash_zero), "flagged_ones": (1, flag_one)}
"""Field of `Augmentation` -> the digit that is written so, and how to."""

_ROOM = 10  # pixels around a digit for what is added to it


def _draw_on(large: np.ndarray, line: list[list[float]], rng: np.random.Generator) -> np.ndarray:
    """Add a pen line, and fit the whole again as MNIST's digits were."""
    added = ink.coverage([np.array(line)], rng.uniform(0.7, 1.4), len(large))
    return ink.fit(np.maximum(large, added)).astype(np.float32)


def _bounds(picture: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left, right of what is above a half; the ends are excluded."""
    bold = picture >= 0.5 * picture.max()
    rows, columns = np.flatnonzero(bold.any(axis=1)), np.flatnonzero(bold.any(axis=0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _smooth_field(side: int, nodes: int) -> np.ndarray:
    """(nodes², side²): cubic B-spline weights that spread displacements of nodes over pixels."""
    at = np.linspace(0.0, nodes - 1.0, side)[:, None] - np.arange(nodes)[None, :]
    near, far = np.abs(at) < 1.0, (np.abs(at) >= 1.0) & (np.abs(at) < 2.0)
    weights = np.where(near, (4.0 - 6.0 * at**2 + 3.0 * np.abs(at) ** 3) / 6.0, 0.0)
    weights = np.where(far, (2.0 - np.abs(at)) ** 3 / 6.0, weights)
    return np.einsum("ia,jb->abij", weights, weights).reshape(nodes**2, side**2).astype(np.float32)
