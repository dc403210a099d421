"""The Flask app: a page that lists the bundles, and the bundles and the player as files.

    flask --app web run

`bundles` finds and reads, `files` answers with bytes, `pages` with HTML, `addresses` says where
things lie for a page, `headers` what browsers may do with either, `snippets` what other sites
copy, and `freeze` writes all of it as files. Imports `exporter`, never the other way round, and
loads neither TensorFlow nor a runtime.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask

from web import addresses, encoding, files, headers, pages

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
    return app
