"""Another site, to see the snippets at work from a second origin.

    flask --app web run                                        # http://127.0.0.1:5000
    flask --app web.snippets.example run --port 5001           # http://127.0.0.1:5001

Each page holds one snippet as it is copied, the input of a stored digit before it and the answer
behind it. `EXPORTER_SITE` names where the models are served. Its own copies of TensorFlow.js and
ONNX Runtime Web are those of the player's npm packages, so it runs in a checkout only. May import
`exporter.{golden, manifest, errors}`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, send_file

from exporter.golden import Golden
from exporter.manifest import Manifest
from web.files import PLAYER
from web.pages import DEFAULT
from web.snippets import SNIPPETS, for_bundle

MODULES = PLAYER.parent / "node_modules"
_ORT = MODULES / "onnxruntime-web" / "dist"
COPIES = {
    "tf.es2017.min.js": MODULES / "@tensorflow" / "tfjs" / "dist" / "tf.es2017.min.js",
    "ort.wasm.bundle.min.mjs": _ORT / "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm": _ORT / "ort-wasm-simd-threaded.wasm",
}
_TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".wasm": "application/wasm"}
DIGIT = "7 upright"
"""The golden row whose picture is the input."""

_SHOW = "  document.querySelector('output').value = Array.from(probabilities).join(' ');\n</script>"


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """A new app.

    Args:
        config: Overrides: `SITE`, where the models are served; `BUNDLE`, the same bundle's folder
            on this machine; `HEADERS`, which the pages send.
    """
    app = Flask(__name__, static_folder=None)
    app.config["SITE"] = os.environ.get("EXPORTER_SITE", "http://127.0.0.1:5000/")
    app.config["BUNDLE"] = Path(os.environ.get("EXPORTER_MODELS", "models")) / DEFAULT
    app.config["HEADERS"] = {}
    app.config.from_mapping(config or {})
    bundle, site = Path(app.config["BUNDLE"]), app.config["SITE"]

    @app.get("/")
    def ways() -> Response:
        links = "".join(f'<li><a href="{one.id}">{escape(one.title)}</a>' for one in SNIPPETS)
        return _page(app, f"<h1>Models of {escape(site)}</h1><ul>{links}</ul>")

    @app.get("/<way>")
    def example(way: str) -> Response:
        texts = for_bundle(Manifest.read(bundle), bundle.name, site, PLAYER)
        if way not in texts:
            return copy(way)
        return _page(app, page_with(texts[way], golden_digit(bundle)[0]))

    def copy(name: str) -> Response:
        if name not in COPIES or not COPIES[name].is_file():
            abort(404)
        return send_file(COPIES[name], mimetype=_TYPES[COPIES[name].suffix])

    return app


def golden_digit(bundle: Path) -> tuple[list[float], list[float]]:
    """A stored input, a digit where the bundle has one, and Keras' answer for it in float64."""
    golden = Golden.from_json((bundle / "golden.json").read_text(encoding="utf-8"))
    place = golden.names.index(DIGIT) if DIGIT in golden.names else 0
    answer = golden.rows[place].outputs
    assert answer is not None
    return golden.inputs()[0][place].ravel().tolist(), answer[0].ravel().tolist()


def page_with(snippet: str, pixels: list[float]) -> str:
    """The snippet as it is copied, with `pixels` before it and the answer shown behind it."""
    if "probabilities" in snippet:
        # Of several scripts the last one predicts.
        first, _, last = snippet.rpartition("</script>")
        snippet = f"{first}{_SHOW}{last}"
    given = f"<script>const pixels = new Float32Array({json.dumps(pixels)});</script>"
    return f"{given}\n<p><output></output></p>\n{snippet}\n<pre>{escape(snippet)}</pre>"


def _page(app: Flask, body: str) -> Response:
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>Another site</title>'
    icon = '<link rel="icon" href="data:,">'
    return Response(f"{head}{icon}{body}", mimetype="text/html", headers=app.config["HEADERS"])
