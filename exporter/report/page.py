"""`report/report.html`: one self-contained page, readable offline, without any script.

Fills the template; everything that it says comes from `view` and `wording`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import jinja2

from exporter.errors import MachineFailed
from exporter.gates import gate_for
from exporter.manifest import REPORT_FOLDER, Manifest
from exporter.parity import ParityReport, Samples
from exporter.report import charts, view, wording
from exporter.report.document import machine, parity_document

PAGE_NAME = "report.html"
DOCUMENT_NAME = "parity.json"


def write_report(
    report: ParityReport,
    manifest: Manifest,
    directory: Path,
    *,
    samples: Mapping[str, Samples] | None = None,
    answers: view.Answers | None = None,
) -> Path:
    """Write `report/parity.json` and `report/report.html` into the bundle in `directory`.

    Args:
        report: The rows.
        manifest: Of the bundle: names, sizes, labels, what was skipped, tool versions.
        directory: The bundle's root, staged or published.
        samples: By name, for the pictures and the gates' marks; what is not given is not shown.
        answers: For rows worth showing: the artefact's outputs on the row's `worst_sample`, one
            array per output, without the samples' axis.

    Returns:
        The page's path.

    Raises:
        MachineFailed: The folder cannot be written.
    """
    page = render_page(report, manifest, samples=samples, answers=answers)
    document = json.dumps(
        parity_document(report, manifest), indent=1, ensure_ascii=False, allow_nan=False
    )
    folder = Path(directory) / REPORT_FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / DOCUMENT_NAME).write_text(document + "\n", encoding="utf-8")
        (folder / PAGE_NAME).write_text(page, encoding="utf-8")
    except OSError as error:
        raise MachineFailed(
            f"{folder}: the report cannot be written ({error.strerror}); free the place"
        ) from error
    return folder / PAGE_NAME


def render_page(
    report: ParityReport,
    manifest: Manifest,
    *,
    samples: Mapping[str, Samples] | None = None,
    answers: view.Answers | None = None,
) -> str:
    """The page's HTML; arguments as for `write_report`."""
    samples, answers = samples or {}, answers or {}
    status, headline, verdict = wording.headline(report)
    matrix = view.matrix(report, manifest, samples, answers)
    largest = max((artifact.size_bytes for artifact in manifest.artifacts), default=0)
    return environment().get_template("report.html.jinja").render(
        report=report,
        manifest=manifest,
        status=status,
        headline=headline,
        verdict=verdict,
        matrix=matrix,
        worst=view.worst_samples(report, manifest, samples, answers),
        facts=_facts(report, matrix),
        gates=_gates(report),
        largest_size=largest,
        ticks=[(f"{tick:.0e}".replace("e-0", "e-"), charts.position(tick))
               for tick in charts.TICKS],
        machine=machine(),
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
        count=wording.count,
    )  # fmt: skip
    made.globals["status_words"] = wording.STATUS_WORDS
    return made


def _facts(report: ParityReport, matrix: view.Matrix) -> list[tuple[str, str]]:
    """The strip of figures under the verdict."""
    ran = [row for row in report.rows if row.status != "not_run"]
    exact = [row.max_abs for row in ran if row.precision == "float32" and row.max_abs is not None]
    flips = sum(len(row.flips) for row in ran)
    facts = [
        ("rows passed", f"{report.count('passed'):,}"),
        ("rows failed", f"{report.count('failed'):,}"),
        ("rows not run", f"{report.count('not_run'):,}"),
        ("artefacts", str(len({row.artifact for row in ran}))),
        ("places they ran", str(len({(row.runtime, row.backend) for row in ran}))),
        ("answers compared", f"{sum(row.samples for row in ran):,}"),
    ]
    if exact:
        facts.append(("largest float32 error", wording.error(max(exact))))
    facts.append(("answers that differ", f"{flips:,}"))
    return facts


def _gates(report: ParityReport) -> list[tuple[str, str, str]]:
    """Precision, where it applies, and the gate in words: only those that this report needs."""
    asked = dict.fromkeys((row.precision, row.backend) for row in report.rows)
    gates: dict[tuple[str, str], dict[str, None]] = {}
    for precision, backend in asked:
        texts = [str(gate_for(precision, backend, pictures=p)) for p in (True, False)]
        if texts[0] == texts[1]:
            gates.setdefault((precision, texts[0]), {})[backend] = None
            continue
        for kind, text in zip(("pictures and data", "noise and edges"), texts, strict=True):
            gates.setdefault((f"{precision}, {kind}", text), {})[backend] = None
    return [(what, ", ".join(names), text) for (what, text), names in gates.items()]
