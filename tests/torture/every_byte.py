"""Each byte of a small published bundle flipped in turn: `exporter verify`, and the player.

The manifest answers for every other file and nothing but a signature answers for the manifest, so
its own bytes are told apart: those that neither break nor contradict it (a digit of a metric) are
found by `verify --key` alone.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exporter import manifest
from exporter.errors import ExporterError
from exporter.manifest import MANIFEST_NAME
from tests.torture.table import Measured

SCRIPT = Path(__file__).with_suffix(".js")
CHOICES = (
    {"runtime": "tiny", "format": "tfjs-layers"}, {"runtime": "onnx", "backend": "wasm"},
    {"runtime": "tfjs", "format": "tfjs-graph", "backend": "cpu"},
)  # fmt: skip
"""So that each artefact of the bundle is opened once."""


def publish(folder: Path) -> Path:
    """A bundle of a tiny model, in float32, proven where an export of the tests proves."""
    import keras

    import exporter
    from exporter import runtimes

    keras.utils.set_random_seed(3)
    layers = [keras.Input((4,), name="x"), keras.layers.Dense(3, activation="softmax", name="y")]
    every, runtimes.NAMES = runtimes.NAMES, ("keras", "onnxruntime", "tiny-node", "tfjs-node")
    try:
        exporter.export(keras.Sequential(layers, name="small"), folder / "small")
    finally:
        runtimes.NAMES = every
    return folder / "small"


def flips(bundle: Path, paths: list[str], step: int) -> Iterator[tuple[str, int]]:
    """Flip each byte, yield while it is flipped, and put it back."""
    for path in paths:
        with open(bundle / path, "r+b", buffering=0) as stream:
            for at in range(0, (bundle / path).stat().st_size, step):
                (byte,) = os.pread(stream.fileno(), 1, at)
                os.pwrite(stream.fileno(), bytes([byte ^ 0xFF]), at)
                yield path, at
                os.pwrite(stream.fileno(), bytes([byte]), at)


def missed_by_verify(bundle: Path, paths: list[str], step: int = 1) -> tuple[int, list[str]]:
    """How many bytes were flipped, and those that verification did not find."""
    count, missed = 0, []
    for path, at in flips(bundle, paths, step):
        count += 1
        try:
            manifest.verify(bundle)
        except ExporterError:
            continue
        missed.append(f"{path} byte {at}")
    return count, missed


def files_of(bundle: Path) -> dict[str, str]:
    """What the player may ask for, in base64."""
    paths = [MANIFEST_NAME, *(file.path for file in manifest.Manifest.read(bundle).all_files())]
    return {path: base64.b64encode((bundle / path).read_bytes()).decode() for path in paths}


_RUN = """
const {load} = await import(PLAYER + "/index.js");
const {flipAll} = await import(SCRIPT);
const files = Object.fromEntries(Object.entries(DATA).map(([path, text]) =>
  [path, Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))]));
"""


def by_player_in_node(bundle: Path, step: int, choices: tuple[dict, ...] = CHOICES[:1]) -> Any:
    """`flipAll` in Node, with the built player."""
    from exporter.runtimes.node import DIST, node_executable

    source = (
        f"const PLAYER = {json.dumps(DIST.as_uri())}, SCRIPT = {json.dumps(SCRIPT.as_uri())};\n"
        f"const DATA = {json.dumps(files_of(bundle))};\n{_RUN}\n"
        f"console.log(JSON.stringify(await flipAll(load, files, {json.dumps(choices)}, {step})));\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "run.mjs"
        script.write_text(source, encoding="utf-8")
        ended = subprocess.run(
            [node_executable(), str(script)], capture_output=True, text=True, timeout=600
        )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def by_player_in_chromium(bundle: Path, step: int = 1) -> Any:
    """`flipAll` in Chromium; the player's files are answered from disk, and nothing else is."""
    from playwright.sync_api import Route, sync_playwright

    from exporter import browser
    from exporter.runtimes.node import DIST

    types = {".js": "text/javascript", ".wasm": "application/wasm", ".json": "application/json"}

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix("http://localhost/")
        file = SCRIPT if path == SCRIPT.name else DIST / path.removeprefix("player/")
        if path == "":
            route.fulfill(body="<!doctype html>", content_type="text/html")
        elif file.is_file():
            kind = types.get(file.suffix, "application/octet-stream")
            route.fulfill(body=file.read_bytes(), content_type=kind)
        else:
            route.fulfill(status=404)

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=str(browser.require()), args=list(browser.FLAGS)
        )
        page = launched.new_page()
        page.route("**/*", answer)
        page.goto("http://localhost/")
        body = (
            f"async ([DATA, choices, step]) => {{ const PLAYER = '/player', "
            f"SCRIPT = '/{SCRIPT.name}';{_RUN} return await flipAll(load, files, choices, step); }}"
        )
        page.set_default_timeout(0)
        found = page.evaluate(body, [files_of(bundle), list(CHOICES), step])
        launched.close()
    return found


def _signed_misses(bundle: Path, folder: Path, missed: list[str]) -> list[str]:
    """Of flips of the manifest that plain verification missed, those that a key misses too."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    from exporter import signing

    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / "private.pem", folder / "public.pem"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(key.public_key().public_bytes(pem, form))
    signing.sign(bundle, private)
    wanted, left = set(missed), []
    for path, at in flips(bundle, [MANIFEST_NAME], 1):
        if f"{path} byte {at}" not in wanted:
            continue
        try:
            signing.verify(bundle, public)
        except ExporterError:
            continue
        left.append(f"{path} byte {at}")
    return left


def measure() -> Measured:
    """All bytes, in Python and in Chromium."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = publish(folder)
        listed = [file.path for file in manifest.Manifest.read(bundle).all_files()]
        count, missed = missed_by_verify(bundle, listed)
        own, unseen = missed_by_verify(bundle, [MANIFEST_NAME])
        player = by_player_in_chromium(bundle)
        unsigned = _signed_misses(bundle, folder, unseen)
    fetched = {path: one for path, one in player.items() if one["fetched"]}
    short = [f"verify missed {one}" for one in missed]
    short += [f"verify --key missed {one}" for one in unsigned]
    for path, one in fetched.items():
        if path != MANIFEST_NAME:
            short += [f"the player missed {path} byte {at}" for at in one["missed"]]
    files = {path: one for path, one in fetched.items() if path != MANIFEST_NAME}
    never = sorted(path for path, one in player.items() if not one["fetched"])
    figures: dict[str, int | float | str] = {
        "bytes that the manifest lists": count,
        "found by `exporter verify`": count - len(missed),
        "bytes that the player fetches of them": sum(one["bytes"] for one in files.values()),
        "found by the player in Chromium": sum(
            one["bytes"] - len(one["missed"]) for one in files.values()
        ),
        "never fetched by the player": ", ".join(never),
        "bytes of the manifest itself": own,
        "found by `verify` alone": own - len(unseen),
        "by `verify --key`": own - len(unsigned),
        "by the player": own - len(fetched[MANIFEST_NAME]["missed"]),
    }
    return Measured(figures, tuple(short[:20]))
