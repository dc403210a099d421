"""Runs every artefact of a bundle in every runtime at hand, and has the answers judged.

Owns the order of work; which samples at which batch sizes is `exporter.schedule`'s, the judgement
`exporter.judgement`'s. May import runtimes, formats, golden, source, activations, schedule,
judgement, parity, gates, manifest and errors.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exporter import activations, formats, gates, runtimes, schedule
from exporter.errors import ExporterError, UnsupportedModel
from exporter.judgement import judge
from exporter.keras_file import trusting
from exporter.manifest import Artifact, Manifest
from exporter.parity import ParityReport, Row, Samples
from exporter.samples import stored_answers

if TYPE_CHECKING:
    from exporter.golden import Golden
    from exporter.source import Source

BUDGET_SECONDS = 20.0
"""How long one artefact may take on one backend; a big model is given fewer samples."""

GPU_SHARE = 0.2
"""Of the budget for a GPU, which computes in software wherever a parity run has no other."""

PROBES = ((0.03, 32), (0.5, 4))
"""A model that takes less than so many seconds for one sample is tried on so many at once."""

_DESCRIBED = ("inputs", "outputs", "labels", "preprocessing")
"""What manifest and source both say, under the same names."""

Progress = Callable[[str], None]


def compare(
    directory: Path,
    manifest: Manifest,
    source: Source,
    sample_sets: Sequence[Samples],
    *,
    golden: Golden | None = None,
    runtime_names: Sequence[str] | None = None,
    artifacts: Sequence[Artifact] | None = None,
    budget_seconds: float = BUDGET_SECONDS,
    on_progress: Progress = lambda _: None,
) -> ParityReport:
    """Compare a bundle's artefacts with Keras.

    Args:
        directory: The bundle.
        manifest: Its manifest (or the part of it that is known while it is being made).
        source: The Keras model, for its weights.
        sample_sets: Inputs with Keras' answers (`exporter.samples`).
        golden: The golden vectors among the samples; the answers that they store are judged too.
        runtime_names: Which runtimes; all by default.
        artifacts: Which artefacts; all by default.
        budget_seconds: Per artefact and backend.
        on_progress: Told what is being run, for people.

    Returns:
        A report with at least one row for each artefact and each backend that takes it.
    """
    chosen = tuple(artifacts if artifacts is not None else manifest.artifacts)
    answers: dict[Row, tuple[np.ndarray, ...]] = {}
    half_float = None
    with ExitStack() as started:
        started.enter_context(trusting(source.custom_objects, source.unsafe))
        rows = [row for artifact in chosen for row in weight_rows(directory, artifact, source)]
        rows.append(_manifest_row(manifest, source))
        if golden is not None:
            rows.append(_golden_row(golden, manifest, sample_sets))
        for name in runtime_names or runtimes.NAMES:
            runtime = runtimes.get(name)
            mine = [artifact for artifact in chosen if artifact.format in runtime.formats]
            if mine:
                bench = _Bench(
                    directory, manifest, runtime, sample_sets, budget_seconds, on_progress
                )
                rows += bench.run(mine, started)
                answers |= bench.answers
            if mine and half_float is None and gates.HALF_BACKENDS & set(runtime.backends):
                on_progress("the ranges of all layers")
                half_float = activations.half_float(source, sample_sets)
    order = {name: index for index, name in enumerate(runtimes.NAMES)}
    places = {artifact.id: index for index, artifact in enumerate(chosen)}
    rows.sort(key=lambda row: (places.get(row.artifact, -1), order.get(row.runtime, -1)))
    return ParityReport(manifest.name, tuple(rows), half_float=half_float, answers=answers)


def _manifest_row(manifest: Manifest, source: Source) -> Row:
    """What the manifest says of the model, against the model: no runtime looks at it."""
    row = Row(
        "keras", "float32", "manifest", "file", "manifest", 1, "passed",
        gate="as the model has it", samples=len(_DESCRIBED),
    )  # fmt: skip
    for key in _DESCRIBED:
        expected, found = getattr(source, key), getattr(manifest, key)
        if expected != found:
            return replace(
                row, status="failed", reason=f"{key}: {expected} expected, {found} found"
            )
    return row


def _golden_row(golden: Golden, manifest: Manifest, sample_sets: Sequence[Samples]) -> Row:
    """The answers that `golden.json` stores, judged like an artefact's."""
    samples, found = stored_answers(golden, sample_sets)
    gate = gates.gate_for("float32", "cpu", pictures=False)
    meanings = [spec.meaning or "values" for spec in manifest.outputs]
    row = Row(
        "keras", "float32", "golden.json", "file", samples.name, 1, "passed", gate=str(gate)
    )  # fmt: skip
    return replace(row, **judge(samples, found, meanings, gate).fields())


def weight_rows(directory: Path, artifact: Artifact, source: Source) -> Iterator[Row]:
    """One row: the file's float32 weights against Keras' own, bit for bit."""
    if artifact.precision != "float32":
        return
    own: dict[str, list[np.ndarray]] = defaultdict(list)
    for variable in source.float32.model.variables:
        if "seed_generator" not in variable.path:
            own[variable.path].append(np.asarray(variable))
    row = Row(
        artifact.format, "float32", "weights", "file", "weights", 1, "passed", gate="bit for bit"
    )  # fmt: skip
    try:
        stored = formats.get(artifact.format).weights(directory, artifact.path)
    except ExporterError as error:
        yield replace(row, status="failed", reason=str(error))
        return
    if not stored:
        return  # the format keeps none as they are; its notes in the manifest say so
    row = replace(row, samples=len(stored))
    fault = _weight_fault(own, stored)
    yield replace(row, status="failed", reason=fault) if fault else row


def _weight_fault(own: Mapping[str, Sequence[np.ndarray]], stored: Mapping[str, np.ndarray]) -> str:
    """What is wrong with the first weight that is; several of Keras' may bear one path."""
    for path, array in stored.items():
        if path not in own:
            return f"weight {path!r} is not one of the model's"
        fitting = [mine for mine in own[path] if mine.size == array.size]
        if not fitting:
            return f"weight {path!r}: {own[path][0].size} numbers expected, {array.size} found"
        bits = _bits(array)
        if all(bits != _bits(mine.astype(array.dtype, copy=False)) for mine in fitting):
            return f"weight {path!r} differs from Keras' in its bits"
    return ""


def _bits(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array).tobytes()


class _Bench:
    """One runtime with the artefacts that it can open."""

    def __init__(
        self, directory: Path, manifest: Manifest, runtime: runtimes.Runtime,
        sample_sets: Sequence[Samples], budget_seconds: float, on_progress: Progress,
    ) -> None:  # fmt: skip
        self.directory = directory
        self.manifest = manifest
        self.runtime = runtime
        self.sample_sets = sample_sets
        self.budget_seconds = budget_seconds
        self.on_progress = on_progress
        self.meanings = [spec.meaning or "values" for spec in manifest.outputs]
        self.answers: dict[Row, tuple[np.ndarray, ...]] = {}
        self.fixed_batch = manifest.inputs[0].shape[0] if manifest.inputs[0].shape else None

    def run(self, artifacts: Sequence[Artifact], started: ExitStack) -> list[Row]:
        """All rows of this runtime; it is started only if it can run something."""
        rows, able = [], []
        for backend in self.runtime.backends:
            if reason := self.runtime.missing(backend):
                rows += [self._unable(artifact, backend, reason) for artifact in artifacts]
            else:
                able.append(backend)
        if not able:
            return rows
        engine = started.enter_context(self.runtime.start())
        for artifact in artifacts:
            for backend in able:
                self.on_progress(f"{artifact.id} on {self.runtime.name} {backend}")
                rows += self._rows(engine, artifact, backend)
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
            share = GPU_SHARE if backend in gates.GPU_BACKENDS else 1.0
            turns = schedule.plan(
                self.sample_sets, artifact.precision, backend, fixed_batch=self.fixed_batch,
                seconds_of=self._costs(session), budget_seconds=share * self.budget_seconds,
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
        """Seconds of a call by its batch size: a fixed part and one for each sample, measured."""
        one = self._answer(session, self.fixed_batch or 1)
        if self.fixed_batch:
            return lambda batch: one
        for limit, batch in PROBES:
            if one < limit:
                self._answer(session, batch)  # a GPU compiles its programs anew for each shape
                each = max(0.0, self._answer(session, batch) - one) / (batch - 1)
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
