"""Dying: exports that are killed, that fail at a system call, or that race each other.

The export is the real one, of a tiny model in every format: golden vectors, writers, card, report,
`publish`. Only its answers are computed once, before the forks, because TensorFlow and ONNX Runtime
do not live through one. Whole processes of `exporter export` are killed as well.
"""

from __future__ import annotations

import errno
import functools
import gc
import json
import os
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter.manifest import MANIFEST_NAME, verify
from tests.torture.dying_processes import killed_processes, mounted, used_kib
from tests.torture.faults import Case, Fault, at_every_call, attempt, missing, preloaded, race
from tests.torture.table import Measured

SEED = 7
RANDOM_KILLS = 200
RACES = 100
FILLED_KIB = (16, 64, 112, 160, 208, 256)
SHOWN = 5


def measure() -> Measured:
    """All of it; a quarter of an hour of two slow cores at most."""
    if reason := missing():
        raise SystemExit(reason)
    memory = Path("/dev/shm")  # a thousand exports flush every file
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        tries = preloaded(Path(folder), "tests.torture.dying", folder)
        processes = killed_processes(Path(folder) / "processes")
    faults = tries.pop("faults") + processes.pop("faults")
    return Measured({**tries, **processes, "faults": len(faults)}, tuple(faults[:SHOWN]))


class Exports:
    """Two bundles of tiny models, and jobs that publish them onto one target."""

    def __init__(self, folder: Path) -> None:
        self.target = folder / "bundles" / "tiny"
        self.bundles: dict[str, Path] = {}
        self.jobs: dict[str, Callable[[], None]] = {}
        _live_through_forks()
        for seed, name in ((3, "old"), (4, "new"), (5, "other")):
            self.jobs[name] = job = self._job(seed)
            job()
            self.bundles[name] = Path(shutil.copytree(self.target, folder / name))
        # What is here now is never looked through in a fork, where that would copy every page.
        gc.collect()
        gc.freeze()

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
        return Case(self.target, self._reset, self.jobs["new"], self.state)

    def racers(self) -> list[Callable[[], None]]:
        """Two that publish different bundles."""
        return [self.jobs["new"], self.jobs["other"]]

    def _reset(self) -> None:
        shutil.rmtree(self.target.parent)
        shutil.copytree(self.bundles["old"], self.target)

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
        for name, bundle in self.bundles.items():
            if found == (bundle / MANIFEST_NAME).read_bytes():
                return name
        return "a manifest of neither"


def _live_through_forks() -> None:
    """TensorFlow computes in the calling thread alone: others do not live through a fork."""
    import tensorflow as tf

    from exporter import runtimes
    from exporter.report import page

    page.environment = functools.cache(page.environment)  # its templates are compiled once
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    runtimes.NAMES = ("onnxruntime",)


def tried(folder: Path) -> dict[str, Any]:
    """Forks of one warm process; see `faults.preloaded`."""
    exports = Exports(folder)
    case = exports.case()
    faults: list[str] = []
    whole = attempt(case)
    unseen = _unseen(exports.target, whole.calls)
    if whole.code != 0 or unseen:
        faults.append(f"{whole.message} written without being seen: {unseen}")
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


def _unseen(target: Path, calls: Sequence[str]) -> list[str]:
    """Files of the bundle that were written by no call that we could have failed."""
    seen = {call.split("/", 2)[-1] for call in calls if call.startswith(("write ", "rename "))}
    paths = [path.relative_to(target) for path in target.rglob("*") if path.is_file()]
    names = {path.as_posix(): f"{path.as_posix().split('of')[0]}.part" for path in paths}
    return [name for name, part in names.items() if not seen & {name, part}]


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
            says_so = "disk full" in out.message or os.strerror(errno.ENOSPC) in out.message
            full += out.code == 4 and says_so
            if out.code == 4 and not says_so:
                faults.append(f"{free} KiB free: {out.message}")
    return {
        "real limits of a file's size": 5,
        "disks of which so much was free": f"{', '.join(map(str, FILLED_KIB))} KiB",
        "of these too small": full,
    }


@contextmanager
def _disk(place: Path, free_kib: int, exports: Exports) -> Iterator[Case]:
    """A file system of its own at `place`, with the old bundle and so much space beside it."""
    old = exports.bundles["old"]
    with mounted(place, free_kib + used_kib(old)):
        shutil.copytree(old, exports.target)
        yield Case(exports.target, lambda: None, exports.jobs["new"], exports.state)


if __name__ == "__main__":
    print(json.dumps(tried(Path(sys.argv[1]))))
