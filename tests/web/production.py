"""The production command of the README as a process of its own, and requests sent to it raw."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SETTINGS = "python:web.production"
PATIENCE_S = 120


@dataclass(frozen=True)
class Answer:
    """One response, read whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __getitem__(self, name: str) -> str:
        """A header's value; empty where there is none."""
        return self.headers.get(name.lower(), "")


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
        address: Host and port.
        pid: Of gunicorn's arbiter.
        log: What it said.
    """

    address: tuple[str, int]
    pid: int
    log: Path = field(repr=False)

    @property
    def url(self) -> str:
        """Its address for clients."""
        return f"http://{self.address[0]}:{self.address[1]}"

    def connect(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection(self.address, timeout=PATIENCE_S)

    def send(self, raw: bytes, method: str = "GET") -> Answer:
        """Send these very bytes on a connection of their own."""
        with self.connect() as connection:
            connection.sendall(raw)
            return receive(connection, method)

    def ask(self, target: str | bytes, method: str = "GET", **headers: str) -> Answer:
        """One request whose target is sent as it stands; `_` in a header's name stands for `-`."""
        target = target.encode("utf-8") if isinstance(target, str) else target
        named = {"Host": "models.example.org"} | headers
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in named.items()]
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
        return self.send(b"%s %s HTTP/1.1\r\n%s" % (method.encode(), target, head), method)

    def workers(self) -> list[int]:
        """The processes that answer."""
        found = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return [int(pid) for pid in found]

    def open_files(self) -> int:
        """Over all workers."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.workers())

    def resident_mib(self) -> float:
        """Over all workers."""
        pages = (int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in self.workers())
        return sum(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20


def receive(connection: socket.socket, method: str = "GET") -> Answer:
    """The next response of a connection."""
    with closing(http.client.HTTPResponse(connection, method=method)) as response:
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read())


@contextmanager
def production(models: Path, *options: str, **environment: str) -> Iterator[Server]:
    """The production command over these bundles, on a free port of this machine."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    log = models.parent / "server.log"
    with listener, log.open("wb") as stream:
        command = [
            sys.executable, "-m", "gunicorn", "-c", SETTINGS,
            "-b", f"fd://{listener.fileno()}", "--graceful-timeout", "3", *options,
        ]  # fmt: skip
        process = subprocess.Popen(
            command, env={**os.environ, "EXPORTER_MODELS": str(models), **environment},
            pass_fds=(listener.fileno(),), stdout=stream, stderr=stream,
            cwd=Path(__file__).parents[2],
        )  # fmt: skip
        server = Server(listener.getsockname()[:2], process.pid, log)
        try:
            assert server.ask("/models/").status == 200
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
