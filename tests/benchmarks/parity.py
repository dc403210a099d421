"""Parity on 10,000 digits.

All rows of `mlp-128-64` that run on a processor or in WebAssembly without a browser, on the golden
vectors and on MNIST's test part: one comparison, as an export makes it, and the same rows one after
another, each artefact on each backend in a fresh process, as separate checks of them would be.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from exporter import runtimes
from exporter.manifest import Manifest
from tests.benchmarks import servers
from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.turns import spend, tell

BUNDLE = Path("models") / "mlp-128-64"
ALL, EACH = "all rows in one comparison", "the rows one by one, in fresh processes"
WALL, PROCESSOR, PROCESSES = "all of it, s", "processor's time, s", "processes"
_RUN = """
import sys
from dataclasses import replace
from exporter import api, comparison, runtimes

bundle, names, artifact, backend = sys.argv[1:]
if artifact:
    before, get = comparison.compare, runtimes.get

    def compare(directory, manifest, *rest, **options):
        return before(directory, manifest, *rest, artifacts=[
            one for one in manifest.artifacts if one.id == artifact], **options)

    def only(name):
        runtime = get(name)
        runtime.backends = (backend,)
        return runtime

    comparison.compare, runtimes.get = compare, only
report = api.compare(bundle, names.split(","), data="mnist")
if report.failed or not any(row.samples >= 10_000 for row in report.rows):
    sys.exit(f"10,000 digits, all right, expected; {report.verdict()}")
"""


def rows() -> list[tuple[str, str, str]]:
    """Artefact, runtime and backend of each row; those that refuse an artefact have none."""
    found = []
    for name in runtimes.NAMES:
        runtime = runtimes.get(name)
        if not runtime.everywhere:
            continue
        for artifact in Manifest.read(servers.ROOT / BUNDLE).artifacts:
            if artifact.format in runtime.formats:
                found += [(artifact.id, name, backend) for backend in runtime.backends]
    return found


def measure() -> Result:
    """The one comparison before and after the many."""
    each = rows()
    together = ",".join(dict.fromkeys(name for _, name, _ in each))
    line = [sys.executable, "-c", _RUN, str(BUNDLE)]
    tell(ALL)
    first = spend([*line, together, "", ""], cwd=servers.ROOT)
    begun, spent = time.perf_counter(), 0.0
    for number, (artifact, name, backend) in enumerate(each, 1):
        tell(f"{number} of {len(each)}: {artifact} on {name} {backend}")
        spent += spend([*line, name, artifact, backend], cwd=servers.ROOT).cpu_s
    many = time.perf_counter() - begun
    tell(ALL)
    second = spend([*line, together, "", ""], cwd=servers.ROOT)
    wall, cpu = (first.wall_s + second.wall_s) / 2, (first.cpu_s + second.cpu_s) / 2
    contenders = (
        Contender(ALL, {WALL: wall, PROCESSOR: cpu, PROCESSES: 1}),
        Contender(EACH, {WALL: many, PROCESSOR: spent, PROCESSES: len(each)}),
    )
    goals = (
        Goal("one by one / all at once", ratio(many, wall), 5, least=True),
        Goal("all at once, s", wall, 60),
    )
    return Result(contenders, goals, runs=1, plot=WALL)
