"""Predictions to a verdict: does an artefact answer what Keras answers?

Owns the judgement of one row. NumPy, `exporter.gates` and `exporter.parity` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from exporter.gates import ALONE_BOUND, FLUSHED, KERAS_ERROR_FACTOR, SPARE_MARGIN, Gate
from exporter.parity import HISTOGRAM_EDGES, Flip, Samples, Status

_MAX_FLIPS = 20


@dataclass(frozen=True, slots=True)
class Judgement:
    """What `judge` found; becomes part of a `Row`."""

    reason: str
    samples: int
    max_abs: float
    mean_abs: float
    oracle_max_abs: float
    keras_max_abs: float
    worst_sample: int
    top1_agreement: float | None
    flips: tuple[Flip, ...]
    histogram: tuple[int, ...]
    flip_count: int = 0
    accuracy: float | None = None
    keras_accuracy: float | None = None
    oracle_mean_abs: float | None = None

    @property
    def status(self) -> Status:
        """ "failed" where there is a reason."""
        return "failed" if self.reason else "passed"

    def fields(self) -> dict[str, Any]:
        """What of it stands in a `Row`."""
        return {"status": self.status} | {f.name: getattr(self, f.name) for f in fields(self)}


def judge(
    samples: Samples, found: Sequence[np.ndarray], meanings: Sequence[str], gate: Gate
) -> Judgement:
    """Judge one artefact's outputs on one set of samples.

    Args:
        samples: Inputs with Keras' answers.
        found: The artefact's outputs, in the order of `samples.reference`.
        meanings: Per output "probabilities" or "values".
        gate: How far it may be off.

    Returns:
        A judgement whose reason is empty exactly when every gate holds on at least one sample.
        Samples where Keras or the oracle is not finite are left out; where nothing is left, that
        is a failure.
    """
    fault = _structure_fault(samples, found)
    if fault:
        return Judgement(fault, 0, np.inf, np.inf, np.inf, np.inf, 0, None, (), ())
    keep = _finite_samples(samples)
    if not keep.any():
        reason = "no sample on which Keras itself is finite, so nothing was compared"
        return Judgement(reason, 0, np.inf, np.inf, np.inf, np.inf, 0, None, (), ())
    index = np.flatnonzero(keep)
    parts = [
        _Output(
            reference[keep],
            oracle[keep],
            np.asarray(got)[keep],
            meaning,
            gate,
            samples.each_alone,
            spare=gate.min_accuracy_ratio is not None and not samples.golden,
            alone=alone[keep],
        )
        for reference, oracle, got, meaning, alone in zip(
            samples.reference,
            samples.oracle,
            found,
            meanings,
            samples.alone or samples.reference,
            strict=True,
        )
    ]
    reasons = [
        (f"output {number}: " if len(parts) > 1 else "") + reason
        for number, part in enumerate(parts)
        for reason in part.faults(index)
    ]
    accuracies = _accuracies(samples, parts[0], keep)
    reasons += _accuracy_fault(accuracies, gate, len(index))
    errors = np.concatenate([part.error.ravel() for part in parts])
    from_oracle = np.concatenate([part.from_oracle.ravel() for part in parts])
    per_sample = np.max([part.error_per_sample for part in parts], axis=0)
    flips = sorted((f for part in parts for f in part.flips(index)), key=lambda f: -f.margin)
    agreements = [part.agreement for part in parts if part.agreement is not None]
    return Judgement(
        reason="; ".join(reasons),
        samples=len(index),
        max_abs=float(errors.max(initial=0.0)),
        mean_abs=float(errors.mean()) if errors.size else 0.0,
        oracle_max_abs=max(part.oracle_error for part in parts),
        keras_max_abs=max(part.keras_error for part in parts),
        worst_sample=int(index[int(np.argmax(per_sample))]),
        top1_agreement=min(agreements) if agreements else None,
        flips=tuple(flips[:_MAX_FLIPS]),
        histogram=_histogram(errors),
        flip_count=len(flips),
        accuracy=accuracies[0] if accuracies else None,
        keras_accuracy=accuracies[1] if accuracies else None,
        oracle_mean_abs=float(from_oracle.mean()) if from_oracle.size else 0.0,
    )


def _structure_fault(samples: Samples, found: Sequence[np.ndarray]) -> str:
    """Number, shapes and kinds of the outputs; empty where all is well."""
    if samples.count == 0:
        return "no samples, so nothing was compared"
    if len(found) != len(samples.reference):
        return f"{len(samples.reference)} outputs expected, {len(found)} found"
    for number, (expected, got) in enumerate(zip(samples.reference, found, strict=True)):
        if np.shape(got) != expected.shape:
            return f"output {number}: shape {expected.shape} expected, {np.shape(got)} found"
        if not _same_kind(expected.dtype, np.asarray(got).dtype):
            return f"output {number}: {expected.dtype} expected, {np.asarray(got).dtype} found"
    return ""


def _same_kind(expected: np.dtype, found: np.dtype) -> bool:
    """The nearest dtype of a runtime that has fewer: any float for a float, and so on.

    bfloat16 and float8 have kind "V" in NumPy.
    """
    kinds = {"V": "f", "u": "i"}
    first, second = (kinds.get(kind, kind) for kind in (expected.kind, found.kind))
    return first == second or {first, second} == {"b", "i"}


def _finite_samples(samples: Samples) -> np.ndarray:
    """Samples, shape (n,) of bool, on which Keras and the oracle are finite in every output."""
    keep = np.ones(samples.count, bool)
    for array in (*samples.reference, *samples.oracle):
        flat = np.asarray(array, np.float64).reshape(len(array), -1)
        keep &= np.isfinite(flat).all(axis=1)
    return keep


class _Output:
    """One output of one artefact beside Keras' and the oracle's, on finite samples."""

    def __init__(
        self, reference: np.ndarray, oracle: np.ndarray, found: np.ndarray, meaning: str,
        gate: Gate, each_alone: bool, spare: bool = False, alone: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self.discrete = reference.dtype.kind in "iub"
        self.reference = np.asarray(reference, np.float64)
        self.oracle = np.asarray(oracle, np.float64)
        self.found = np.asarray(found, np.float64)
        self.probabilities = meaning == "probabilities"
        self.gate = gate
        self.each_alone = each_alone
        self.spare = spare
        # A NaN or an infinity is never equal to a number.
        self.error = np.where(np.isfinite(self.found), np.abs(self.found - self.reference), np.inf)
        self.error_per_sample = self._per_sample(self.error)
        self.own_error = np.abs(self.reference - self.oracle)
        if alone is not None and self.own_error.size:
            # Bounded: a model whose answers depend on the batch is not allowed what it varies by.
            again = np.abs(np.asarray(alone, np.float64) - self.oracle)
            bound = ALONE_BOUND * np.maximum(1.0, self._over_batch(np.abs(self.oracle)))
            again = np.where(np.isfinite(again), np.minimum(again, bound), 0.0)
            self.own_error = np.maximum(self.own_error, again)
        self.keras_error = float(self.own_error.max(initial=0.0))
        from_oracle = np.where(np.isfinite(self.found), np.abs(self.found - self.oracle), np.inf)
        self.oracle_error = float(from_oracle.max(initial=0.0))
        self.from_oracle = from_oracle

    def _per_sample(self, array: np.ndarray) -> np.ndarray:
        return array.reshape(len(array), -1).max(axis=1, initial=0.0)

    def _over_batch(self, array: np.ndarray) -> np.ndarray:
        """Largest per sample (each alone) or over all, broadcastable against the output."""
        largest = self._per_sample(array)
        if not self.each_alone:
            largest = np.full_like(largest, largest.max(initial=0.0))
        return largest.reshape(-1, *[1] * (array.ndim - 1))

    def tolerance(self) -> np.ndarray | None:
        """Elementwise tolerance, shape of the output; None where only top-1 is gated."""
        gate, own = self.gate, KERAS_ERROR_FACTOR * self._over_batch(self.own_error)
        magnitude = np.abs(self.reference)
        scale = self._over_batch(magnitude)
        if self.discrete:
            return np.zeros_like(self.reference)
        if self.probabilities:
            if gate.max_abs is None:
                return None
            limit = np.maximum(gate.max_abs, own) + 0 * magnitude
        elif gate.rel is not None:
            assert gate.of_scale is not None
            strict = np.minimum(gate.rel + gate.rel * magnitude, gate.of_scale * scale)
            limit = np.maximum(strict, own)
        elif gate.of_scale is not None:
            limit = np.maximum(gate.of_scale * np.maximum(scale, 1.0), own) + 0 * magnitude
        else:
            return None
        limit = np.maximum(limit, FLUSHED)
        if gate.ceiling is not None:
            limit = np.minimum(limit, gate.ceiling * np.maximum(scale, 1.0))
        return limit

    def faults(self, index: np.ndarray) -> list[str]:
        """One line per gate that does not hold."""
        faults = []
        if not np.isfinite(self.found).all():
            where = int(index[int(np.argmax(~np.isfinite(self._finite_view()).all(axis=1)))])
            faults.append(f"not finite on sample {where}, where Keras is")
        limit = self.tolerance()
        if limit is not None and (self.error > limit).any():
            with np.errstate(over="ignore"):  # to infinity, which is as far off as can be
                excess = np.where(
                    limit > 0, self.error / np.maximum(limit, 1e-300), self.error * 1e300
                )
            place = np.unravel_index(int(np.argmax(excess)), self.error.shape)
            faults.append(
                f"off by {self.error[place]:.3g} on sample {int(index[place[0]])}, "
                f"{limit[place]:.3g} allowed"
            )
        flips = self.flips(index)
        scale = 1.0 if self.probabilities else max(1.0, np.abs(self.oracle).max(initial=0.0))
        if self.gate.margin is not None:
            wide = [flip for flip in flips if flip.margin > self.gate.margin * scale]
            if wide:
                worst = max(wide, key=lambda flip: flip.margin)
                faults.append(
                    f"top-1 differs on {len(wide)} samples, sample {worst.sample}: "
                    f"{worst.expected} expected, {worst.found} found, margin {worst.margin:.3g}"
                )
        classes, allowed = self.classes(), self.gate.min_agreement
        if allowed is not None and classes is not None:
            expected, found, margin = classes
            differs = (expected != found) & (margin > self.gate.tie * scale)
            agreement = 1.0 - float(np.mean(differs))
            spared = self.spare and _is_one_of_few(int(differs.sum()), differs.size, allowed)
            narrow = not flips or flips[0].margin <= SPARE_MARGIN * scale
            if agreement < allowed and not (spared and narrow):
                faults.append(f"top-1 agrees on {agreement:.3%}, {allowed:.2%} wanted")
        return faults

    def _finite_view(self) -> np.ndarray:
        return self.found.reshape(len(self.found), -1)

    def classes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Expected and found top-1 and the oracle's margin, shape (n, positions); None: no classes.

        Probabilities of one unit are a yes or no at 0.5. Values have classes only in rank 2. Where
        Keras itself answers another class than the oracle, to answer the same as Keras is right.
        """
        if self.discrete or self.oracle.ndim < 2 or self.oracle.shape[-1] == 0:
            return None
        if not self.probabilities and (self.oracle.ndim != 2 or self.oracle.shape[-1] < 2):
            return None
        oracle, found, own = (
            a.reshape(len(a), -1, a.shape[-1]) for a in (self.oracle, self.found, self.reference)
        )
        if oracle.shape[-1] == 1:
            margin = np.abs(2 * oracle[..., 0] - 1)
            expected, answer, keras = ((a[..., 0] > 0.5) * 1 for a in (oracle, found, own))
        else:
            top = np.sort(oracle, axis=-1)[..., -2:]
            margin = top[..., 1] - top[..., 0]
            # NaN would win argmax; it is no answer.
            answer = np.where(np.isfinite(found), found, -np.inf).argmax(-1)
            expected, keras = oracle.argmax(-1), own.argmax(-1)
        return expected, np.where(answer == keras, expected, answer), margin

    def flips(self, index: np.ndarray) -> list[Flip]:
        """The samples whose top-1 differs, the widest margin first."""
        classes = self.classes()
        if classes is None:
            return []
        expected, found, margin = classes
        places = np.argwhere(expected != found)
        flips = [
            Flip(int(index[p[0]]), int(expected[*p]), int(found[*p]), float(margin[*p]))
            for p in places
        ]
        return sorted(flips, key=lambda flip: -flip.margin)

    @property
    def agreement(self) -> float | None:
        """Share of equal top-1 answers."""
        classes = self.classes()
        return None if classes is None else float(np.mean(classes[0] == classes[1]))


def _accuracies(samples: Samples, output: _Output, keep: np.ndarray) -> tuple[float, float] | None:
    """The artefact's accuracy and Keras', where there are labels."""
    classes = output.classes()
    if samples.labels is None or classes is None:
        return None
    labels = samples.labels[keep]
    expected, found, _ = classes
    return float(np.mean(found[:, 0] == labels)), float(np.mean(expected[:, 0] == labels))


def _is_one_of_few(differing: int, count: int, share: float) -> bool:
    """Whether a single answer differs, of so few that it is more than the share allows."""
    return differing == 1 and count * (1 - share) < 1


def _accuracy_fault(accuracies: tuple[float, float] | None, gate: Gate, count: int) -> list[str]:
    if gate.min_accuracy_ratio is None or accuracies is None:
        return []
    ours, own = accuracies
    lost = round((own - ours) * count)
    if _is_one_of_few(lost, count, gate.min_accuracy_ratio):
        return []  # told by the margin whether that one may differ
    if ours < gate.min_accuracy_ratio * own:
        return [f"accuracy {ours:.2%}, Keras {own:.2%}, {gate.min_accuracy_ratio:.1%} of it wanted"]
    return []


def _histogram(errors: np.ndarray) -> tuple[int, ...]:
    edges = np.array([-np.inf, *HISTOGRAM_EDGES, np.inf])
    finite = np.nan_to_num(errors, nan=np.inf, posinf=1e300)
    return tuple(int(n) for n in np.histogram(finite, bins=edges)[0])


def worst(
    reference: np.ndarray, oracle: np.ndarray, found: np.ndarray, meaning: str, gate: Gate
) -> tuple[float, float]:
    """The error that is largest against what is allowed where it stands, and what is allowed there.

    All three arrays have one shape, the samples first; infinity is allowed where the gate is on
    the top-1 answer alone.
    """
    output = _Output(reference, oracle, found, meaning, gate, each_alone=False)
    limit = output.tolerance()
    if limit is None:
        return float(output.error.max(initial=0.0)), np.inf
    if output.error.size == 0:
        return 0.0, 0.0
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(output.error / limit, nan=0.0, posinf=np.inf)
    place = np.unravel_index(int(np.argmax(ratio)), ratio.shape)
    return float(output.error[place]), float(limit[place])
