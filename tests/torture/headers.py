"""Headers: the Observatory's score of every page, and what Chromium makes of them and of embeds."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from exporter import browser as browsers
from tests.torture.table import ROOT, Figure, Measured
from tests.web import observatory
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.production import Server, production
from tests.web.static_host import watched

PAGES = (
    "/",
    "/ship/",
    "/embed/",
    "/models/",
    f"/embed/{MODEL}/",
    f"/models/{MODEL}/report/report.html",
)
EMBEDS = "tests/web/test_other_origins.py"


def measure() -> Measured:
    """All of it, over the production server, as a proxy that ends TLS would ask it."""
    with tempfile.TemporaryDirectory() as folder:
        models = Path(folder) / "models"
        shutil.copytree(MODELS / MODEL, models / MODEL)
        (models / MODEL / "report").mkdir(exist_ok=True)
        (models / MODEL / "report" / "report.html").write_text("<!doctype html><title>r</title>")
        with production(models) as server, sync_playwright() as playwright:
            scores = {path: _score(server, path) for path in PAGES}
            chromium = playwright.chromium.launch(
                executable_path=str(browsers.require()), args=list(browsers.FLAGS)
            )
            violations = [fault for path in PAGES for fault in _faults(chromium, server, path)]
            chromium.close()
    ways, faults = _embeds()
    if scores["/"] < observatory.MOST:
        faults.append(f"/ has {scores['/']} points, not {observatory.MOST}")
    figures: dict[str, Figure] = {
        "points of `/`": scores["/"],
        "of the other pages": ", ".join(f"`{path}` {scores[path]}" for path in PAGES[1:]),
        "violations in Chromium": len(violations),
        "tests of embeds that work": ways,
    }
    return Measured(figures, tuple(faults + violations[:3]))


def _score(server: Server, path: str) -> int:
    answer = server.ask(path, X_Forwarded_Proto="https")
    assert answer.status == 200, f"{path}: {answer.status}"
    return observatory.score(answer.headers, answer.body.decode("utf-8"))


def _faults(chromium: Browser, server: Server, path: str) -> list[str]:
    """What Chromium prints, blocks or fetches elsewhere while the page is used."""
    with watched(chromium, server.url) as (page, faults):
        page.goto(f"{server.url}{path}")
        page.wait_for_load_state("networkidle")
        if path in ("/", f"/embed/{MODEL}/"):
            page.locator("digit-pad canvas").first.click()
            page.wait_for_load_state("networkidle")
    return [f"{path}: {fault}" for fault in faults]


def _embeds() -> tuple[int, list[str]]:
    """Every way of the Embed page on another site, with and without COEP."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", EMBEDS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    counts = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    faults = [f"embeds: {done.stdout.strip()[-200:]}"] if done.returncode else []
    return counts.get("passed", 0), faults
