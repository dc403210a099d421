"""Measure rows of `docs/reliability.md` and write what came out: `python -m tests.torture [ROW…]`.

Without a row, all of them; with `--table` only the page is written anew, from the tracked results.
A row is written as soon as it is measured. Exit 1 where a goal was missed.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.torture import table
from tests.torture.table import ROWS, Measured


def measure(module: str) -> Measured:
    """Run that row."""
    return import_module(f"tests.torture.{module}").measure()


def chosen(names: list[str]) -> list[str]:
    """The rows of these names, or every row that has a module."""
    known = [row.module for row in ROWS]
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.exit(f"no row {', '.join(unknown)}; the rows are {', '.join(known)}")
    there = [name for name in known if (table.RESULTS.parent / f"{name}.py").exists()]
    missing = sorted(set(names) - set(there))
    if missing:
        sys.exit(f"nothing measures {', '.join(missing)} yet")
    return names or there


def run(names: list[str], measured_by: Callable[[str], Measured] = measure) -> int:
    """Measure these rows, write each, and return the exit code."""
    short = False
    for name in chosen(names):
        started = time.monotonic()
        measured = measured_by(name)
        table.write({**table.tracked(), name: measured})
        _tell(name, measured, time.monotonic() - started)
        short = short or bool(measured.shortfalls)
    return int(short)


def _tell(name: str, measured: Measured, seconds: float) -> None:
    figures: Mapping[str, object] = measured.figures
    print(f"{name} ({seconds:.0f} s): " + "; ".join(f"{k}: {v}" for k, v in figures.items()))
    for shortfall in measured.shortfalls:
        print(f"  FALLS SHORT: {shortfall}")


if __name__ == "__main__":
    if "--table" in sys.argv:
        table.write(table.tracked())
    else:
        sys.exit(run(sys.argv[1:]))
