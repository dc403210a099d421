"""Republishing: a bundle, and a frozen site, published anew a thousand times under their readers.

Readers note what they were answered, and when; afterwards every answer is held against what was
published at that time. The app runs under the production command, the site on a plain host of
files that makes its validators of dates.
"""

from __future__ import annotations

import hashlib
import http.client
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
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exporter import publish
from exporter.manifest import MANIFEST_NAME, File, Manifest
from tests.torture.table import ROOT, Measured

SEED = 9
MOST_PAUSE_S = 0.04
SHOWN = 5
RELEASES = ("mlp-128-64", "mlp-128")
_HASHED = re.compile(r"\.([0-9a-f]{8,})\.\w+$")


@dataclass(frozen=True)
class Amount:
    """How often what is done.

    Attributes:
        times: Published anew under the readers, the bundle and the site.
        readers: At the same time.
        loads: By the player, with one publication in each.
        storm_loads: By the player, while one publication follows the other.
    """

    times: int = 1000
    readers: int = 8
    loads: int = 200
    storm_loads: int = 50


@dataclass(frozen=True)
class Answer:
    """What one reader was told of one address.

    Attributes:
        begun, ended: When; of the clock that all processes share.
        path: Below the published folder.
        status: Of the answer.
        digest: sha256 of the body; with 304 that of what the reader holds.
        fault: What is wrong with the answer by itself.
    """

    begun: float
    ended: float
    path: str
    status: int
    digest: str
    fault: str = ""


@dataclass(frozen=True)
class Release:
    """What is published: the folder to copy, and every file's sha256 by its path."""

    folder: Path
    digests: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> Release:
        """Measure a folder."""
        return cls(folder, {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in folder.rglob("*") if path.is_file()
        })  # fmt: skip

    def publish(self, target: Path, refuse: Callable[[Path], None] | None = None) -> None:
        """Onto `target`, by the exporter's own way."""
        with publish.staged(target, refuse) as staging:
            shutil.copytree(self.folder, staging, dirs_exist_ok=True)


@dataclass(frozen=True)
class Term:
    """A release was published in this time: before it another one stood, after it this one."""

    begun: float
    ended: float
    release: Release


def read(
    address: str, prefix: str, paths: Sequence[str], seed: int, until: Path, out: Path,
    by_date: bool = False,
) -> None:  # fmt: skip
    """A reader's whole life: asks for files, often only whether they have changed."""
    chance = random.Random(seed)
    held: dict[str, tuple[str, str]] = {}
    answers: list[Answer] = []
    connection = http.client.HTTPConnection(address, timeout=30)
    tag_name, ask_name = (
        ("Last-Modified", "If-Modified-Since") if by_date else ("ETag", "If-None-Match")
    )
    while not until.exists():
        path = chance.choice(paths)
        tag, digest = held.get(path, ("", ""))
        asking = {ask_name: tag} if tag and chance.random() < 0.7 else {}
        begun = time.monotonic()
        try:
            connection.request("GET", prefix + path, headers=asking)
            response = connection.getresponse()
            body = response.read()
        except (http.client.HTTPException, OSError) as error:
            answers.append(Answer(begun, time.monotonic(), path, 0, "", repr(error)))
            connection.close()
            continue
        ended = time.monotonic()
        fault = ""
        if response.status == 200:
            digest = hashlib.sha256(body).hexdigest()
            fault = _fault_of(response, body, digest, by_date)
            held[path] = (response.getheader(tag_name) or "", digest)
        answers.append(Answer(begun, ended, path, response.status, digest, fault))
    out.write_text(json.dumps([asdict(answer) for answer in answers]))


def _fault_of(response: http.client.HTTPResponse, body: bytes, digest: str, by_date: bool) -> str:
    if str(len(body)) != response.getheader("Content-Length"):
        return f"{len(body)} bytes, {response.getheader('Content-Length')} announced"
    if not by_date and response.getheader("ETag") != f'"{digest}"':
        return f"tag {response.getheader('ETag')} of a body with sha256 {digest}"
    return ""


def faults_of(answers: Sequence[Answer], terms: Sequence[Term]) -> list[str]:
    """What is wrong with what readers were told, a sentence each."""
    found = []
    for answer in answers:
        if answer.fault:
            found.append(f"{answer.path}: {answer.fault}")
            continue
        # Those that stood at some moment between question and answer.
        standing = [
            term.release for term, after in zip(terms, [*terms[1:], None], strict=True)
            if term.begun <= answer.ended and (after is None or answer.begun <= after.ended)
        ]  # fmt: skip
        possible = {release.digests.get(answer.path) for release in standing}
        if answer.status == 404:
            if None not in possible:
                found.append(f"{answer.path}: 404, and every release of that time has it")
        elif answer.status not in (200, 304):
            found.append(f"{answer.path}: status {answer.status}")
        elif answer.digest not in possible:
            what = "not modified" if answer.status == 304 else "sent"
            found.append(f"{answer.path}: {what}, of a release that was replaced before")
        elif (hashed := _HASHED.search(answer.path)) and not answer.digest.startswith(hashed[1]):
            found.append(f"{answer.path}: other contents than its name says")
    return found


def measure_under_readers(
    folder: Path, address: str, prefix: str, target: Path, releases: Sequence[Release],
    amount: Amount, by_date: bool = False, refuse: Callable[[Path], None] | None = None,
) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
    """Publish these releases in turn under readers; what they saw, and what was wrong."""
    paths = sorted({path for release in releases for path in release.digests})
    until, outs = folder / "until", [folder / f"reader-{n}.json" for n in range(amount.readers)]
    until.unlink(missing_ok=True)
    terms = [Term(0, time.monotonic(), releases[0])]
    readers = [
        subprocess.Popen([
            sys.executable, "-m", "tests.torture.republishing", "read",
            json.dumps([address, prefix, paths, SEED + n, str(until), str(out), by_date]),
        ], cwd=ROOT)
        for n, out in enumerate(outs)
    ]  # fmt: skip
    pause = random.Random(SEED)
    try:
        time.sleep(1)
        for number in range(1, amount.times + 1):
            release = releases[number % len(releases)]
            begun = time.monotonic()
            release.publish(target, refuse)
            terms.append(Term(begun, time.monotonic(), release))
            time.sleep(pause.random() * MOST_PAUSE_S)
    finally:
        until.touch()
        codes = [reader.wait(60) for reader in readers]
    assert codes == [0] * amount.readers, codes
    answers = [Answer(**item) for out in outs for item in json.loads(out.read_text())]
    statuses = Counter(answer.status for answer in answers)
    told = ", ".join(f"{count:,} × {status}" for status, count in sorted(statuses.items()))
    return {"republishes": amount.times, "readers": amount.readers, "answers": told}, faults_of(
        answers, terms
    )


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


def measure_all(amount: Amount = Amount()) -> tuple[dict[str, Any], list[str]]:
    """All of it, in memory where the system has such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as name:
        app, faults = measure_app(Path(name), amount)
        site, more = measure_site(Path(name), amount)
    told = {f"frozen site, {key}": value for key, value in site.items()}
    return {**app, **told}, faults + more


def measure() -> Measured:
    """The row of the table."""
    figures, faults = measure_all()
    return Measured({**figures, "faults": len(faults)}, tuple(faults[:SHOWN]))


if __name__ == "__main__":
    if sys.argv[1] == "read":
        host, before, wanted, seed, until, out, by_date = json.loads(sys.argv[2])
        read(host, before, wanted, seed, Path(until), Path(out), by_date)
    else:
        print(json.dumps(measure_all(Amount(*map(int, sys.argv[1:]))), indent=1))
