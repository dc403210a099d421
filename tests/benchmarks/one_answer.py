"""One answer, warm.

A thousand answers of each contender to drawn digits, one at a time and in turns, in one page whose
clock has steps of 5 µs. The limit is the bare product: the same float32 layers as loops over typed
arrays, every number multiplied, nothing checked. Ours checks its input, and skips the zeros of a
picture. The goals are of medians; the 99th percentile, which has none, is what collecting garbage
and a busy machine add.
"""

from __future__ import annotations

import statistics

from playwright.sync_api import sync_playwright

from exporter import browser as browsers
from exporter import ink
from exporter.golden.drawn_digits import STYLES
from tests.benchmarks import servers
from tests.benchmarks.result import Contender, Goal, Result, ratio
from tests.benchmarks.turns import percentile

ROUNDS, EACH = 40, 25
MEDIAN, P99 = "median, µs", "99th percentile, µs"
OURS, BARE, STOCK = "the player's tiny runner", "bare product over typed arrays", "tf.min.js"
NAMES = {
    "tiny": OURS, "bare": BARE, "stock": STOCK, "cpu": "TF.js cpu", "wasm": "TF.js wasm",
    "ort": "ORT-web wasm",
}  # fmt: skip


def measure() -> Result:
    """All in one page."""
    pictures = [
        ink.from_strokes(digit).ravel().tolist() for digits in STYLES.values() for digit in digits
    ]
    with servers.production("tests.benchmarks.peers:create()") as server:
        with sync_playwright() as playwright:
            path, flags = str(browsers.require()), list(browsers.FLAGS)
            browser = playwright.chromium.launch(executable_path=path, args=flags)
            page = browser.new_page()
            page.set_default_timeout(300_000)
            page.goto(f"{server.address}/peers/turns")
            page.wait_for_function("globalThis.measure !== undefined")
            assert page.evaluate("crossOriginIsolated"), "else the clock has steps of 100 µs"
            found = page.evaluate("given => measure(...given)", [pictures, ROUNDS, EACH])
            browser.close()
    picked = found["stock"]
    contenders = {
        name: Contender(
            f"`{STOCK}`, which picks {picked} by itself" if name == "stock" else told,
            {MEDIAN: 1e3 * statistics.median(times), P99: 1e3 * percentile(times, 0.99)},
        )
        for name, told in NAMES.items()
        for times in [found["times"][name]]
    }
    medians = {name: one.figures[MEDIAN] for name, one in contenders.items()}
    ours = medians["tiny"]
    best = min(value for name, value in medians.items() if name not in ("tiny", "bare"))
    goals = (
        Goal("ours / the bare product", ratio(ours, medians["bare"]), 1.2),
        Goal("ours / the best of the others", ratio(ours, best), 1.2),
        Goal("what TF.js picks by itself / ours", ratio(medians["stock"], ours), 5, least=True),
    )
    return Result(tuple(contenders.values()), goals, runs=ROUNDS * EACH, plot=MEDIAN)
