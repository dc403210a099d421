"""The gates: how far an artefact may leave Keras before it is wrong.

Owns the numbers and nothing else; `exporter.judgement` applies them. Standard library only. On
which samples each is applied stands in docs/parity.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

HALF_BACKENDS = frozenset({"webgl-half"})
"""GPUs of phones, which compute in 16-bit floats."""
GPU_BACKENDS = frozenset({"webgl", "webgpu"}) | HALF_BACKENDS

BOUNDED_PRECISIONS = frozenset({"int8-static"})
"""What cuts inputs off at the range that was measured: edge inputs beyond it are not judged."""

KERAS_ERROR_FACTOR = 4.0
"""A runtime may be this many times as far from Keras as Keras is from its own float64 oracle."""

SPARE_MARGIN = 0.1
"""8 bits: of a data set so little is sometimes run (on a GPU, on a slow machine) that a single
answer is more than the share that may differ: then one may, within this margin of the oracle."""

ALONE_BOUND = 1e-5
"""Keras' own error counts its answer to a sample alone as well, up to this share of magnitude."""

FLUSHED = 1e-30
"""Less than this is no difference: wasm and GPUs may take subnormal numbers (below 1.2e-38) as 0,
which sums over a layer's inputs and its weights make larger."""


@dataclass(frozen=True, slots=True)
class Gate:
    """What one row must keep.

    Attributes:
        max_abs: Probabilities: largest absolute difference; None: not gated.
        rel: Values: abs(d) <= rel + rel * abs(x), elementwise; None: not gated.
        of_scale: Values: abs(d) <= of_scale * largest magnitude over the batch; None: not gated.
        ceiling: Whatever Keras' own error is, never more than this (of max(1, magnitude)).
        margin: Top-1 must be equal wherever the oracle's margin is over this.
        min_agreement: Share of all samples on which top-1 must be equal; None: not gated.
        tie: For that share either answer is right where the oracle's margin is not over this.
        min_accuracy_ratio: Share of Keras' accuracy to keep, where labels are known; or None.
        only_batch_1: Judged at batch 1 only (ranges measured per batch).
    """

    max_abs: float | None
    rel: float | None
    of_scale: float | None
    margin: float | None
    ceiling: float | None = None
    min_agreement: float | None = None
    tie: float = 0.0
    min_accuracy_ratio: float | None = None
    only_batch_1: bool = False

    def __str__(self) -> str:
        parts = []
        if self.max_abs is not None:
            parts.append(f"probabilities within max({self.max_abs:g}, 4 x Keras' own error)")
        if self.rel is not None:
            parts.append(f"values within {self.rel:g} + {self.rel:g}|x|")
        if self.of_scale is not None:
            parts.append(f"values within {self.of_scale:g} of the largest")
        if self.margin is not None:
            parts.append(f"top-1 equal where the margin is over {self.margin:g}")
        if self.min_agreement is not None:
            aside = f" (ties within {self.tie:g} aside)" if self.tie else ""
            parts.append(f"top-1 equal on {self.min_agreement:.2%}{aside}")
        if self.min_accuracy_ratio is not None:
            parts.append(f"{self.min_accuracy_ratio:.1%} of the accuracy")
        return "; ".join(parts)


_FLOAT32 = Gate(max_abs=5e-6, rel=1e-5, of_scale=2e-6, margin=1e-4)
_FLOAT32_GPU = Gate(max_abs=1e-4, rel=1e-4, of_scale=1e-4, margin=1e-4, ceiling=1e-3)
# A share of so few samples as the golden vectors have is all of them: saturated sigmoids are ties.
_FLOAT16 = Gate(
    max_abs=2e-2, rel=None, of_scale=2e-2, margin=None, min_agreement=0.9999, tie=1e-4
)  # fmt: skip
# A near tie is made so that small errors flip it: no share of those means anything, but where the
# two errors that the gate allows together are less than the margin, none may flip.
_FLOAT16_TIES = replace(_FLOAT16, min_agreement=None, margin=4e-2)
_UINT16 = Gate(max_abs=2e-3, rel=None, of_scale=2e-3, margin=2e-3)
_INTEGER_PICTURES = Gate(
    max_abs=None, rel=None, of_scale=0.1, margin=None, min_agreement=0.998,
    min_accuracy_ratio=0.999,
)  # fmt: skip
_INTEGER_NOISE = Gate(max_abs=None, rel=None, of_scale=0.1, margin=0.1)


def gate_for(precision: str, backend: str, *, pictures: bool, near_ties: bool = False) -> Gate:
    """The gate of a row.

    Args:
        precision: Of the artefact.
        backend: Of the runtime.
        pictures: Whether the samples are drawn digits or the user's own data (True) or noise,
            ties and edges (False): 8-bit precisions are judged differently on them.
        near_ties: Whether each sample was made to be nearly a tie.
    """
    float16 = _FLOAT16_TIES if near_ties else _FLOAT16
    if backend in HALF_BACKENDS and precision in ("float32", "uint16"):
        return float16
    if precision == "float32":
        return _FLOAT32_GPU if backend in GPU_BACKENDS else _FLOAT32
    if precision == "float16":
        return float16
    if precision == "uint16":
        return _UINT16
    gate = _INTEGER_PICTURES if pictures else _INTEGER_NOISE
    # Static ranges are the same at every batch size; dynamic ones are the whole batch's.
    return replace(gate, only_batch_1=True) if precision == "int8" else gate
