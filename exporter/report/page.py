"""`report/report.html`: one self-contained page, readable offline, without any script.

Fills the template; everything that it says comes from `view` and `wording`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import jinja2

from exporter import half_float, shipping
from exporter.errors import MachineFailed
from exporter.manifest import REPORT_FOLDER, Manifest
from exporter.parity import ParityReport, Samples
from exporter.report import charts, view, wording
from exporter.report.document import machine, parity_document
from exporter.shipping import Offer

PAGE_NAME = "report.html"
DOCUMENT_NAME = "parity.json"
_MOST_PLACES = 8
# What `str(Gate)` says -> how a reader should understand it.
_GLOSSARY = (
    (
        "probabilities within",
        "probabilities within",
        "No single probability may differ by more than this, or by more than four times what "
        "Keras itself loses by computing in float32, whichever is larger.",
    ),
    (
        "values within",
        "values within",
        "For outputs that are no probabilities: a share of the value itself, or of the largest "
        "value of the batch, so that large and small models are held to the same standard.",
    ),
    (
        "where the margin is over",
        "top-1 equal where the margin is over",
        "The best answer must be the same wherever the oracle is not torn between two.",
    ),
    (
        "top-1 equal on",
        "top-1 equal on a share",
        "The best answer must be the same on at least this share of all samples, ties included.",
    ),
    (
        "of the accuracy",
        "a share of the accuracy",
        "Against the right labels, the artefact must keep this share of Keras' accuracy.",
    ),
    (
        "bit for bit",
        "bit for bit",
        "The weights were read back from the written file; every bit is Keras' own.",
    ),
)


def write_report(
    report: ParityReport,
    manifest: Manifest,
    directory: Path,
    *,
    samples: Mapping[str, Samples] | None = None,
    answers: view.Answers | None = None,
    offers: Sequence[Offer] = (),
) -> Path:
    """Write `report/parity.json` and `report/report.html` into the bundle in `directory`.

    Args:
        report: The rows.
        manifest: Of the bundle: names, sizes, labels, what was skipped, tool versions.
        directory: The bundle's root, staged or published.
        samples: By name, for the pictures and the gates' marks; what is not given is not shown.
        answers: For rows worth showing: the artefact's outputs on the row's `worst_sample`, one
            array per output, without the samples' axis.
        offers: What there is to ship, in figures.

    Returns:
        The page's path.

    Raises:
        MachineFailed: The folder cannot be written.
    """
    page = render_page(report, manifest, samples=samples, answers=answers, offers=offers)
    document = json.dumps(
        parity_document(report, manifest, offers), indent=1, ensure_ascii=False, allow_nan=False
    )
    folder = Path(directory) / REPORT_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DOCUMENT_NAME).write_text(document + "\n", encoding="utf-8")
        (folder / PAGE_NAME).write_text(page, encoding="utf-8")
    except OSError as error:
        raise MachineFailed(
            f"{folder}: the report cannot be written ({error.strerror}); "
            "make room there, or allow it to be written, and run again"
        ) from error
    return folder / PAGE_NAME


def render_page(
    report: ParityReport,
    manifest: Manifest,
    *,
    samples: Mapping[str, Samples] | None = None,
    answers: view.Answers | None = None,
    offers: Sequence[Offer] = (),
) -> str:
    """The page's HTML; arguments as for `write_report`."""
    samples, answers = samples or {}, answers or {}
    published = {artifact.id for artifact in manifest.artifacts}
    left_out = {f"{s.format}/{s.precision}" for s in manifest.skipped} - published
    measured = {row.artifact for row in report.rows if row.status != "not_run"}
    status, headline, verdict = wording.headline(report, frozenset(left_out & measured))
    matrix = view.matrix(report, manifest, samples, answers)
    return environment().get_template("report.html.jinja").render(
        report=report,
        manifest=manifest,
        status=status,
        headline=headline,
        verdict=verdict,
        matrix=matrix,
        worst=view.worst_samples(report, manifest, samples, answers),
        facts=_facts(report),
        gates=_gates(report),
        glosses=_glosses(report),
        offers=offers,
        recommendation=shipping.why(manifest),
        scatter=charts.scatter(offers),
        ticks=charts.ticks(),
        machine=machine(),
        half_float_largest=half_float.LARGEST,
        half_float_places=_half_float_places(report),
    )  # fmt: skip


def environment() -> jinja2.Environment:
    """Templates of this project; HTML is escaped, an unknown name is an error."""
    loader = jinja2.PackageLoader("exporter", "templates")
    made = jinja2.Environment(
        loader=loader,
        autoescape=jinja2.select_autoescape(("html.jinja",), default_for_string=True),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        error=wording.error, share=wording.share, size=wording.size, latency=wording.latency,
        count=wording.count, change=wording.change,
        label=view.label,
    )  # fmt: skip
    made.globals["status_words"] = wording.STATUS_WORDS
    return made


def _half_float_places(report: ParityReport) -> list[half_float.Range]:
    """The places with the largest magnitudes, the largest first."""
    ranges = report.half_float.ranges if report.half_float else ()
    return sorted(ranges, key=lambda item: -item.largest)[:_MOST_PLACES]


def _facts(report: ParityReport) -> list[tuple[str, str]]:
    """The strip of figures under the verdict."""
    ran = [row for row in report.rows if row.status != "not_run" and row.backend != view.FILE]
    # A phone's GPU is no measure of the files.
    full = [row for row in ran if row.precision == "float32" and not row.advisory]
    exact = [row.max_abs for row in full if row.max_abs is not None]
    facts = [
        ("rows passed", f"{report.count('passed'):,}"),
        ("rows failed", f"{len(report.failed):,}"),
        ("rows not run", f"{report.count('not_run'):,}"),
        ("runtimes and backends", str(len({(row.runtime, row.backend) for row in ran}))),
        ("answers compared", f"{sum(row.samples for row in ran):,}"),
    ]
    if report.warned:
        facts.insert(2, ("rows warned", f"{len(report.warned):,}"))
    if exact:
        facts.append(("largest float32 error", wording.error(max(exact))))
    return facts


def _gates(report: ParityReport) -> list[tuple[str, str, str, str]]:
    """Precision, places, samples and the gate in words, for each gate that was applied."""
    gates: dict[tuple[str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for row in report.rows:
        if row.gate:
            places, names = gates.setdefault((row.precision, row.gate), ({}, {}))
            places[row.backend] = None
            names[row.samples_name] = None
    return [
        (precision, ", ".join(places), ", ".join(names), gate)
        for (precision, gate), (places, names) in gates.items()
    ]


def _glosses(report: ParityReport) -> list[tuple[str, str]]:
    """The words that the gates of this report use, explained."""
    gates = " ".join(row.gate for row in report.rows)
    return [(term, meaning) for key, term, meaning in _GLOSSARY if key in gates]
