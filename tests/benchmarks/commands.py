"""Commands that need no model.

Whole processes from start to exit, in turns with one that does nothing but import TensorFlow. What
a command imported is read from Python's own `-X importtime`.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence

from tests.benchmarks import servers
from tests.benchmarks.result import Contender, Goal, Result
from tests.benchmarks.turns import Spent, alternate, spend
from tests.test_architecture import HEAVY

ROUNDS = 5
TENSORFLOW = "`import tensorflow` alone"
COMMANDS = {
    "`exporter --help`": ["--help"],
    "`exporter recipes`": ["recipes"],
    "`exporter verify models/mlp-128-64`": ["verify", "models/mlp-128-64"],
}
WALL, PROCESSOR, HEAVIES = "median, s", "processor's time, s", "heavy imports"
MOST_S = 0.3


def measure() -> Result:
    """Processes with cached byte code."""
    lines = {
        name: [sys.executable, "-m", "exporter", *arguments] for name, arguments in COMMANDS.items()
    } | {TENSORFLOW: [sys.executable, "-c", "import tensorflow"]}
    found = alternate({name: _runner(line) for name, line in lines.items()}, ROUNDS)
    contenders = tuple(
        Contender(name, {
            WALL: statistics.median(one.wall_s for one in each),
            PROCESSOR: statistics.median(one.cpu_s for one in each),
            HEAVIES: len(heavy_imports(lines[name])),
        })
        for name, each in found.items()
    )  # fmt: skip
    goals = [Goal(f"{name}, s", contenders[i].figures[WALL], MOST_S)
             for i, name in enumerate(COMMANDS)]  # fmt: skip
    imported = sum(one.figures[HEAVIES] for one in contenders[:-1])
    goals.append(Goal("heavy packages imported by any of them", imported, 0))
    return Result(contenders, tuple(goals), ROUNDS, plot=WALL)


def _runner(line: Sequence[str]) -> Callable[[], Spent]:
    return lambda: spend(line, cwd=servers.ROOT)


def heavy_imports(line: Sequence[str]) -> set[str]:
    """The packages among `HEAVY` that a Python command imports."""
    done = subprocess.run(
        [line[0], "-X", "importtime", *line[1:]], cwd=servers.ROOT, capture_output=True, text=True,
        check=True, env=os.environ | {"COLUMNS": "100"},
    )  # fmt: skip
    names = {
        told.rpartition("|")[2].strip()
        for told in done.stderr.splitlines()
        if told.startswith("import time:")
    }
    return HEAVY & names
