"""Republishing: a bundle, and a frozen site, published anew a thousand times under their readers.

Readers note what they were answered, and when; afterwards every answer is held against what was
published at that time (`tests.torture.readers`). The app runs under the production command, the
site on a plain host of files that makes its validators of dates.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter.manifest import MANIFEST_NAME, File, Manifest
from tests.torture.readers import SEED, Amount, Release, measure_under_readers
from tests.torture.table import ROOT, Measured

SHOWN = 5
RELEASES = ("mlp-128-64", "mlp-128")


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Host and port of the production command over these bundles."""
    environment = {**os.environ, "EXPORTER_MODELS": str(root)}
    command = [sys.executable, "-m", "gunicorn", "-c", "python:web.production", "-b", "127.0.0.1:0"]
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(command, cwd=ROOT, env=environment, stderr=log, stdout=log)
        try:
            yield _address_in(log, server)
        finally:
            server.terminate()
            server.wait(60)


def _address_in(log: Any, server: subprocess.Popen[bytes]) -> str:
    while server.poll() is None:
        log.seek(0)
        if found := re.search(r"http://(127\.0\.0\.1:\d+)", log.read()):
            return found[1]
        time.sleep(0.05)
    log.seek(0)
    raise AssertionError(log.read())


def releases_of_a_bundle(folder: Path) -> list[Release]:
    """Two models, and the first one again with other words in a card of the same length."""
    found = [Release.of(ROOT / "models" / name) for name in RELEASES]
    other = Path(shutil.copytree(found[0].folder, folder / "other"))
    card = other / "README.md"
    card.write_bytes(card.read_bytes().swapcase())
    manifest = Manifest.read(other)
    text = (other / MANIFEST_NAME).read_text(encoding="utf-8")
    (old,) = [file.sha256 for file in manifest.files if file.path == "README.md"]
    new = File.of(other, "README.md").sha256
    (other / MANIFEST_NAME).write_text(text.replace(old, new), encoding="utf-8")
    shutil.rmtree(other / "report", ignore_errors=True)
    found = [Release(r.folder, _without_report(r.digests)) for r in found]
    return [found[0], found[1], Release.of(other)]


def _without_report(digests: Mapping[str, str]) -> dict[str, str]:
    return {path: digest for path, digest in digests.items() if not path.startswith("report/")}


class Loader:
    """The player in Node, which loads when it is told to."""

    def __init__(self, url: str) -> None:
        from exporter.runtimes import node

        script = ROOT / "tests" / "player" / "load-again.js"
        self._process = subprocess.Popen(
            [node.node_executable(), str(script), url], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def load(self) -> dict[str, Any]:
        """What became of one `load`, and of an answer of the model."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("load\n")
        self._process.stdin.flush()
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found

    def close(self) -> None:
        self._process.communicate()


def measure_player(
    address: str, target: Path, releases: Sequence[Release], amount: Amount
) -> tuple[dict[str, Any], list[str]]:
    """Load again and again, each time with one release published at some moment of it."""
    loader = Loader(f"http://{address}/models/{target.name}/{MANIFEST_NAME}")
    chance = random.Random(SEED)
    known = {}
    for release in releases:
        release.publish(target)
        found = loader.load()
        known[found["name"]] = found["answers"]
    begun = time.monotonic()
    for _ in range(10):
        loader.load()
    typical = (time.monotonic() - begun) / 10
    faults: list[str] = []
    mended = 0

    def judge(found: dict[str, Any], may_fail: bool) -> None:
        nonlocal mended
        mended += found["manifests"] == 2 and "error" not in found
        if "error" in found and not may_fail:
            faults.append(f"player: {found['error']}")
        if "error" not in found and found["answers"] != known[found["name"]]:
            faults.append(f"player: {found['name']} answers as another model")
        if found["manifests"] > 2:
            faults.append(f"player: {found['manifests']} manifests read")

    for number in range(amount.loads):
        release = releases[number % len(releases)]
        wait = chance.random() * 1.2 * typical
        publisher = threading.Thread(
            target=lambda w=wait, r=release: (time.sleep(w), r.publish(target))
        )
        publisher.start()
        judge(loader.load(), may_fail=False)
        publisher.join()
    calm = mended
    stop = threading.Event()

    def storm() -> None:
        for release in list(releases) * 10_000:
            if stop.is_set():
                return
            release.publish(target)

    publisher = threading.Thread(target=storm)
    publisher.start()
    outcomes = [loader.load() for _ in range(amount.storm_loads)]
    stop.set()
    publisher.join()
    loader.close()
    for found in outcomes:
        judge(found, may_fail=True)
    refused = sum("error" in found for found in outcomes)
    return {
        "player's loads with one release published in each": amount.loads,
        "of these mended by a fresh read": calm,
        "loads while releases were published without a pause": amount.storm_loads,
        "of these refused by the player": refused,
    }, faults


def measure_site(folder: Path, amount: Amount) -> tuple[dict[str, Any], list[str]]:
    """A frozen site on a plain host of files, whose validators are dates."""
    from tests.web.static_host import static_host
    from web import freeze

    made = []
    for name in RELEASES:
        bundle = Path(shutil.copytree(ROOT / "models" / name, folder / name / "model"))
        freeze.freeze([bundle], folder / f"site-{name}")
        made.append(Release.of(folder / f"site-{name}"))
    target = folder / "site"
    made[0].publish(target, freeze._refuse_what_is_no_site)
    with static_host(target) as address:
        return measure_under_readers(
            folder, address.removeprefix("http://"), "/", target, made, amount, by_date=True,
            refuse=freeze._refuse_what_is_no_site,
        )  # fmt: skip


def measure_app(folder: Path, amount: Amount) -> tuple[dict[str, Any], list[str]]:
    """A bundle under the production command: its readers, then the player."""
    root = folder / "models"
    releases = releases_of_a_bundle(folder)
    releases[0].publish(root / "it")
    with served(root) as address:
        read_by_all, faults = measure_under_readers(
            folder, address, "/models/it/", root / "it", releases, amount
        )
        loaded, more = measure_player(address, root / "it", releases[:2], amount)
    return {**read_by_all, **loaded}, faults + more


def measure_all(amount: Amount) -> tuple[dict[str, Any], list[str]]:
    """All of it, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        app, faults = measure_app(Path(name), amount)
        site, more = measure_site(Path(name), amount)
    told = {f"frozen site, {key}": value for key, value in site.items()}
    return {**app, **told}, faults + more


def measure() -> Measured:
    """The row of the table."""
    figures, faults = measure_all(Amount())
    return Measured({**figures, "faults": len(faults)}, tuple(faults[:SHOWN]))


if __name__ == "__main__":
    print(json.dumps(measure_all(Amount(*map(int, sys.argv[1:]))), indent=1))
