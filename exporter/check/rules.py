"""What must hold for any one file that a page fetches. Pure: an answer in, findings out."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

from exporter.check.finding import WARNING, Finding
from exporter.check.http import REDIRECTS, Answer, is_insecure, origin_of

JAVASCRIPT = ("text/javascript", "application/javascript", "application/x-javascript")
TYPES = {
    ".js": JAVASCRIPT,
    ".mjs": JAVASCRIPT,
    ".wasm": ("application/wasm",),
    ".json": ("application/json", "text/json"),
    ".css": ("text/css",),
}
WHY = {
    ".js": "browsers run no module of another type",
    ".mjs": "browsers run no module of another type",
    ".wasm": "it is not compiled while it streams, and ONNX Runtime fetches it twice",
    ".json": "with nosniff, and in import attributes, no other type will do",
    ".css": "browsers apply no style sheet of another type",
}
_HASHED = re.compile(r"[.-]([0-9a-f]{8,}|[0-9A-Z]{8})\.\w+$")
LONG_S = 3600
"""Longer than this no fixed address may be kept without asking."""


def arrival(answer: Answer, url: str) -> list[Finding]:
    """It came, from where it was asked for, and is no web page instead."""
    found = []
    for hop in answer.hops:
        found += _hop(hop.url, hop.target, hop.status)
    if answer.status == 0 or (answer.fault and answer.status in REDIRECTS):
        return [*found, Finding("unreachable", url, f"an answer expected: {answer.fault}")]
    if answer.fault:
        return [*found, Finding("encoding", url, answer.fault)]
    if answer.status != 200:
        what = {404: " (nothing is there)", 403: " (refused)", 401: " (a password is asked for)"}
        status = f"{answer.status}{what.get(answer.status, '')}"
        return [*found, Finding("missing", url, f"status 200 expected, {status} found")]
    return found


def _hop(url: str, target: str, status: int) -> list[Finding]:
    if urlsplit(url).scheme == "https" and is_insecure(target):
        return [Finding("mixed-content", url, f"https sends the browser to http: {target}")]
    message = f"the file expected, {status} to {target} found; name the final address"
    if origin_of(url) != origin_of(target):
        return [Finding("redirect", url, f"{message} (another host, which must allow CORS too)")]
    return [Finding("redirect", url, f"{message}; it costs every visitor a journey", WARNING)]


def not_html(answer: Answer, url: str) -> list[Finding]:
    """A catch-all route answers 200 and the front page to whatever is missing."""
    if answer.status == 200 and answer.is_html:
        return [Finding("html-in-place", url, "the file expected, an HTML page found (status 200)")]
    return []


def media_type(answer: Answer, url: str) -> list[Finding]:
    """The type by which a browser decides what it may do with the file."""
    suffix = PurePosixPath(urlsplit(url).path).suffix.lower()
    allowed = TYPES.get(suffix)
    if allowed is None or answer.type in allowed:
        return []
    said = answer.type or "no type"
    return [Finding("type", url, f"{allowed[0]} expected, {said} found: {WHY[suffix]}")]


def sharing(answer: Answer, url: str, origin: str) -> list[Finding]:
    """Whether pages of `origin` may read it: this answer and every redirect on the way."""
    if not origin:
        return []
    found = []
    ends = [(hop.url, ", ".join(hop.headers.get_all("Access-Control-Allow-Origin") or []))
            for hop in answer.hops]  # fmt: skip
    for place, value in [*ends, (answer.url, answer.header("Access-Control-Allow-Origin"))]:
        if origin_of(place) == origin:
            continue
        if value not in ("*", origin):
            said = f"{value!r}" if value else "nothing"
            found.append(
                Finding("cors", place, f"Access-Control-Allow-Origin: * expected, {said} found, so "
                        f"pages of {origin} cannot read it")
            )  # fmt: skip
    vary = answer.header("Vary").lower()
    if (
        not found
        and answer.header("Access-Control-Allow-Origin") == origin
        and "origin" not in vary
    ):
        found.append(
            Finding("cors", url, "Vary: Origin expected beside one site's name, nothing found: a "
                    "cache gives one site's permission to all others", WARNING)
        )  # fmt: skip
    return found


def mixed(url: str, page: str) -> list[Finding]:
    """An https page fetches nothing over http."""
    if page.startswith("https:") and is_insecure(url):
        return [
            Finding("mixed-content", url, f"https expected, http found: {page} may not load it")
        ]
    return []


def caching(answer: Answer, url: str) -> list[Finding]:
    """A fixed address is asked about again, and the server can say that nothing changed."""
    control = answer.header("Cache-Control").lower()
    if "no-store" in control:
        return []
    # An address with a version or a hash in it is another one when the file is.
    if urlsplit(url).query or _HASHED.search(urlsplit(url).path):
        return []
    age = re.search(r"max-age=(\d+)", control)
    seconds = int(age[1][:12]) if age and "no-cache" not in control else 0
    if "immutable" in control or seconds > LONG_S:
        kept = "for ever" if "immutable" in control else f"for {seconds} s"
        message = f"Cache-Control: no-cache expected, {control!r} found: a browser keeps it {kept}"
        return [Finding("cache", url, f"{message}, and mixes it with the next release")]
    if seconds:
        message = f"kept for {seconds} s without asking: after a new release files may not match"
        return [Finding("cache", url, message, WARNING)]
    if not answer.header("ETag") and not answer.header("Last-Modified"):
        message = "ETag expected, none found: every visit fetches it anew"
        return [Finding("cache", url, message, WARNING)]
    return []
