"""Answers kept in memory: the app's own, given again only while the files are what they were."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from exporter import publish
from tests.web.conftest import FILES, write_bundle
from web import kept
from web.kept import Kept

URL = "/models/tiny/onnx/model.onnx"
MODEL = FILES["onnx/model.onnx"]


@pytest.fixture
def asked(app: Flask, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that the app itself was asked for; files are trusted as soon as they are there."""
    monkeypatch.setattr(kept, "SETTLED_NS", 0)
    paths: list[str] = []
    app.before_request(lambda: paths.append(_path()))
    return paths


def _path() -> str:
    from flask import request

    return request.path


def test_what_did_not_change_is_answered_without_asking_the_app(
    client: FlaskClient, asked: list[str]
) -> None:
    first = client.get(URL)
    again = client.get(URL)
    assert (again.status, again.data) == (first.status, first.data) == ("200 OK", MODEL)
    assert list(again.headers) == list(first.headers)
    assert asked == [URL]


def test_head_tags_and_encodings_have_answers_of_their_own(
    client: FlaskClient, asked: list[str]
) -> None:
    address = "/models/tiny/manifest.json"
    tag = client.get(address).headers["ETag"]
    ways: list[dict[str, Any]] = [
        {"method": "GET"}, {"method": "HEAD"},
        {"method": "GET", "headers": {"Accept-Encoding": "gzip"}},
        {"method": "GET", "headers": {"If-None-Match": tag}},
        {"method": "GET", "base_url": "https://localhost"},
    ]  # fmt: skip
    firsts = [client.open(address, **way) for way in ways]
    asked.clear()
    for way, first in zip(ways, firsts, strict=True):
        again = client.open(address, **way)
        assert (again.status, again.data) == (first.status, first.data)
        assert list(again.headers) == list(first.headers)
    assert asked == []
    assert [first.status_code for first in firsts] == [200, 200, 200, 304, 200]
    assert len({first.data for first in firsts}) == 3, "plain, packed, nothing"


@pytest.mark.parametrize("header", ["Range", "If-Match", "If-Range", "If-Modified-Since"])
def test_rare_conditions_are_left_to_the_app(
    client: FlaskClient, asked: list[str], header: str
) -> None:
    for _ in range(2):
        client.get(URL, headers={header: "bytes=0-1"})
    assert asked == [URL, URL]


def test_a_file_written_in_place_with_its_old_times_is_noticed(
    client: FlaskClient, asked: list[str], root: Path
) -> None:
    path = root / "tiny" / "onnx" / "model.onnx"
    times = path.stat()
    assert client.get(URL).data == MODEL
    time.sleep(0.02)  # more than a tick of the file system's clock
    write_bundle(root / "tiny", FILES | {"onnx/model.onnx": MODEL[::-1]})
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert client.get(URL).data == MODEL[::-1]


def test_a_bundle_published_anew_is_noticed(
    client: FlaskClient, asked: list[str], root: Path
) -> None:
    for number in range(3):
        with publish.staged(root / "tiny") as staging:
            write_bundle(staging, FILES | {"onnx/model.onnx": b"%d" % number * 500})
        assert client.get(URL).data == client.get(URL).data == b"%d" % number * 500


@pytest.mark.parametrize(
    "gone", ["tiny", "tiny/manifest.json", "tiny/onnx", "tiny/onnx/model.onnx"]
)
def test_what_is_taken_away_is_answered_no_more(
    client: FlaskClient, asked: list[str], root: Path, gone: str
) -> None:
    assert client.get(URL).status_code == 200
    (root / gone).rename(root.parent / "gone")
    assert client.get(URL).status_code in (404, 500)


def test_a_link_in_the_place_of_a_bundle_is_not_followed(
    client: FlaskClient, asked: list[str], root: Path
) -> None:
    assert client.get(URL).status_code == 200
    (root / "tiny").rename(root.parent / "moved")
    (root / "tiny").symlink_to(root.parent / "moved")
    assert client.get(URL).status_code == 404


def test_files_that_changed_just_now_are_not_trusted(client: FlaskClient, app: Flask) -> None:
    paths: list[str] = []
    app.before_request(lambda: paths.append(_path()))
    assert client.get(URL).status_code == client.get(URL).status_code == 200
    assert paths == [URL, URL]


def test_refusals_and_pages_are_not_kept(client: FlaskClient, asked: list[str], root: Path) -> None:
    addresses = ["/models/", "/models/tiny/extra.txt", URL]
    (root / "tiny" / "onnx" / "model.onnx").write_bytes(b"another")
    for _ in range(2):
        assert [client.get(a).status_code for a in addresses] == [200, 404, 500]
    assert asked == addresses * 2


def _asking(tmp_path: Path, bodies: dict[str, bytes]) -> tuple[Kept, list[str]]:
    """A store over an app that has a file for each body, and what that was asked for."""
    asked: list[str] = []
    for name, body in bodies.items():
        (tmp_path / name).write_bytes(body)

    def application(environment: kept.Environment, start_response: Any) -> list[bytes]:
        name = environment["PATH_INFO"]
        asked.append(name)
        path = tmp_path / name
        environment[kept.SEEN] = (kept.Seen(str(path), kept.identify(path.stat())),)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [path.read_bytes()]

    return Kept(application, lambda environment: None), asked


def _get(store: Kept, name: str, **headers: str) -> bytes:
    environment = {"REQUEST_METHOD": "GET", "PATH_INFO": name, **headers}
    return b"".join(store(environment, lambda status, headers, *rest: None))


def test_memory_is_bounded_and_the_longest_unused_goes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept, "SETTLED_NS", 0)
    monkeypatch.setattr(kept, "MOST_BYTES", 250)
    monkeypatch.setattr(kept, "LARGEST_BYTES", 200)
    store, asked = _asking(tmp_path, {"a": b"a" * 100, "b": b"b" * 100, "c": b"c" * 100,
                                      "large": b"l" * 201})  # fmt: skip
    for name in ("a", "b", "a", "c", "large", "a", "c"):
        _get(store, name)
    assert asked == ["a", "b", "c", "large"], "b was the longest unused; large is too large"
    assert _get(store, "b") == b"b" * 100
    assert asked[-1] == "b"
    assert store._bytes <= 250


def test_tags_to_ask_with_do_not_fill_the_memory(
    client: FlaskClient, app: Flask, asked: list[str]
) -> None:
    tag = client.get(URL).headers["ETag"]
    for number in range(20):
        client.get(URL, headers={"If-None-Match": f'"{number}"'})
        client.get(URL, headers={"If-None-Match": f'"{number:0>100}", {tag}'})
    store: Any = app.wsgi_app
    assert len(store._answers) == 1
