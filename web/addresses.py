"""Where things lie, as seen from a page: always relative, so that the page works below any path.

A frozen site gives files names that hold a hash of their contents; `ADDRESSES` in the app's
config says which. Knows nothing of bundles; imports Flask only.
"""

from __future__ import annotations

from urllib.parse import quote

from flask import Flask, current_app, request


def address(path: str) -> str:
    """The address of a path of the site ("static/page.css", "" for its root) for this page."""
    known = current_app.config["ADDRESSES"]
    steps = "../" * (request.path.count("/") - 1)
    # "./" and not "": an empty address is that of the page itself.
    return (steps + (known.get(path) or quote(path))) or "./"


def add_to(app: Flask) -> None:
    """Offer `address` to every template."""
    app.config.setdefault("ADDRESSES", {})
    app.add_template_global(address)
