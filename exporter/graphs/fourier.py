"""Fourier transforms of known length as matrix products, complex numbers as pairs of real ones.

May import nothing of the project.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

LARGEST_LENGTH = 2048
"""Two matrices of that many rows and half as many columns take 16 MB."""


def real_transform(op: Any, inputs: list[Any]) -> Any:
    """`RFFT`: the first half of the transform of real numbers."""
    x, length = inputs
    known = tf.get_static_value(length)
    if known is None or not 0 < int(known[0]) <= LARGEST_LENGTH:
        return None
    if not x.shape.rank or x.shape.rank < 2 or x.shape[-1] is None:
        return None
    size = int(known[0])
    cosines, sines = _waves(size, size // 2 + 1)
    x = _fit(x, size)
    return tf.complex(tf.matmul(x, cosines), tf.matmul(x, -sines))


def inverse_real_transform(op: Any, inputs: list[Any]) -> Any:
    """`IRFFT`: real numbers from the first half of their transform."""
    (real, imaginary), length = _parts(inputs[0]), inputs[1]
    known = tf.get_static_value(length)
    if real is None or known is None or not 0 < int(known[0]) <= LARGEST_LENGTH:
        return None
    size = int(known[0])
    half = size // 2 + 1
    if real.shape[-1] is None or real.shape.rank < 2:
        return None
    cosines, sines = _waves(half, size, size)
    # All but the first (and, of an even number, the last) stand for two conjugate terms.
    weights = np.full((half, 1), 2.0, "float32")
    weights[0] = 1
    if size % 2 == 0:
        weights[-1] = 1
    real, imaginary = _fit(real, half), _fit(imaginary, half)
    cosines, sines = weights * cosines / size, weights * sines / size
    return tf.matmul(real, cosines) - tf.matmul(imaginary, sines)


def transform(op: Any, inputs: list[Any]) -> Any:
    """`FFT` and `IFFT` of a pair of real and imaginary parts."""
    real, imaginary = _parts(inputs[0])
    size = inputs[0].shape[-1]
    if real is None or size is None or size > LARGEST_LENGTH or real.shape.rank < 2:
        return None
    cosines, sines = _waves(size, size)
    if op.type == "IFFT":
        cosines, sines = cosines / size, -sines / size
    return tf.complex(
        tf.matmul(real, cosines) + tf.matmul(imaginary, sines),
        tf.matmul(imaginary, cosines) - tf.matmul(real, sines),
    )


def part_of_pair(op: Any, inputs: list[Any]) -> Any:
    """The real or imaginary part, or the absolute value, of what was made of two parts."""
    real, imaginary = _parts(inputs[0])
    if real is None:
        return None
    if op.type == "ComplexAbs":
        return tf.sqrt(real * real + imaginary * imaginary)
    return tf.identity(real if op.type == "Real" else imaginary)


def _parts(x: Any) -> tuple[Any, Any]:
    return tuple(x.op.inputs) if x.op.type == "Complex" else (None, None)


def _waves(rows: int, columns: int, period: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines of 2 pi r c / period, whose product is reduced before it is rounded."""
    steps = np.outer(np.arange(rows), np.arange(columns)) % (period or rows)
    angles = 2 * np.pi * steps / (period or rows)
    return np.cos(angles).astype("float32"), np.sin(angles).astype("float32")


def _fit(x: Any, size: int) -> Any:
    """Cut off or filled up with zeros along the last axis."""
    if x.shape[-1] > size:
        return x[..., :size]
    missing = size - x.shape[-1]
    return tf.pad(x, [[0, 0]] * (x.shape.rank - 1) + [[0, missing]]) if missing else x
