"""One runtime with the artefacts that it can open, run on all samples, each answer judged.

Owns what is timed and in which order one artefact is asked; which samples at which batch sizes is
`exporter.schedule`'s, the judgement `exporter.judgement`'s. May import what `exporter.comparison`
may.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np

from exporter import gates, runtimes, schedule
from exporter.errors import ExporterError, UnsupportedModel
from exporter.judgement import judge
from exporter.manifest import Artifact, Manifest
from exporter.parity import Row, Samples

Progress = Callable[[str], None]

GPU_SHARE = 0.2
"""Of the budget for a GPU, which computes in software wherever a parity run has no other."""

PROBES = ((0.03, 32), (0.5, 4))
"""A model that takes less than so many seconds for one sample is tried on so many at once."""

REPEATS = 3
"""How often a short call is timed before a row's samples are counted by it."""


class Bench:
    """One runtime with the artefacts that it can open."""

    def __init__(
        self, directory: Path, manifest: Manifest, runtime: runtimes.Runtime,
        sample_sets: Sequence[Samples], budget_seconds: float, on_progress: Progress,
        *, opening_counts: bool = False,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.manifest = manifest
        self.runtime = runtime
        self.sample_sets = sample_sets
        self.budget_seconds = budget_seconds
        self.opening_counts = opening_counts
        self.on_progress = on_progress
        self.meanings = [spec.meaning or "values" for spec in manifest.outputs]
        self.answers: dict[Row, tuple[np.ndarray, ...]] = {}
        self.fixed_batch = manifest.inputs[0].shape[0] if manifest.inputs[0].shape else None
        self._engine: runtimes.Engine | None = None

    def run(
        self, artifacts: Sequence[Artifact], backends: Collection[str], started: ExitStack,
        stop: Event,
    ) -> list[Row]:  # fmt: skip
        """All rows on these backends; the runtime is started only if it can run something.

        Args:
            artifacts: Those that the runtime opens.
            backends: Of the runtime's; others are passed over.
            started: What is started ends with it.
            stop: Once it is set nothing further is begun.
        """
        rows: list[Row] = []
        able = []
        for backend in self.runtime.backends:
            if backend not in backends:
                continue
            if reason := self.runtime.missing(backend):
                rows += [self._unable(artifact, backend, reason) for artifact in artifacts]
            else:
                able.append(backend)
        if able and self._engine is None:
            self._engine = started.enter_context(self.runtime.start())
        for artifact in artifacts:
            for backend in able:
                if stop.is_set():
                    return rows
                assert self._engine is not None
                self.on_progress(f"{artifact.id} on {self.runtime.name} {backend}")
                rows += self._rows(self._engine, artifact, backend)
        return rows

    def _unable(self, artifact: Artifact, backend: str, reason: str) -> Row:
        return Row(
            artifact.format, artifact.precision, self.runtime.name, backend, "all", 1,
            "not_run", reason, advisory=backend in gates.HALF_BACKENDS,
        )  # fmt: skip

    def _rows(self, engine: runtimes.Engine, artifact: Artifact, backend: str) -> list[Row]:
        """Open once, then every set of samples at every batch size."""
        row = self._unable(artifact, backend, "")
        begun = time.perf_counter()
        try:
            session = engine.open(self.directory, self.manifest, artifact, backend)
        except UnsupportedModel:
            return []  # a runtime for some models only; the others need no row of it
        except ExporterError as error:
            return [replace(row, status="failed", reason=str(error))]
        try:
            self._answer(session, self.fixed_batch or 1)
            cold_start_ms = 1e3 * (time.perf_counter() - begun)
            row = replace(
                row, ran_on=session.ran_on, cold_start_ms=cold_start_ms,
                bytes_fetched=session.bytes_fetched,
            )  # fmt: skip
            seconds_of = self._costs(session)
            share = GPU_SHARE if backend in gates.GPU_BACKENDS else 1.0
            spent = time.perf_counter() - begun if self.opening_counts else 0.0
            left = max(0.0, share * self.budget_seconds - spent)
            turns = schedule.plan(
                self.sample_sets, artifact.precision, backend, fixed_batch=self.fixed_batch,
                seconds_of=seconds_of, budget_seconds=left,
            )  # fmt: skip
            return [self._row(session, row, turn) for turn in turns]
        except ExporterError as error:
            return [replace(row, status="failed", reason=str(error))]
        finally:
            session.close()

    def _answer(self, session: runtimes.Session, batch: int) -> float:
        """Seconds that one call of `batch` samples takes where the model runs."""
        _, latency_ms = _predict(session, self.sample_sets[0], batch, batch)
        return 1e-3 * latency_ms

    def _costs(self, session: runtimes.Session) -> Callable[[int], float]:
        """Seconds of a call by its batch size: a fixed part and one for each sample, measured.

        The shortest of some calls: other programs take their time, too.
        """
        first = self.fixed_batch or 1
        one = self._answer(session, first)
        if one < PROBES[-1][0]:
            one = min(one, *(self._answer(session, first) for _ in range(REPEATS)))
        if self.fixed_batch:
            return lambda batch: one
        for limit, batch in PROBES:
            if one < limit:
                self._answer(session, batch)  # a GPU compiles its programs anew for each shape
                many = min(self._answer(session, batch) for _ in range(REPEATS))
                each = max(0.0, many - one) / (batch - 1)
                return lambda batch: one + (batch - 1) * each
        return lambda batch: batch * one

    def _row(self, session: runtimes.Session, row: Row, turn: schedule.Turn) -> Row:
        samples = turn.samples
        wanted = samples.taken(turn.count)
        gate = gates.gate_for(
            row.precision, row.backend, pictures=samples.pictures, near_ties=samples.near_ties
        )
        row = replace(
            row, samples_name=samples.name, batch=turn.batch, gate=str(gate), note=turn.note
        )
        try:
            found, latency_ms = _predict(session, wanted, turn.count, turn.batch)
        except ExporterError as error:
            return replace(row, status="failed", reason=str(error))
        judgement = judge(wanted, found, self.meanings, gate)
        row = replace(row, latency_ms=latency_ms, ran_on=session.ran_on, **judgement.fields())
        if judgement.samples:
            self.answers[row] = tuple(np.array(array[judgement.worst_sample]) for array in found)
        return row


def _predict(
    session: runtimes.Session, samples: Samples, count: int, batch: int
) -> tuple[list[np.ndarray], float]:
    """Outputs for the first `count` samples in calls of `batch`, and a call's median time in ms.

    The last call is filled up by repeating samples, so that a fixed batch stays what it is.
    """

    def calls() -> Iterator[list[np.ndarray]]:
        for start in range(0, count, batch):
            index = np.arange(start, start + batch) % samples.count
            yield [np.ascontiguousarray(array[index]) for array in samples.inputs]

    parts: list[list[np.ndarray]] = []
    times = []
    for start, (outputs, time_ms) in zip(
        range(0, count, batch), session.predict_each(calls()), strict=True
    ):
        keep = min(batch, count - start)
        parts.append([output[:keep] if np.ndim(output) else output for output in outputs])
        times.append(time_ms)
    joined = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return joined, float(np.median(times))
