"""A server that serves a bundle well, but for the faults that a test asks for."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from exporter.check import Report, check
from tests.web.digit_pad_page import running

TYPES = {
    ".json": "application/json", ".js": "text/javascript", ".mjs": "text/javascript",
    ".wasm": "application/wasm", ".md": "text/plain", ".html": "text/html",
}  # fmt: skip


@dataclass(frozen=True)
class Reply:
    """What the server sends: well by default."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    announced_bytes: int | None = None

    def with_headers(self, **headers: str) -> Reply:
        """Other headers, by names with _ for -; "" takes one away."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **named})


Fault = Callable[[Reply, Any], Reply]
"""From the good reply and the request's handler to what is sent instead."""


class FaultyHost:
    """Files by path, and faults by the end of a path."""

    def __init__(self, folder: Path, prefix: str = "/models/it/") -> None:
        self.files = {
            prefix + path.relative_to(folder).as_posix(): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        self.faults: dict[str, Fault] = {}
        self.asked: list[str] = []
        self.address = ""

    def reply(self, request: Any) -> Reply:
        path = unquote(urlsplit(request.path).path)
        self.asked.append(path)
        body = self.files.get(path)
        found = Reply(b"nothing", {"Content-Type": "text/plain"}, 404) if body is None else None
        if found is None:
            assert body is not None
            tag = f'"{hashlib.sha256(body).hexdigest()}"'
            kind = TYPES.get(Path(path).suffix, "application/octet-stream")
            found = Reply(body, {
                "Content-Type": kind, "ETag": tag, "Cache-Control": "no-cache",
                "Access-Control-Allow-Origin": "*",
            })  # fmt: skip
            if request.headers.get("If-None-Match") == tag:
                found = replace(found, status=304, body=b"")
        for end, fault in self.faults.items():
            if path.endswith(end):
                found = fault(found, request)
        return found


@contextmanager
def serving(host: FaultyHost) -> Iterator[str]:
    """The address of the host while it answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply = host.reply(self)
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                if value:
                    self.send_header(name, value)
            announced = reply.announced_bytes
            self.send_header("Content-Length", str(announced or len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    with running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        host.address = address
        yield address


def faulty(change: Callable[[Reply], Reply]) -> Fault:
    """A fault that does not look at the request."""
    return lambda reply, _: change(reply)


def found(report: Report) -> set[tuple[str, str]]:
    """Codes of errors and the ends of their addresses."""
    return {(one.code, one.url.split("/it/")[-1]) for one in report.errors}


def look(host: FaultyHost, **options: Any) -> Report:
    """What `check` says of the host's bundle."""
    return check(f"{host.address}/models/it/", **options)
