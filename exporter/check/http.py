"""One GET as a browser makes it, bounded in size and time; redirects are told, not hidden.

Only http and https are ever opened. Imports `exporter.errors` only.
"""

from __future__ import annotations

import gzip
import http.client
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import urljoin, urlsplit

from exporter.errors import BadUsage

TIMEOUT_S = 20.0
"""Without a byte; a whole file may take `DEADLINE_S`."""
DEADLINE_S = 180.0
MAXREDIRECTS = 5
_CHUNK = 1 << 16
REDIRECTS = (301, 302, 303, 307, 308)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]", "::1")


@dataclass(frozen=True, slots=True)
class Hop:
    """An answer that sent the browser elsewhere."""

    url: str
    status: int
    headers: Message
    target: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        url: Where it came from in the end.
        status: 0 where nothing came back.
        body: Decoded, at most as long as was allowed.
        wire_bytes: The body's length before it was decoded.
        fault: Why there is no whole answer; empty where there is.
        cut: The connection ended before the announced length, or the body is longer than allowed.
    """

    url: str
    status: int
    headers: Message
    body: bytes = b""
    wire_bytes: int = 0
    hops: tuple[Hop, ...] = ()
    fault: str = ""
    cut: str = ""

    def header(self, name: str) -> str:
        """All values of one header, as a browser joins them."""
        return ", ".join(self.headers.get_all(name) or [])

    @property
    def type(self) -> str:
        """ "text/html", without parameters."""
        return self.header("Content-Type").split(";")[0].strip().lower()

    @property
    def is_html(self) -> bool:
        """Whether it is a web page, whatever it calls itself."""
        start = self.body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
        return start.startswith((b"<!doctype html", b"<html"))


def origin_of(url: str) -> str:
    """ "https://host:port", without a default port.

    Raises:
        BadUsage: No http(s) address.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadUsage(f"{url}: {error}; an address like https://host/path expected") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadUsage(f"{url}: an http or https address expected")
    if parts.username is not None:
        raise BadUsage(f"{url}: holds a user name; browsers fetch no such address, leave it out")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in (None, standard) else "")


def web_address(base: str, path: str) -> str | None:
    """Where `path` leads from `base`; None where that is no http(s) address."""
    try:
        address = urljoin(base, path.strip())
        origin_of(address)
    except (ValueError, BadUsage):
        return None
    return address


def is_insecure(url: str) -> bool:
    """Plain http that no browser trusts: not on this machine."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in _LOOPBACK


def get(url: str, limit_bytes: int, *, origin: str = "", fresh: bool = False) -> Answer:
    """Fetch at most `limit_bytes` (decoded); follows at most `MAXREDIRECTS` redirects.

    Args:
        url: http or https.
        limit_bytes: More is cut off, and said so.
        origin: Of the page that asks; empty where the server is the page's own.
        fresh: Past every cache on the way.
    """
    hops: list[Hop] = []
    while True:
        answer = _get_once(url, limit_bytes, origin, fresh)
        location = answer.headers.get("Location", "")
        if answer.status not in REDIRECTS or not location:
            return _with_hops(answer, hops)
        target = web_address(url, location)
        if target is None:
            return _with_hops(answer, hops, f"redirected to {location}, which is no web address")
        hops.append(Hop(url, answer.status, answer.headers, target))
        if len(hops) > MAXREDIRECTS:
            return _with_hops(answer, hops, f"more than {MAXREDIRECTS} redirects")
        url = target


def answers_unchanged(url: str, tag: str, origin: str = "") -> bool:
    """Whether the server says "not modified" to whoever holds another version."""
    answer = _get_once(url, 0, origin, fresh=False, more={"If-None-Match": tag})
    return answer.status == http.client.NOT_MODIFIED


def _make_opener() -> urllib.request.OpenerDirector:
    """Knows http and https alone: no file, no ftp, no redirects; any status is an answer."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler, urllib.request.UnknownHandler,
        urllib.request.HTTPHandler, urllib.request.HTTPSHandler,
    ):  # fmt: skip
        opener.add_handler(handler())
    return opener


_OPENER = _make_opener()


def _get_once(
    url: str, limit_bytes: int, origin: str, fresh: bool, more: dict[str, str] | None = None
) -> Answer:
    headers = {
        "User-Agent": "Mozilla/5.0 (compatible; keras-web-exporter check)",
        "Accept": "*/*",
        "Accept-Encoding": "gzip, deflate",
    } | (more or {})
    if origin:
        headers["Origin"] = origin
    if fresh:
        headers |= {"Cache-Control": "no-cache", "Pragma": "no-cache"}
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - _OPENER knows no more
        with _OPENER.open(request, timeout=TIMEOUT_S) as response:
            return _read(url, response, limit_bytes)
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        return Answer(
            url, 0, Message(), fault=" ".join(str(reason).split()) or type(error).__name__
        )


def _read(url: str, response: Any, limit_bytes: int) -> Answer:
    end = time.monotonic() + DEADLINE_S
    headers = response.headers
    decode = _decoder(headers.get("Content-Encoding", "").strip().lower())
    body, wire_bytes, cut = bytearray(), 0, ""
    fault = ""
    while True:
        try:
            chunk = response.read1(_CHUNK)
        except http.client.IncompleteRead as error:
            chunk, cut = error.partial, "the connection ended early"
        wire_bytes += len(chunk)
        try:
            body += decode(chunk)
        except (zlib.error, gzip.BadGzipFile) as error:
            fault = f"Content-Encoding {headers['Content-Encoding']}: {error}"
            break
        if len(body) > limit_bytes:
            cut = f"longer than {limit_bytes} bytes"
            break
        if not chunk or cut:
            break
        if time.monotonic() > end:
            cut = f"not whole within {DEADLINE_S:.0f} s"
            break
    length = headers.get("Content-Length", "")
    if not cut and not fault and length.isdigit() and wire_bytes < int(length):
        cut = f"{length} bytes announced, {wire_bytes} came"
    return Answer(url, response.status, headers, bytes(body), wire_bytes, (), fault, cut)


def _decoder(encoding: str) -> Callable[[bytes], bytes]:
    """Decodes chunk by chunk, so that a bomb is cut off like any other body."""
    if encoding in ("", "identity"):
        return lambda chunk: chunk
    if encoding not in ("gzip", "x-gzip", "deflate"):

        def refuse(_: bytes) -> bytes:
            raise zlib.error("not one that was asked for")

        return refuse
    machine = zlib.decompressobj(wbits=47 if encoding != "deflate" else 15)
    most = 1 << 26
    return lambda chunk: machine.decompress(chunk, most) if chunk else b""


def _with_hops(answer: Answer, hops: list[Hop], fault: str = "") -> Answer:
    return Answer(
        answer.url, answer.status, answer.headers, answer.body, answer.wire_bytes, tuple(hops),
        fault or answer.fault, answer.cut,
    )  # fmt: skip
