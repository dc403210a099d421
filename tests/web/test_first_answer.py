"""What a visitor waits for until the first answer: bytes, and journeys one after another."""

from __future__ import annotations

import gzip
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.web.digit_pad_page import MODEL, smallest_precision

pytestmark = pytest.mark.browser

MOST_JOURNEYS = 3
MOST_BYTES = 30_000
"""HTML, CSS and JavaScript, compressed; weights and what proves them come on top."""

MOST_BYTES_IN_ALL = 150_000
"""With weights of 8 bits, the manifest and the golden vectors."""

QUIET_MS = 250


def test_three_journeys_and_thirty_kilobytes(chromium: Browser, site: str) -> None:
    """Every request is held until there are no more: what came together is one journey."""
    page = chromium.new_page()
    held: list[Any] = []
    page.route("**/*", lambda route: held.append(route))
    page.evaluate("address => void setTimeout(() => { location.href = address; })", f"{site}/")
    journeys: list[dict[str, int]] = []
    # Only what the page itself asks for decides: an icon is the browser's.
    ready = "document.querySelector('[data-fact=model]')?.textContent.includes('B')"
    while not (journeys and page.evaluate(ready)):
        assert len(journeys) < 10
        waiting = -1
        while not held or waiting != len(held):
            waiting = len(held)
            page.wait_for_timeout(QUIET_MS)
        sizes = {}
        for route in [held.pop(0) for _ in range(len(held))]:
            response = route.fetch()
            path = route.request.url.removeprefix(site)
            sizes[path] = len(gzip.compress(response.body(), 9))
            route.fulfill(response=response)
        journeys.append(sizes)
        page.wait_for_timeout(2 * QUIET_MS)
    page.context.close()
    assert len(journeys) <= MOST_JOURNEYS, journeys
    fetched = {path: size for sizes in journeys for path, size in sizes.items()}
    assert f"/models/{MODEL}/manifest.json" in fetched
    code = {path: size for path, size in fetched.items() if not path.startswith("/models/")}
    assert sum(code.values()) <= MOST_BYTES, code
    if smallest_precision() == "uint8":
        assert sum(fetched.values()) <= MOST_BYTES_IN_ALL, fetched
    # Nothing is fetched that only somebody else needs.
    assert not [path for path in fetched if "tfjs" in path.split("/models/")[0] or "ort" in path]
