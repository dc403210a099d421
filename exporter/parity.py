"""Predictions to verdicts: does an artefact answer what Keras answers?

Owns the classes of a parity report and the judgement of one row. NumPy, `exporter.gates`,
`exporter.half_float` and `exporter.errors` only: what runs the artefacts is `exporter.comparison`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np

from exporter.gates import FLUSHED, KERAS_ERROR_FACTOR, Gate
from exporter.half_float import HalfFloat

Status = Literal["passed", "failed", "not_run"]
ON_FILES = frozenset({"weights", "manifest", "golden.json"})
"""What stands for the runtime in rows that read files and run nothing."""
HISTOGRAM_EDGES = tuple(10.0**power for power in range(-12, 1))
_MAX_FLIPS = 20


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs on which artefacts are compared, with Keras' answers.

    Attributes:
        name: "golden/picture", "mnist-test", …
        inputs: One array per model input, the samples first.
        reference: Keras' float32 outputs, one array per model output.
        oracle: The float64 outputs, or the reference where the model has no oracle.
        pictures: True for drawn digits or the user's data: what 8-bit precisions are judged on.
        labels: The right classes, or None.
        each_alone: Judge each sample by itself (edge inputs of very different magnitude).
        near_ties: Each was made to be nearly a tie between two classes.
        golden: Part of the bundle's golden vectors, so run at every batch size.
        names: The samples' names, for the report.
    """

    name: str
    inputs: tuple[np.ndarray, ...]
    reference: tuple[np.ndarray, ...]
    oracle: tuple[np.ndarray, ...]
    pictures: bool = False
    labels: np.ndarray | None = None
    each_alone: bool = False
    near_ties: bool = False
    golden: bool = False
    names: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0]) if self.inputs else 0

    def taken(self, count: int) -> Samples:
        """`count` samples from the first on, starting over where there are fewer."""
        if count == self.count:
            return self
        index = np.arange(count) % self.count
        return replace(
            self,
            inputs=tuple(array[index] for array in self.inputs),
            reference=tuple(array[index] for array in self.reference),
            oracle=tuple(array[index] for array in self.oracle),
            labels=None if self.labels is None else self.labels[index],
            names=tuple(self.names[i] for i in index) if self.names else (),
        )


@dataclass(frozen=True, slots=True)
class Flip:
    """A sample whose top-1 answer differs."""

    sample: int
    expected: int
    found: int
    margin: float


@dataclass(frozen=True, slots=True)
class Row:
    """The verdict on one artefact, on one backend, on one set of samples, at one batch size.

    Attributes:
        reason: Why it failed or was not run, and what to do; empty where it passed.
        max_abs, mean_abs: Absolute error against Keras over all outputs.
        oracle_max_abs: Against the float64 oracle; `keras_max_abs` is Keras' own.
        worst_sample: Index of the sample with the largest error.
        top1_agreement: Share of samples with the same top-1; None without classes.
        histogram: Counts of absolute errors between HISTOGRAM_EDGES, one more than edges:
            the first holds what is below the first edge.
        latency_ms: Median time of one call at this batch size.
        cold_start_ms: Time from opening the artefact to its first answer; in a browser from an
            empty page on.
        bytes_fetched: What a page had fetched by then: code, WebAssembly and model, not
            compressed; None outside a page.
        ran_on: What actually ran, in the runtime's own words.
        note: What the reader should know: fewer samples than there are.
        advisory: A failure is told and holds nothing back: GPUs of phones are weaker than what
            the artefact was made for, and the player notices and takes another backend there.
    """

    format: str
    precision: str
    runtime: str
    backend: str
    samples_name: str
    batch: int
    status: Status
    reason: str = ""
    gate: str = ""
    samples: int = 0
    max_abs: float | None = None
    mean_abs: float | None = None
    oracle_max_abs: float | None = None
    keras_max_abs: float | None = None
    worst_sample: int | None = None
    top1_agreement: float | None = None
    flips: tuple[Flip, ...] = ()
    histogram: tuple[int, ...] = ()
    latency_ms: float | None = None
    cold_start_ms: float | None = None
    bytes_fetched: int | None = None
    ran_on: str = ""
    note: str = ""
    advisory: bool = False

    @property
    def artifact(self) -> str:
        """ "onnx/float32"."""
        return f"{self.format}/{self.precision}"


@dataclass(frozen=True, slots=True)
class ParityReport:
    """All rows of one run over one bundle.

    Attributes:
        reported: Findings that are not gated (NaN, infinities, an empty batch), for people.
        half_float: Whether the model's values fit into the 16-bit floats of phones' GPUs.
        answers: Per row what the artefact answered on the row's worst sample, one array per
            output without the samples' axis; for pictures, in no file.
    """

    name: str
    rows: tuple[Row, ...]
    reported: tuple[Mapping[str, Any], ...] = ()
    half_float: HalfFloat | None = None
    answers: Mapping[Row, tuple[np.ndarray, ...]] = field(default_factory=dict, repr=False)

    def count(self, status: Status) -> int:
        """How many rows have that status."""
        return sum(row.status == status for row in self.rows)

    @property
    def failed(self) -> tuple[Row, ...]:
        """The rows that failed and by which the artefact fails."""
        return tuple(row for row in self.rows if row.status == "failed" and not row.advisory)

    @property
    def warned(self) -> tuple[Row, ...]:
        """The advisory rows that failed."""
        return tuple(row for row in self.rows if row.status == "failed" and row.advisory)

    @property
    def not_run(self) -> tuple[Row, ...]:
        """The rows that were not run."""
        return tuple(row for row in self.rows if row.status == "not_run")

    def verdict(self, *, strict: bool = False) -> str | None:
        """None where all is well, else one line that says what is not.

        Args:
            strict: Rows that were not run count as failures.
        """
        ran = [row for row in self.rows if row.runtime not in ON_FILES]
        if all(row.status == "not_run" or row.advisory for row in ran):
            return f"{self.name}: nothing was compared, and that is no proof"
        if self.failed:
            row = self.failed[0]
            more = f" (and {len(self.failed) - 1} more rows)" if len(self.failed) > 1 else ""
            return (
                f"{self.name}: {row.artifact} on {row.runtime} {row.backend}, "
                f"{row.samples_name}, batch {row.batch}: {row.reason}{more}"
            )
        if strict and self.not_run:
            row = self.not_run[0]
            return (
                f"{self.name}: {len(self.not_run)} rows were not run, the first "
                f"{row.artifact} on {row.runtime} {row.backend}: {row.reason}"
            )
        return None

    def summary(self, everywhere: frozenset[str]) -> tuple[Mapping[str, Any], ...]:
        """What a manifest says: per artefact and backend the gates that it passed.

        Only rows that are the same on every machine: the golden vectors and the weights, in
        runtimes that run everywhere; no figure that was measured here.
        """
        found: dict[tuple[str, str, str], dict[str, str]] = {}
        for row in self.rows:
            tracked = row.samples_name.startswith("golden/") or row.runtime in ON_FILES
            if row.status == "passed" and tracked and row.runtime in everywhere | ON_FILES:
                gates = found.setdefault((row.artifact, row.runtime, row.backend), {})
                gates[row.samples_name] = row.gate
        return tuple(
            {"artifact": artifact, "runtime": runtime, "backend": backend, "passed": gates}
            for (artifact, runtime, backend), gates in found.items()
        )

    def to_document(self) -> dict[str, Any]:
        """What `report/parity.json` holds; plain JSON types."""
        return {
            "name": self.name,
            "passed": self.count("passed"),
            "failed": len(self.failed),
            "warned": len(self.warned),
            "not_run": self.count("not_run"),
            "rows": [asdict(row) for row in self.rows],
            "reported": [dict(item) for item in self.reported],
            "half_float": self.half_float.to_document() if self.half_float else None,
        }


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
            reference[keep], oracle[keep], np.asarray(got)[keep], meaning, gate, samples.each_alone
        )
        for reference, oracle, got, meaning in zip(
            samples.reference, samples.oracle, found, meanings, strict=True
        )
    ]
    reasons = [
        (f"output {number}: " if len(parts) > 1 else "") + reason
        for number, part in enumerate(parts)
        for reason in part.faults(index)
    ]
    reasons += _accuracy_fault(samples, parts, keep, gate)
    errors = np.concatenate([part.error.ravel() for part in parts])
    per_sample = np.max([part.error_per_sample for part in parts], axis=0)
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
        flips=tuple(flip for part in parts for flip in part.flips(index))[:_MAX_FLIPS],
        histogram=_histogram(errors),
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
        gate: Gate, each_alone: bool,
    ) -> None:  # fmt: skip
        self.discrete = reference.dtype.kind in "iub"
        self.reference = np.asarray(reference, np.float64)
        self.oracle = np.asarray(oracle, np.float64)
        self.found = np.asarray(found, np.float64)
        self.probabilities = meaning == "probabilities"
        self.gate = gate
        self.each_alone = each_alone
        # A NaN or an infinity is never equal to a number.
        self.error = np.where(np.isfinite(self.found), np.abs(self.found - self.reference), np.inf)
        self.error_per_sample = self._per_sample(self.error)
        self.own_error = np.abs(self.reference - self.oracle)
        self.keras_error = float(self.own_error.max(initial=0.0))
        self.oracle_error = float(np.abs(self.found - self.oracle).max(initial=0.0))

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
            excess = np.where(limit > 0, self.error / np.maximum(limit, 1e-300), self.error * 1e300)
            place = np.unravel_index(int(np.argmax(excess)), self.error.shape)
            faults.append(
                f"off by {self.error[place]:.3g} on sample {int(index[place[0]])}, "
                f"{limit[place]:.3g} allowed"
            )
        flips = self.flips(index)
        if self.gate.margin is not None:
            scale = 1.0 if self.probabilities else max(1.0, np.abs(self.oracle).max(initial=0.0))
            wide = [flip for flip in flips if flip.margin > self.gate.margin * scale]
            if wide:
                worst = max(wide, key=lambda flip: flip.margin)
                faults.append(
                    f"top-1 differs on {len(wide)} samples, sample {worst.sample}: "
                    f"{worst.expected} expected, {worst.found} found, margin {worst.margin:.3g}"
                )
        agreement = self.agreement
        if self.gate.min_agreement is not None and agreement is not None:
            allowed = self.gate.min_agreement
            if agreement < allowed:
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


def _accuracy_fault(
    samples: Samples, parts: list[_Output], keep: np.ndarray, gate: Gate
) -> list[str]:
    """Accuracy against the labels, as a share of the oracle's."""
    if gate.min_accuracy_ratio is None or samples.labels is None:
        return []
    classes = parts[0].classes()
    if classes is None:
        return []
    labels = samples.labels[keep]
    ours, own = (float(np.mean(answer[:, 0] == labels)) for answer in (classes[1], classes[0]))
    if ours < gate.min_accuracy_ratio * own:
        return [f"accuracy {ours:.2%}, Keras {own:.2%}, {gate.min_accuracy_ratio:.1%} of it wanted"]
    return []


def _histogram(errors: np.ndarray) -> tuple[int, ...]:
    edges = np.array([-np.inf, *HISTOGRAM_EDGES, np.inf])
    finite = np.nan_to_num(errors, nan=np.inf, posinf=1e300)
    return tuple(int(n) for n in np.histogram(finite, bins=edges)[0])
