"""First visits: one Chromium, a cold cache, and each page until it has given its first answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from exporter import browser as browsers
from tests.benchmarks import peers, servers

OURS = "our page, `mlp-128-64`"
PAGES = {
    OURS: "/",
    "`tf.min.js`, float32 model": f"/peers/{peers.STOCK}",
    "TF.js cut down to the player's parts, float32 model": f"/peers/{peers.CUT}",
    "smallest ORT-web, float32 model": f"/peers/{peers.ORT}",
}
STOCK, CUT, ORT = list(PAGES)[1:]
LINE = {
    "offline": False,
    "latency": 150,
    "downloadThroughput": 200_000,
    "uploadThroughput": 200_000,
}
"""1.6 Mbit/s and 150 ms."""

SEVEN = [[[60, 60], [220, 60], [120, 240]]]
_OURS = """async strokes => {
  await customElements.whenDefined("digit-pad");
  const pad = document.querySelector("digit-pad");
  while (!pad.hasAttribute("src")) await new Promise(done => setTimeout(done, 5));
  pad.draw(strokes);
  const { label, probabilities } = await pad.predict();
  if (label === null) throw new Error("drawn, and no answer");
  return [performance.now(), probabilities.length];
}"""
_THEIRS = """() => new Promise((done, failed) => {
  const end = performance.now() + 100000;
  const look = () => {
    if (globalThis.answered) done(answered);
    else if (performance.now() > end) failed(new Error("no answer within 100 s"));
    else setTimeout(look, 5);
  };
  look();
})"""


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit took until the first answer.

    Attributes:
        seconds: Since the navigation began.
        received: Bytes on the wire, headers included, by path.
        journeys: Round trips in series: of each request, those that were answered before it began.
        chain: Of each round trip the paths that were asked for in it.
    """

    seconds: float
    received: dict[str, int]
    journeys: int
    chain: tuple[tuple[str, ...], ...]


@contextmanager
def stage() -> Iterator[tuple[Browser, str]]:
    """A Chromium, and the address of the production server with all pages."""
    with servers.production("tests.benchmarks.peers:create()") as server:
        with sync_playwright() as playwright:
            path, flags = str(browsers.require()), list(browsers.FLAGS)
            browser = playwright.chromium.launch(executable_path=path, args=flags)
            yield browser, server.address
            browser.close()


def visit(browser: Browser, address: str, name: str) -> Visit:
    """Open one of `PAGES` as somebody who was never here, over `LINE`."""
    context = browser.new_context()
    page = context.new_page()
    cdp = context.new_cdp_session(page)
    cdp.send("Network.enable")
    cdp.send("Network.emulateNetworkConditions", LINE)
    log: list[tuple[str, dict[str, Any]]] = []
    for event in ("requestWillBeSent", "responseReceived", "dataReceived", "loadingFinished"):
        cdp.on(f"Network.{event}", lambda told, event=event: log.append((event, told)))
    page.goto(address + PAGES[name], wait_until="commit", timeout=120_000)
    page.set_default_timeout(120_000)
    milliseconds, classes = page.evaluate(_OURS, SEVEN) if name == OURS else page.evaluate(_THEIRS)
    assert classes == 10
    seen = list(log)
    context.close()
    chain = journeys(seen)
    return Visit(milliseconds / 1000, _received(seen), len(chain), chain)


def _received(log: list[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    paths: dict[str, str] = {}
    received: dict[str, int] = {}
    for event, told in log:
        key = told["requestId"]
        if event == "requestWillBeSent":
            paths[key] = urlsplit(told["request"]["url"]).path
        elif event == "responseReceived":
            received[key] = int(told["response"]["encodedDataLength"])
        elif event == "dataReceived":
            received[key] = received.get(key, 0) + int(told["encodedDataLength"])
        else:
            received[key] = int(told["encodedDataLength"])
    return {paths[key]: size for key, size in received.items() if size}


def journeys(log: Sequence[tuple[str, dict[str, Any]]]) -> tuple[tuple[str, ...], ...]:
    """The paths asked for in each round trip.

    A request comes after those whose answers had begun when it was sent. Icons, which browsers want
    on their own account, and what is in the page itself are none. The type that the browser gives
    a request says nothing: what is preloaded may be "Other".
    """
    sent: dict[str, int] = {}
    answered: dict[str, int] = {}
    chain: list[list[str]] = []
    for event, told in log:
        key = told["requestId"]
        if event == "requestWillBeSent":
            url = urlsplit(told["request"]["url"])
            if url.scheme in ("data", "blob") or _ICON.search(url.path):
                continue
            sent[key] = 1 + max(answered.values(), default=0)
            if sent[key] > len(chain):
                chain.append([])
            chain[sent[key] - 1].append(url.path)
        elif event == "responseReceived" and key in sent:
            answered[key] = sent[key]
    return tuple(tuple(dict.fromkeys(paths)) for paths in chain)


_ICON = re.compile(r"(favicon|icon)[^/]*\.(ico|png|svg)$")
