"""A parity report: samples, rows, verdicts.

Owns the classes. NumPy and `exporter.half_float` only: `exporter.judgement` finds a row's verdict,
`exporter.comparison` runs the artefacts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import numpy as np

from exporter.half_float import HalfFloat

Status = Literal["passed", "failed", "not_run"]
ON_FILES = frozenset({"weights", "manifest", "golden.json"})
"""What stands for the runtime in rows that read files and run nothing."""
HISTOGRAM_EDGES = tuple(10.0**power for power in range(-12, 1))


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
        in_range: Of edge inputs: which lie within the ranges of the model's inputs.
        alone: Keras' outputs for each sample in a batch of its own: how far Keras is from itself.
            Judged alone, a sample's outputs are too few to tell Keras' own error by one try.
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
    in_range: tuple[bool, ...] = ()
    alone: tuple[np.ndarray, ...] = ()

    @property
    def count(self) -> int:
        """How many samples there are."""
        return len(self.inputs[0]) if self.inputs else 0

    def taken(self, count: int) -> Samples:
        """`count` samples from the first on, starting over where there are fewer."""
        if count == self.count:
            return self
        return self._chosen(np.arange(count) % self.count)

    def within_ranges(self) -> Samples:
        """Those that lie within the ranges of the model's inputs."""
        return self._chosen(np.flatnonzero(self.in_range)) if self.in_range else self

    def _chosen(self, index: np.ndarray) -> Samples:
        return replace(
            self,
            inputs=tuple(array[index] for array in self.inputs),
            reference=tuple(array[index] for array in self.reference),
            oracle=tuple(array[index] for array in self.oracle),
            labels=None if self.labels is None else self.labels[index],
            names=tuple(self.names[i] for i in index) if self.names else (),
            in_range=tuple(self.in_range[i] for i in index) if self.in_range else (),
            alone=tuple(array[index] for array in self.alone),
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
        oracle_max_abs, oracle_mean_abs: Against the float64 oracle; `keras_max_abs` is Keras' own.
        worst_sample: Index of the sample with the largest error.
        top1_agreement: Share of samples with the same top-1; None without classes.
        flips: The first of the samples whose top-1 differs, the widest margin first.
        flip_count: All of them.
        accuracy, keras_accuracy: Against the labels, where there are any.
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
    flip_count: int = 0
    accuracy: float | None = None
    keras_accuracy: float | None = None
    oracle_mean_abs: float | None = None

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
            row = next(iter(self.not_run), None)
            why = f": {row.runtime} {row.backend} was not run: {row.reason}" if row else ""
            return f"{self.name}: nothing was compared, and that is no proof{why}"
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
