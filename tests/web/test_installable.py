"""The page can be installed: as the app serves it, and frozen on a plain host below some path."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from exporter import browser as browsers
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.static_host import static_host
from web.freeze import freeze

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("host")
    freeze([MODELS / MODEL], root / "below")
    with static_host(root) as address:
        yield f"{address}/below/"


def manifest_of(address: str, profile: Path) -> tuple[dict[str, Any], list[str], str]:
    """The app manifest as Chromium reads it, what keeps it from installing, and its address."""
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=str(browsers.require()), args=list(browsers.FLAGS)
        )
        page = context.new_page()
        page.goto(address)
        page.locator("body[data-offline=true]").wait_for()
        tools = context.new_cdp_session(page)
        found = tools.send("Page.getAppManifest")
        errors = tools.send("Page.getInstallabilityErrors")["installabilityErrors"]
        context.close()
    faults = [one["errorId"] for one in errors] + [one["message"] for one in found["errors"]]
    return json.loads(found["data"]), faults, found["url"]


@pytest.mark.parametrize("kind", ["app", "frozen"])
def test_the_page_can_be_installed(site: str, frozen: str, tmp_path: Path, kind: str) -> None:
    address = f"{site}/" if kind == "app" else frozen
    manifest, faults, url = manifest_of(address, tmp_path)
    assert faults == []
    assert urljoin(url, manifest["start_url"]) == address
    assert urljoin(url, manifest["scope"]) == address
    assert manifest["display"] == "standalone"
    icons = [one for one in manifest["icons"] if one["type"] == "image/png"]
    assert {(one["sizes"], one["purpose"]) for one in icons} == {
        ("192x192", "any"), ("512x512", "any"), ("512x512", "maskable"),
    }  # fmt: skip
    for icon in icons:
        with urlopen(urljoin(url, icon["src"])) as response:
            image = Image.open(io.BytesIO(response.read()))
        assert "x".join(map(str, image.size)) == icon["sizes"]


@pytest.mark.slow
def test_what_cannot_be_installed_would_be_told(tmp_path: Path) -> None:
    freeze([MODELS / MODEL], tmp_path / "site")
    (path,) = (tmp_path / "site" / "static").glob("app.*.webmanifest")
    path.write_text(path.read_text().replace("192x192", "9x9").replace("512x512", "9x9"))
    document = json.loads(path.read_text())
    document["icons"] = document["icons"][1:]
    path.write_text(json.dumps(document))
    with static_host(tmp_path) as address:
        assert manifest_of(f"{address}/site/", tmp_path / "profile")[1] != []
