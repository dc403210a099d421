"""Gzip for whoever accepts it: text and WebAssembly weigh a third or a quarter of themselves then.

Weights stay as they are: they hardly become smaller. Imports Flask and Werkzeug only.
"""

from __future__ import annotations

import gzip
from functools import lru_cache

from flask import Flask, Response, request
from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

LEVEL = 6
SMALLEST_BYTES = 500
"""Less fits into the first packet anyway."""

_TYPES = (
    "text/", "application/json", "application/wasm", "application/manifest+json", "image/svg+xml",
)  # fmt: skip


def add_to(app: Flask) -> None:
    """Compress answers that are worth it."""
    app.after_request(encode)


def encode(response: Response) -> Response:
    """The same answer, compressed where the request allows it and it pays."""
    if not (response.content_type or "").startswith(_TYPES):
        return response
    response.vary.add("Accept-Encoding")
    # A part of a file is a part of its own bytes; "not modified" has none.
    if response.status_code != 200 or not accepted(request.headers.get("Accept-Encoding", "")):
        return response
    data = response.get_data()
    if len(data) < SMALLEST_BYTES:
        return response
    response.set_data(_compress(data))
    response.content_encoding = "gzip"
    # As with nginx: other bytes that mean the same have a weak tag, and no parts to ask for.
    tag, _ = response.get_etag()
    if tag is not None:
        response.set_etag(tag, weak=True)
    response.headers.pop("Accept-Ranges", None)
    return response


@lru_cache(maxsize=256)
def accepted(header: str) -> bool:
    """Whether a request with that `Accept-Encoding` may be answered in gzip."""
    return parse_accept_header(header, Accept)["gzip"] > 0


@lru_cache(maxsize=64)
def _compress(data: bytes) -> bytes:
    # The time of day is no part of it: the same bytes each time.
    return gzip.compress(data, LEVEL, mtime=0)
