"""Time until the first answer.

The same visits over a line of 1.6 Mbit/s and 150 ms, which Chromium itself throttles. The answer
of our page is one to a drawing, after its self-test. Round trips in series are counted from what
the browser says: a request comes after those that were answered before it was sent.
"""

from __future__ import annotations

import statistics

from tests.benchmarks import visits
from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.turns import alternate

ROUNDS = 3
SECONDS, JOURNEYS = "until the first answer, s", "round trips in series"


def measure() -> Result:
    """Medians of a few visits each."""
    with visits.stage() as (browser, address):
        turns = {
            name: lambda name=name: visits.visit(browser, address, name) for name in visits.PAGES
        }
        found = alternate(turns, ROUNDS)
    contenders = tuple(
        Contender(name, {
            SECONDS: statistics.median(visit.seconds for visit in each),
            JOURNEYS: max(visit.journeys for visit in each),
        })
        for name, each in found.items()
    )  # fmt: skip
    seconds = {one.name: one.figures[SECONDS] for one in contenders}
    ours = seconds[visits.OURS]
    goals = (
        Goal("stock TF.js / ours", ratio(seconds[visits.STOCK], ours), 4, least=True),
        Goal("ORT-web / ours", ratio(seconds[visits.ORT], ours), 15, least=True),
        Goal("round trips in series", contenders[0].figures[JOURNEYS], 3),
    )
    longest = max(found[visits.OURS], key=lambda visit: visit.journeys)
    chain = "; then ".join(", ".join(f"`{path}`" for path in paths) for paths in longest.chain)
    return Result(contenders, goals, ROUNDS, plot=SECONDS, notes=(f"Ours asks for {chain}.",))
