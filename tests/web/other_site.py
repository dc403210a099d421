"""A site of another origin that has its own copies of TensorFlow.js and ONNX Runtime Web."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from flask import Flask, Response, send_file
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from exporter.golden import Golden
from tests.web.digit_pad_page import MODEL, MODELS, ROOT, running

MODULES = ROOT / "exporter" / "player" / "node_modules"
COPIES = {
    "tf.es2017.min.js": MODULES / "@tensorflow" / "tfjs" / "dist" / "tf.es2017.min.js",
    "ort.wasm.bundle.min.mjs": MODULES / "onnxruntime-web" / "dist" / "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm": (
        MODULES / "onnxruntime-web" / "dist" / "ort-wasm-simd-threaded.wasm"
    ),
}
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
DIGIT = "7 upright"


def golden_digit() -> tuple[list[float], list[float]]:
    """A stored input of the shipped model and what Keras answers in float64."""
    golden = Golden.from_json((MODELS / MODEL / "golden.json").read_text(encoding="utf-8"))
    place = golden.names.index(DIGIT)
    answer = golden.rows[place].outputs
    assert answer is not None
    return golden.inputs()[0][place].ravel().tolist(), answer[0].ravel().tolist()


def page_with(snippet: str) -> str:
    """A page that holds the snippet, with `pixels` before it and `window.answer` after it."""
    if "probabilities" in snippet:
        # Of several scripts the last one predicts.
        first, _, last = snippet.rpartition("</script>")
        snippet = f"{first}  window.answer = Array.from(probabilities);\n</script>{last}"
    pixels = json.dumps(golden_digit()[0])
    return (
        '<!doctype html><html lang="en"><title>Theirs</title>'
        f"<script>const pixels = new Float32Array({pixels});</script>\n{snippet}"
    )


@contextmanager
def other_site(html: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Serves the page, and the copies beside it, at another host than the site of the models."""
    other = Flask("other", static_folder=None)

    @other.get("/")
    def page() -> Response:
        return Response(html, mimetype="text/html", headers=dict(headers))

    @other.get("/favicon.ico")
    def favicon() -> Response:
        return Response(b"", mimetype="image/x-icon")

    @other.get("/<name>")
    def copy(name: str) -> Response:
        return send_file(COPIES[name], mimetype=TYPES[Path(name).suffix])

    with running(make_server("127.0.0.1", 0, other, threaded=True)) as address:
        yield address.replace("127.0.0.1", "localhost")


@contextmanager
def visited(
    browser: Browser, html: str, headers: Mapping[str, str], *, known: tuple[str, ...] = ()
) -> Iterator[tuple[Page, list[str]]]:
    """The page of the other site, and what it complained of or fetched from a third."""
    faults: list[str] = []
    context = browser.new_context()
    page = context.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    with other_site(html, headers) as address:
        allowed = (address, *known, "data:", "blob:")
        page.on(
            "request",
            lambda request: request.url.startswith(allowed) or faults.append(request.url),
        )
        page.goto(address)
        yield page, faults
    context.close()
