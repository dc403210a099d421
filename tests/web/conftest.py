"""Bundles on disk, an app over them, and a real server where HTTP itself matters."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from playwright.sync_api import Browser, sync_playwright
from werkzeug.serving import make_server

from exporter import browser as browsers
from exporter.manifest import Artifact, Manifest, TensorSpec, measure
from tests.web.digit_pad_page import MODEL, MODELS, running, serve
from tests.web.faulty_host import FaultyHost, serving
from web import create_app

FILES = {
    "tfjs/layers/model.json": b'{"format": "layers-model", "weightsManifest": [{"paths": '
    b'["group1-shard1of1.bin"], "weights": [{"name": "w", "shape": [512], "dtype": "float32"}]}]}',
    "tfjs/layers/group1-shard1of1.bin": bytes(range(256)) * 8,
    # Version 10 of the format, a producer's name, an empty graph.
    "onnx/model.onnx": b"\x08\x0a\x12\x7f" + b"a" * 127 + b"\x3a\x00",
    "keras/model.keras": b"PK\x03\x04",
    "README.md": b"# A card\n",
}


def write_bundle(folder: Path, files: Mapping[str, bytes] = FILES, **changes: object) -> Manifest:
    """A bundle of made-up files with a true manifest."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    shapes = TensorSpec("x", (None, 28, 28), "float32"), TensorSpec("y", (None, 10), "float32")
    manifest = Manifest(
        name=folder.name,
        created_by={"keras": "3.15.1"},
        source={"sha256": "0" * 64, "recipe": "mlp-128-64"},
        inputs=(shapes[0],),
        outputs=(shapes[1],),
        artifacts=(
            Artifact("keras", "float32", "keras/model.keras",
                     measure(folder, ["keras/model.keras"])),
            Artifact("tfjs-layers", "float32", "tfjs/layers/model.json",
                     measure(folder, [p for p in FILES if p.startswith("tfjs")])),
            Artifact("onnx", "float32", "onnx/model.onnx", measure(folder, ["onnx/model.onnx"])),
        ),
        files=measure(folder, ["README.md"]),
        metrics={"data": "mnist", "test": {"accuracy": 0.9912, "loss": 0.0309}},
        parity=({"artifact": "onnx/float32", "runtime": "onnxruntime", "backend": "cpu",
                 "passed": {"golden/noise": "bit for bit"}},),
    )  # fmt: skip
    manifest = replace(manifest, **changes)  # type: ignore[arg-type]
    (folder / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def write_report(folder: Path, passed: int, failed: int, not_run: int) -> None:
    (folder / "report").mkdir(exist_ok=True)
    counts = {"passed": passed, "failed": failed, "not_run": not_run}
    (folder / "report" / "parity.json").write_text(json.dumps(counts))
    (folder / "report" / "report.html").write_text("<!doctype html><title>r</title>")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real Chromium for all tests of a module."""
    with sync_playwright() as playwright:
        path, flags = str(browsers.require()), list(browsers.FLAGS)
        launched = playwright.chromium.launch(executable_path=path, args=flags)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The address of the real app over the shipped bundles."""
    with running(serve()) as address:
        yield address


@pytest.fixture
def host() -> Iterator[FaultyHost]:
    """A server of a shipped bundle, with the faults that a test asks for."""
    host = FaultyHost(MODELS / MODEL)
    with serving(host):
        yield host


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one bundle, a secret beside it and a folder that is no bundle."""
    models = tmp_path / "models"
    write_bundle(models / "tiny")
    (models / "no-bundle").mkdir()
    (models / "no-bundle" / "secret.txt").write_text("secret")
    (tmp_path / "secret.txt").write_text("secret")
    return models


@pytest.fixture
def app(root: Path) -> Flask:
    return create_app({"BUNDLES": root, "TESTING": True})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def address(app: Flask) -> Iterator[tuple[str, int]]:
    """Host and port of a real server."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    with running(server):
        yield "127.0.0.1", server.server_port
