"""Readers of what is published anew under them, and the judgement of what they were answered.

Each reader is a process that notes every answer with its times, on the clock that all share.
Afterwards each answer is held against what was published at that time.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from exporter import publish
from tests.torture.table import ROOT

SEED = 9
MOST_PAUSE_S = 0.04
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
            sys.executable, "-m", "tests.torture.readers",
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
    hashed = sum(answer.status == 200 and bool(_HASHED.search(answer.path)) for answer in answers)
    named = {"of these under hashed names": hashed} if hashed else {}
    figures = {"republishes": amount.times, "readers": amount.readers, "answers": told, **named}
    return figures, faults_of(answers, terms)


if __name__ == "__main__":
    host, before, wanted, seed, until, out, by_date = json.loads(sys.argv[1])
    read(host, before, wanted, seed, Path(until), Path(out), by_date)
