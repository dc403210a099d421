"""Exports from 0.1 to 100 million parameters.

Time and memory, beside the same scripts, of ten equal Dense layers. The exporter writes layers,
graph and ONNX in float32 and proves each in Python and Node; the scripts write one format each and
prove nothing. How many samples the proof takes differs: an artefact of more than 64 MB has 5 s on
each backend, a smaller one 20. Memory is the peak of the largest process, Node among them: beside
the scripts as it is, and over what the imports alone take in sizes of the model (4 bytes a
parameter). On two cores the row takes up to an hour.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.scripts import CONTENDERS, MOST_BYTES, ONNX, OURS, TFJS, imports
from tests.benchmarks.turns import Spent, tell

SIZES = (0.1, 1.0, 10.0, 100.0)
"""Millions of parameters."""
LAYERS = 10
_MAKE = """
import sys, keras
width, layers = int(sys.argv[1]), int(sys.argv[2])
keras.utils.set_random_seed(1)
hidden = [keras.layers.Dense(width, activation="relu") for _ in range(layers)]
last = keras.layers.Dense(10, activation="softmax")
keras.Sequential([keras.Input((width,)), *hidden, last]).save(sys.argv[3])
"""
LINEAR = 1.2
"""What ten times the parameters may cost, in tens of what they add."""


def measure() -> Result:
    """Size by size, each contender once; each size begins with another one."""
    base = {name: imports(name).peak_mib for name in CONTENDERS}
    notes: list[str] = []
    found: dict[str, dict[float, Spent]] = {name: {} for name in CONTENDERS}
    for number, size in enumerate(SIZES):
        start = number % len(CONTENDERS)
        turns = [*list(CONTENDERS)[start:], *list(CONTENDERS)[:start]]
        with tempfile.TemporaryDirectory() as scratch:
            model = Path(scratch, "model.keras")
            width = round((size * 1e6 / LAYERS) ** 0.5)
            command = [sys.executable, "-c", _MAKE, str(width), str(LAYERS), str(model)]
            subprocess.run(command, check=True, capture_output=True)
            for name in turns:
                tell(f"{size:g} million: {name}")
                try:
                    found[name][size] = CONTENDERS[name](model, Path(tempfile.mkdtemp(dir=scratch)))
                except subprocess.CalledProcessError:
                    if name == OURS:
                        raise
                    most = f"{MOST_BYTES / 2**30:g} GiB"
                    notes.append(f"{name} of {size:g} M ended without a file, given {most}.")
    contenders = tuple(
        Contender(name, _figures(found[name], base[name])) for name in (OURS, TFJS, ONNX)
    )
    return Result(contenders, _goals(contenders), 1, _peak(SIZES[-1]), tuple(notes))


def _cpu(size: float) -> str:
    return f"{size:g} M: CPU, s"


def _peak(size: float) -> str:
    return f"{size:g} M: peak, models"


def _absolute(size: float) -> str:
    return f"{size:g} M: peak, MiB"


def _figures(spent: dict[float, Spent], base_mib: float) -> dict[str, float]:
    figures = {}
    for size, one in spent.items():
        figures[_cpu(size)] = one.cpu_s
        figures[_absolute(size)] = one.peak_mib
        figures[_peak(size)] = (one.peak_mib - base_mib) * 2**20 / (4e6 * size)
    return figures


def _goals(contenders: tuple[Contender, ...]) -> tuple[Goal, ...]:
    ours, *peers = (one.figures for one in contenders)
    middle, large, largest = (ours[_cpu(size)] for size in SIZES[1:])
    peak = ours[_peak(SIZES[-1])]
    beside = [
        Goal(f"{what} at {size:g} M, ours / the better peer's",
             ratio(ours[column(size)], min(
                 (peer[column(size)] for peer in peers if column(size) in peer), default=None)),
             1.0)
        for what, column in (("CPU", _cpu), ("peak", _absolute)) for size in SIZES
    ]  # fmt: skip
    return (
        Goal(
            "CPU from 10 to 100 M / ten times that from 1 to 10 M",
            ratio(largest - large, 10 * (large - middle)), LINEAR,
        ),
        Goal("peak at 100 M over the imports' own, models", peak, 2.5),
        *beside,
    )  # fmt: skip
