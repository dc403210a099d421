"""A plain static server, as any host is: no headers of ours, below some path."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from tests.web.digit_pad_page import running


class Quiet(SimpleHTTPRequestHandler):
    """Python's own static server, which prints nothing."""

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing."""


class ReadsHeaders(Quiet):
    """As Netlify and Cloudflare do: every rule of `_headers` that matches; values are joined."""

    def end_headers(self) -> None:
        """Add what the rules say."""
        path = self.path.partition("?")[0]
        sent: dict[str, list[str]] = {}
        matches = False
        for line in Path(self.directory, "_headers").read_text(encoding="utf-8").splitlines():
            if line.startswith("/"):
                matches = path == line or (line.endswith("*") and path.startswith(line[:-1]))
            elif matches:
                name, _, value = line.strip().partition(": ")
                sent.setdefault(name, []).append(value)
        for name, values in sent.items():
            self.send_header(name, ", ".join(values))
        super().end_headers()


@contextmanager
def static_host(root: Path, kind: type[Quiet] = Quiet) -> Iterator[str]:
    """Serves a folder on a free port."""
    handler = partial(kind, directory=str(root))
    with running(ThreadingHTTPServer(("127.0.0.1", 0), handler)) as address:
        yield address


@contextmanager
def watched(
    browser: Browser, allowed: str | tuple[str, ...], **options: Any
) -> Iterator[tuple[Page, list[str]]]:
    """A page, and what it prints, what it is blocked from and what it fetches elsewhere."""
    faults: list[str] = []
    known = (allowed,) if isinstance(allowed, str) else allowed
    context = browser.new_context(**options)
    page = context.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((*known, "data:", "blob:")) or faults.append(request.url)
        ),
    )
    yield page, faults
    context.close()
