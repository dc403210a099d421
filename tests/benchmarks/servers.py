"""Servers as processes of their own, on free ports, while they are needed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
PRODUCTION = (sys.executable, "-m", "gunicorn", "-c", "python:web.production")
PATIENCE_S = 60


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs."""

    address: str
    pid: int

    def processor_s(self) -> float:
        """What its processes have spent so far, in user and in kernel mode (Linux)."""
        ticks = 0
        for pid in _family(self.pid):
            fields = (
                Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
            )
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()
    return [pid, *(one for child in children for one in _family(int(child)))]


@contextmanager
def started(command: Sequence[str], port: int) -> Iterator[Server]:
    """What the command serves on the port, once it takes connections.

    Raises:
        RuntimeError: It ended, or does not listen within a minute; with what it said.
    """
    # Not a pipe: one that nobody reads would stop the server.
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        try:
            _wait(process, port, log)
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE_S)


def _wait(process: subprocess.Popen[str], port: int, log: IO[str]) -> None:
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if process.poll() is None and time.monotonic() < end:
                time.sleep(0.1)
                continue
            process.kill()
            log.seek(0)
            raise RuntimeError(f"{process.args}: {error}; {log.read()[-1000:]}") from error


@contextmanager
def production(app: str | None = None) -> Iterator[Server]:
    """The production command over an app ("module:factory()"), or over our own."""
    port = free_port()
    with started(
        (*PRODUCTION, "-b", f"127.0.0.1:{port}", *([app] if app else [])), port
    ) as address:
        yield address
