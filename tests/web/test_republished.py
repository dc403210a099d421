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
