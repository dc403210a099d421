"""What browsers are told they may do: nothing but what a page needs.

One policy for our pages, one for reports (which carry their own style and may come from
strangers), and what makes files usable from other sites.
"""

from __future__ import annotations

from flask import Flask, Response

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


def share(response: Response) -> Response:
    """Let other sites fetch it, without their visitors' credentials."""
    response.headers.update(SHARED)
    return response


def add_to(app: Flask) -> None:
    """Complete every response, errors and refused methods included."""

    @app.after_request
    def complete(response: Response) -> Response:
        from flask import request

        for name, value in EVERYWHERE.items():
            response.headers.setdefault(name, value)
        if response.mimetype == "text/html":
            for name, value in PAGE.items():
                response.headers.setdefault(name, value)
        if request.path.startswith(_SHARED_PATHS):
            share(response)
            if request.method == "OPTIONS":
                response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, OPTIONS"
                response.headers["Access-Control-Allow-Headers"] = "If-None-Match, Range"
        return response
