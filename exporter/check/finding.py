"""One thing that is wrong with a deployment, where, and what to do about it on which server.

Imports nothing of the project.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

ERROR = "error"
"""A browser will not show the model, or may show a wrong one."""

WARNING = "warning"
"""It works, and costs something."""

_CORS = {
    "flask": 'response.headers["Access-Control-Allow-Origin"] = "*" for every file',
    "nginx": 'add_header Access-Control-Allow-Origin "*" always;',
    "static": "_headers: `/models/*` with `Access-Control-Allow-Origin: *`; GitHub Pages sends it",
}
_WHOLE = {
    "flask": "upload the whole bundle again and compare: exporter verify BUNDLE",
    "nginx": "upload the whole bundle again; no sub_filter, no gzip_static of an older file",
    "static": "upload all of it anew, in binary mode: no line ends rewritten, no Git LFS pointers",
}
_FRESH = {
    "flask": "response.cache_control.no_cache = True, and an ETag made of the contents",
    "nginx": "add_header Cache-Control no-cache; etag on; and purge what caches in between hold",
    "static": "purge the CDN after an upload; for addresses with a version: exporter site",
}
_TYPES = {
    "flask": "send_file(path, mimetype=…); mimetypes.add_type for .mjs and .wasm",
    "nginx": "types { text/javascript js mjs; application/wasm wasm; application/json json; }",
    "static": "_headers: the path with its `Content-Type`, or the host's own table of types",
}
_POLICY = {
    "flask": 'response.headers["Content-Security-Policy"] of the page, the directive that is named',
    "nginx": "add_header Content-Security-Policy '…' always; in the page's location",
    "static": "_headers, or the page's <meta http-equiv=Content-Security-Policy>",
}
_ISOLATION = {
    "flask": "share the file: Cross-Origin-Resource-Policy: cross-origin; frames also COEP",
    "nginx": "add_header Cross-Origin-Resource-Policy cross-origin always;",
    "static": '_headers, or crossorigin="anonymous" in the script tag, which asks for CORS instead',
}
_ROUTES = {
    "flask": "serve the folder that holds manifest.json, no catch-all route before it",
    "nginx": "location /models/ { try_files $uri =404; }, not … /index.html",
    "static": "no single-page fallback for /models/*; check names, letter case and .nojekyll",
}
_SECURE = {
    "flask": "serve over https (a proxy in front), and name https addresses",
    "nginx": "return 301 https://… for pages only; name https addresses in them",
    "static": "turn on https, and name the final address",
}
_MODEL = dict.fromkeys(
    ("flask", "nginx", "static"), "export again with this exporter, or ship a newer runtime"
)

REMEDIES: dict[str, dict[str, str]] = {
    "unreachable": _SECURE | {"flask": "flask --app web run --host …; is the port open?"},
    "missing": _ROUTES,
    "html-in-place": _ROUTES,
    "redirect": _SECURE,
    "mixed-content": _SECURE,
    "cors": _CORS,
    "type": _TYPES,
    "encoding": _WHOLE,
    "truncated": _WHOLE,
    "altered": _WHOLE,
    "stale-cache": _FRESH,
    "cache": _FRESH,
    "csp": _POLICY,
    "coep": _ISOLATION,
    "framing": _POLICY,
    "manifest": _WHOLE,
    "path": _WHOLE,
    "runtime": _MODEL,
}
"""By code: what to do with Flask, with nginx, and on static hosts."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong.

    Attributes:
        code: A key of `REMEDIES`.
        url: Of the file or the page.
        message: What was expected, and what was found.
        severity: `ERROR` or `WARNING`.
    """

    code: str
    url: str
    message: str
    severity: str = ERROR

    @property
    def remedies(self) -> dict[str, str]:
        """By server: "flask", "nginx", "static"."""
        return REMEDIES[self.code]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "code": self.code, "severity": self.severity, "url": self.url,
            "message": self.message, "remedies": self.remedies,
        }  # fmt: skip


@dataclass(slots=True)
class Report:
    """What was looked at, and what was found."""

    url: str
    origin: str
    fetched: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def errors(self) -> list[Finding]:
        """What makes the answer no."""
        return [one for one in self.findings if one.severity == ERROR]

    def add(self, found: list[Finding]) -> None:
        """Take in what was found; the same thing is told once."""
        self.findings += [one for one in found if one not in self.findings]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "url": self.url, "origin": self.origin, "healthy": not self.errors,
            "fetched": self.fetched, "findings": [one.to_json() for one in self.findings],
        }  # fmt: skip
