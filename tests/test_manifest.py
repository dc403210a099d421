"""The manifest: what it holds, what it refuses, and that verification names every fault at once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from exporter import manifest as manifests
from exporter.errors import BadBundle, VerificationFailed
from exporter.manifest import Manifest

SCHEMA = json.loads(
    (Path(manifests.__file__).parent / "manifest.schema.json").read_text(encoding="utf-8")
)


def document(**changes: Any) -> dict[str, Any]:
    contents = b"weights"
    file = {
        "path": "onnx/model.onnx",
        "size_bytes": len(contents),
        "sha256": hashlib.sha256(contents).hexdigest(),
    }
    return {
        "schema": 1,
        "name": "small",
        "created_by": {"exporter": "0.1.0", "keras": "3.15.1", "tensorflow": "2.21.0"},
        "source": {"path": "keras/model.keras", "sha256": "0" * 64, "oracle": "float64"},
        "inputs": [
            {"name": "x", "shape": [None, 4], "dtype": "float32", "range": [0.0, 1.0]}
        ],
        "outputs": [{"name": "y", "shape": [None, 2], "dtype": "float32", "meaning": "values"}],
        "labels": None,
        "preprocessing": None,
        "artifacts": [
            {"format": "onnx", "precision": "float32", "path": file["path"], "files": [file]}
        ],
        "files": [],
        "skipped": [],
        "metrics": {},
        "parity": [],
        **changes,
    }  # fmt: skip


def bundle(directory: Path, **changes: Any) -> Path:
    (directory / "onnx").mkdir(parents=True)
    (directory / "onnx" / "model.onnx").write_bytes(b"weights")
    (directory / "manifest.json").write_text(json.dumps(document(**changes)))
    return directory


def test_reading_and_writing_change_nothing() -> None:
    text = json.dumps(document(), indent=2) + "\n"
    assert Manifest.from_json(text).to_json() == text


def test_what_is_published_follows_the_schema(tiny_bundle: Path) -> None:
    published = json.loads((tiny_bundle / "manifest.json").read_text(encoding="utf-8"))
    jsonschema.validate(published, SCHEMA)
    assert {a["format"] for a in published["artifacts"]} == {
        "keras", "tfjs-layers", "tfjs-graph", "onnx",
    }  # fmt: skip


def test_the_schema_refuses_what_the_reader_refuses() -> None:
    jsonschema.validate(document(), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(schema=2), SCHEMA)


@pytest.mark.parametrize("path", [
    "../secret", "/etc/passwd", "a/../../b", "a\\b", "c:/x", "http://x/y", "%2e%2e/x", "a\0b", "",
])  # fmt: skip
def test_a_path_that_leaves_the_bundle_is_refused(path: str) -> None:
    files = [{"path": path, "size_bytes": 1, "sha256": "0" * 64}]
    with pytest.raises(BadBundle, match=r"files\[0\]\.path"):
        Manifest.from_json(json.dumps(document(files=files)))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document(files=files), SCHEMA)


def artifact(path: str) -> dict[str, Any]:
    file = {"path": path, "size_bytes": 1, "sha256": "0" * 64}
    return {"format": "onnx", "precision": "float32", "path": path, "files": [file]}


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"schema": 2}, "schema"),
        ({"name": 7}, "name"),
        ({"inputs": {}}, "inputs"),
        ({"inputs": [{"name": "x", "shape": ["a"], "dtype": "float32"}]}, r"inputs\[0\]\.shape"),
        ({"artifacts": [3]}, r"artifacts\[0\]"),
        ({"files": [{"path": "a", "size_bytes": True, "sha256": "0" * 64}]}, "size_bytes"),
        ({"files": [{"path": "a", "size_bytes": 1, "sha256": "0" * 63}]}, "sha256"),
        ({"files": [{"path": "a", "size_bytes": 1, "sha256": "0" * 64}] * 2}, "listed 2 times"),
        ({"artifacts": [artifact("a"), artifact("b")]}, "onnx/float32 is listed 2 times"),
        ({"labels": [1]}, r"labels\[0\]"),
        ({"skipped": [3]}, r"skipped\[0\]"),
        ({"parity": "all"}, "parity"),
        ({"metrics": []}, "metrics"),
        ({"outputs": [{"name": "y", "shape": [], "dtype": "float32", "range": [1]}]}, "range"),
    ],
)
def test_a_malformed_manifest_names_the_place(changes: dict[str, Any], place: str) -> None:
    with pytest.raises(BadBundle, match=place):
        Manifest.from_json(json.dumps(document(**changes)))


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "null", '{"schema": 1}'])
def test_what_is_no_manifest_is_one_error(text: str) -> None:
    with pytest.raises(BadBundle):
        Manifest.from_json(text)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BadBundle, match="no bundle"):
        manifests.verify(tmp_path)


def test_a_whole_bundle_verifies(tmp_path: Path) -> None:
    assert manifests.verify(bundle(tmp_path / "b")).name == "small"


def test_a_moved_bundle_still_verifies(tmp_path: Path) -> None:
    moved = bundle(tmp_path / "b").rename(tmp_path / "elsewhere")
    assert manifests.verify(moved).name == "small"


def test_report_and_signature_are_not_answered_for(tmp_path: Path) -> None:
    directory = bundle(tmp_path / "b")
    (directory / "report").mkdir()
    (directory / "report" / "report.html").write_text("measured here")
    (directory / "manifest.json.sig").write_text("signed")
    assert manifests.verify(directory).name == "small"


def test_changed_missing_and_extra_are_named_at_once(own_bundle: Path) -> None:
    (own_bundle / "onnx" / "model.onnx").unlink()
    (own_bundle / "golden.json").write_text("{}")
    (own_bundle / "tfjs" / "extra.bin").write_text("x")
    with pytest.raises(VerificationFailed) as caught:
        manifests.verify(own_bundle)
    message = str(caught.value)
    assert "missing: onnx/model.onnx" in message
    assert "changed: golden.json" in message
    assert "extra: tfjs/extra.bin" in message


def test_a_changed_byte_of_the_same_size_is_found(tmp_path: Path) -> None:
    directory = bundle(tmp_path / "b")
    (directory / "onnx" / "model.onnx").write_bytes(b"weightz")
    with pytest.raises(VerificationFailed, match=r"changed: onnx/model\.onnx"):
        manifests.verify(directory)


def test_a_link_in_the_place_of_a_file_is_found(tmp_path: Path) -> None:
    directory = bundle(tmp_path / "b")
    real = (directory / "onnx" / "model.onnx").rename(tmp_path / "outside")
    (directory / "onnx" / "model.onnx").symlink_to(real)
    with pytest.raises(VerificationFailed, match="a link"):
        manifests.verify(directory)
