"""Which file to ship: what each artefact costs and gives, and the one that is recommended.

Owns the rule of the recommendation, which docs/precisions.md spells out. It rests on the manifest
alone, so that it is the same on every machine. Standard library, `exporter.manifest`,
`exporter.parity`.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from exporter.manifest import Artifact, Manifest
from exporter.parity import ParityReport, Row

RUNTIME_BYTES = {"tfjs-layers": 70_000, "tfjs-graph": 52_000, "onnx": 3_700_000}
"""What a page fetches besides the model, gzipped: the smallest build of each runtime for the CPU
(measured, see docs/precisions.md). Not exact, and need not be: they differ by fifty times."""
TINY_BYTES = 3_000
"""The player's own small runner, where the manifest says that it ran the artefact."""
LARGEST_STEP = {"float32": 0.0, "float16": 2**-11, "uint16": 2**-16, "uint8": 2**-8}
"""Of two files of one size the more exact one is better; 8 bits are 8 bits."""
EXACT_ENOUGH_FOR_VALUES = frozenset({"float32", "float16", "uint16"})
"""Where answers are numbers and not classes: 8 bits may move each by a tenth of the largest."""

GZIP_LEVEL = 6
_WHOLE_BYTES = 1 << 25
_PART_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Offer:
    """One artefact in figures.

    Attributes:
        gzip_bytes: On the wire as most servers send it; None where the files are not at hand.
        accuracy, keras_accuracy: On the labelled data set, the worst of all runtimes.
        flips, samples: Answers that differ from Keras', on the largest set of the user's data or
            pictures, in the worst runtime.
        flip_margin: The oracle's margin of the widest of them.
        max_abs: Largest error over everything but edge inputs.
        latencies_ms: Median of one call at the smallest batch, by "runtime backend".
    """

    artifact: Artifact
    recommended: bool
    gzip_bytes: int | None = None
    accuracy: float | None = None
    keras_accuracy: float | None = None
    flips: int = 0
    samples: int = 0
    flip_margin: float | None = None
    max_abs: float | None = None
    latencies_ms: tuple[tuple[str, float], ...] = ()


def recommend(manifest: Manifest) -> Artifact | None:
    """The artefact with the fewest bytes to fetch, runtime included, that is exact enough.

    What is published has passed its gate in every runtime that ran. A model with an output that
    is no probability gets nothing coarser than 16 bits.
    """
    classes = all(output.meaning == "probabilities" for output in manifest.outputs)
    able = [
        artifact
        for artifact in manifest.artifacts
        if artifact.format in RUNTIME_BYTES
        and (classes or artifact.precision in EXACT_ENOUGH_FOR_VALUES)
    ]

    def cost(artifact: Artifact) -> tuple[int, float]:
        step = LARGEST_STEP.get(artifact.precision, LARGEST_STEP["uint8"])
        return artifact.size_bytes + code_bytes(manifest, artifact), step

    return min(able, key=cost, default=None)


def code_bytes(manifest: Manifest, artifact: Artifact) -> int:
    """What a page fetches besides an artefact to run it: the smallest runtime that can."""
    tiny = {row["artifact"] for row in manifest.parity if row["runtime"] == "tiny-node"}
    return TINY_BYTES if artifact.id in tiny else RUNTIME_BYTES[artifact.format]


def why(manifest: Manifest) -> str:
    """The recommendation in one sentence; empty where there is nothing to recommend."""
    chosen = recommend(manifest)
    if chosen is None:
        return ""
    numbers = any(output.meaning != "probabilities" for output in manifest.outputs)
    among = "precise to 16 bits or more, because its answers are numbers, " if numbers else ""
    return (
        f"{chosen.id}: with its runtime the fewest bytes to fetch among those {among}"
        "that passed every gate"
    )


def offers(
    manifest: Manifest, report: ParityReport, directory: Path | None = None
) -> tuple[Offer, ...]:
    """Every artefact for the web with what was measured on this machine, the smallest first."""
    chosen = recommend(manifest)
    found = [
        _offer(artifact, artifact == chosen, report, directory)
        for artifact in manifest.artifacts
        if artifact.format in RUNTIME_BYTES
    ]
    return tuple(sorted(found, key=lambda offer: offer.artifact.size_bytes))


def _offer(
    artifact: Artifact, recommended: bool, report: ParityReport, directory: Path | None
) -> Offer:
    rows = [row for row in report.rows if row.artifact == artifact.id and row.samples]
    rows = [row for row in rows if row.latency_ms is not None and not row.advisory]
    usual = [row for row in rows if "edge" not in row.samples_name and row.max_abs is not None]
    labelled = _longest([row for row in rows if row.accuracy is not None])
    worst = min(labelled, key=lambda row: row.accuracy or 0.0, default=None)
    judged = _on_the_largest_set(usual)
    flipped = max(judged, key=lambda row: row.flip_count, default=None)
    return Offer(
        artifact, recommended,
        gzip_bytes=wire_bytes(artifact, directory) if directory else None,
        accuracy=worst.accuracy if worst else None,
        keras_accuracy=worst.keras_accuracy if worst else None,
        flips=flipped.flip_count if flipped else 0,
        samples=flipped.samples if flipped else 0,
        flip_margin=max((f.margin for row in judged for f in row.flips), default=None),
        max_abs=max((row.max_abs or 0.0 for row in usual), default=None),
        latencies_ms=tuple(_latencies(rows).items()),
    )  # fmt: skip


def _on_the_largest_set(rows: Iterable[Row]) -> list[Row]:
    """The rows on the set with the most samples; near ties are made to flip and tell nothing."""
    counts: dict[str, int] = {}
    kept = [row for row in rows if row.top1_agreement is not None and "tie" not in row.samples_name]
    for row in kept:
        counts[row.samples_name] = max(counts.get(row.samples_name, 0), row.samples // row.batch)
    if not counts:
        return []
    largest = max(counts, key=lambda name: (not name.startswith("golden/"), counts[name]))
    chosen = [row for row in kept if row.samples_name == largest]
    if largest.startswith("golden/"):
        # They are run at several batch sizes, and repeated to fill the largest: each counts once.
        smallest = min(row.batch for row in chosen)
        chosen = [row for row in chosen if row.batch == smallest]
    return _longest(chosen)


def _longest(rows: Sequence[Row]) -> list[Row]:
    """Those with the most samples: a GPU, for one, is given a part of a data set."""
    most = max((row.samples for row in rows), default=0)
    return [row for row in rows if row.samples == most]


def _latencies(rows: Iterable[Row]) -> dict[str, float]:
    """Of the smallest batch that was timed in each place, the fastest place first."""
    best: dict[str, tuple[int, float]] = {}
    for row in rows:
        place = f"{row.runtime} {row.backend}"
        timed = (row.batch, row.latency_ms or 0.0)
        best[place] = min(best.get(place, timed), timed)
    return {place: ms for place, (_, ms) in sorted(best.items(), key=lambda item: item[1][1])}


def wire_bytes(artifact: Artifact, directory: Path) -> int:
    """Bytes of the artefact's files gzipped; of large files every n-th part, and reckoned up."""
    return sum(_gzipped(directory / file.path, file.size_bytes) for file in artifact.files)


def _gzipped(path: Path, size_bytes: int) -> int:
    step = max(1, -(-size_bytes // _WHOLE_BYTES))
    packer = zlib.compressobj(GZIP_LEVEL, wbits=31)
    packed = taken = 0
    with path.open("rb") as stream:
        for start in range(0, size_bytes, step * _PART_BYTES):
            stream.seek(start)
            part = stream.read(_PART_BYTES)
            taken += len(part)
            packed += len(packer.compress(part))
    packed += len(packer.flush())
    return round(packed * size_bytes / taken) if taken else packed
