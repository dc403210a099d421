"""Bytes until the first answer.

A visitor who was never here opens each page in one Chromium; counted is what comes over the wire
until the first answer is there, headers included, compressed as the production command serves it.
Our page is the whole page, with canvas and self-test; the others hold nothing but their runtime and
the float32 model.
"""

from __future__ import annotations

from tests.benchmarks import visits
from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.turns import tell

ALL, WEIGHTS, PROOF, REST = "in all, kB", "weights, kB", "manifest and proof, kB", "the rest, kB"
_WEIGHTS = (".bin", ".onnx")


def measure() -> Result:
    """One visit each: bytes do not vary."""
    contenders = []
    with visits.stage() as (browser, address):
        for name in visits.PAGES:
            tell(name)
            contenders.append(Contender(name, split(visits.visit(browser, address, name).received)))
    found = {one.name: one.figures[ALL] for one in contenders}
    ours = contenders[0].figures
    goals = (
        Goal("in all, kB", ours[ALL], 150),
        Goal("besides the weights, kB", ours[ALL] - ours[WEIGHTS], 30),
        Goal("stock TF.js / ours", ratio(found[visits.STOCK], ours[ALL]), 5, least=True),
        Goal("ORT-web / ours", ratio(found[visits.ORT], ours[ALL]), 25, least=True),
    )
    note = (
        f"Of what is besides the weights, {ours[PROOF]:.1f} kB are manifest, topology and golden "
        f"vectors, with which the page proves the model; the page itself is {ours[REST]:.1f} kB."
    )
    return Result(tuple(contenders), goals, runs=1, plot=ALL, notes=(note,))


def split(received: dict[str, int]) -> dict[str, float]:
    """Kilobytes by what they are for."""
    weights = sum(size for path, size in received.items() if path.endswith(_WEIGHTS))
    models = sum(size for path, size in received.items() if path.startswith("/models/"))
    everything = sum(received.values())
    parts = {ALL: everything, WEIGHTS: weights, PROOF: models - weights, REST: everything - models}
    return {name: size / 1000 for name, size in parts.items()}
