"""What a row measured: contenders with their figures, and goals that the figures meet or miss."""

from __future__ import annotations

import operator
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Contender:
    """One of those that took turns.

    Attributes:
        name: As in the table.
        figures: By column, whose name says the unit ("median, ms"); a column may lack.
        missing: Why nothing was measured, where nothing was.
    """

    name: str
    figures: Mapping[str, float] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class Goal:
    """One goal of a row and what was found; met or missed follows from the numbers.

    Attributes:
        what: What is compared, with its unit ("bytes in all, kB", "stock TF.js / ours").
        found: The figure, or None where it was not measured.
        limit: What it should be.
        least: Whether it should be at least that, else at most.
    """

    what: str
    found: float | None
    limit: float
    least: bool = False

    @property
    def met(self) -> bool | None:
        """None where it was not measured."""
        if self.found is None:
            return None
        return (operator.ge if self.least else operator.le)(self.found, self.limit)


@dataclass(frozen=True, slots=True)
class Result:
    """All of one row.

    Attributes:
        contenders: Ours first.
        goals: Of the row.
        runs: How often each contender had its turn.
        plot: The column that the plot shows.
        notes: What a reader must know of this measurement.
        machine: Where it was measured; filled in by the run.
    """

    contenders: tuple[Contender, ...]
    goals: tuple[Goal, ...]
    runs: int
    plot: str
    notes: tuple[str, ...] = ()
    machine: str = ""

    def of(self, name: str) -> Contender:
        """The contender of that name."""
        return next(one for one in self.contenders if one.name == name)

    def to_document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Result:
        """What `to_document` gave."""
        rest = {key: document[key] for key in ("runs", "plot", "machine")}
        return cls(
            contenders=tuple(Contender(**one) for one in document["contenders"]),
            goals=tuple(Goal(**one) for one in document["goals"]),
            notes=tuple(document["notes"]),
            **rest,
        )


def ratio(above: float | None, below: float | None) -> float | None:
    """Their quotient; None where one was not measured, or where nothing can be divided by it."""
    return None if above is None or below is None or below <= 0 else above / below


def machine(tools: Sequence[str] = ()) -> str:
    """Processor, cores, memory, how busy it was, and the versions that count; no name of a host.

    Args:
        tools: Which of `TOOLS` had a part in what was measured.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    told = ", ".join(f"{name} {version(name)}" for name in ("tensorflow", "keras", "onnxruntime"))
    load = f"load {os.getloadavg()[0]:.1f} before the row" if hasattr(os, "getloadavg") else ""
    parts = (
        f"{_processor()}, {cores} cores", _memory(), load,
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}", told, ", ".join(map(_version, tools)),
    )  # fmt: skip
    return "; ".join(part for part in parts if part)


def _chromium() -> Sequence[str]:
    from exporter import browser

    return [str(browser.require()), "--version"]


_SEARCHED = os.pathsep.join(
    [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]
)
TOOLS: Mapping[str, Callable[[], Sequence[str]]] = {
    "Chromium": _chromium,
    "Node": lambda: [shutil.which("node", path=_SEARCHED) or "node", "--version"],
    "nginx": lambda: [shutil.which("nginx", path=_SEARCHED) or "nginx", "-v"],
    "wrk": lambda: ["wrk", "-v"],
    "gunicorn": lambda: [sys.executable, "-m", "gunicorn", "--version"],
}
"""How each is asked for its version."""


def _version(tool: str) -> str:
    try:
        done = subprocess.run(TOOLS[tool](), capture_output=True, text=True)
    except FileNotFoundError:
        return f"no {tool}"
    found = re.search(r"\d+\.[\d.]*\d", done.stdout + done.stderr)
    return f"{tool} {found[0] if found else 'of an unknown version'}"


def _memory() -> str:
    """Of the whole machine, where it says so."""
    told = Path("/proc/meminfo")
    if not told.is_file():
        return ""
    total = re.search(r"MemTotal:\s+(\d+) kB", told.read_text(encoding="utf-8"))
    return f"{int(total[1]) / 2**20:.0f} GiB" if total else ""


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    if told.is_file():
        for line in told.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return " ".join(line.partition(":")[2].split())
    return platform.processor() or platform.machine()
