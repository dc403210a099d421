"""The command line run in this process, and watched: files, network, processes, memory, stderr.

Python's audit hooks see what Python does; what C libraries do to files is seen by looking into the
folder afterwards. An audit hook can never be taken away again, so it asks whether it is wanted.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

CANARY = "canary_that_must_not_sing"
"""A module beside the victim; whoever imports it or runs its code leaves a file."""
_SINGING = "from pathlib import Path\nPath(__file__).with_suffix('.sang').touch()\n"
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request")
_PROCESSES = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "pty.spawn")
_MOVES = ("os.remove", "os.rename", "os.rmdir", "os.symlink", "os.link", "os.mkdir", "os.truncate")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


@dataclass
class Watched:
    """What a command did.

    Attributes:
        deeds: Of what no hostile file may bring about, a line each.
        seconds: Of this process's CPU time.
        more_bytes: The most memory that was held beyond what was held before.
    """

    code: int = -1
    stdout: str = ""
    stderr: str = ""
    deeds: list[str] = field(default_factory=list)
    seconds: float = 0.0
    more_bytes: int = 0

    @property
    def complaints(self) -> list[str]:
        """What is wrong with how it was refused; empty where all is well."""
        found = list(self.deeds)
        lines = self.stderr.splitlines()
        if self.code != 2:
            found.append(f"exit 2 expected, {self.code} found: {self.stderr[:300]}")
        if len(lines) != 1 or not lines[0].startswith("error: ") or len(self.stderr) > 1500:
            found.append(f"one clear line on stderr expected, {self.stderr[:500]!r} found")
        if not self.stderr.rstrip("\n").isprintable() or "unexpected " in self.stderr[:20]:
            found.append(f"a clear line expected, {self.stderr[:300]!r} found")
        return found


_watching: tuple[Watched, str] | None = None
_hooked = False


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching is None:
        return
    watched, staging = _watching
    if event in _NETWORK or event in _PROCESSES:
        watched.deeds.append(f"{event}: {str(arguments)[:200]}")
    elif event == "import" and str(arguments[0]).startswith(CANARY):
        watched.deeds.append("the canary was imported")
    elif event == "open" or event in _MOVES:
        path, flags = arguments[0], arguments[2] if event == "open" else _WRITING
        if not isinstance(path, (str, bytes, os.PathLike)) or not int(flags or 0) & _WRITING:
            return
        where = os.path.abspath(os.fsdecode(path))
        if not where.startswith((staging + os.sep, "/dev/", "/proc/")) and where != staging:
            watched.deeds.append(f"{event}: {where} is outside of the staging folder")


def run(arguments: Sequence[object], folder: Path) -> Watched:
    """Run `exporter …` in `folder`, whose files it may read and which it must leave as they are.

    Args:
        arguments: Of the command line.
        folder: The victim's; `TMPDIR` is a folder below it.
    """
    from exporter.cli import main

    (folder / f"{CANARY}.py").write_text(_SINGING)
    staging = folder / "staging"
    staging.mkdir(exist_ok=True)
    before = _listing(folder)
    watched = Watched()
    with _in(folder, staging), _all_of_stderr() as printed, _watched(watched, staging):
        resident, started = _resident("VmRSS", reset=True), time.process_time()
        result = CliRunner().invoke(main, [str(a) for a in arguments], prog_name="exporter")
        watched.seconds = time.process_time() - started
        watched.more_bytes = max(0, _resident("VmHWM") - resident)
    watched.code, watched.stdout = result.exit_code, result.stdout
    watched.stderr = result.stderr + printed.read_text(encoding="utf-8", errors="replace")
    printed.unlink()
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        watched.deeds.append(f"a traceback: {result.exception!r}")
    for path in sorted(_listing(folder) ^ before):
        watched.deeds.append(f"{path} was left behind or taken away")
    return watched


@contextmanager
def _watched(watched: Watched, staging: Path) -> Iterator[None]:
    global _hooked, _watching
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked = True
    _watching = (watched, str(staging))
    try:
        yield
    finally:
        _watching = None


@contextmanager
def _in(folder: Path, staging: Path) -> Iterator[None]:
    """The victim's folder is where the process stands, and on its path, as with `python -m`."""
    kept, temporary, writes = Path.cwd(), tempfile.tempdir, sys.dont_write_bytecode
    os.chdir(folder)
    sys.path.insert(0, str(folder))
    tempfile.tempdir, sys.dont_write_bytecode = str(staging), True
    try:
        yield
    finally:
        tempfile.tempdir, sys.dont_write_bytecode = temporary, writes
        sys.path.remove(str(folder))
        os.chdir(kept)


@contextmanager
def _all_of_stderr() -> Iterator[Path]:
    """A file with what C++ writes to descriptor 2, past Python."""
    descriptor, name = tempfile.mkstemp()
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        yield Path(name)
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(descriptor)


def _listing(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


def _resident(name: str, *, reset: bool = False) -> int:
    """Bytes of this process in memory (Linux): now, or the most since the last reset."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024
