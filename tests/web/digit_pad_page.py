"""A bare page of the strictest policy with one `<digit-pad>`, over the real app, in Chromium.

Used by the tests of the element; whatever a page prints, blocks or fetches elsewhere fails a test.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flask import Response, request
from playwright.sync_api import Browser, BrowserContext, Page
from werkzeug.serving import make_server

from exporter.manifest import Manifest
from web import create_app

ROOT = Path(__file__).parent.parent.parent
MODELS = Path(os.environ.get("EXPORTER_MODELS", ROOT / "models"))
MODEL = "mlp-128-64"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Pad</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<script type="module" src="/player/digit-pad.js"></script>
<main><h1>Pad</h1><digit-pad {attributes}></digit-pad></main>
"""


def draw(page: Page, points: list[tuple[float, float]]) -> None:
    """One stroke with the mouse through points in parts of the canvas, from its upper left."""
    box = page.locator("digit-pad canvas").first.bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def smallest_precision(model: str = MODEL) -> str:
    """What the element takes unless it is told otherwise: the tiny runner's smallest weights."""
    artifacts = Manifest.read(MODELS / model).artifacts
    sizes = {a.precision: a.size_bytes for a in artifacts if a.format == "tfjs-layers"}
    return min(sizes, key=lambda precision: sizes[precision])


def serve() -> Any:
    """A server on a free port that also answers `/bare?…`: the query becomes attributes."""
    app = create_app({"BUNDLES": MODELS, "TESTING": True})

    def bare() -> Response:
        given = {"src": f"/models/{MODEL}/manifest.json"} | request.args.to_dict()
        attributes = " ".join(f'{name}="{value}"' for name, value in given.items())
        response = Response(PAGE.format(attributes=attributes), mimetype="text/html")
        response.headers["Content-Security-Policy"] = POLICY
        return response

    app.add_url_rule("/bare", view_func=bare)
    return make_server("127.0.0.1", 0, app, threaded=True)


@contextmanager
def running(server: Any) -> Iterator[str]:
    """The address of the server while it answers."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Pad:
    """The page of one test and the element on it."""

    def __init__(self, browser: Browser, address: str, **context: Any) -> None:
        self.context: BrowserContext = browser.new_context(**context)
        self.page: Page = self.context.new_page()
        self.address = address
        self.faults: list[str] = []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._note)

    def _note(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.faults.append(f"fetched {request.url}")

    def open(self, query: str = "") -> Pad:
        """Load the page; with the element defined, its model perhaps still loading."""
        self.page.goto(f"{self.address}/bare{query}")
        self.page.evaluate("async () => { await customElements.whenDefined('digit-pad'); }")
        return self

    def run(self, script: str, argument: Any = None) -> Any:
        """Evaluate `(pad, argument) => …` in the page."""
        call = f"async (argument) => ({script})(document.querySelector('digit-pad'), argument)"
        return self.page.evaluate(call, argument)

    def wait(self, condition: str, argument: Any = None) -> None:
        """Until `(pad, argument) => …` is true; in the page, whose policy forbids eval."""
        script = f"""async (argument) => {{
          const end = performance.now() + 10000;
          while (!({condition})(document.querySelector('digit-pad'), argument)) {{
            if (performance.now() > end) throw new Error('not within 10 s');
            await new Promise(done => setTimeout(done, 20));
          }}
        }}"""
        self.page.evaluate(script, argument)

    def label(self, strokes: list[Any]) -> str | None:
        """Clear, draw, and ask."""
        script = (
            "async (pad, strokes) => (pad.clear(), pad.draw(strokes), await pad.predict()).label"
        )
        return self.run(script, strokes)

    def canvas(self) -> dict[str, float]:
        """Where the drawing canvas is on the page, in CSS pixels."""
        box = self.page.locator("digit-pad canvas").first.bounding_box()
        assert box is not None
        return dict(box)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """A place on the canvas, from shares of its side, as a place on the page."""
        box = self.canvas()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def drag(self, points: list[tuple[float, float]], steps: int = 4) -> None:
        """One stroke with the mouse, in shares of the canvas' side."""
        self.page.mouse.move(*self.point(*points[0]))
        self.page.mouse.down()
        for point in points[1:]:
            self.page.mouse.move(*self.point(*point), steps=steps)
        self.page.mouse.up()
