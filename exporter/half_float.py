"""The verdict on GPUs that compute in 16-bit floats, as most phones' do in WebGL.

Owns the largest number that they hold and what is said of a model that exceeds it; the ranges
themselves are measured by `exporter.activations`. Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LARGEST = 65504.0
"""The largest finite 16-bit float, (2 - 2**-10) * 2**15 (IEEE 754-2019, binary16)."""


@dataclass(frozen=True, slots=True)
class Range:
    """The largest magnitude that was seen in one place of a model.

    Attributes:
        place: "input 'pixels'", "layer 'dense'", "weight 'dense/kernel'".
        largest: Infinity where something was not finite.
    """

    place: str
    largest: float

    @property
    def fits(self) -> bool:
        """Whether a 16-bit float holds it."""
        return self.largest <= LARGEST


@dataclass(frozen=True, slots=True)
class HalfFloat:
    """What a half-float GPU would make of a model.

    Attributes:
        ranges: Of every place, in the order in which the model computes.
        samples: How many inputs they were measured on.
    """

    ranges: tuple[Range, ...]
    samples: int

    @property
    def safe(self) -> bool:
        """Whether everything fits; never without a sample or a place."""
        return bool(self.ranges) and self.samples > 0 and not self.unsafe

    @property
    def unsafe(self) -> tuple[Range, ...]:
        """The places that do not fit, the first in the model's order first."""
        return tuple(place for place in self.ranges if not place.fits)

    @property
    def verdict(self) -> str:
        """One line: safe, or the first place that is not."""
        if not self.ranges or self.samples == 0:
            return "not known whether it is safe on half-float GPUs: nothing was measured"
        if not self.unsafe:
            top = max(self.ranges, key=lambda place: place.largest)
            return (
                f"safe on half-float GPUs: the largest of all values is {_number(top.largest)} "
                f"({top.place}), {LARGEST:,.0f} allowed; {self.samples:,} samples"
            )
        first = self.unsafe[0]
        more = len(self.unsafe) - 1
        others = f" (and {more} more {'place' if more == 1 else 'places'})" if more else ""
        return (
            f"not safe on half-float GPUs: {first.place} reaches {_number(first.largest)}, "
            f"{LARGEST:,.0f} allowed{others}; scale what goes into it, or let the page use wasm"
        )

    def to_document(self) -> dict[str, Any]:
        """Plain JSON types, for `parity.json`."""
        return {
            "safe": self.safe,
            "verdict": self.verdict,
            "allowed": LARGEST,
            "samples": self.samples,
            "ranges": [{"place": item.place, "largest": item.largest} for item in self.ranges],
        }


def of_ranges(largest: Mapping[str, float], samples: int) -> HalfFloat:
    """The verdict on magnitudes by place; what is not a number counts as infinite."""
    ranges = (Range(place, math.inf if math.isnan(x) else x) for place, x in largest.items())
    return HalfFloat(tuple(ranges), samples)


def _number(value: float) -> str:
    if math.isinf(value):
        return "infinity"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
