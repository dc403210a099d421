"""One publication in a process of its own that dies, or fails, at a system call of our choosing.

`faults.c` is compiled once and preloaded into a Python process (`preloaded`); there `attempt` forks
for every try, so that what is slow to import is imported once. Imports no TensorFlow.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exporter import publish
from exporter.errors import ExporterError

SOURCE = Path(__file__).with_name("faults.c")
KILL = -1
ERRORS = (errno.ENOSPC, errno.EIO, errno.EXDEV)
_PATIENCE_S = 120
_UNEXPECTED = 99


def missing() -> str | None:
    """Why faults cannot be injected on this machine; None where they can."""
    if sys.platform != "linux":
        return "system calls are failed by a preloaded library, which is written for Linux"
    if not shutil.which("gcc"):
        return "gcc: not found; it compiles tests/torture/faults.c (apt-get install gcc)"
    return None


def preloaded(folder: Path, *arguments: str) -> dict[str, Any]:
    """Run `python -m ARGUMENTS…` with the library in it; returns the JSON that it prints last.

    Raises:
        AssertionError: It failed; with what it said.
    """
    library = folder / "faults.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*command, "-o", str(library), str(SOURCE), "-ldl"], check=True)
    done = subprocess.run(
        [sys.executable, "-m", *arguments], env={**os.environ, "LD_PRELOAD": str(library)},
        cwd=SOURCE.parent.parent.parent, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@dataclass(frozen=True)
class Case:
    """What is published, and what may be found afterwards.

    Attributes:
        target: The published folder; nothing else is in its parent.
        reset: Puts the old one back, or nothing where there was none.
        publish: Publishes the new one.
        state: "old", "new", "nothing", or a sentence on what else lies there.
        before: What `state` says after `reset`.
    """

    target: Path
    reset: Callable[[], None]
    publish: Callable[[], None]
    state: Callable[[], str]
    before: str = "old"


@dataclass(frozen=True)
class Fault:
    """What is to happen.

    Attributes:
        at: The call, 1 for the first; 0 for none.
        action: `KILL`, or the errno that it returns.
        exchange: Whether the system can exchange two folders at once.
        after_s: Killed so long after the start, whatever it does then.
        most_bytes: The largest file that the process may write (RLIMIT_FSIZE).
    """

    at: int = 0
    action: int = 0
    exchange: bool = True
    after_s: float | None = None
    most_bytes: int | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of one try.

    Attributes:
        code: Exit code, negative where it crashed; None where it was killed.
        message: Of the error that ended it.
        calls: That changed the folder, by name and place; counted only where it lived.
        written: Bytes that went through these calls.
        state: What lay at the target afterwards.
        beside: What lay beside it.
        left: What lay there still after the next run had swept.
        seconds: How long it ran.
    """

    code: int | None
    message: str
    calls: tuple[str, ...]
    written: int
    state: str
    beside: tuple[str, ...]
    left: tuple[str, ...]
    seconds: float

    def faults(self, before: str, fault: Fault) -> list[str]:
        """What is wrong with it, a sentence each."""
        found = []
        # Between the two renames of a system without exchange nobody can do better.
        bare = self.code is None and not fault.exchange and ".previous" in str(self.beside)
        if self.state not in (before, "new") and not (bare and self.state == "nothing"):
            found.append(f"the target is {self.state}")
        if self.code == 0 and self.state != "new":
            found.append(f"said to be published, and the target is {self.state}")
        if self.code not in (None, 0):
            found += self._faults_of_message(before)
        if self.left:
            found.append(f"left after the next run: {', '.join(self.left)}")
        return found

    def _faults_of_message(self, before: str) -> list[str]:
        found = []
        if self.code != 4:
            found.append(f"exit {self.code}: {self.message}")
        if "\n" in self.message or not self.message:
            found.append(f"no single line: {self.message!r}")
        said = "new" if ": published, but " in self.message else before
        if self.state != said:
            found.append(f"said {self.message!r}, and the target is {self.state}")
        return found


def attempt(case: Case, fault: Fault = Fault()) -> Outcome:
    """Publish once, in a child of this process, with that fault."""
    case.reset()
    reading, writing = os.pipe()
    names = case.target.parent.with_name("calls.txt")
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(case, fault, writing, names)
    os.close(writing)
    if fault.after_s is not None:
        time.sleep(fault.after_s)
        os.kill(child, signal.SIGKILL)
    status = _wait(child, started)
    seconds = time.monotonic() - started
    with os.fdopen(reading, encoding="utf-8") as stream:
        said: Mapping[str, Any] = json.loads(stream.read() or "{}")
    code = os.waitstatus_to_exitcode(status)
    state, beside = case.state(), _beside(case.target)
    _run_next(case.target)
    return Outcome(
        None if code == -signal.SIGKILL else code, said.get("message", ""),
        tuple(names.read_text().splitlines()) if names.exists() else (),
        said.get("written", 0), state, beside, _beside(case.target), seconds,
    )  # fmt: skip


def at_every_call(case: Case, exchange: bool = True) -> Iterator[tuple[Fault, Outcome]]:
    """Killed, and failed with each error, at every call that changes the folder."""
    whole = attempt(case, Fault(exchange=exchange))
    yield Fault(exchange=exchange), whole
    for at in range(1, len(whole.calls) + 1):
        for action in (KILL, *ERRORS):
            fault = Fault(at, action, exchange)
            yield fault, attempt(case, fault)


def _work(case: Case, fault: Fault, writing: int, names: Path) -> None:
    """The child's whole life."""
    message, code = "", 0
    if fault.most_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault.most_bytes, resource.RLIM_INFINITY))
    library = _arm(case.target.parent, fault, names)
    try:
        case.publish()
    except ExporterError as error:
        message, code = str(error), error.exit_code
    except OSError as error:  # the command line says these with exit code 4, too
        message, code = f"{type(error).__name__}: {error}", 4
    except BaseException as error:
        message, code = f"{type(error).__name__}: {error}", _UNEXPECTED
    written = library.faults_written()
    os.write(writing, json.dumps({"message": message, "written": written}).encode())
    os._exit(code)


def _arm(folder: Path, fault: Fault, names: Path | None) -> ctypes.CDLL:
    """From now on this process fails as it is told below `folder`."""
    library = ctypes.CDLL(None)
    library.faults_written.restype = ctypes.c_longlong
    library.faults_arm(
        os.fsencode(folder), ctypes.c_long(fault.at), fault.action, int(not fault.exchange),
        os.fsencode(names) if names else None,
    )  # fmt: skip
    return library


def _wait(child: int, started: float) -> int:
    """The status of a child, killed where it hangs."""
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() - started > _PATIENCE_S:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            raise AssertionError(f"hung for {_PATIENCE_S} s")
        time.sleep(0.002)


def _beside(target: Path) -> tuple[str, ...]:
    return tuple(sorted(path.name for path in target.parent.iterdir() if path != target))


def _run_next(target: Path) -> None:
    """What the next run does first, and then stops at."""
    try:
        with publish.staged(target):
            raise InterruptedError
    except ExporterError:
        pass


def race(
    target: Path, racers: list[Callable[[], None]], delay: random.Random, exchange: bool = True
) -> list[str]:
    """Several publish onto one target at once; returns what each said, "" for published."""
    target.parent.mkdir(parents=True, exist_ok=True)
    children = []
    for publish_one in racers:
        reading, writing = os.pipe()
        seconds = delay.random() * 0.01
        child = os.fork()
        if child == 0:
            os.close(reading)
            _arm(target.parent, Fault(exchange=exchange), None)
            time.sleep(seconds)
            message = ""
            try:
                publish_one()
            except BaseException as error:
                message = f"{type(error).__name__}: {error}"
            os.write(writing, message.encode())
            os._exit(0)
        os.close(writing)
        children.append((child, reading))
    said = []
    for child, reading in children:
        _wait(child, time.monotonic())
        with os.fdopen(reading, encoding="utf-8") as stream:
            said.append(stream.read())
    return said
