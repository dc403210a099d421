"""Gzip for whoever accepts it: text and WebAssembly weigh a third or a quarter of themselves then.

Weights of 8 bits lose a fifth, of 32 bits a fifteenth; what hardly becomes smaller, such as a
`.keras` file, which is a zip, stays as it is. Imports Flask and Werkzeug only.
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

LARGEST_BYTES = 32 * 2**20
"""More takes a second and longer to compress, while others wait."""

WORTH = 0.95
"""Of its size a file must lose more than the rest."""

_TYPES = (
    "text/", "application/json", "application/wasm", "application/manifest+json", "image/svg+xml",
    "application/octet-stream",
)  # fmt: skip


def add_to(app: Flask) -> None:
    """Compress answers that are worth it."""
    app.after_request(encode)


def encode(response: Response) -> Response:
    """The same answer, compressed where the request allows it and it pays."""
    if not (response.content_type or "").startswith(_TYPES):
        return response
    response.vary.add("Accept-Encoding")
    # A part of a file is a part of its own bytes.
    if response.status_code not in (200, 304) or not accepted(
        request.headers.get("Accept-Encoding", "")
    ):
        return response
    data = response.get_data()
    if not SMALLEST_BYTES <= len(data) <= LARGEST_BYTES:
        return response
    packed = _compress(data)
    if len(packed) > WORTH * len(data):
        return response
    # As with nginx: other bytes that mean the same have a weak tag, and no parts to ask for; "not
    # modified" has the same tag, and no bytes at all.
    if response.status_code == 200:
        response.set_data(packed)
        response.content_encoding = "gzip"
    tag, _ = response.get_etag()
    if tag is not None:
        response.set_etag(tag, weak=True)
    response.headers.pop("Accept-Ranges", None)
    return response


@lru_cache(maxsize=256)
def accepted(header: str) -> bool:
    """Whether a request with that `Accept-Encoding` may be answered in gzip."""
    return parse_accept_header(header, Accept)["gzip"] > 0


@lru_cache(maxsize=4)
def _compress(data: bytes) -> bytes:
    # The time of day is no part of it: the same bytes each time.
    return gzip.compress(data, LEVEL, mtime=0)
