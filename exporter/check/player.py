"""The player beside a bundle: what it loads later must be there, of its type, and shared.

Only the beginning of each file is fetched: its WebAssembly alone weighs 14 MB.
"""

from __future__ import annotations

from urllib.parse import urljoin

from exporter.check import http
from exporter.check.file import check_file
from exporter.check.finding import Report

ENTRY = "digit-pad.js"
FILES = (
    ENTRY,
    "index.js",
    "inspector.js",
    "tfjs.js",
    "tfjs-trace.js",
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
        check_file(report, urljoin(folder, name), page, _BEGINNING_BYTES)
