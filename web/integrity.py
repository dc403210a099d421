"""Hashes in our own pages: a browser runs none of their scripts that is not the one we built.

A proxy, a cache or a half-finished upload that hands out another file is noticed before it runs. A
frozen site, whose files have other names and so other contents, says in `INTEGRITY` of the app's
config what to put. Imports Flask and `web.snippets`.
"""

from __future__ import annotations

from pathlib import Path

from flask import current_app

from web.snippets import integrity_of

_STATIC = Path(__file__).parent / "static"


def integrity(path: str) -> str:
    """The `integrity` of a script of the site ("player/digit-pad.js"); empty where it is not built.

    Read anew each time, since the player may be built anew at any time.
    """
    known: str | None = current_app.config.get("INTEGRITY", {}).get(path)
    if known is not None:
        return known
    folder, _, name = path.partition("/")
    try:
        roots = {"player": current_app.config["PLAYER"], "static": _STATIC}
        return integrity_of((roots[folder] / name).read_bytes())
    except FileNotFoundError:
        return ""  # and the script itself is not found
