"""The production server: strangers' addresses, the RFCs' cases, slow sockets, and constant load."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.manifest import Manifest
from tests.torture.table import ROOT, Figure, Measured
from tests.web import rfc9110
from tests.web.conftest import FILES
from tests.web.production import Server, production
from tests.web.test_server import SHARD, given_away, write_models

MODEL = "mlp-128-64"
SLOW = 1_000
ROUNDS = 4
SLOW_SECONDS = 15
ALONE_SECONDS = 10
LOAD_SECONDS = 60
READERS = 16
MOST_SLOWED = 1.25
"""Of a reader's median beside slow sockets to that without them; noise makes some of it."""

MOST_GROWN_MIB = 16


def measure() -> Measured:
    """All of it, on one server; three minutes."""
    with tempfile.TemporaryDirectory() as folder:
        models = write_models(Path(folder))
        shutil.copytree(ROOT / "models" / MODEL, models / MODEL)
        with production(models) as server:
            figures: dict[str, Figure] = {}
            faults: list[str] = []
            for part in (_addresses, _cases, _slow, _load):
                found, wrong = part(server)
                figures |= found
                faults += wrong
            said = server.log.read_text(encoding="utf-8", errors="replace")
    crashes = said.count("[ERROR]") + said.count("Traceback")
    if crashes:
        faults.append(f"{crashes} errors in the server's log")
    return Measured({**figures, "errors in the log": crashes}, tuple(faults[:5]))


Found = tuple[dict[str, Figure], list[str]]


def _addresses(server: Server) -> Found:
    found, tried = given_away(server)
    return {"traversal strings": tried, "given away": len(found)}, found


def _cases(server: Server) -> Found:
    found, tried = rfc9110.faults(server, f"/models/tiny/{SHARD}", FILES[SHARD])
    return {"cases of RFC 9110 and 9112": tried, "otherwise than they say": len(found)}, found


def _slow(server: Server) -> Found:
    """A reader alone and beside a thousand slow sockets, in turns: a minute beside them in all."""
    before = server.open_files()
    alone, beside, held, again = [], [], [], 0
    for _ in range(ROUNDS):
        alone += _read(server, ALONE_SECONDS)
        with _slow_sockets(server) as process:
            held.append(_held(server, before))
            beside += _read(server, SLOW_SECONDS)
            held.append(server.open_files() - before)
            said, _ = process.communicate()
            again += json.loads(said)["opened again"]
        left = _settled(server, before)
    ratio = statistics.median(beside) / statistics.median(alone)
    faults = []
    if ratio > MOST_SLOWED:
        faults.append(f"the reader's median is {ratio:.2f} times that without slow sockets")
    if min(held) < SLOW * 0.9:
        faults.append(f"the server held only {min(held)} of {SLOW} slow sockets")
    if left:
        faults.append(f"{left} files stay open after the slow sockets")
    figures: dict[str, Figure] = {
        "slow sockets held, at least": min(held),
        "closed by the server, opened again": again,
        "reader's median beside them": f"{ratio:.2f} × that without",
        "reads": len(alone) + len(beside),
    }
    return figures, faults


@contextmanager
def _slow_sockets(server: Server) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.torture.slow_sockets", *map(str, server.address)]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*command, str(SLOW)], stdin=pipe, stdout=pipe, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def _held(server: Server, before: int) -> int:
    """How many sockets the server holds, once it has accepted what waits for it."""
    held = 0
    for _ in range(240):
        held = server.open_files() - before
        if held >= SLOW * 0.95:
            break
        time.sleep(0.25)
    return held


def _read(server: Server, seconds: float) -> list[float]:
    """A page's worth of requests after another on one connection; the seconds of each."""
    targets = [f"/models/{MODEL}/{name}" for name in ("manifest.json", "tfjs/layers/model.json")]
    targets += [f"/models/{MODEL}/tfjs/layers-uint8/group1-shard1of1.bin", "/"]
    connection = http.client.HTTPConnection(*server.address, timeout=60)
    taken = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for target in targets:
            begun = time.perf_counter()
            connection.request("GET", target, headers={"Accept-Encoding": "gzip"})
            response = connection.getresponse()
            body = response.read()
            taken.append(time.perf_counter() - begun)
            assert response.status == 200, f"{target}: {response.status}"
            assert len(body) == int(response.headers["Content-Length"])
        time.sleep(0.05)
    connection.close()
    return taken


def _load(server: Server) -> Found:
    """Readers that never pause; what they get is the file, and nothing is left behind."""
    bundle = ROOT / "models" / MODEL
    files = {f.path: f.sha256 for f in Manifest.read(bundle).all_files()}
    _take_turns(server, files, 5)  # whatever is kept in memory is there afterwards
    before, memory = server.open_files(), server.resident_mib()
    counts = _take_turns(server, files, LOAD_SECONDS)
    left, grown = _settled(server, before), server.resident_mib() - memory
    faults = [f"{count} answers {kind}" for kind, count in counts.items() if kind not in KINDS]
    if left:
        faults.append(f"{left} files stay open after the load")
    if grown > MOST_GROWN_MIB:
        faults.append(f"the workers grew by {grown:.0f} MiB under constant load")
    figures: dict[str, Figure] = {
        "answers under load": sum(counts.values()),
        "5xx, short or other bytes": sum(n for kind, n in counts.items() if kind not in KINDS),
        "workers' growth": f"{grown:.1f} MiB",
    }
    return figures, faults


KINDS = ("200", "206", "304")


def _take_turns(server: Server, files: dict[str, str], seconds: float) -> Counter[str]:
    counts: Counter[str] = Counter()
    lock = threading.Lock()
    end = time.monotonic() + seconds

    def read() -> None:
        mine: Counter[str] = Counter()
        connection = http.client.HTTPConnection(*server.address, timeout=60)
        while time.monotonic() < end:
            for path, sha256 in files.items():
                mine[_judged(connection, path, sha256)] += 1
        connection.close()
        with lock:
            counts.update(mine)

    readers = [threading.Thread(target=read) for _ in range(READERS)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    return counts


def _judged(connection: http.client.HTTPConnection, path: str, sha256: str) -> str:
    """The status of one request of a kind that follows from chance, or what is wrong with it."""
    chance = os.urandom(1)[0]
    asked = {"If-None-Match": f'"{sha256}"'} if chance < 80 else {}
    if chance > 200:
        asked["Range"] = "bytes=0-99"
    connection.request("GET", f"/models/{MODEL}/{path}", headers=asked)
    response = connection.getresponse()
    body = response.read()
    expected = 304 if chance < 80 else 206 if chance > 200 else 200
    if response.status != expected:
        return f"{response.status} instead of {expected}"
    if expected == 200 and hashlib.sha256(body).hexdigest() != sha256:
        return "with other bytes"
    if expected == 206 and len(body) != 100:
        return "with a short part"
    return str(response.status)


def _settled(server: Server, before: int) -> int:
    """How many more files are open than before, once the server had time to close its sockets."""
    for _ in range(60):
        left = server.open_files() - before
        if left <= 0:
            return 0
        time.sleep(0.5)
    return left
