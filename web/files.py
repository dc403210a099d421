"""Bytes over HTTP: bundles, the player, and the page's own static files.

Tags for caches are made of contents, never of size and time: a file that was swapped within one
second for another of the same size must not be answered with "not modified". Nothing may be kept
without asking again, because addresses stay the same when a bundle is published anew.
"""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Response, abort, current_app, request
from werkzeug.datastructures import ContentRange

import exporter
from exporter.errors import BadBundle
from web import bundles, conditional, headers, kept

blueprint = Blueprint("files", __name__)

PLAYER = Path(exporter.__file__).parent / "player" / "dist"
STATIC = Path(__file__).parent / "static"

# Browsers refuse modules of another type, and compile WebAssembly while it streams only under its
# own. Text of strangers is text: a model card is never run.
_TYPES = {
    ".json": "application/json",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".wasm": "application/wasm",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
}
_OWN_TYPES = {".svg": "image/svg+xml", ".webmanifest": "application/manifest+json"}


@blueprint.get("/models/<name>/<path:path>")
def bundle_file(name: str, path: str) -> Response:
    """A file that the bundle's manifest lists, the manifest itself, or its report."""
    try:
        content = bundles.read(current_app.config["BUNDLES"], name, path)
    except bundles.Changed as error:
        return _refusal(f"{error}; run `exporter verify` on the bundle and export it again")
    except BadBundle as error:
        return _refusal(f"{name}/manifest.json: {error}; export the bundle again")
    if content is None:
        abort(404)
    response = _answer(content, path)
    if path == bundles.REPORT_PAGE:
        response.content_type = "text/html; charset=utf-8"
        response.headers.update(headers.REPORT)
    return headers.share(response)


@blueprint.get("/player/<path:path>")
def player_file(path: str) -> Response:
    """A file of the built player."""
    return headers.share(_answer(_lookup(current_app.config["PLAYER"], path), path))


@blueprint.get("/static/<path:path>")
def static_file(path: str) -> Response:
    """A file of the page itself."""
    return _answer(_lookup(STATIC, path), path)


@blueprint.get("/sw.js")
def service_worker() -> Response:
    """The service worker: a worker governs only what lies beside it and below."""
    return _answer(_lookup(STATIC, "sw.js"), "sw.js")


def _lookup(folder: Path, path: str) -> bundles.Content:
    """A file of ours, by a table of what is there."""
    known = {
        file.relative_to(folder).as_posix(): file
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink() and not file.name.startswith(".")
    }
    if path not in known:
        abort(404)
    with known[path].open("rb") as stream:
        return bundles.Content.of_stream(stream, str(known[path]))


def _answer(content: bundles.Content, path: str) -> Response:
    """The whole of it, a part of it, or that it has not changed, as the request asks."""
    request.environ[kept.SEEN] = content.seen
    suffix = Path(path).suffix.lower()
    types = _TYPES | (_OWN_TYPES if request.endpoint == "files.static_file" else {})
    response = Response(content.data, content_type=types.get(suffix, "application/octet-stream"))
    response.set_etag(content.sha256)
    response.cache_control.no_cache = True
    response.accept_ranges = "bytes"
    wanted = conditional.wanted(request, content.sha256, len(content.data))
    response.status_code = wanted.status
    if wanted.status == 206:
        response.set_data(content.data[wanted.start : wanted.stop])
        response.content_range = ContentRange("bytes", wanted.start, wanted.stop, len(content.data))
    return response


def _refusal(message: str) -> Response:
    response = Response(message + "\n", status=500, content_type="text/plain; charset=utf-8")
    response.cache_control.no_store = True
    return headers.share(response)
