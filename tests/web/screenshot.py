"""Takes the picture of the page that README shows: `python -m tests.web.screenshot`."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import sync_playwright

from exporter import browser as browsers
from tests.web.digit_pad_page import running, serve

PICTURE = Path(__file__).parent.parent.parent / "docs" / "page.png"
# A crossed seven, in shares of the canvas' side.
STROKES = [[(0.28, 0.25), (0.68, 0.23), (0.45, 0.78)], [(0.35, 0.5), (0.6, 0.48)]]


def main() -> None:
    """Draw with the mouse, wait for all that is shown, and take the picture."""
    with running(serve()) as address, sync_playwright() as playwright:
        path, flags = str(browsers.require()), list(browsers.FLAGS)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(address)
        page.locator(".units.output").wait_for()
        box = page.locator("digit-pad canvas").first.bounding_box()
        assert box is not None
        for stroke in STROKES:
            places = [
                (box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke
            ]
            page.mouse.move(*places[0])
            page.mouse.down()
            for place in places[1:]:
                page.mouse.move(*place, steps=12)
            page.mouse.up()
        page.locator(".unit", has_text="the answer 7").wait_for()
        page.mouse.move(0, 0)
        page.wait_for_timeout(500)
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main()
