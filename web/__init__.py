"""The Flask app: a page that lists the bundles, and the bundles and the player as files.

    flask --app web run

`bundles` finds and reads, `files` answers with bytes, `kept` keeps such answers in memory, `pages`
answers with HTML, `addresses` says where things lie for a page, `headers` what browsers may do with
either, `snippets` what other sites copy, `freeze` writes all of it as files, and `production` sets
up the server. Imports `exporter`, never the other way round, and loads neither TensorFlow nor a
runtime.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from web import addresses, encoding, files, headers, kept, pages

__all__ = ["create_app"]


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """A new app.

    Args:
        config: Overrides: `BUNDLES`, the folder whose subfolders are bundles (default: the
            environment's `EXPORTER_MODELS`, else `models` in the working directory);
            `PLAYER`, the built player; `ADDRESSES`, where files lie under another name.
    """
    # Flask's own static files are tagged by size and time; `files` tags them by their contents.
    app = Flask(__name__, static_folder=None)
    # An address with a doubled slash is no other spelling of anything: not found, as all strangers.
    app.url_map.merge_slashes = False
    app.config["BUNDLES"] = os.environ.get("EXPORTER_MODELS", "models")
    app.config["PLAYER"] = files.PLAYER
    app.config.from_mapping(config or {})
    app.config["BUNDLES"] = Path(app.config["BUNDLES"]).absolute()
    addresses.add_to(app)
    app.register_blueprint(pages.blueprint)
    app.register_blueprint(files.blueprint)
    pages.handle_errors(app)
    headers.add_to(app)
    encoding.add_to(app)
    app.wsgi_app = kept.Kept(app.wsgi_app, _tell_apart)  # type: ignore[method-assign, assignment]
    return app


def _tell_apart(environment: dict[str, Any]) -> tuple[bool, str]:
    """What answers about files depend on, besides method, path and tag."""
    accepted = encoding.accepted(environment.get("HTTP_ACCEPT_ENCODING", ""))
    return accepted, environment["wsgi.url_scheme"]
