"""HTML: the page to draw on, the list of bundles, and one plain page for whatever is not there."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Flask, Response, abort, current_app, make_response, render_template
from werkzeug.exceptions import HTTPException

from exporter.report import wording
from web import bundles, headers, ship, snippets
from web.addresses import address
from web.integrity import integrity

DEFAULT = "mlp-128-64"
"""The model that answers first, where it is there."""

TINY_FORMAT = "tfjs-layers"
"""What the tiny runner opens."""

blueprint = Blueprint("pages", __name__)
blueprint.add_app_template_filter(wording.size, "size")
blueprint.add_app_template_filter(wording.share, "share")
blueprint.add_app_template_global(integrity)


@blueprint.get("/")
def draw() -> Response | str:
    """The page to draw on; without any model that reads drawings, the list of all."""
    entries = bundles.entries(current_app.config["BUNDLES"])
    if not any(entry.can_draw for entry in entries):
        return render_template("index.html", entries=entries)
    known = {entry.name: describe(entry) for entry in entries if entry.manifest}
    runtimes = current_app.config["PLAYER"] / "runtimes.json"
    if not runtimes.is_file():
        abort(503, "The player is not built: run `make player`, or install the wheel.")
    player = {
        runtime: {backend: {"gzip_bytes": size["gzip_bytes"]} for backend, size in backends.items()}
        for runtime, backends in json.loads(runtimes.read_bytes()).items()
    }
    response = make_response(
        render_template(
            "draw.html",
            entries=entries,
            bundles=known,
            player=player,
            default=DEFAULT,
            kept=_kept(list(known)),
        )
    )
    response.headers.update(headers.DRAW)
    return response


def _kept(names: list[str]) -> list[str]:
    """What the page's links lead to, for visitors without a network; models when they were used."""
    pages = ["models/", "ship/", "embed/", *(f"embed/{name}/" for name in names)]
    files = [
        "static/snippets.css",
        "static/snippets.js",
        "static/embed.css",
        "static/ship.css",
        "static/ship.js",
    ]
    return [address(path) for path in pages + files]


def describe(entry: bundles.Entry) -> dict[str, Any]:
    """What the page's script must know of a bundle before any file of it is fetched."""
    assert entry.manifest is not None
    return {
        "manifest": address(f"models/{entry.name}/manifest.json"),
        "artifacts": [
            {"format": a.format, "precision": a.precision, "size_bytes": a.size_bytes}
            # What may be asked for early; of the others that would only be more to read.
            | ({"files": [f.path for f in a.files]} if a.format == TINY_FORMAT else {})
            for a in entry.manifest.artifacts
            if a.format != "keras"  # nothing in a browser opens it
        ],
        "has_report": entry.has_page,
    }


@blueprint.get("/embed/")
def embedding() -> Response:
    """What to copy to have a model on another site, and a live example of it."""
    entries = bundles.entries(current_app.config["BUNDLES"])
    player = current_app.config["PLAYER"]
    texts = {
        entry.name: snippets.for_bundle(entry.manifest, entry.name, "{base}", player)
        for entry in entries
        if entry.manifest
    }
    response = make_response(
        render_template(
            "snippets.html", entries=entries, texts=texts, snippets=snippets.SNIPPETS,
            default=DEFAULT,
        )
    )  # fmt: skip
    response.headers.update(headers.DRAW)
    return response


@blueprint.get("/embed/<name>")
@blueprint.get("/embed/<name>/")
def embed(name: str) -> Response:
    """The bare element with that bundle's model, for other sites' iframes."""
    if name not in bundles.names(current_app.config["BUNDLES"]):
        abort(404)
    response = make_response(render_template("embed.html", name=name))
    response.headers.update(headers.EMBED)
    return response


@blueprint.get("/models/")
def index() -> str:
    """All bundles, each with its figures, artefacts, verdict and links."""
    return render_template("index.html", entries=bundles.entries(current_app.config["BUNDLES"]))


@blueprint.get("/ship/")
def which() -> Response:
    """Which model and file to ship: all beside each other, timed on the visitor's device."""
    root = current_app.config["BUNDLES"]
    entries = bundles.entries(root)
    page = ship.page_of(root, entries)
    response = make_response(
        render_template(
            "ship.html",
            page=page,
            manifests={e.name: address(f"models/{e.name}/manifest.json") for e in entries},
        )
    )
    response.headers.update(headers.DRAW)
    return response


def handle_errors(app: Flask) -> None:
    """One page for every error that has a status; what is wrong, and the way home."""

    @app.errorhandler(HTTPException)
    def show(error: HTTPException) -> tuple[str, int, dict[str, str]]:
        kept = {
            name: value
            for name, value in error.get_headers()
            if name in ("Allow", "Content-Range", "Location")
        }
        status = error.code or 500
        return render_template("error.html", error=error, status=status), status, kept
