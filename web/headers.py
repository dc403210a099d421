"""What browsers are told they may do: nothing but what a page needs.

One policy for our pages, one for reports (which carry their own style and may come from
strangers), and what makes files usable from other sites. May import `exporter.errors`.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit, urlunsplit

from flask import Flask, Response, request

from exporter.errors import BadUsage

EVERYWHERE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
PAGE = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
    ),
}
_SCRIPTED = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "style-src 'self'; img-src 'self' data: blob:; base-uri 'none'; form-action 'none'; "
    "require-trusted-types-for 'script'; trusted-types {policies}"
)
DRAW = PAGE | {
    "Content-Security-Policy": _SCRIPTED.format(policies="service-worker")
    + "; worker-src 'self'; manifest-src 'self'; frame-src 'self'; frame-ancestors 'none'",
}
# For any site's iframe, one under COEP too: such a frame must bring COEP and CORP of its own.
EMBED = PAGE | {
    "Content-Security-Policy": _SCRIPTED.format(policies="'none'") + "; frame-ancestors *",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Opener-Policy": "unsafe-none",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
REPORT = PAGE | {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'; sandbox"
    ),
}
SHARED = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Length, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_SHARED_PATHS = ("/models/", "/player/")
_CORP = "Cross-Origin-Resource-Policy"
_HSTS = "Strict-Transport-Security"
HSTS_VARIABLE = "EXPORTER_HSTS"
A_YEAR_SECONDS = 365 * 24 * 3600
OVER_TLS = {_HSTS: f"max-age={A_YEAR_SECONDS}"}
"""For hosts that always have TLS. Of this host alone: other names of a domain are not ours."""


def share(response: Response) -> Response:
    """Let other sites fetch it, without their visitors' credentials."""
    response.headers.update(SHARED)
    return response


def hsts_seconds() -> int:
    """For how long browsers are to come back over TLS only, as the environment says; 0 for never.

    Raises:
        BadUsage: It says something else than a number of seconds.
    """
    said = os.environ.get(HSTS_VARIABLE, str(A_YEAR_SECONDS))
    if not (said.isascii() and said.isdigit()):
        raise BadUsage(f"{HSTS_VARIABLE}: a number of seconds expected, {said!r} found; 0 is off")
    return int(said)


def add_to(app: Flask) -> None:
    """Complete every response, errors and refused methods included."""
    app.config.setdefault("HSTS_SECONDS", hsts_seconds())

    @app.after_request
    def complete(response: Response) -> Response:
        for name, value in EVERYWHERE.items():
            response.headers.setdefault(name, value)
        if response.location is not None:
            # Within this host, whatever the request calls it.
            parts = urlsplit(response.location)
            response.location = urlunsplit(("", "", parts.path, parts.query, ""))
            response.set_data(b"")
        if response.mimetype == "text/html":
            for name, value in PAGE.items():
                response.headers.setdefault(name, value)
        if request.path.startswith(_SHARED_PATHS):
            share(response)
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "If-None-Match, Range"
        response.headers.setdefault(_CORP, "same-origin")
        # Addresses stay while what is behind them changes: pages and errors are asked for again.
        response.headers.setdefault("Cache-Control", "no-cache")
        # Not over plain http: browsers must ignore it there. Whether a proxy in front took TLS off
        # is for the server to know, which believes X-Forwarded-Proto of trusted proxies alone.
        if request.is_secure and app.config["HSTS_SECONDS"]:
            response.headers[_HSTS] = f"max-age={app.config['HSTS_SECONDS']}"
        return response
