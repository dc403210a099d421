"""The address from which the parity run's pages fetch everything: page, player, bundle, tensors.

Listens on 127.0.0.1 only, on a port that the system chooses. Each page has a site of its own below
a name that nobody can guess, so that nothing comes from a cache and every byte is counted for the
page that fetched it. Standard library and manifest only.
"""

from __future__ import annotations

import secrets
import sys
import threading
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from exporter.manifest import Manifest

_PAGE = (
    b'<!doctype html><meta charset="utf-8"><title>parity</title><link rel="icon" href="data:,">'
    b'<script type="module" src="player/browser/host.js"></script>'
)
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".wasm": "application/wasm",
}
_HEADERS = {
    "Cache-Control": "no-store",
    # An isolated page may read the time to 5 µs instead of 100: one answer takes less than that.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


class Site:
    """What one page may fetch, and where it leaves its answers.

    Attributes:
        url: Of the page.
        waiting: The frame that the page may take from the exchange.
        answered: The frame that it left there.
    """

    def __init__(self, url: str, files: Mapping[str, Path]) -> None:
        self.url = url
        self.waiting = b""
        self.answered = b""
        self._files = files
        self._bytes_sent = 0
        self._lock = threading.Lock()

    @property
    def bytes_sent(self) -> int:
        """Bytes of code, WebAssembly and model that the page fetched so far, not compressed."""
        with self._lock:
            return self._bytes_sent

    def take(self, path: str, player: Path) -> bytes | None:
        """The contents of a path below the site; None where there is none."""
        folder, _, name = path.partition("/")
        if path == "":
            body = _PAGE
        elif folder == "bundle" and name in self._files:
            body = self._files[name].read_bytes()
        elif folder == "player" and (file := (player / name).resolve()).is_file():
            if not file.is_relative_to(player.resolve()):
                return None
            body = file.read_bytes()
        else:
            return None
        with self._lock:
            self._bytes_sent += len(body)
        return body


class Server:
    """The HTTP server of one parity run."""

    def __init__(self, player: Path) -> None:
        self._http = _Http(player)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.1,), daemon=True)
        self._thread.start()

    def add(self, directory: Path | None = None, manifest: Manifest | None = None) -> Site:
        """A new site with the files that the manifest lists, or with no bundle at all."""
        name = secrets.token_urlsafe(16)
        files = manifest.all_files() if manifest and directory else ()
        paths = {file.path: Path(cast(Path, directory)) / file.path for file in files}
        host, port = self._http.server_address[:2]
        site = Site(f"http://{host!s}:{port}/{name}/", paths)
        self._http.sites[name] = site
        return site

    def remove(self, site: Site) -> None:
        """Forget a site."""
        self._http.sites = {
            name: other for name, other in self._http.sites.items() if other is not site
        }

    def close(self) -> None:
        """Stop listening."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


class _Http(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, player: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.player = player
        self.sites: dict[str, Site] = {}

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A page that is closed while it loads leaves its connections half way.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Small answers must not wait for the other side's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        site, path = self._place()
        if site and path == "exchange":
            self._send(site.waiting, "application/octet-stream")
            return
        body = site.take(path, cast(_Http, self.server).player) if site else None
        if body is None:
            self._send(b"", "text/plain", HTTPStatus.NOT_FOUND)
        else:
            suffix = Path(path).suffix if path else ".html"
            self._send(body, _TYPES.get(suffix, "application/octet-stream"))

    def do_POST(self) -> None:
        site, path = self._place()
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if site and path == "exchange":
            site.answered = body
            self._send(b"", "text/plain")
        else:
            self._send(b"", "text/plain", HTTPStatus.NOT_FOUND)

    def _place(self) -> tuple[Site | None, str]:
        name, _, path = self.path.partition("?")[0].removeprefix("/").partition("/")
        return cast(_Http, self.server).sites.get(name), path

    def _send(self, body: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        self.send_response(status)
        for name, text in _HEADERS.items():
            self.send_header(name, text)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: what fails is said where it matters."""
