"""`exporter export` as a user starts it: killed at random moments, and on disks that are full."""

from __future__ import annotations

import errno
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter.manifest import MANIFEST_NAME, verify

SEED = 7
WHOLE_PROCESSES = 5


def killed_processes(folder: Path) -> dict[str, Any]:
    """`exporter export` as a user starts it, killed at random moments."""
    from tests.conftest import tiny_classifier

    folder.mkdir()
    models = {}
    for seed in (3, 4):
        models[seed] = folder / f"tiny-{seed}.keras"
        tiny_classifier(seed).save(models[seed])
    target = folder / "bundles" / "tiny"
    command = [sys.executable, "-m", "exporter", "export", "--name", "tiny", "-o", str(target)]
    started = time.monotonic()
    subprocess.run([*command, str(models[3])], check=True, capture_output=True)
    seconds = time.monotonic() - started
    old = (target / MANIFEST_NAME).read_bytes()
    chance = random.Random(SEED)
    faults: list[str] = []
    states: Counter[str] = Counter()
    for _ in range(WHOLE_PROCESSES):
        one = subprocess.Popen(
            [*command, str(models[4])], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        time.sleep((0.3 + chance.random() * 0.7) * seconds)
        one.send_signal(signal.SIGKILL)
        one.wait()
        verify(target)
        states["old" if (target / MANIFEST_NAME).read_bytes() == old else "new"] += 1
        if living := _still_there(one.pid):
            faults.append(f"processes that outlive a killed export: {living}")
    subprocess.run([*command, str(models[3])], check=True, capture_output=True)
    if left := [path.name for path in target.parent.iterdir() if path != target]:
        faults.append(f"left after the next export: {left}")
    full = _full_processes(folder, [*command, str(models[4])], target, faults)
    return {
        "whole processes killed": WHOLE_PROCESSES,
        "their bundles afterwards": ", ".join(f"{v} {k}" for k, v in sorted(states.items())),
        "whole processes on a full disk, exit 4 with one line": full,
        "faults": faults,
    }


def _full_processes(folder: Path, command: list[str], target: Path, faults: list[str]) -> int | str:
    """On a disk that is really full, early and late; returns how many said so as they should."""
    if os.geteuid() != 0:
        return "none: needs root to mount"
    kept = Path(shutil.copytree(target, folder / "kept"))
    right = 0
    for free in (8, 100, 180):
        with mounted(target.parent, free + used_kib(kept)):
            shutil.copytree(kept, target)
            done = subprocess.run(command, capture_output=True, text=True)
            lines = done.stderr.strip().splitlines()
            says_so = "disk full" in done.stderr or os.strerror(errno.ENOSPC) in done.stderr
            if done.returncode == 4 and len(lines) == 1 and says_so:
                right += 1
            else:
                faults.append(f"{free} KiB free: exit {done.returncode}: {done.stderr[-300:]}")
            if _digests(target) != _digests(kept) or len(list(target.parent.iterdir())) > 1:
                faults.append(f"{free} KiB free: another bundle, or something beside it")
    return right


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def used_kib(folder: Path) -> int:
    """What a bundle takes on a disk of pages of 4 KiB, and what lies around it."""
    sizes = [p.stat().st_size if p.is_file() else 4096 for p in folder.rglob("*")]
    return 16 + sum(-(-size // 4096) * 4 for size in sizes)


@contextmanager
def mounted(place: Path, kib: int) -> Iterator[None]:
    """A file system of its own of that size at `place`."""
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "tmpfs", str(place)]
    subprocess.run(command, check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def _still_there(session: int, patience_s: float = 30) -> list[str]:
    """Processes of that session that do not end by themselves."""
    deadline = time.monotonic() + patience_s
    while True:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.getsid(int(entry.name)) == session:
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue  # it has just ended
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.2)
