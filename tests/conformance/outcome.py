"""What came of one model on one way into the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RIGHT = 1e-4
"""Of the largest magnitude (at least 1): an answer further off than this is another answer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far a model came.

    Attributes:
        status: "runs", or where it ended: "refused", "not exported", "does not load",
            "does not run".
        error: Where it runs: the largest absolute difference from Keras, in units of the largest
            magnitude of the output, at least 1; infinite where shapes or NaNs differ.
        reason: Why it ended, in a few words; empty where it runs.
    """

    status: str
    error: float | None = None
    reason: str = ""

    @property
    def right(self) -> bool:
        """Whether it answers as Keras does."""
        return self.error is not None and self.error <= RIGHT


def worse(first: Outcome, second: Outcome) -> Outcome:
    """The one of two backends that says more against a format."""
    order = ("refused", "not exported", "does not load", "does not run", "runs")
    if first.status != second.status:
        return min(first, second, key=lambda outcome: order.index(outcome.status))
    return max(first, second, key=lambda outcome: outcome.error or 0.0)


def distance(expected: Sequence[np.ndarray], found: Sequence[np.ndarray]) -> float:
    """The error of `Outcome` over all outputs."""
    if len(expected) != len(found):
        return np.inf
    return max((_distance(x, y) for x, y in zip(expected, found, strict=True)), default=0.0)


def _distance(expected: np.ndarray, found: np.ndarray) -> float:
    if expected.shape != np.shape(found):
        return np.inf
    x, y = expected.astype(np.float64), np.asarray(found).astype(np.float64)
    same = (x == y) | (np.isnan(x) & np.isnan(y))
    if same.all():
        return 0.0
    if not np.isfinite(y[~same]).all() or not np.isfinite(x[~same]).all():
        return np.inf
    largest = np.abs(x[np.isfinite(x)]).max(initial=1.0)
    return float(np.abs(x[~same] - y[~same]).max() / largest)
