"""100,000 mutations in processes of their own, so that one that kills its process is told."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.fuzz.subjects import SUBJECTS
from tests.torture.table import ROOT, Measured

COUNT = GOAL = 100_000
CHUNK = 2_000
CHUNK_SECONDS = 600


def measure() -> Measured:
    """Run all, two processes at a time."""
    chunks = [
        (subject.name, first, min(CHUNK, subject.share * COUNT // 100 - first))
        for subject in SUBJECTS
        for first in range(0, subject.share * COUNT // 100, CHUNK)
    ]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(_run, chunks))
    faults = [fault for one in found for fault in one["faults"]]
    figures: dict[str, int | float | str] = {
        "mutations": sum(count for _, _, count in chunks),
        "refused": sum(one["refused"] for one in found),
        "read, still whole files": sum(one["read"] for one in found),
        "crashes, hangs, altered files accepted": len(faults),
        "the slowest, seconds of CPU": round(max(one["slowest"] for one in found), 2),
        "the most memory, MiB": max(one["more_mib"] for one in found),
    }
    fewer = (f"{COUNT:,} of {GOAL:,} mutations were run",) if COUNT < GOAL else ()
    return Measured(figures, (*fewer, *faults[:20]))


def _run(chunk: tuple[str, int, int]) -> dict:
    ended = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *map(str, chunk)],
        cwd=ROOT, capture_output=True, text=True, timeout=CHUNK_SECONDS,
    )  # fmt: skip
    if ended.returncode:
        fault = f"{chunk}: the process ended with {ended.returncode}: {ended.stderr[-200:]}"
        return {"refused": 0, "read": 0, "faults": [fault], "slowest": 0.0, "more_mib": 0}
    return json.loads(ended.stdout.splitlines()[-1])
