"""The main job: model in, proven bundle out.

    recipe or model -> Source -> artefacts in a staging folder -> predictions in every runtime
    -> verdicts -> manifest, card, report -> published folder, all or nothing

Owns the order of these steps. What is exported is said by a `Job` (`exporter.jobs` makes them);
the package's public functions are in `exporter.api`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import formats as known_formats
from exporter import manifest as manifests
from exporter import publish, runtimes, shipping, versions
from exporter.errors import PackageMissing, ParityFailed, UnsupportedModel
from exporter.manifest import MANIFEST_NAME, Artifact, Manifest, Skipped
from exporter.parity import ParityReport, Row, Samples
from exporter.shipping import Offer

if TYPE_CHECKING:
    import numpy as np

    from exporter.golden import Golden
    from exporter.source import Source

Progress = Callable[[str], None]
GOLDEN_NAME = "golden.json"
CARD_NAME = "README.md"


@dataclass(frozen=True)
class Job:
    """What to export, and what must come out of it.

    Attributes:
        wanted: (format, precision) pairs in the bundle's order.
        required: Those whose refusal or failure stops the whole export.
        samples: Data sets to compare on besides the golden vectors; for the report only.
        demanded: Precisions that were asked for by name, whatever the format: one that fails its
            gate, or that no format can write, stops the whole export.
        calibration: Inputs on which ranges for static quantisation are measured besides the
            golden vectors; a recipe has none, because its bundle may not depend on data.
        remarks: What the user is to be told beside the table.
        description: Of the model, for its card.
        extras: Tracked files to copy into the bundle: path in the bundle -> contents.
        origin: What the manifest's `source` says besides the hash of the Keras file.
    """

    source: Source
    directory: Path
    wanted: tuple[tuple[str, str], ...]
    required: frozenset[tuple[str, str]]
    samples: tuple[Samples, ...] = ()
    demanded: frozenset[str] = frozenset()
    calibration: tuple[np.ndarray, ...] | None = None
    remarks: tuple[str, ...] = ()
    description: str = ""
    extras: Mapping[str, bytes] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    on_progress: Progress = lambda _: None


@dataclass(frozen=True)
class Result:
    """A published bundle with what was measured on the way, and what the user is to be told."""

    manifest: Manifest
    report: ParityReport
    seconds: float
    remarks: tuple[str, ...]
    offers: tuple[Offer, ...] = ()


def run(job: Job) -> Result:
    """Export, prove and publish.

    Raises:
        UnsupportedModel: A required format cannot take the model.
        ParityFailed: A required artefact leaves Keras; nothing was published.
        PublishFailed: The folder cannot be written.
    """
    from exporter import report, samples
    from exporter.comparison import compare

    begun = time.perf_counter()
    with publish.staged(job.directory) as staging:
        described = job.source
        job, vectors, draft = _write(job, staging)
        sets = (*samples.of_golden(vectors, job.source), *job.samples)
        sources = (described, job.source)
        for source in sources:
            source.forget_oracle()
        summary = _summary(job)

        def make_room() -> None:
            for source in sources:
                if source.is_big:
                    source.forget_model()

        parity = compare(
            staging, draft, job.source, sets, golden=vectors, on_progress=job.on_progress,
            on_model_done=make_room,
        )  # fmt: skip
        final, parity = _decide(job, staging, draft, parity)
        card = report.model_card(final, summary)
        (staging / CARD_NAME).write_text(card, encoding="utf-8")
        files = manifests.measure(staging, (GOLDEN_NAME, CARD_NAME, *job.extras))
        final = replace(final, files=files)
        (staging / MANIFEST_NAME).write_text(final.to_json(), encoding="utf-8")
        by_name = {chosen.name: chosen for chosen in sets}
        offers = shipping.offers(final, parity, staging)
        report.write_report(
            parity, final, staging, samples=by_name, answers=parity.answers, offers=offers
        )
        manifests.verify(staging)
    return Result(final, parity, time.perf_counter() - begun, job.remarks, offers)


def write_unproven(job: Job, folder: Path) -> Manifest:
    """Write a bundle that nobody has judged, to look for a fault in it; nothing is published.

    Args:
        job: Its directory is not touched.
        folder: Is there, and empty.
    """
    _, _, draft = _write(job, folder)
    (folder / MANIFEST_NAME).write_text(draft.to_json(), encoding="utf-8")
    return draft


def _write(job: Job, staging: Path) -> tuple[Job, Golden, Manifest]:
    """All but the proof: golden vectors, artefacts, extras; the job as it is from here on."""
    from exporter import golden, samples

    vectors = golden.build(job.source)
    (staging / GOLDEN_NAME).write_text(vectors.to_json(), encoding="utf-8")
    job = replace(job, source=samples.calibrated(job.source, vectors, job.calibration))
    artifacts, skipped = _write_artifacts(job, staging)
    for path, contents in job.extras.items():
        (staging / path).write_bytes(contents)
    return job, vectors, _draft(job, staging, artifacts, skipped)


def _write_artifacts(job: Job, staging: Path) -> tuple[list[Artifact], list[Skipped]]:
    """Write what can be written; a required one that cannot be is an error."""
    artifacts, skipped = [], []
    for name, precision in job.wanted:
        job.on_progress(f"writing {name}/{precision}")
        format = known_formats.get(name)
        reason = _obstacle(format, job.source, precision)
        if reason is None:
            exported = format.export(job.source, precision, staging)
            files = manifests.measure(staging, exported.files)
            artifacts.append(Artifact(name, precision, exported.path, files, exported.notes))
        elif (name, precision) in job.required:
            missing = format.missing() is not None
            raise (PackageMissing if missing else UnsupportedModel)(
                f"{job.source.name}: {name}/{precision}: {reason}"
            )
        else:
            skipped.append(Skipped(name, precision, reason))
    for precision in sorted(job.demanded - {artifact.precision for artifact in artifacts}):
        reasons = "; ".join(f"{s.format}: {s.reason}" for s in skipped if s.precision == precision)
        raise UnsupportedModel(f"{job.source.name}: {precision} in no format: {reasons}")
    return artifacts, skipped


def _obstacle(format: known_formats.Format, source: Source, precision: str) -> str | None:
    """Why `format` cannot write this model on this machine; None if it can."""
    if precision not in format.precisions:
        return f"has no {precision}; it has {', '.join(format.precisions)}"
    if missing := format.missing():
        return missing
    refusals = format.refusals(source, precision)
    return "; ".join(map(str, refusals)) or None


def _draft(
    job: Job, staging: Path, artifacts: Sequence[Artifact], skipped: Sequence[Skipped]
) -> Manifest:
    """The manifest as far as it is known before anything was run."""
    keras_file = next(a.files[0] for a in artifacts if a.format == "keras")
    oracle = job.source.oracle_missing or "float64"
    return Manifest(
        name=job.source.name,
        created_by=versions.tools([artifact.format for artifact in artifacts]),
        source={
            "path": keras_file.path, "sha256": keras_file.sha256, "oracle": oracle,
            "notes": list(job.source.notes), **job.origin,
        },
        inputs=job.source.inputs,
        outputs=job.source.outputs,
        labels=job.source.labels,
        preprocessing=job.source.preprocessing,
        artifacts=tuple(artifacts),
        files=manifests.measure(staging, (GOLDEN_NAME,)),
        skipped=tuple(skipped),
        metrics=job.metrics,
    )  # fmt: skip


def _decide(
    job: Job, staging: Path, draft: Manifest, report: ParityReport
) -> tuple[Manifest, ParityReport]:
    """Leave out what failed and was not required; raise where it was.

    Raises:
        ParityFailed: A required artefact failed, or (strict) was not run.
    """
    failed = {row.artifact: row for row in report.failed}
    kept, skipped = [], list(draft.skipped)
    for artifact in draft.artifacts:
        row = failed.get(artifact.id)
        if row is None or _must_hold(artifact, job, failed):
            kept.append(artifact)
            continue
        reason = f"{row.runtime} {row.backend}, {row.samples_name}: {row.reason}"
        skipped.append(Skipped(artifact.format, artifact.precision, reason))
        for file in artifact.files:
            (staging / file.path).unlink()
    publish.remove_empty_folders(staging)
    published = {artifact.id for artifact in kept}
    proof = replace(report, rows=tuple(r for r in report.rows if r.artifact in published))
    if verdict := proof.verdict(strict=job.strict):
        raise ParityFailed(f"{verdict}; nothing was published")
    if all(artifact.format == "keras" for artifact in kept) and len(job.wanted) > 1:
        reasons = "; ".join(f"{s.format}/{s.precision}: {s.reason}" for s in skipped)
        raise UnsupportedModel(f"{draft.name}: no format for the web is left: {reasons}")
    final = replace(
        draft, artifacts=tuple(kept), skipped=tuple(skipped), parity=proof.summary(_everywhere())
    )
    return final, report


def _must_hold(artifact: Artifact, job: Job, failed: Mapping[str, Row]) -> bool:
    """Whether a failure of this artefact stops the export instead of leaving it out.

    A precision asked for by name must hold its gate in each format that is itself in order.
    """
    if (artifact.format, artifact.precision) in job.required:
        return True
    return artifact.precision in job.demanded and f"{artifact.format}/float32" not in failed


def _everywhere() -> frozenset[str]:
    """The runtimes whose rows may stand in a tracked manifest."""
    return frozenset(name for name in runtimes.NAMES if runtimes.get(name).everywhere)


def _summary(job: Job) -> str:
    """The model in a sentence or two: its description, its size, its layers."""
    model = job.source.model
    counts = Counter(type(layer).__name__ for layer in model._flatten_layers(include_self=False))
    layers = ", ".join(f"{count} {name}" for name, count in counts.items() if name != "InputLayer")
    size = f"{model.count_params():,} parameters in {layers or 'no layers'}."
    return f"{job.description} {size}".strip()
