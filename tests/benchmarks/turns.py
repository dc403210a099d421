"""Contenders take turns: whatever else the machine does meanwhile falls on all of them alike."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Measured = TypeVar("Measured")


def tell(text: str) -> None:
    """Progress, on stderr."""
    print(f"  {text}", file=sys.stderr, flush=True)


def alternate(
    contenders: Mapping[str, Callable[[], Measured]], rounds: int
) -> dict[str, list[Measured]]:
    """What each contender gave in each round; each round begins with another one."""
    names = list(contenders)
    found: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            tell(f"round {number + 1} of {rounds}: {name}")
            found[name].append(contenders[name]())
    return found


def medians(found: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The median of each."""
    return {name: statistics.median(values) for name, values in found.items()}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


@dataclass(frozen=True, slots=True)
class Spent:
    """What one whole process cost.

    Attributes:
        wall_s: From its start to its end.
        cpu_s: Processor's time in user and in kernel mode, with that of its children.
        peak_mib: Of the largest process among it and its children. Linux hands a process the peak
            of the one that starts it, so no figure is below what the benchmark itself holds.
        imports: How many of its processes imported TensorFlow, where that was counted.
    """

    wall_s: float
    cpu_s: float
    peak_mib: float
    imports: int = 0


def spend(command: Sequence[str], **options: object) -> Spent:
    """Run a command to its end.

    Raises:
        subprocess.CalledProcessError: It failed; its stderr is in the message's notes.
    """
    begun = time.perf_counter()
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, **{"stdout": subprocess.DEVNULL, **options}
    ) as process:  # type: ignore[call-overload]
        assert process.stderr is not None
        errors = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begun
    if process.returncode:
        failure = subprocess.CalledProcessError(process.returncode, list(command))
        failure.add_note(errors[-2000:])
        raise failure
    peak = usage.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return Spent(wall, usage.ru_utime + usage.ru_stime, peak)
