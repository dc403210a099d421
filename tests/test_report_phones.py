"""What the report says of phones: the verdict with its layer, and warnings that fail nothing."""

from __future__ import annotations

from dataclasses import replace

from exporter import half_float
from exporter.manifest import Manifest
from exporter.parity import ParityReport, Row
from exporter.report import wording
from exporter.report.page import render_page

MANIFEST = Manifest(
    name="loud", created_by={}, source={}, inputs=(), outputs=(), artifacts=(), files=()
)
PASSED = Row(
    "tfjs-layers", "float32", "tfjs-browser", "webgl", "golden/noise", 1, "passed", samples=9,
    max_abs=1e-7, mean_abs=1e-8, cold_start_ms=812.0, bytes_fetched=1_234_567,
)  # fmt: skip
WARNED = replace(
    PASSED, backend="webgl-half", status="failed", reason="off by 0.7 on sample 2, 0.02 allowed",
    max_abs=0.7, advisory=True,
)  # fmt: skip
UNSAFE = half_float.of_ranges({"layer 'quiet'": 3.0, "layer 'loud'": 1e5}, 40)


def test_a_warning_is_told_and_fails_nothing() -> None:
    report = ParityReport("loud", (PASSED, WARNED), half_float=UNSAFE)
    assert report.verdict(strict=True) is None
    status, _, verdict = wording.headline(report)
    assert status == "passed"
    assert verdict.startswith("1 row passed; 1 row for the half-float GPUs of phones failed")


def test_warnings_alone_are_no_proof() -> None:
    report = ParityReport("loud", (WARNED,))
    assert "nothing was compared" in (report.verdict() or "")
    assert wording.headline(report)[0] == "failed"
    passed = replace(WARNED, status="passed", reason="")
    assert "nothing was compared" in (ParityReport("loud", (passed,)).verdict() or "")
    assert wording.headline(ParityReport("loud", (passed,)))[0] == "failed"


def test_a_failure_beside_a_warning_is_a_failure() -> None:
    failed = replace(PASSED, status="failed", reason="off by 1")
    report = ParityReport("loud", (failed, WARNED))
    assert "webgl, golden/noise" in (report.verdict() or "")
    assert wording.headline(report)[0] == "failed"
    assert (report.failed, report.warned) == ((failed,), (WARNED,))


def test_the_page_names_the_layer_that_does_not_fit_and_what_was_fetched() -> None:
    page = render_page(ParityReport("loud", (PASSED, WARNED), half_float=UNSAFE), MANIFEST)
    words = " ".join(page.split())
    for part in (
        "not safe on half-float GPUs: layer &#39;loud&#39; reaches 100,000",
        "rows warned",
        "which holds nothing back",
        "1.2 MB of code, WebAssembly and model",
        "812 ms",
    ):
        assert part in words


def test_without_a_measurement_the_page_says_nothing_of_phones() -> None:
    page = render_page(ParityReport("loud", (PASSED,)), MANIFEST)
    assert 'id="phones"' not in page
    assert "rows warned" not in page
