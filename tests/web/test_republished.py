"""A bundle that is published anew under its visitors: real servers, a real browser, its cache."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Response, request
from playwright.sync_api import Browser
from werkzeug.serving import make_server

from exporter import publish
from exporter.manifest import Manifest
from tests.torture import readers, republishing
from tests.torture.readers import Amount, Answer, Release, Term
from tests.web.digit_pad_page import MODELS, running
from tests.web.faulty_host import FaultyHost, Reply, faulty, serving
from web import create_app
from web.files import PLAYER

pytestmark = pytest.mark.browser

OLD, NEW = "mlp-128", "mlp-128-64"
LOAD = """async (url) => {
  const { load } = await import("/player/index.js");
  const model = await load(url, { runtime: "tiny" });
  const answers = await model.predict(new Float32Array(784));
  return [model.info.name, answers.length, model.info.attempts.length];
}"""


def publish_bundle(name: str, target: Path) -> None:
    with publish.staged(target) as staging:
        shutil.copytree(MODELS / name, staging, dirs_exist_ok=True)


@contextmanager
def blank(chromium: Browser, address: str) -> Iterator[Any]:
    """A page of that address, in a browser that has seen nothing."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{address}/player/runtimes.json")  # routes of Playwright would turn the cache off
    yield page
    context.close()


@pytest.mark.parametrize("after", ["manifest.json", "golden.json"])
def test_a_page_that_loads_while_a_bundle_is_published_gets_the_new_one_whole(
    chromium: Browser, tmp_path: Path, after: str
) -> None:
    publish_bundle(OLD, tmp_path / "it")
    app = create_app({"BUNDLES": tmp_path, "TESTING": True})
    asked: list[str] = []

    def publish_after(response: Response) -> Response:
        asked.append(request.path)
        if asked.count(f"/models/it/{after}") == 1 and request.path.endswith(after):
            publish_bundle(NEW, tmp_path / "it")
        return response

    app.after_request(publish_after)
    with running(make_server("127.0.0.1", 0, app)) as address, blank(chromium, address) as page:
        assert page.evaluate(LOAD, f"{address}/models/it/manifest.json") == [NEW, 10, 1]
    assert asked.count("/models/it/manifest.json") <= 2


def test_files_that_a_browser_kept_of_an_older_release_are_noticed_and_passed_by(
    chromium: Browser,
) -> None:
    host = FaultyHost(MODELS / OLD)
    host.files |= FaultyHost(PLAYER, "/player/").files
    shards = {f.path for f in Manifest.read(MODELS / OLD).artifact("tfjs-layers").files}

    def keep(reply: Reply) -> Reply:
        return reply.with_headers(Cache_Control="max-age=600")

    host.faults |= {path: faulty(keep) for path in shards}
    with serving(host) as address, blank(chromium, address) as page:
        url = f"{address}/models/it/manifest.json"
        assert page.evaluate(LOAD, url)[0] == OLD
        host.files |= FaultyHost(MODELS / NEW).files
        host.asked.clear()
        assert page.evaluate(LOAD, url) == [NEW, 10, 1]
    assert host.asked.count("/models/it/manifest.json") == 2


def test_readers_of_app_and_site_are_told_of_one_release_at_a_time() -> None:
    figures, faults = republishing.measure_all(Amount(12, readers=3, loads=6, storm_loads=3))
    assert faults == []
    for key in ("answers", "frozen site, answers"):
        assert "× 200" in figures[key]
    assert figures["frozen site, of these under hashed names"] > 0


A, B = Release(Path("a"), {"f": "aa", "f.0123abcd.js": "0123abcd"}), Release(Path("b"), {"f": "bb"})
TERMS = (Term(0, 0, A), Term(10, 11, B), Term(20, 21, A))


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (Answer(5, 6, "f", 200, "aa"), ""),
        (Answer(5, 6, "f", 200, "bb"), "replaced before"),
        (Answer(9, 10.5, "f", 200, "bb"), ""),
        (Answer(12, 13, "f", 304, "aa"), "not modified"),
        (Answer(10.5, 13, "f", 304, "aa"), ""),
        (Answer(5, 6, "f", 503, ""), "status 503"),
        (Answer(5, 6, "f", 404, ""), "404"),
        (Answer(12, 13, "f.0123abcd.js", 404, ""), ""),
        (Answer(22, 23, "f.0123abcd.js", 200, "0123abcd"), ""),
        (Answer(5, 6, "f", 200, "aa", "3 bytes, 4 announced"), "3 bytes"),
    ],
)
def test_what_was_answered_is_held_against_what_stood_then(answer: Answer, wrong: str) -> None:
    found = readers.faults_of([answer], TERMS)
    assert len(found) == bool(wrong)
    assert wrong in "".join(found)


def test_a_name_with_the_hash_of_other_contents_is_found() -> None:
    mixed = Release(Path("m"), {"f.0123abcd.js": "ffff"})
    (found,) = readers.faults_of([Answer(1, 2, "f.0123abcd.js", 200, "ffff")], [Term(0, 0, mixed)])
    assert "than its name says" in found
