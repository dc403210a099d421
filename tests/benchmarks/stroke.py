"""A stroke, answered while it is drawn.

A pen goes over the canvas of our page with `mlp-128-64`, a movement every frame or so, and each
answer is timed from the movement that it is the first one after, as the browser dates that, until
the frame with the answer in it has been painted.
"""

from __future__ import annotations

import statistics
from typing import Any

from playwright.sync_api import Page, sync_playwright

from exporter import browser as browsers
from tests.benchmarks import servers
from tests.benchmarks.result import Contender, Goal, Result
from tests.benchmarks.turns import percentile, tell

STROKES, MOVEMENTS, PAUSE_MS = 12, 40, 12
FRAME_MS = 16
MEDIAN, P99, ANSWERS = "median, ms", "99th percentile, ms", "answers"
ENTERED, PAINTED, HANDLED = (
    "movement to painted frame", "movement handled to painted frame", "movement handled to answer",
)  # fmt: skip
_LISTEN = """async () => {
  await customElements.whenDefined("digit-pad");
  const pad = document.querySelector("digit-pad");
  while (!pad.hasAttribute("src")) await new Promise(done => setTimeout(done, 5));
  await pad.predict();
  globalThis.found = { entered: [], painted: [], answered: [] };
  let first = null;
  addEventListener("pointermove", event => {
    if (event.buttons) first ??= { entered: event.timeStamp, handled: performance.now() };
  }, { capture: true });
  pad.addEventListener("prediction", () => {
    if (!first) return;
    const { entered, handled } = first;
    first = null;
    const answered = performance.now();
    // A message that is sent in a frame arrives when the frame is done.
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        const painted = performance.now();
        found.entered.push(painted - entered);
        found.painted.push(painted - handled);
        found.answered.push(answered - handled);
      };
      port2.postMessage(null);
    });
  });
}"""


def measure() -> Result:
    """One page, many strokes."""
    with servers.production() as server, sync_playwright() as playwright:
        path, flags = str(browsers.require()), list(browsers.FLAGS)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page()
        page.goto(server.address)
        page.evaluate(_LISTEN)
        for number in range(STROKES):
            tell(f"stroke {number + 1} of {STROKES}")
            _stroke(page, number)
        page.wait_for_timeout(200)
        found: dict[str, list[float]] = page.evaluate("found")
        browser.close()
    contenders = tuple(
        Contender(name, {
            MEDIAN: statistics.median(times), P99: percentile(times, 0.99), ANSWERS: len(times),
        })
        for name, times in (
            (ENTERED, found["entered"]), (PAINTED, found["painted"]), (HANDLED, found["answered"]),
        )
    )  # fmt: skip
    figures = contenders[0].figures
    goals = (
        Goal("median, ms", figures[MEDIAN], FRAME_MS),
        Goal("99th percentile, ms", figures[P99], 2 * FRAME_MS),
    )
    return Result(contenders, goals, runs=1, plot=MEDIAN)


def _stroke(page: Page, number: int) -> None:
    """A zigzag over the canvas; every other one begins anew."""
    if number % 2 == 0:
        page.evaluate("document.querySelector('digit-pad').clear()")
    box: Any = page.locator("digit-pad canvas").first.bounding_box()

    def place(step: int) -> tuple[float, float]:
        share = step / MOVEMENTS
        across = 0.2 + 0.6 * abs(1 - 4 * (share % 0.5))
        return box["x"] + across * box["width"], box["y"] + (0.15 + 0.7 * share) * box["height"]

    page.mouse.move(*place(0))
    page.mouse.down()
    for step in range(1, MOVEMENTS + 1):
        page.mouse.move(*place(step))
        page.wait_for_timeout(PAUSE_MS)
    page.mouse.up()
