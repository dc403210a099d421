"""The web app, and beside it one plain page for each way in which a model is put in a page today.

Each page holds nothing but its runtime and the float32 model, and notes when the first answer is
there. All are served by the same server, compressed in the same way.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, abort

from web import bundles, create_app
from web.files import _answer

ROOT = Path(__file__).parents[2]
MODEL = "mlp-128-64"
_MODULES = ROOT / "exporter" / "player" / "node_modules"
SCRIPTS = {
    "turns": '<script type="module" src="one_answer.js"></script>',
    "frame": '<script src="tf.min.js"></script>',
}
"""Of the page on which all take turns, and of a frame in it."""

FILES = {
    "one_answer.js": Path(__file__).with_name("one_answer.js"),
    "tf.min.js": _MODULES / "@tensorflow" / "tfjs" / "dist" / "tf.min.js",
    "ort.wasm.bundle.min.mjs": _MODULES / "onnxruntime-web" / "dist" / "ort.wasm.bundle.min.mjs",
    "ort-wasm-simd-threaded.wasm":
        _MODULES / "onnxruntime-web" / "dist" / "ort-wasm-simd-threaded.wasm",
}  # fmt: skip
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
{head}<script type="module">
{imports}
const bundle = "/models/{model}/";
const pixels = new Float32Array(784).fill(0.5);
{answer}
globalThis.answered = [performance.now(), answer.length];
</script>
"""
_BARE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>In turns</title>
<body>{script}</body>
"""
# tf.min.js evaluates strings. Isolated pages have a finer clock.
_HEADERS = {
    "Content-Security-Policy": "default-src * 'unsafe-inline' 'unsafe-eval' data: blob:",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}
STOCK, CUT, ORT = "stock", "cut", "ort"
PAGES = {
    STOCK: {
        "head": '<script src="tf.min.js"></script>',
        "imports": "",
        "answer": """const model = await tf.loadLayersModel(bundle + "tfjs/layers/model.json");
const answer = await model.predict(tf.tensor(pixels, [1, 28, 28])).data();""",
    },
    CUT: {
        "head": "",
        "imports": 'import { load } from "/player/index.js";',
        "answer": """const choice = { runtime: "tfjs", backend: "cpu" };
const model = await load(bundle + "manifest.json", choice);
const answer = await model.predict(pixels);""",
    },
    ORT: {
        "head": "",
        "imports": """import * as ort from "./ort.wasm.bundle.min.mjs";
ort.env.wasm.numThreads = 1;""",
        "answer": """const session = await ort.InferenceSession.create(bundle + "onnx/model.onnx");
const input = new ort.Tensor("float32", pixels, [1, 28, 28]);
const outputs = await session.run({ [session.inputNames[0]]: input });
const answer = outputs[session.outputNames[0]].data;""",
    },
}  # fmt: skip


def page(name: str) -> str:
    """The page of one of `PAGES`, or of `SCRIPTS`."""
    if name in SCRIPTS:
        return _BARE.format(script=SCRIPTS[name])
    return _PAGE.format(name=name, model=MODEL, **PAGES[name])


def create() -> Flask:
    """The app over the shipped models, with `/peers/`."""
    app = create_app({"BUNDLES": ROOT / "models"})

    @app.get("/peers/<path:path>")
    def peer(path: str) -> Response:
        if path in FILES:
            with FILES[path].open("rb") as stream:
                return _answer(bundles.Content.of_stream(stream, str(FILES[path])), path)
        if path not in (*PAGES, *SCRIPTS):
            abort(404)
        return Response(page(path), mimetype="text/html", headers=_HEADERS)

    return app
