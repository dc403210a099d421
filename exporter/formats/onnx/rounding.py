"""Numbers to unsigned integers of 8 bits: scales, zeros, rounding.

Owns the formulas; NumPy only. May import nothing of the project.
"""

from __future__ import annotations

import numpy as np

LEVELS = 255
"""Of an activation: its range is cut into so many steps."""
ZERO = 128
"""Of a weight: what stands for 0.0. The steps reach as far below it as above, 127."""
REACH = 127
_CHUNK_ELEMENTS = 1 << 20


def activation_scale(low: float, high: float) -> tuple[float, int]:
    """Scale and zero of an activation: its range with 0 in it, in `LEVELS` steps.

    0 is exact, because padding and rectifiers give it.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / LEVELS))
    if scale == 0 or not np.isfinite(scale):
        return 1.0, 0
    return scale, int(np.clip(np.rint(-low / scale), 0, LEVELS))


def weight_scales(values: np.ndarray, axis: int | None) -> np.ndarray:
    """Float32 scales, one for each index of `axis` (one in all for None), so that REACH steps
    hold the largest magnitude.
    """
    if axis is None:
        largest = np.array([max(values.max(), -values.min())])
    else:
        others = tuple(i for i in range(values.ndim) if i != axis)
        largest = np.maximum(values.max(axis=others), -values.min(axis=others))
    scales = (largest.astype(np.float64) / REACH).astype(np.float32)
    return np.where(scales > 0, scales, np.float32(1))


def quantize(values: np.ndarray, scales: np.ndarray, axis: int | None) -> np.ndarray:
    """`values` in uint8, part by part, so that there is no second copy in float32."""
    stored = np.empty(values.shape, np.uint8)
    if axis is not None:
        scales = scales.reshape([-1 if i == axis else 1 for i in range(values.ndim)])
    rows = max(1, _CHUNK_ELEMENTS // max(1, values[0].size))
    for start in range(0, len(values), rows):
        part = slice(start, start + rows)
        by = scales[part] if axis == 0 else scales
        stored[part] = np.rint(values[part] / by) + ZERO
    return stored
