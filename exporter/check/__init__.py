"""A deployed bundle, or a page with models, fetched as a browser would and judged.

    report = check("https://models.example.org/models/mlp-128-64/")
    print([finding.message for finding in report.findings])

`http` fetches, `rules` judge one answer, `file` holds a file against all of them, `bundle` a whole
bundle, `player` the player beside it, `page` what a page's policies block, `policy` reads those,
`finding` holds what was found and what to do about it. Imports the standard library,
`exporter.manifest` and `exporter.errors`; onnx where a model is read. What it is told by a server
is hostile: addresses stay below the manifest's, sizes and times are bounded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from urllib.parse import urljoin, urlsplit, urlunsplit

from exporter.check import http
from exporter.check.bundle import MAX_MANIFEST_BYTES, Tell, check_bundle
from exporter.check.file import check_file
from exporter.check.finding import ERROR, WARNING, Finding, Report
from exporter.check.page import MAX_PAGE_BYTES, MAX_SCRIPT_BYTES, Contents, check_page, read_page
from exporter.check.player import check_player
from exporter.manifest import MANIFEST_NAME

__all__ = ["ANYWHERE", "ERROR", "WARNING", "Finding", "Report", "check"]

ANYWHERE = "https://another-site.example"
"""Stands for any other site, unless `origin` says which."""


def check(
    url: str,
    *,
    origin: str | None = None,
    page: str | None = None,
    also: Sequence[str] = (),
    tell: Tell = lambda _: None,
) -> Report:
    """Fetch what stands at `url` and everything that it names; say what is wrong.

    Args:
        url: Of a manifest, of the folder that holds one, or of a page with models.
        origin: The site whose pages load it: by default any other one; for a page, its own.
        page: The page that shows the model, where it is another site's.
        also: Other files that the page needs (.mjs, .wasm, .js).
        tell: Hears of every file.

    Raises:
        BadUsage: An address is none of http or https.
    """
    http.origin_of(url)
    asking = http.origin_of(page or origin or ANYWHERE)
    report = Report(url, asking)
    manifest_url = _manifest_url(url)
    shown = None if manifest_url else _page_at(report, url)
    if shown:
        answer, contents = shown
        report.origin = http.origin_of(origin) if origin else http.origin_of(answer.url)
        _check_page_with_models(report, answer, contents, tell)
        _check_frames(report, contents, tell)
    else:
        checked = manifest_url or urljoin(_as_folder(url), MANIFEST_NAME)
        if check_bundle(report, checked, page or "", tell):
            # Where the app and a frozen site have it.
            check_player(report, urljoin(checked, "../../player/"), page or "")
        if page and (given := read_page(report, page)):
            check_page(report, *given, [checked])
    for one in also:
        http.origin_of(one)
        tell(one)
        check_file(report, one, page or "", MAX_SCRIPT_BYTES)
    return report


def _manifest_url(url: str) -> str | None:
    """The manifest's address where `url` is that, or a folder that has one."""
    if urlsplit(url).path.endswith(".json"):
        return url
    below = urljoin(_as_folder(url), MANIFEST_NAME)
    answer = http.get(below, MAX_MANIFEST_BYTES)
    try:
        document = json.loads(answer.body) if answer.status == 200 else None
    except (ValueError, RecursionError):
        return None
    # A web app has a manifest.json, too.
    return below if isinstance(document, dict) and "artifacts" in document else None


def _as_folder(url: str) -> str:
    parts = urlsplit(url)
    path = parts.path if parts.path.endswith("/") else f"{parts.path}/"
    return urlunsplit(parts._replace(path=path, query="", fragment=""))


def _page_at(report: Report, url: str) -> tuple[http.Answer, Contents] | None:
    """The page with models at `url`; None where it names none, and so is meant as a bundle."""
    trial = Report(url, report.origin)
    shown = read_page(trial, url)
    if shown is None or not (shown[1].manifests or shown[1].frames):
        return None
    if _is_fallback(shown[0]):
        return None
    report.fetched += trial.fetched
    report.add(trial.findings)
    return shown


def _is_fallback(answer: http.Answer) -> bool:
    """Whether the front page answers here, too, for want of anything else."""
    root = urljoin(answer.url, "/")
    if root == answer.url:
        return False
    return http.get(root, MAX_PAGE_BYTES).body == answer.body


def _check_frames(report: Report, contents: Contents, tell: Tell) -> None:
    """The models of framed pages, which those load as pages of their own."""
    asking = report.origin
    for frame in contents.frames:
        given = read_page(Report(frame, asking), frame)  # whether it may be framed is judged
        if given and given[1].manifests:
            report.origin = http.origin_of(given[0].url)
            _check_page_with_models(report, *given, tell)
    report.origin = asking


def _check_page_with_models(
    report: Report, answer: http.Answer, contents: Contents, tell: Tell
) -> None:
    asking = report.origin
    for manifest in contents.manifests:
        tell(manifest)
        # A page may read what lies beside it without being allowed to.
        report.origin = "" if http.origin_of(manifest) == asking else asking
        check_bundle(report, manifest, answer.url, tell)
    for folder in _players(contents):
        report.origin = "" if http.origin_of(folder) == asking else asking
        check_player(report, folder, answer.url)
    report.origin = asking
    check_page(report, answer, contents, contents.manifests)


def _players(contents: Contents) -> list[str]:
    """The folders of the players that the page loads."""
    entry = re.compile(r"/(digit-pad|index)(\.[0-9a-f]+)?\.js$")
    urls = [one.url for one in contents.scripts if entry.search(urlsplit(one.url).path)]
    return list(dict.fromkeys(urljoin(url, ".") for url in urls))
