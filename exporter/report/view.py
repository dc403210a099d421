"""Rows to what the page shows: a matrix of cells, each an artefact on one runtime and backend.

Owns the shape of the page's data, nothing of its looks. May import `exporter.parity`,
`exporter.gates` and `exporter.manifest`.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from exporter.gates import KERAS_ERROR_FACTOR, gate_for
from exporter.manifest import Manifest
from exporter.parity import ParityReport, Row, Samples, Status
from exporter.report import charts, pictures, wording

Answers = Mapping[Row, Sequence[np.ndarray]]
_Key = tuple[str, str, str, str, str, int]
FILE = "file"
"""The backend of rows in which a file was read and nothing was run."""
_DATA_SET = "-test"
_MOST_PICTURES = 4
_MOST_WORST = 8


@dataclass(frozen=True, slots=True)
class Distance:
    """How far a cell is from Keras, as percent along the logarithmic axis."""

    text: str
    at: float
    mean_at: float | None
    keras_at: float | None
    gate_at: float | None
    gate: str


@dataclass(frozen=True, slots=True)
class Cell:
    """One artefact on one runtime and backend, over all samples and batch sizes."""

    id: str
    artifact: str
    runtime: str
    backend: str
    rows: tuple[Row, ...]
    distance: Distance | None
    bins: tuple[charts.Bin, ...]
    samples: tuple[pictures.Sample, ...]

    @property
    def status(self) -> Status:
        """Failed where one row failed; passed where the rows that ran passed."""
        found = {row.status for row in self.rows}
        if "failed" in found:
            return "failed"
        return "passed" if "passed" in found else "not_run"

    def of(self, status: Status) -> tuple[Row, ...]:
        """The rows of that status."""
        return tuple(row for row in self.rows if row.status == status)

    @property
    def worst(self) -> tuple[Row, int] | None:
        """The failed row with the largest error, and how many failed besides it."""
        failed = self.of("failed")
        return (max(failed, key=_magnitude), len(failed) - 1) if failed else None

    @property
    def gates(self) -> tuple[tuple[str, str], ...]:
        """Distinct gates, each with the names of the samples under it."""
        names: dict[str, dict[str, None]] = {}
        for row in self.rows:
            if row.gate:
                names.setdefault(row.gate, {})[row.samples_name] = None
        return tuple((", ".join(samples), gate) for gate, samples in names.items())

    @property
    def ran_on(self) -> str:
        """What really ran, as the runtimes said it."""
        return ", ".join(dict.fromkeys(row.ran_on for row in self.rows if row.ran_on))

    @property
    def agreement(self) -> float | None:
        """The smallest share of equal top-1 answers over the rows."""
        shares = [row.top1_agreement for row in self.rows if row.top1_agreement is not None]
        return min(shares, default=None)

    @property
    def latency(self) -> tuple[int, float] | None:
        """Smallest batch that was timed and the median of its calls, in milliseconds."""
        timed = [(row.batch, row.latency_ms) for row in self.rows if row.latency_ms is not None]
        return min(timed, default=None)

    @property
    def cold_start_ms(self) -> float | None:
        """Time from opening to the first answer."""
        return next((r.cold_start_ms for r in self.rows if r.cold_start_ms is not None), None)

    @property
    def bytes_fetched(self) -> int | None:
        """What a page had fetched by then, not compressed."""
        return next((r.bytes_fetched for r in self.rows if r.bytes_fetched is not None), None)

    @property
    def flips(self) -> int:
        """How many differing answers the rows list."""
        return sum(len(row.flips) for row in self.rows)

    @property
    def commands(self) -> tuple[str, ...]:
        """What compares this cell again; BUNDLE is the reader's folder."""
        return tuple(dict.fromkeys(map(command, self.rows)))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Artefacts down, runtimes with their backends across; None where the two do not meet."""

    runtimes: tuple[tuple[str, tuple[str, ...]], ...]
    lines: tuple[tuple[str, tuple[Cell | None, ...]], ...]

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Runtime and backend of each column."""
        return tuple((runtime, backend) for runtime, all_ in self.runtimes for backend in all_)

    @property
    def cells(self) -> tuple[Cell, ...]:
        """All cells, line by line."""
        return tuple(cell for _, line in self.lines for cell in line if cell is not None)

    @property
    def idle(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Why rows were not run, each with the artefacts and places that it kept back."""
        places: dict[str, dict[str, None]] = {}
        for cell in self.cells:
            for row in cell.of("not_run"):
                place = f"{cell.artifact} on {cell.runtime} {cell.backend}"
                places.setdefault(row.reason, {})[place] = None
        return tuple((reason, tuple(names)) for reason, names in places.items())


def label(number: int, manifest: Manifest) -> str:
    """A class by its label, where there is one output and it has labels."""
    labels = manifest.labels if len(manifest.outputs) == 1 else None
    return labels[number] if labels is not None and number < len(labels) else str(number)


def command(row: Row) -> str:
    """The command that runs a row again."""
    if row.backend == FILE:
        return "exporter parity BUNDLE"
    text = f"exporter parity BUNDLE --runtimes {shlex.quote(row.runtime)}"
    if not row.samples_name.endswith(_DATA_SET):
        return text
    return f"{text} --data {shlex.quote(row.samples_name.removesuffix(_DATA_SET))}"


def matrix(
    report: ParityReport, manifest: Manifest, samples: Mapping[str, Samples], answers: Answers
) -> Matrix:
    """Group a report's rows into cells, in the order in which artefacts and runtimes appear."""
    by_key = {_key(row): answer for row, answer in answers.items()}
    groups: dict[tuple[str, str, str], list[Row]] = {}
    backends: dict[str, dict[str, None]] = {}
    artifacts = {artifact.id: None for artifact in manifest.artifacts}
    for row in report.rows:
        groups.setdefault((row.artifact, row.runtime, row.backend), []).append(row)
        backends.setdefault(row.runtime, {})[row.backend] = None
        artifacts.setdefault(row.artifact)
    cells = {
        key: _cell(f"cell-{number}", key, tuple(rows), manifest, samples, by_key)
        for number, (key, rows) in enumerate(groups.items())
    }
    runtimes = tuple((runtime, tuple(names)) for runtime, names in backends.items())
    columns = [(runtime, backend) for runtime, names in runtimes for backend in names]
    lines = tuple(
        (artifact, tuple(cells.get((artifact, *column)) for column in columns))
        for artifact in artifacts
    )
    return Matrix(runtimes, lines)


def worst_samples(
    report: ParityReport, manifest: Manifest, samples: Mapping[str, Samples], answers: Answers
) -> tuple[pictures.Sample, ...]:
    """The samples with the largest errors, each once, the worst first; failures before passes."""
    by_key = {_key(row): answer for row, answer in answers.items()}
    shown: dict[tuple[str, int, str], pictures.Sample] = {}
    ranked = [row for row in report.rows if _has_worst(row, samples)]
    ranked.sort(key=lambda row: (row.status != "failed", -_magnitude(row)))
    for row in ranked:
        index = _index(row, samples)
        key = (row.samples_name, index, row.precision)
        if key in shown or _magnitude(row) == 0 or len(shown) == _MOST_WORST:
            continue
        note = f"{row.artifact} on {row.runtime} {row.backend}: off by {wording.error(row.max_abs)}"
        shown[key] = pictures.show(
            samples[row.samples_name], index, manifest, note, by_key.get(_key(row))
        )
    return tuple(shown.values())


def _cell(
    id: str, key: tuple[str, str, str], rows: tuple[Row, ...], manifest: Manifest,
    samples: Mapping[str, Samples], answers: Mapping[_Key, Sequence[np.ndarray]],
) -> Cell:  # fmt: skip
    return Cell(
        id,
        *key,
        rows=rows,
        distance=_distance(rows, manifest, samples),
        bins=charts.histogram(row.histogram for row in rows),
        samples=_remarkable(rows, manifest, samples, answers),
    )


def _remarkable(
    rows: Sequence[Row], manifest: Manifest, samples: Mapping[str, Samples],
    answers: Mapping[_Key, Sequence[np.ndarray]],
) -> tuple[pictures.Sample, ...]:  # fmt: skip
    """The worst sample of each set of samples, then those whose answer differs."""
    shown: dict[tuple[str, int], pictures.Sample] = {}
    able = [row for row in rows if _has_worst(row, samples)]
    for row in sorted(able, key=lambda row: -_magnitude(row)):
        if _magnitude(row) == 0 or row.samples_name in {name for name, _ in shown}:
            continue
        note = f"largest error, {wording.error(row.max_abs)}, batch {row.batch}"
        index = _index(row, samples)
        shown[row.samples_name, index] = pictures.show(
            samples[row.samples_name], index, manifest, note, answers.get(_key(row))
        )
    for row in able:
        for flip in row.flips:
            index = flip.sample % samples[row.samples_name].count
            if (row.samples_name, index) in shown or len(shown) >= _MOST_PICTURES:
                continue
            labels = [label(c, manifest) for c in (flip.expected, flip.found)]
            note = f"{labels[0]} expected, {labels[1]} found, margin {wording.error(flip.margin)}"
            shown[row.samples_name, index] = pictures.show(
                samples[row.samples_name], index, manifest, note
            )
    return tuple(shown.values())[:_MOST_PICTURES]


def _distance(
    rows: Sequence[Row], manifest: Manifest, samples: Mapping[str, Samples]
) -> Distance | None:
    """Of the row that comes closest to its gate, or is farthest from Keras where none is known."""
    ran = [row for row in rows if row.max_abs is not None]
    if not ran:
        return None
    limits = {id(row): _limit(row, manifest, samples) for row in ran}

    def strain(row: Row) -> tuple[float, float]:
        limit = limits[id(row)]
        return (_magnitude(row) / limit if limit else 0.0, _magnitude(row))

    row = max(ran, key=strain)
    limit = limits[id(row)]
    assert row.max_abs is not None
    return Distance(
        text=wording.error(row.max_abs),
        at=charts.position(row.max_abs),
        mean_at=None if row.mean_abs is None else charts.position(row.mean_abs),
        keras_at=None if row.keras_max_abs is None else charts.position(row.keras_max_abs),
        gate_at=None if limit is None else charts.position(limit),
        gate="" if limit is None else wording.error(limit),
    )


def _limit(row: Row, manifest: Manifest, samples: Mapping[str, Samples]) -> float | None:
    """The absolute error allowed, where it is one number for all values: probabilities."""
    known = samples.get(row.samples_name)
    if known is None or {spec.meaning for spec in manifest.outputs} != {"probabilities"}:
        return None
    gate = gate_for(row.precision, row.backend, pictures=known.pictures, near_ties=known.near_ties)
    if gate.max_abs is None:
        return None
    own = row.keras_max_abs or 0.0
    limit = max(gate.max_abs, KERAS_ERROR_FACTOR * own) if math.isfinite(own) else gate.max_abs
    return limit if gate.ceiling is None else min(limit, gate.ceiling)


def _has_worst(row: Row, samples: Mapping[str, Samples]) -> bool:
    known = samples.get(row.samples_name)
    return bool(known and known.count and row.worst_sample is not None and row.samples)


def _index(row: Row, samples: Mapping[str, Samples]) -> int:
    """The worst sample's place in its set, which a large batch may have repeated."""
    assert row.worst_sample is not None
    return row.worst_sample % samples[row.samples_name].count


def _magnitude(row: Row) -> float:
    """The largest error, for ordering: NaN is as bad as infinity."""
    if row.max_abs is None:
        return 0.0
    return math.inf if math.isnan(row.max_abs) else row.max_abs


def _key(row: Row) -> _Key:
    # Not the row itself: one holding NaN does not equal its own copy.
    return (row.format, row.precision, row.runtime, row.backend, row.samples_name, row.batch)
