"""Runs every artefact of a bundle in every runtime at hand, and has the answers judged.

Owns the order of work, and what runs beside what; one runtime is `exporter.bench`'s. May import
bench, runtimes, formats, golden, source, activations, schedule, judgement, parity, gates, manifest,
sizes and errors.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from math import prod
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter import activations, formats, gates, runtimes
from exporter.bench import Bench, Progress
from exporter.errors import ExporterError
from exporter.judgement import judge
from exporter.keras_file import trusting
from exporter.manifest import Artifact, Manifest
from exporter.parity import ParityReport, Row, Samples
from exporter.samples import answers as keras_answers
from exporter.samples import stored_answers
from exporter.sizes import BIG_BYTES

if TYPE_CHECKING:
    from exporter.golden import Golden
    from exporter.source import Source

BUDGET_SECONDS, BUDGET_OF_BIG_SECONDS = 20.0, 5.0
"""How long one artefact may take on one backend; a big model is given fewer samples, and opening
it counts: two dozen times some seconds."""

PIECE = 1 << 24
"""Bytes of a weight that are compared at once."""

_DESCRIBED = ("inputs", "outputs", "labels", "preprocessing")
"""What manifest and source both say, under the same names."""


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
    on_model_done: Callable[[], None] = lambda: None,
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
        on_model_done: Called when nothing but the files is looked at any more: `source.model` may
            go, to make room for the runtimes.

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
        tell = _one_at_a_time(on_progress)
        is_big = _largest_bytes(chosen) > BIG_BYTES
        if is_big:
            budget_seconds = min(budget_seconds, BUDGET_OF_BIG_SECONDS)
        benches = []
        for name in runtime_names or runtimes.NAMES:
            runtime = runtimes.get(name)
            mine = [artifact for artifact in chosen if artifact.format in runtime.formats]
            if mine:
                bench = Bench(
                    directory, manifest, runtime, sample_sets, budget_seconds, tell,
                    opening_counts=is_big,
                )  # fmt: skip
                benches.append((bench, mine))
        if any(gates.HALF_BACKENDS & set(bench.runtime.backends) for bench, _ in benches):
            tell("the ranges of all layers")
            half_float = activations.half_float(source, sample_sets)
        on_model_done()
        rows += run_all(benches, started)
        why = "" if source.model is None else _why_unequal(source, sample_sets, rows)
    for bench, _ in benches:
        answers |= bench.answers
    if why:
        told = {row: _with_reason(row, why) for row in rows}
        rows = [told[row] for row in rows]
        answers = {told[row]: found for row, found in answers.items()}
    order = {
        (name, backend): (number, index)
        for number, name in enumerate(runtimes.NAMES)
        for index, backend in enumerate(runtimes.get(name).backends)
    }
    places = {artifact.id: index for index, artifact in enumerate(chosen)}
    on_files = (-1, -1)
    rows.sort(
        key=lambda row: (
            places.get(row.artifact, -1),
            *order.get((row.runtime, row.backend), on_files),
        )
    )
    return ParityReport(manifest.name, tuple(rows), half_float=half_float, answers=answers)


Benches = Sequence[tuple[Bench, Sequence[Artifact]]]


def run_all(benches: Benches, started: ExitStack) -> list[Row]:
    """All rows: a browser's CPU beside what runs without one, its GPU afterwards and alone.

    Each of the two takes one core, nearly; a GPU in software takes them all. Only the browser's
    side runs in a thread of its own: what Keras is told holds in the thread that was told.

    Args:
        benches: The runtimes, each with the artefacts that it opens.
        started: What is started ends with it.
    """
    here = [(bench, mine) for bench, mine in benches if bench.runtime.everywhere]
    there = [(bench, mine) for bench, mine in benches if not bench.runtime.everywhere]
    stop = Event()

    def run(chosen: Benches, gpu: bool) -> list[Row]:
        rows = []
        try:
            for bench, mine in chosen:
                backends = [b for b in bench.runtime.backends if (b in gates.GPU_BACKENDS) == gpu]
                rows += bench.run(mine, backends, started, stop)
        except BaseException:
            stop.set()  # the other side need not go on
            raise
        return rows

    if here and there and _fit_beside_each_other(benches):
        with ThreadPoolExecutor(1, "browser") as pool:
            beside = pool.submit(run, there, gpu=False)
            rows = run(here, gpu=False)
            rows += beside.result()  # or its error, which has cut the rows short
    else:
        rows = run(here, gpu=False) + run(there, gpu=False)
    return rows + run(benches, gpu=True)


def _fit_beside_each_other(benches: Benches) -> bool:
    largest = max(_largest_bytes(mine) for _, mine in benches)
    # A browser and Node would each hold it.
    return (os.cpu_count() or 1) > 1 and largest <= BIG_BYTES


def _largest_bytes(artifacts: Sequence[Artifact]) -> int:
    return max((sum(file.size_bytes for file in item.files) for item in artifacts), default=0)


def _why_unequal(source: Source, sample_sets: Sequence[Samples], rows: Sequence[Row]) -> str:
    """What is the matter with the model itself, where a row failed; "" where nothing is found.

    Keras is judged by the very gate: each sample alone against the same samples in a batch.
    """
    if not any(_has_wrong_numbers(row) for row in rows):
        return ""
    gate = gates.gate_for("float32", "cpu", pictures=False)
    meanings = [spec.meaning or "values" for spec in source.outputs]
    for samples in sample_sets:
        if samples.golden and not samples.each_alone and source.inputs[0].shape[0] is None:
            found = judge(samples, keras_answers(source, samples.inputs, chunk=1), meanings, gate)
            if found.reason:
                return (
                    "Keras itself answers a sample alone otherwise than in a batch "
                    f"({samples.name}: {found.reason}): the model looks at the whole batch, so it "
                    "has no one right answer to a sample; let each depend on its own sample alone"
                )
    return ""


def _with_reason(row: Row, why: str) -> Row:
    """A row that failed on its numbers, with what is the matter with the model itself."""
    return replace(row, reason=f"{row.reason}; {why}") if _has_wrong_numbers(row) else row


def _has_wrong_numbers(row: Row) -> bool:
    return (
        row.status == "failed" and bool(row.samples) and row.runtime not in ("weights", "manifest")
    )


def _one_at_a_time(on_progress: Progress) -> Progress:
    lock = Lock()

    def tell(text: str) -> None:
        with lock:
            on_progress(text)

    return tell


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
    own: dict[str, list[Any]] = defaultdict(list)
    for variable in source.float32.model.variables:
        if "seed_generator" not in variable.path:
            own[variable.path].append(variable)
    row = Row(
        artifact.format, "float32", "weights", "file", "weights", 1, "passed", gate="bit for bit"
    )  # fmt: skip
    count, fault = 0, ""
    try:
        for path, array in formats.get(artifact.format).read_weights(directory, artifact.path):
            count += 1
            fault = fault or _weight_fault(own, path, array)
            del array  # else the next is read beside it
    except ExporterError as error:
        yield replace(row, status="failed", reason=str(error))
        return
    if not count:
        return  # the format keeps none as they are; its notes in the manifest say so
    row = replace(row, samples=count)
    yield replace(row, status="failed", reason=fault) if fault else row


def _weight_fault(own: Mapping[str, Sequence[Any]], path: str, array: np.ndarray) -> str:
    """What is wrong with a stored weight; several of Keras' may bear one path."""
    if path not in own:
        return f"weight {path!r} is not one of the model's"
    fitting = [mine for mine in own[path] if prod(mine.shape) == array.size]
    if not fitting:
        return f"weight {path!r}: {prod(own[path][0].shape)} numbers expected, {array.size} found"
    if not any(_same_bits(np.asarray(mine), array) for mine in fitting):
        return f"weight {path!r} differs from Keras' in its bits"
    return ""


def _same_bits(mine: np.ndarray, stored: np.ndarray) -> bool:
    """Whether both hold the same bytes in the stored dtype, compared a piece at a time."""
    if mine.shape != stored.shape or not mine.ndim:  # one axis more or less: the same numbers
        mine, stored = mine.reshape(-1), stored.reshape(-1)
    rows = max(1, PIECE // max(1, stored[:1].nbytes))
    return all(
        np.ascontiguousarray(mine[start : start + rows], stored.dtype).tobytes()
        == np.ascontiguousarray(stored[start : start + rows]).tobytes()
        for start in range(0, len(stored), rows)
    )
