"""Measure, and write docs/benchmarks.md.

python -m tests.benchmarks                 all rows (some two hours on two cores)
python -m tests.benchmarks serving …       these rows; the others stay as they are
python -m tests.benchmarks --page          the page alone, from what is kept
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.benchmarks import LONGEST_OF_OTHERS_S, LONGEST_S, ROWS, TOOLS, document, result


def main(arguments: Sequence[str]) -> int:
    """Measure the rows that are named, or all; 1 where one failed."""
    rows = [argument for argument in arguments if not argument.startswith("--")]
    if unknown := [row for row in rows if row not in ROWS]:
        sys.exit(f"{', '.join(unknown)}: no such row; rows: {', '.join(ROWS)}")
    if "--measure" in arguments:
        measure(rows[0])
        return 0
    failed = [] if "--page" in arguments else [row for row in rows or ROWS if not ran(row)]
    document.write()
    if failed:
        print(f"failed, and so as they were before: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def ran(row: str) -> bool:
    """Whether a row was measured: in a process of its own, so that it disturbs no other one."""
    print(f"{row} …", file=sys.stderr, flush=True)
    begun, longest = time.perf_counter(), LONGEST_S.get(row, LONGEST_OF_OTHERS_S)
    command = [sys.executable, "-m", "tests.benchmarks", row, "--measure"]
    # A session of its own: what it has started (servers, a browser) ends with it.
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            code = process.wait(longest)
        except subprocess.TimeoutExpired:
            print(f"{row}: not done within {longest} s", file=sys.stderr)
            code = 1
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    print(f"{row}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)
    return code == 0


def measure(row: str) -> None:
    """Measure one row here, and keep its result."""
    where = result.machine(TOOLS.get(row, ()))
    found = import_module(f"tests.benchmarks.{row}").measure()
    document.keep(row, replace(found, machine=where))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
