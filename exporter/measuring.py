"""Measures artefacts of several bundles side by side: accuracy, pen digits, time of one answer.

Owns in which order they are asked. All artefacts that a runtime takes are open at once and answer
in turns, so that a busy machine slows all alike. May import `exporter.{contest, data, pens,
runtimes, manifest, errors}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np

from exporter import contest, runtimes
from exporter.contest import Contest, Entrant
from exporter.data import Dataset, as_input
from exporter.errors import UnsupportedModel
from exporter.manifest import Artifact, Manifest
from exporter.pens import PenDigits
from exporter.shipping import wire_bytes
from exporter.sizes import BIG_BYTES

BACKENDS = ("cpu", "wasm", "js")
"""Whatever machine a page runs on has these; a GPU's speed here says little of another's."""
WARM_UP, ROUNDS, CALLS = 5, 15, 3
BATCH = 250

Progress = Callable[[str], None]
Bundles = Mapping[str, tuple[Path, Manifest]]


def measure(
    bundles: Bundles,
    dataset: Dataset | None,
    pens: PenDigits,
    *,
    runtime_names: Sequence[str] | None = None,
    on_progress: Progress = lambda _: None,
) -> Contest:
    """Everything that can be measured here of every artefact.

    Args:
        bundles: Name -> folder and manifest, of those that are `comparable`.
        dataset: Its test part is read by every artefact; None: accuracies are those recorded.
        pens: Read by every artefact that takes pictures of digits.
        runtime_names: Where to time; by default those that run on every machine.
        on_progress: Told what is being measured.

    Raises:
        RuntimeCrashed: A runtime does not open or run an artefact that was published.
    """
    names = list(runtime_names or [n for n in runtimes.NAMES if runtimes.get(n).everywhere])
    found = {
        (name, entrant.artifact): replace(entrant, bundle=name)
        for name, (folder, manifest) in bundles.items()
        for entrant in contest.entrants_of(manifest, partial(wire_bytes, directory=folder))
    }
    missing: list[str] = []
    for name in names:
        runtime = runtimes.get(name)
        if runtime.name == "keras":
            continue
        # The first that takes an artefact reads all digits with it: the slowest last.
        for backend in sorted(runtime.backends, key=lambda backend: backend == "cpu"):
            if backend not in BACKENDS:
                missing.append(f"{name} {backend}: not timed: a GPU's speed here is no page's")
            elif reason := runtime.missing(backend):
                missing.append(f"{name} {backend}: not timed: {reason}")
            else:
                _measure_on(runtime, backend, bundles, found, dataset, pens, on_progress)
    if dataset is None:
        missing.append(
            "accuracy: not measured here; what is told is what Keras reached in float32 when the "
            "model was trained"
        )
    if not pens.real:
        missing.append(
            f"pen digits: none given (--pens, PEN_DIGITS_PATH); {len(pens.labels)} {pens.name} "
            "stand in, which are too few to choose by"
        )
    unread = [e.id for e in found.values() if dataset is not None and e.accuracy is None]
    if unread:
        missing.append(
            f"accuracy: no runtime at hand opens {', '.join(unread)}; all are judged by what Keras "
            "reached when they were trained, where that is recorded"
        )
    return Contest(
        entrants=tuple(sorted(found.values(), key=_order(list(bundles)))),
        data="" if dataset is None else dataset.name,
        samples=0 if dataset is None else len(dataset.x_test),
        pens=pens.name,
        pen_digits=len(pens.labels),
        pens_are_real=pens.real,
        missing=tuple(missing),
    )


def _order(names: Sequence[str]) -> Callable[[Entrant], tuple[int, int]]:
    return lambda entrant: (names.index(entrant.bundle), entrant.fetch_bytes)


def comparable(
    bundles: Bundles, dataset: Dataset | None, pens: PenDigits
) -> tuple[Bundles, tuple[str, ...]]:
    """The bundles that can be measured side by side, and by name why the others cannot."""
    truths = [(pens.name, pens.labels)]
    if dataset is not None:
        truths.append((dataset.name, dataset.y_test))
    reasons = {name: _why_not(manifest, truths) for name, (_, manifest) in bundles.items()}
    kept = {name: bundle for name, bundle in bundles.items() if not reasons[name]}
    return kept, tuple(f"{name}: not compared: {why}" for name, why in reasons.items() if why)


def _why_not(manifest: Manifest, truths: Sequence[tuple[str, np.ndarray]]) -> str:
    inputs, outputs = manifest.inputs, manifest.outputs
    sizes = [size or 0 for spec in inputs for size in spec.shape[1:]]
    if len(inputs) != 1 or len(outputs) != 1 or int(np.prod(sizes)) != 28 * 28:
        return (
            "a model that takes 28 × 28 numbers and answers one per class expected; evaluate it "
            "alone, on its own data"
        )
    if not contest.for_the_web(manifest):
        return "no artefact for the web in it; nothing to ship"
    for name, truth in truths:
        wanted = list(map(str, np.unique(truth)))
        if not set(wanted) <= set(labels := _labels(manifest)):
            return (
                f"{name} has labels {', '.join(wanted)}, the model {', '.join(labels)}; evaluate "
                "it on its own data"
            )
    return ""


def _labels(manifest: Manifest) -> list[str]:
    """Of the classes, in the order of the outputs; their numbers where they have no names."""
    return list(manifest.labels or map(str, range(manifest.outputs[0].shape[-1] or 0)))


def _measure_on(
    runtime: runtimes.Runtime, backend: str, bundles: Bundles,
    found: dict[tuple[str, str], Entrant], dataset: Dataset | None, pens: PenDigits,
    on_progress: Progress,
) -> None:  # fmt: skip
    taken = [
        (name, artifact)
        for name, (_, manifest) in bundles.items()
        for artifact in contest.for_the_web(manifest)
        if artifact.format in runtime.formats
    ]
    place = f"{runtime.name} {backend}"
    with ExitStack() as started:
        engine = started.enter_context(runtime.start())
        for group in _groups(taken):
            with ExitStack() as opened:
                sessions = {}
                for name, artifact in group:
                    folder, manifest = bundles[name]
                    on_progress(f"{place}: {name} {artifact.id}")
                    try:
                        session = engine.open(folder, manifest, artifact, backend)
                    except UnsupportedModel:
                        continue  # a runtime for some models only
                    opened.callback(session.close)
                    sessions[name, artifact.id] = (session, manifest)
                for key, (session, manifest) in sessions.items():
                    entrant = found[key]
                    if entrant.pens is None:
                        on_progress(f"{place}: {entrant.id} reads")
                        found[key] = _read(entrant, session, manifest, dataset, pens)
                on_progress(f"{place}: times")
                for key, milliseconds in _times(sessions, pens).items():
                    known = {**found[key].latencies_ms, place: milliseconds}
                    found[key] = replace(found[key], latencies_ms=known)


def _groups(taken: Sequence[tuple[str, Artifact]]) -> Iterator[list[tuple[str, Artifact]]]:
    """In the order given, each group no larger than BIG_BYTES, unless it is one alone."""
    group: list[tuple[str, Artifact]] = []
    for item in taken:
        if group and sum(a.size_bytes for _, a in [*group, item]) > BIG_BYTES:
            yield group
            group = []
        group.append(item)
    if group:
        yield group


def _read(
    entrant: Entrant, session: runtimes.Session, manifest: Manifest, dataset: Dataset | None,
    pens: PenDigits,
) -> Entrant:  # fmt: skip
    """The shares of the test set and of the pen digits that it reads as what they are."""
    read = _share(session, manifest, pens.pictures, pens.labels)
    accuracy = None
    if dataset is not None:
        pictures = as_input(dataset.x_test)
        accuracy = _share(session, manifest, pictures, dataset.y_test)
    return replace(entrant, accuracy=accuracy, pens=read)


def _share(
    session: runtimes.Session, manifest: Manifest, pictures: np.ndarray, truth: np.ndarray
) -> float:
    labels = _labels(manifest)
    spec = manifest.inputs[0]
    fixed = spec.shape[0]
    size = fixed or BATCH
    right = 0
    for start in range(0, len(pictures), size):
        # The last batch is filled up by the first pictures, and their answers left out.
        index = np.arange(start, start + size) % len(pictures)
        shape = (size, *(int(n or 1) for n in spec.shape[1:]))
        batch = np.ascontiguousarray(pictures[index].reshape(shape), dtype=spec.dtype)
        [outputs] = session.predict([batch])
        keep = min(size, len(pictures) - start)
        answers = [labels[i] for i in np.asarray(outputs).reshape(size, -1).argmax(axis=1)[:keep]]
        right += sum(a == str(t) for a, t in zip(answers, truth[start : start + keep], strict=True))
    return round(right / len(pictures), contest.DECIMALS)


def _times(
    sessions: Mapping[tuple[str, str], tuple[runtimes.Session, Manifest]], pens: PenDigits
) -> dict[tuple[str, str], float]:
    """Median ms of one answer to one picture: all in turns, round after round."""
    times: dict[tuple[str, str], list[float]] = {key: [] for key in sessions}
    for turn in range(-1, ROUNDS):
        for key, (session, manifest) in sessions.items():
            spec = manifest.inputs[0]
            shape = (spec.shape[0] or 1, *(int(size or 1) for size in spec.shape[1:]))
            picture = pens.pictures[max(turn, 0) % len(pens.pictures)].ravel()
            batch = np.resize(picture, shape).astype(spec.dtype)
            calls = [[batch]] * (WARM_UP if turn < 0 else CALLS)
            spent = [ms for _, ms in session.predict_each(iter(calls))]
            if turn >= 0:
                times[key] += spent
    return {key: median(spent) for key, spent in times.items()}
