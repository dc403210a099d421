"""The player beside a bundle: what it loads later must be there, of its type, and shared.

Only the beginning of each file is fetched: its WebAssembly alone weighs 14 MB.
"""

from __future__ import annotations

from urllib.parse import urljoin

from exporter.check import http, rules
from exporter.check.finding import Report

ENTRY = "digit-pad.js"
FILES = (
    ENTRY,
    "index.js",
    "inspector.js",
    "tfjs.js",
    "onnx.js",
    "tfjs-backend-wasm-simd.wasm",
    "ort-wasm-simd-threaded.wasm",
)
_BEGINNING_BYTES = 1024


def check_player(report: Report, folder: str, page: str) -> None:
    """Judge the player in `folder`; one that is not there is not missed."""
    entry = http.get(urljoin(folder, ENTRY), _BEGINNING_BYTES, origin=report.origin)
    if entry.status != 200 or entry.is_html:
        return
    for name in FILES:
        url = urljoin(folder, name)
        answer = http.get(url, _BEGINNING_BYTES, origin=report.origin)
        report.fetched.append(url)
        found = [*rules.arrival(answer, url), *rules.not_html(answer, url)]
        found += rules.mixed(url, page or report.origin)
        if answer.status == 200 and not answer.is_html:
            found += rules.sharing(answer, url, report.origin)
            found += [*rules.media_type(answer, url), *rules.caching(answer, url)]
        report.add(found)
