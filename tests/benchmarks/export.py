"""A whole export of `mlp-128-64`.

Layers, graph and ONNX, each proven in Python and Node; beside it the scripts that people run today,
which prove nothing: one that writes a SavedModel, with tensorflowjs' converter after it, and one
for Keras' own ONNX export. Whole processes, from the first import to the last file; processor time
counts, for it does not depend on what else the machine does.
"""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.scripts import CONTENDERS, ONNX, OURS, TFJS
from tests.benchmarks.turns import Spent, alternate

ROUNDS = 3
MODEL = Path(__file__).parents[2] / "models" / "mlp-128-64" / "keras" / "model.keras"


def measure() -> Result:
    """Each in turn, in folders of their own."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = (Path(tempfile.mkdtemp(dir=scratch)) for _ in range(100))
        runs = {name: lambda run=run: run(MODEL, next(folders)) for name, run in CONTENDERS.items()}
        found = alternate(runs, ROUNDS)
    ours, *peers = (Contender(name, _figures(found[name])) for name in (OURS, TFJS, ONNX))
    both = {key: sum(peer.figures[key] for peer in peers) for key in ("CPU, s", "wall, s")}
    goals: tuple[Goal, ...] = tuple(
        Goal(
            f"{key.partition(',')[0]}, ours / the sum of the two",
            ratio(ours.figures[key], total),
            0.6,
        )
        for key, total in both.items()
    )
    imports = {name: max(one.imports for one in found[name]) for name in (OURS, TFJS, ONNX)}
    goals += (Goal("processes of ours that import TensorFlow", imports[OURS], 1),)
    told = ", ".join(f"{count} of {name}" for name, count in imports.items())
    return Result(
        (ours, *peers, Contender("both scripts", both)), goals, ROUNDS, "CPU, s",
        (f"Processes that imported TensorFlow, as they said themselves: {told}.",),
    )  # fmt: skip


def _figures(spent: list[Spent]) -> dict[str, float]:
    return {
        "CPU, s": statistics.median(one.cpu_s for one in spent),
        "wall, s": statistics.median(one.wall_s for one in spent),
        "peak, MiB": statistics.median(one.peak_mib for one in spent),
    }
