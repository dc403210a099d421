"""What other sites copy to have a model: one source for the Embed page and the README.

Each snippet is a template beside this module; versions and integrity hashes are filled in here.
`python -m web.snippets` writes the README's section anew. May import
`exporter.{manifest, errors}` and `web.bundles`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from exporter.manifest import Manifest
from web import bundles

TFJS = "@tensorflow/tfjs@4.22.0"
ORT = "onnxruntime-web@1.30.0"
# sha384 of what these packages hold; tests compare them with the packages that are installed.
VENDORED = {
    "tf.es2017.min.js": "sha384-ODzrY1mCTIRZRerZfDIqCoTQafA1St1OwLVc9SsTefnkCF1MeIaVSZ88wuK/NKfH",
    "ort.wasm.bundle.min.mjs": (
        "sha384-PLWz+nHEVHpjwBsO0YVdvQj6n5814Iv8E3b8FG0Rp/uIAtjFMCKOpP66iPzedrIG"
    ),
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """One way to have a model on another site.

    Attributes:
        id: The template's name without its ending.
        title: What it is, for people.
        needs: What to put beside the page first; empty for nothing.
        artifact: Format and path that the bundle must hold; None where the player chooses.
        draws: Whether it brings the drawing element, which wants pictures of 28×28.
    """

    id: str
    title: str
    needs: str = ""
    artifact: tuple[str, str] | None = None
    draws: bool = False


SNIPPETS = (
    Snippet("element", "The element, with one script tag", draws=True),
    Snippet("frame", "A frame, where scripts of other sites are not wanted", draws=True),
    Snippet("player", "The model alone, checked and chosen by the player"),
    Snippet(
        "tfjs-layers", "Your own TensorFlow.js, layers", f"{TFJS}: dist/tf.es2017.min.js",
        ("tfjs-layers", "tfjs/layers/model.json"),
    ),
    Snippet(
        "tfjs-graph", "Your own TensorFlow.js, graph", f"{TFJS}: dist/tf.es2017.min.js",
        ("tfjs-graph", "tfjs/graph/model.json"),
    ),
    Snippet(
        "onnx", "Your own ONNX Runtime Web",
        f"{ORT}: dist/ort.wasm.bundle.min.mjs, dist/ort-wasm-simd-threaded.wasm",
        ("onnx", "onnx/model.onnx"),
    ),
)  # fmt: skip


def integrity_of(data: bytes) -> str:
    """The value of an `integrity` attribute."""
    return f"sha384-{base64.b64encode(hashlib.sha384(data).digest()).decode('ascii')}"


def render(snippet: Snippet, base: str, name: str, shape: list[int], player: Path) -> str:
    """The text to copy.

    Args:
        snippet: One of `SNIPPETS`.
        base: Address of the folder that holds `player/` and `models/`, with its last slash.
        name: The bundle's.
        shape: Of the model's input, with a batch of 1.
        player: The built player, whose hashes are pinned.
    """
    template = _environment().get_template(f"{snippet.id}.html")
    text = template.render(
        base=base, name=quote(name), shape=json.dumps(shape), integrity=_integrity(player)
    )
    return text.rstrip("\n")


def for_bundle(manifest: Manifest, name: str, base: str, player: Path) -> dict[str, str]:
    """The texts that this bundle's model can be had by, by id."""
    shape = [size or 1 for size in manifest.inputs[0].shape] if manifest.inputs else []
    held = {(artifact.format, artifact.path) for artifact in manifest.artifacts}
    return {
        one.id: render(one, base, name, shape, player)
        for one in SNIPPETS
        if (one.artifact is None or one.artifact in held)
        and (not one.draws or bundles.reads_drawings(manifest))
    }


def _integrity(player: Path) -> Callable[[str], str]:
    def find(name: str) -> str:
        return VENDORED.get(name) or integrity_of((player / Path(name).name).read_bytes())

    return find


@cache
def _environment() -> Environment:
    loader = FileSystemLoader(Path(__file__).parent)
    # Code for pages, shown as text: whoever shows it escapes it.
    return Environment(loader=loader, undefined=StrictUndefined, autoescape=False)  # noqa: S701
