"""Dying: exports that are killed, that fail at a system call, or that race each other.

The export is the real one, of a tiny model in every format: golden vectors, writers, card, report,
`publish`. Only its answers are computed once, before the forks, because TensorFlow and ONNX Runtime
do not live through one. Whole processes of `exporter export` are killed as well.
"""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter.manifest import MANIFEST_NAME, verify
from tests.torture.faults import KILL, Case, Fault, Outcome, attempt, missing, preloaded, race
from tests.torture.table import Measured

SEED = 7
RANDOM_KILLS = 200
RACES = 100
WHOLE_PROCESSES = 10
ERRORS = (errno.ENOSPC, errno.EIO, errno.EXDEV)
FILLED_KIB = (16, 64, 112, 160, 208, 256)
SHOWN = 5


def measure() -> Measured:
    """All of it; a quarter of an hour of two slow cores at most."""
    if reason := missing():
        raise SystemExit(reason)
    with tempfile.TemporaryDirectory() as folder:
        tries = preloaded(Path(folder), "tests.torture.dying", folder)
        processes = killed_processes(Path(folder) / "processes")
    faults = tries.pop("faults") + processes.pop("faults")
    return Measured({**tries, **processes, "faults": len(faults)}, tuple(faults[:SHOWN]))


def of_texts(folder: Path, before: str = "old", after: str = "new") -> Case:
    """A bundle of five small files, which needs no Keras: for the quick tests."""
    target = folder / "bundles" / "bundle"

    def write(root: Path, text: str) -> None:
        for path in ("manifest.json", "golden.json", "a/one", "a/two", "b/three"):
            (root / path).parent.mkdir(exist_ok=True)
            (root / path).write_text(f"{text} {path}")

    def reset() -> None:
        shutil.rmtree(target.parent, ignore_errors=True)
        target.parent.mkdir(parents=True)
        if before == "old":
            target.mkdir()
            write(target, "old")

    def publish_new() -> None:
        from exporter import publish

        with publish.staged(target) as staging:
            write(staging, after)

    def state() -> str:
        if not target.exists():
            return "nothing"
        files = [path for path in target.rglob("*") if path.is_file()]
        words = {path.read_text().split()[0] for path in files}
        return words.pop() if len(words) == 1 and len(files) == 5 else f"mixed: {sorted(files)}"

    return Case(target, reset, publish_new, state, before)


def at_every_call(case: Case, exchange: bool = True) -> Iterator[tuple[Fault, Outcome]]:
    """Killed, and failed with each error, at every call that changes the folder."""
    whole = attempt(case, Fault(exchange=exchange))
    yield Fault(exchange=exchange), whole
    for at in range(1, len(whole.calls) + 1):
        for action in (KILL, *ERRORS):
            fault = Fault(at, action, exchange)
            yield fault, attempt(case, fault)


class Exports:
    """Two bundles of tiny models, and jobs that publish them onto one target."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / "bundles" / "tiny"
        self._bundles: dict[str, Path] = {}
        self._jobs: dict[str, Callable[[], None]] = {}
        _live_through_forks()
        for seed, name in ((3, "old"), (4, "new"), (5, "other")):
            self._jobs[name] = job = self._job(seed)
            job()
            self._bundles[name] = Path(shutil.copytree(self.target, folder / name))

    def _job(self, seed: int) -> Callable[[], None]:
        from exporter import comparison, golden, jobs, pipeline, samples
        from tests.conftest import tiny_classifier

        job = jobs.of_model(
            tiny_classifier(seed), self.target, name="tiny", formats=None, precisions=("float32",),
            custom_objects=None, strict=False, unsafe=False, on_progress=lambda _: None,
        )  # fmt: skip
        kept: dict[str, Any] = {}

        def once(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def answer(*arguments: Any, **options: Any) -> Any:
                if name not in kept:
                    kept[name] = real(*arguments, **options)
                return kept[name]

            return answer

        real = golden.build, samples.of_golden, comparison.compare

        def run() -> None:
            golden.build = once("golden", real[0])  # type: ignore[assignment]
            samples.of_golden = once("samples", real[1])  # type: ignore[assignment]
            comparison.compare = once("answers", real[2])  # type: ignore[assignment]
            try:
                pipeline.run(job)
            finally:
                golden.build, samples.of_golden, comparison.compare = real

        return run

    def case(self) -> Case:
        """The new one published over the old one."""
        return Case(self.target, self._reset, self._jobs["new"], self.state)

    def racers(self) -> list[Callable[[], None]]:
        """Two that publish different bundles."""
        return [self._jobs["new"], self._jobs["other"]]

    def _reset(self) -> None:
        shutil.rmtree(self.target.parent)
        shutil.copytree(self._bundles["old"], self.target)

    def state(self) -> str:
        """Which bundle it is, whole; every listed file is checked, and the report is all there."""
        if not self.target.exists():
            return "nothing"
        verify(self.target)
        found = (self.target / MANIFEST_NAME).read_bytes()
        json.loads((self.target / "report" / "parity.json").read_bytes())
        page = (self.target / "report" / "report.html").read_text(encoding="utf-8")
        if not page.rstrip().endswith("</html>"):
            return "a report that is cut"
        for name, bundle in self._bundles.items():
            if found == (bundle / MANIFEST_NAME).read_bytes():
                return name
        return "a manifest of neither"


def _live_through_forks() -> None:
    """TensorFlow computes in the calling thread alone: others do not live through a fork."""
    import tensorflow as tf

    from exporter import runtimes

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    runtimes.NAMES = ("onnxruntime",)


def tried(folder: Path) -> dict[str, Any]:
    """Forks of one warm process; see `faults.preloaded`."""
    exports = Exports(folder)
    case = exports.case()
    faults: list[str] = []
    whole = attempt(case)
    size = sum(path.stat().st_size for path in exports.target.rglob("*") if path.is_file())
    if whole.code != 0 or whole.written != size:
        faults.append(f"{whole.message} {whole.written} bytes seen of {size}")
    kinds = Counter(call.split()[0] for call in whole.calls)
    outcomes = []
    for fault, out in at_every_call(case):
        outcomes.append(out)
        faults += [f"{fault}: {sentence}" for sentence in out.faults("old", fault)]
    chance = random.Random(SEED)
    states: Counter[str] = Counter()
    for _ in range(RANDOM_KILLS):
        fault = Fault(after_s=chance.random() * 1.2 * whole.seconds)
        out = attempt(case, fault)
        states[out.state if out.code is None else "ended before"] += 1
        faults += [f"{fault}: {sentence}" for sentence in out.faults("old", fault)]
    return {
        "calls of one export": len(whole.calls),
        "of these": ", ".join(f"{count} {name}" for name, count in sorted(kinds.items())),
        "kills and errors at calls": len(outcomes),
        "old bundle afterwards": sum(out.state == "old" for out in outcomes),
        "new bundle afterwards": sum(out.state == "new" for out in outcomes),
        "kills at random moments": RANDOM_KILLS,
        "of these (bundle afterwards)": ", ".join(f"{v} {k}" for k, v in sorted(states.items())),
        **_raced(exports, chance, faults),
        **_filled(folder, exports, faults),
        "faults": faults,
    }


def _raced(exports: Exports, chance: random.Random, faults: list[str]) -> dict[str, Any]:
    won: Counter[str] = Counter()
    for _ in range(RACES):
        exports.case().reset()
        said = race(exports.target, exports.racers(), chance)
        state = exports.state()
        won[state] += 1
        left = sorted(path.name for path in exports.target.parent.iterdir())
        if state not in ("new", "other") or any(said) or left != ["tiny"]:
            faults.append(f"race: the target is {state}; {said}; {left}")
    return {"races of two exports": RACES, "wins": ", ".join(map(str, won.values()))}


def _filled(folder: Path, exports: Exports, faults: list[str]) -> dict[str, Any]:
    """A disk that is really full, and a real limit of a file's size."""
    full = 0
    for most in (0, 100, 1000, 10_000, 40_000):
        fault = Fault(most_bytes=most)
        out = attempt(exports.case(), fault)
        faults += [f"{fault}: {sentence}" for sentence in out.faults("old", fault)]
        if out.code != 4:
            faults.append(f"{fault}: exit {out.code}")
    if os.geteuid() != 0:
        return {"real limits of a file's size": 5, "disks really full": "none: needs root to mount"}
    for free in FILLED_KIB:
        with _disk(folder / "bundles", free, exports) as case:
            out = attempt(case)
            faults += [f"{free} KiB free: {sentence}" for sentence in out.faults("old", Fault())]
            full += out.code == 4 and "disk full" in out.message
            if out.code == 4 and "disk full" not in out.message:
                faults.append(f"{free} KiB free: {out.message}")
    return {
        "real limits of a file's size": 5,
        "disks of which so much was free": f"{', '.join(map(str, FILLED_KIB))} KiB",
        "of these too small": full,
    }


@contextmanager
def _disk(place: Path, free_kib: int, exports: Exports) -> Iterator[Case]:
    """A file system of its own at `place`, with the old bundle and so much space beside it."""
    shutil.rmtree(place)
    place.mkdir()
    old = exports._bundles["old"]
    used = sum(-(-p.stat().st_size // 4096) * 4 if p.is_file() else 4 for p in old.rglob("*"))
    size = f"size={used + 16 + free_kib}k"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(place)], check=True)
    try:
        shutil.copytree(old, exports.target)
        yield Case(exports.target, lambda: None, exports._jobs["new"], exports.state)
    finally:
        subprocess.run(["umount", str(place)], check=True)


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
    return {
        "whole processes killed": WHOLE_PROCESSES,
        "their bundles afterwards": ", ".join(f"{v} {k}" for k, v in sorted(states.items())),
        "faults": faults,
    }


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


def tried_quickly(folder: Path) -> dict[str, Any]:
    """Bundles that need no Keras: over an old one and for the first time, with exchange and not."""
    wrong: list[str] = []
    tries: Counter[str] = Counter()
    for before in ("old", "nothing"):
        for exchange in (True, False):
            case = of_texts(folder, before)
            for fault, out in at_every_call(case, exchange):
                tries[out.state] += 1
                wrong += [f"{fault}: {sentence}" for sentence in out.faults(before, fault)]
    return {"tries": dict(tries), "wrong": wrong}


def tried_on_careless(folder: Path) -> dict[str, Any]:
    """What a publication that removes the old one first comes to: all of it must be found."""
    from exporter import publish

    def swap(staging: Path, target: Path) -> None:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(staging, target)

    publish._swap = swap
    case = of_texts(folder)
    states: Counter[str] = Counter()
    wrong: list[str] = []
    for fault, out in at_every_call(case):
        states[out.state.split(":")[0]] += 1
        wrong += out.faults(case.before, fault)
    return {"tries": dict(states), "wrong": sorted({sentence.split(":")[0] for sentence in wrong})}


def raced_quickly(folder: Path) -> dict[str, Any]:
    """Two that race onto one place: for the first time, over an old one, with exchange or not."""
    won: Counter[str] = Counter()
    wrong: list[str] = []
    chance = random.Random(SEED)
    for before in ("old", "nothing"):
        case, other = of_texts(folder, before), of_texts(folder, before, "other")
        for number in range(80):
            case.reset()
            racers = [case.publish, other.publish]
            said = race(case.target, racers, chance, exchange=number % 2 == 0)
            left = sorted(path.name for path in case.target.parent.iterdir())
            won[case.state()] += 1
            if any(said) or left != [case.target.name]:
                wrong.append(f"{said} {left}")
    return {"tries": dict(won), "wrong": wrong}


if __name__ == "__main__":
    way = {"": tried, "quick": tried_quickly, "careless": tried_on_careless, "race": raced_quickly}
    print(json.dumps(way["".join(sys.argv[2:])](Path(sys.argv[1]))))
