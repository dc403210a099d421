"""HTML: the list of bundles, and one plain page for whatever is not there."""

from __future__ import annotations

from flask import Blueprint, Flask, current_app, render_template
from werkzeug.exceptions import HTTPException

from exporter.report import wording
from web import bundles

blueprint = Blueprint("pages", __name__)
blueprint.add_app_template_filter(wording.size, "size")


@blueprint.get("/")
def index() -> str:
    """All bundles, each with its figures, artefacts, verdict and links."""
    return render_template("index.html", entries=bundles.entries(current_app.config["BUNDLES"]))


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
