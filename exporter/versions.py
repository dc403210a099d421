"""The versions that a manifest names: the tools that made the bundle, never the machine.

May import nothing of the project but `exporter.errors`. Loads no package: versions come from the
installed metadata and from the player's lock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

_PLAYER_PACKAGES = {
    "tfjs": "@tensorflow/tfjs-core",
    "onnxruntime-web": "onnxruntime-web",
}
_PACKAGES = {
    "keras": ("keras", "tensorflow"),
    "tfjs-layers": (),
    "tfjs-graph": ("tensorflowjs",),
    "onnx": ("onnx", "tf2onnx", "onnxruntime"),
}


def tools(formats: Iterable[str]) -> dict[str, str]:
    """Versions by name of what wrote those formats, and of what ran them in JavaScript."""
    names = [package for format in formats for package in _PACKAGES.get(format, ())]
    ours = {"exporter": metadata.version("keras-web-exporter")}
    return ours | {name: metadata.version(name) for name in dict.fromkeys(names)} | player()


def player() -> dict[str, str]:
    """Versions of the JavaScript runtimes, as the player was built with them."""
    text = (Path(__file__).parent / "player" / "package.json").read_text(encoding="utf-8")
    wanted = json.loads(text)["dependencies"]
    return {name: wanted[package] for name, package in _PLAYER_PACKAGES.items()}
