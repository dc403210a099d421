"""Bundles, player and static files over HTTP."""

from __future__ import annotations

import hashlib
import http.client
import os
import threading
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from exporter import publish
from exporter.manifest import Manifest
from tests.web.conftest import FILES, write_bundle, write_report
from web import bundles, create_app

SHARD = "/models/tiny/tfjs/layers/group1-shard1of1.bin"
SHARD_DATA = FILES["tfjs/layers/group1-shard1of1.bin"]


def ask(
    address: tuple[str, int], path: str, method: str = "GET", **headers: str
) -> tuple[http.client.HTTPResponse, bytes]:
    """One request, its path sent as it stands: no client may tidy it."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    connection.putrequest(method, path, skip_host=False, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    connection.endheaders()
    response = connection.getresponse()
    body = response.read()
    connection.close()
    return response, body


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("tfjs/layers/model.json", "application/json"),
        ("tfjs/layers/group1-shard1of1.bin", "application/octet-stream"),
        ("onnx/model.onnx", "application/octet-stream"),
        ("keras/model.keras", "application/octet-stream"),
        ("README.md", "text/plain; charset=utf-8"),
    ],
)
def test_every_listed_file_is_served_as_it_is_under_its_type(
    client: FlaskClient, path: str, content_type: str
) -> None:
    response = client.get(f"/models/tiny/{path}")
    assert (response.status_code, response.data) == (200, FILES[path])
    assert response.headers["Content-Type"] == content_type
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in response.headers
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["X-Content-Type-Options"] == "nosniff"


def test_the_manifest_is_served(client: FlaskClient, root: Path) -> None:
    response = client.get("/models/tiny/manifest.json")
    assert response.data == (root / "tiny" / "manifest.json").read_bytes()
    assert response.headers["Content-Type"] == "application/json"


def test_a_report_is_served_with_a_policy_of_its_own(client: FlaskClient, root: Path) -> None:
    write_report(root / "tiny", 1, 0, 0)
    response = client.get("/models/tiny/report/report.html")
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert client.get("/models/tiny/report/parity.json").status_code == 200


def test_a_file_that_the_manifest_does_not_list_is_not_served(
    client: FlaskClient, root: Path
) -> None:
    for path in ("extra.txt", "report/other.html", "tfjs/layers/extra.bin"):
        (root / "tiny" / path).parent.mkdir(exist_ok=True)
        (root / "tiny" / path).write_text("secret")
        assert client.get(f"/models/tiny/{path}").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/models/tiny/../../secret.txt",
        "/models/tiny/..%2f..%2fsecret.txt",
        "/models/..%2fsecret.txt",
        "/models/../secret.txt",
        "/models/no-bundle/secret.txt",
        "/models/tiny/../no-bundle/secret.txt",
        "/models/tiny//etc/passwd",
        "/models/tiny/%2fetc%2fpasswd",
        "/models/%2e%2e/secret.txt",
        "/models/./tiny/manifest.json%00.txt",
        "/models/tiny/tfjs\\layers\\model.json",
        "/models/TINY/manifest.json",
        "/models//manifest.json",
        "/models/tiny",
        "/models/tiny/",
        "/models/tiny/tfjs",
        "/player/../index.js",
        "/player/..%2findex.js",
        "/player/%2e%2e/package.json",
        "/static/../bundles.py",
        "/static/..%2fbundles.py",
    ],
)
def test_nothing_outside_the_tables_can_be_asked_for(address: tuple[str, int], path: str) -> None:
    response, body = ask(address, path)
    # A doubled slash is redirected to the address without it, which is asked for below.
    if response.status == 308:
        location = response.getheader("Location") or ""
        response, body = ask(address, location.removeprefix(f"http://127.0.0.1:{address[1]}"))
    assert response.status == 404
    assert b"secret" not in body
    assert b"root:" not in body


def test_links_out_of_a_bundle_are_not_followed(client: FlaskClient, root: Path) -> None:
    target = root / "tiny" / "onnx" / "model.onnx"
    target.unlink()
    target.symlink_to(root.parent / "secret.txt")
    response = client.get("/models/tiny/onnx/model.onnx")
    assert response.status_code == 500
    assert b"secret" not in response.data
    layers = root / "tiny" / "tfjs" / "layers"
    elsewhere = root.parent / "elsewhere"
    layers.rename(elsewhere)
    layers.symlink_to(elsewhere)
    assert client.get("/models/tiny/tfjs/layers/model.json").status_code == 500
    (root / "linked").symlink_to(elsewhere.parent)
    assert client.get("/models/linked/secret.txt").status_code == 404


def test_the_tag_is_the_sha256_of_the_manifest(client: FlaskClient) -> None:
    etag = client.get(SHARD).headers["ETag"]
    assert etag == f'"{hashlib.sha256(SHARD_DATA).hexdigest()}"'


def test_what_is_known_already_is_not_sent_again(client: FlaskClient) -> None:
    etag = client.get(SHARD).headers["ETag"]
    response = client.get(SHARD, headers={"If-None-Match": etag})
    assert (response.status_code, response.data) == (304, b"")
    assert response.headers["ETag"] == etag
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get(SHARD, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_bundle_swapped_for_one_of_the_same_size_and_time_is_sent_anew(
    client: FlaskClient, root: Path
) -> None:
    url = "/models/tiny/onnx/model.onnx"
    old = client.get(url)
    path = root / "tiny" / "onnx" / "model.onnx"
    times = path.stat()
    # What an export does: the file and, with it, the manifest.
    other = old.data[::-1]
    write_bundle(root / "tiny", FILES | {"onnx/model.onnx": other})
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert path.stat().st_size == times.st_size
    response = client.get(url, headers={"If-None-Match": old.headers["ETag"]})
    assert (response.status_code, response.data) == (200, other)


def test_a_bundle_that_is_published_anew_meanwhile_is_always_served_whole(
    address: tuple[str, int], root: Path
) -> None:
    stop = threading.Event()
    seen: list[tuple[int, bool]] = []

    def read() -> None:
        while not stop.is_set():
            response, body = ask(address, "/models/tiny/onnx/model.onnx")
            etag = f'"{hashlib.sha256(body).hexdigest()}"'
            seen.append((response.status, response.getheader("ETag") == etag))

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(20):
        with publish.staged(root / "tiny") as staging:
            write_bundle(staging, FILES | {"onnx/model.onnx": b"%d" % number * 5000})
    stop.set()
    for reader in readers:
        reader.join()
    assert len(seen) > 5
    assert set(seen) == {(200, True)}


def test_a_bundle_replaced_between_its_manifest_and_its_file_is_asked_again(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse, parsed = bundles._parse, []

    def parse_and_publish(raw: bundles.Content) -> Manifest:
        manifest = parse(raw)
        parsed.append(manifest)
        if len(parsed) == 1:
            with publish.staged(root / "tiny") as staging:
                write_bundle(staging, FILES | {"onnx/model.onnx": b"new"})
        return manifest

    monkeypatch.setattr(bundles, "_parse", parse_and_publish)
    response = client.get("/models/tiny/onnx/model.onnx")
    assert (response.status_code, response.data) == (200, b"new")
    assert len(parsed) == 2


def test_a_file_that_is_not_the_listed_one_is_refused(client: FlaskClient, root: Path) -> None:
    (root / "tiny" / "onnx" / "model.onnx").write_bytes(b"another")
    response = client.get("/models/tiny/onnx/model.onnx")
    assert response.status_code == 500
    assert b"exporter verify" in response.data
    assert str(root).encode() not in response.data
    assert response.headers["Cache-Control"] == "no-store"
    assert "ETag" not in response.headers


def test_a_bundle_with_a_malformed_manifest_is_refused_by_its_key(
    client: FlaskClient, root: Path
) -> None:
    (root / "tiny" / "manifest.json").write_text('{"schema": 1}')
    response = client.get("/models/tiny/onnx/model.onnx")
    assert response.status_code == 500
    assert b"name: missing" in response.data


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-0", 206, slice(0, 1)),
        ("bytes=10-19", 206, slice(10, 20)),
        ("bytes=2000-", 206, slice(2000, None)),
        ("bytes=-5", 206, slice(-5, None)),
        ("bytes=9999-", 416, None),
    ],
)
def test_parts_of_a_file_can_be_asked_for(
    address: tuple[str, int], asked: str, status: int, part: slice | None
) -> None:
    response, body = ask(address, SHARD, Range=asked)
    assert response.status == status
    if part is not None:
        assert body == SHARD_DATA[part]
        assert (response.getheader("Content-Range") or "").endswith(f"/{len(SHARD_DATA)}")
    assert response.getheader("Access-Control-Allow-Origin") == "*"


def test_head_says_what_get_would_without_the_body(address: tuple[str, int]) -> None:
    response, body = ask(address, SHARD, "HEAD")
    assert (response.status, body) == (200, b"")
    assert response.getheader("Content-Length") == str(len(SHARD_DATA))
    assert response.getheader("ETag") == f'"{hashlib.sha256(SHARD_DATA).hexdigest()}"'


def test_a_preflight_allows_reading_and_nothing_else(address: tuple[str, int]) -> None:
    response, _ = ask(address, SHARD, "OPTIONS", Origin="https://example.org")
    assert response.getheader("Access-Control-Allow-Methods") == "GET, HEAD, OPTIONS"
    assert ask(address, SHARD, "DELETE")[0].status == 405
    assert ask(address, SHARD, "POST")[0].status == 405


def test_the_player_is_served_under_types_that_browsers_run(root: Path, tmp_path: Path) -> None:
    built = tmp_path / "dist"
    built.mkdir()
    for name in ("index.js", "part.mjs", "core.wasm"):
        (built / name).write_text("built")
    (built / "link.js").symlink_to(tmp_path / "models" / "no-bundle" / "secret.txt")
    client = create_app({"BUNDLES": root, "PLAYER": built}).test_client()
    for name, kind in (("index.js", "text/javascript"), ("part.mjs", "text/javascript"),
                       ("core.wasm", "application/wasm")):  # fmt: skip
        response = client.get(f"/player/{name}")
        assert (response.status_code, response.mimetype) == (200, kind)
        assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get("/player/link.js").status_code == 404


def test_a_player_that_is_not_built_is_not_found(root: Path, tmp_path: Path) -> None:
    client = create_app({"BUNDLES": root, "PLAYER": tmp_path / "nothing"}).test_client()
    assert client.get("/player/index.js").status_code == 404


def test_a_bundle_replaced_while_the_list_reads_it_is_read_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, asked = bundles._content, []

    def publish_and_read(folder: int, path: str) -> bundles.Content | None:
        asked.append(path)
        if len(asked) == 1:
            with publish.staged(root / "tiny") as staging:
                write_bundle(staging)
        return content(folder, path)

    monkeypatch.setattr(bundles, "_content", publish_and_read)
    (entry,) = bundles.entries(root)
    assert (entry.manifest is not None, entry.fault) == (True, "")
    assert asked.count("manifest.json") == 2
