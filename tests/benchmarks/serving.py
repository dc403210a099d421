"""Serving a bundle.

64 connections of `wrk` ask for what a page loads of `mlp-128-64`, as a browser asks: the production
command, Flask's own static files under the same server, and as the ceiling nginx, with as many
workers, over files that were compressed beforehand. All share the machine with `wrk`. The
processor's time is that of the server's processes, whatever else the machine does.
"""

from __future__ import annotations

import getpass
import gzip
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flask import Flask

from tests.benchmarks import servers
from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.turns import alternate
from web import encoding, production

ROUNDS = 5
SECONDS = 3
CONNECTIONS = 64
MODEL = servers.ROOT / "models" / "mlp-128-64"
PATHS = (
    "manifest.json", "golden.json", "tfjs/layers-uint8/model.json",
    "tfjs/layers-uint8/group1-shard1of1.bin",
)  # fmt: skip
OURS, FLASK, NGINX = "the production command", "Flask's own static files", "nginx"
RATE, PROCESSOR = "requests per second", "processor's time per request, µs"
_SCRIPT = """local paths = {{{paths}}}
local next = 0
request = function()
  next = next % #paths + 1
  return wrk.format("GET", "/models/mlp-128-64/" .. paths[next], {{["Accept-Encoding"] = "gzip"}})
end
"""
_NGINX = """daemon off; worker_processes {workers}; pid {folder}/pid; error_log stderr;
user {user};
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  gzip_static on; types {{ application/json json; }}
  server {{ listen 127.0.0.1:{port} reuseport; root {folder}; }}
}}
"""


def flask_static() -> Flask:
    """What Flask does by itself for a folder."""
    return Flask(__name__, static_folder=str(MODEL), static_url_path="/models/mlp-128-64")


def measure() -> Result:
    """Each server in turn; all of them run all the time, and only one is asked."""
    if shutil.which("wrk") is None:
        raise FileNotFoundError("wrk: needed to measure; install it (Debian: apt-get install wrk)")
    with ExitStack() as stack:
        script = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "paths.lua"
        listed = ", ".join(f'"{path}"' for path in PATHS)
        script.write_text(_SCRIPT.format(paths=listed), encoding="utf-8")
        running = {
            OURS: stack.enter_context(servers.production()),
            FLASK: stack.enter_context(
                servers.production("tests.benchmarks.serving:flask_static()")
            ),
        }
        if shutil.which("nginx", path=_SEARCHED):
            running[NGINX] = stack.enter_context(_nginx())
        for server in running.values():
            _load(server, script, seconds=1)
        turns = {
            name: lambda server=server: _load(server, script) for name, server in running.items()
        }
        found = alternate(turns, ROUNDS)
    contenders = [
        Contender(name, {
            RATE: statistics.median(rate for rate, _ in each),
            PROCESSOR: statistics.median(cost for _, cost in each),
        })
        for name, each in found.items()
    ]  # fmt: skip
    rates = {one.name: one.figures[RATE] for one in contenders}
    costs = {one.name: one.figures[PROCESSOR] for one in contenders}
    if NGINX not in found:
        contenders.append(Contender(NGINX, missing="not measured: nginx is not here"))
    goals = (
        Goal("requests, ours / Flask's", ratio(rates[OURS], rates[FLASK]), 3, least=True),
        Goal(
            "processor's time per request, Flask's / ours", ratio(costs[FLASK], costs[OURS]), 3,
            least=True,
        ),
    )  # fmt: skip
    return Result(tuple(contenders), goals, ROUNDS, plot=RATE)


_SEARCHED = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


@contextmanager
def _nginx() -> Iterator[servers.Server]:
    """The same files under nginx, with as many workers."""
    with tempfile.TemporaryDirectory() as folder:
        for path in PATHS:
            file = Path(folder) / "models" / MODEL.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes((MODEL / path).read_bytes())
            file.with_name(f"{file.name}.gz").write_bytes(
                gzip.compress(file.read_bytes(), encoding.LEVEL, mtime=0)
            )
        port = servers.free_port()
        config = Path(folder) / "nginx.conf"
        config.write_text(
            _NGINX.format(
                folder=folder, port=port, workers=production.workers, user=getpass.getuser()
            ),
            encoding="utf-8",
        )  # fmt: skip
        program = shutil.which("nginx", path=_SEARCHED)
        assert program
        command = [program, "-p", folder, "-c", str(config)]
        with servers.started(command, port) as server:
            yield server


def _load(server: servers.Server, script: Path, seconds: int = SECONDS) -> tuple[float, float]:
    """Requests per second, and microseconds of the server's processes per request.

    Raises:
        RuntimeError: Not every answer was one.
    """
    before = server.processor_s()
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", script,
         server.address],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    spent = server.processor_s() - before
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise RuntimeError(f"{server.address}: every request answered expected; {done.stdout}")
    count, rate = (re.search(pattern, done.stdout) for pattern in (_COUNT, _RATE))
    assert count, done.stdout
    assert rate, done.stdout
    return float(rate[1]), spent / int(count[1]) * 1e6


_COUNT = re.compile(r"(\d+) requests in")
_RATE = re.compile(r"Requests/sec:\s+([\d.]+)")
