"""The page without its server, after one visit."""

from __future__ import annotations

import io
import itertools

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import sync_playwright

from exporter import browser as browsers
from tests.web.digit_pad_page import running, serve

pytestmark = pytest.mark.browser


def test_after_one_visit_the_page_works_without_its_server() -> None:
    with sync_playwright() as playwright:
        path, flags = str(browsers.require()), list(browsers.FLAGS)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page()
        with running(serve()) as address:
            page.goto(address)
            page.locator("body[data-offline=true]").wait_for()
        page.reload()
        page.locator("digit-pad").get_by_role("button", name="Draw a sample 3").click()
        page.locator("digit-pad [part=answer]", has_text="3").wait_for()
        page.locator(".unit", has_text="the answer 3").wait_for()
        image = Image.new("L", (200, 200), 255)
        ImageDraw.Draw(image).line([(60, 40), (140, 40), (90, 160)], 0, 14)
        stream = io.BytesIO()
        image.save(stream, "PNG")
        page.locator("input[type=file]").set_input_files(
            {"name": "7.png", "mimeType": "image/png", "buffer": stream.getvalue()}
        )
        page.locator("digit-pad [part=answer]", has_text="7").wait_for()
        browser.close()


def test_the_network_comes_first_and_what_it_said_last_is_kept() -> None:
    with sync_playwright() as playwright:
        path, flags = str(browsers.require()), list(browsers.FLAGS)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page()
        server = serve()
        counter = itertools.count(1)
        server.app.add_url_rule("/changing", view_func=lambda: str(next(counter)))
        ask = "async () => (await fetch('changing')).text()"
        with running(server) as address:
            page.goto(address)
            page.locator("body[data-offline=true]").wait_for()
            page.wait_for_timeout(100)
            assert [page.evaluate(ask), page.evaluate(ask)] == ["1", "2"]
        assert page.evaluate(ask) == "2"
        browser.close()
