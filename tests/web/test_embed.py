"""What the page offers to other sites, pasted into one: two origins, with and without COEP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask, Response
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from tests.web.digit_pad_page import running, serve

pytestmark = pytest.mark.browser

STROKES = [[[80, 60], [200, 60], [120, 220]]]
READ = """async strokes => {
  await customElements.whenDefined('digit-pad');
  const pad = document.querySelector('digit-pad');
  pad.draw(strokes);
  return (await pad.predict()).label;
}"""


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with running(serve()) as address:
        yield address


@pytest.fixture(scope="module")
def snippets(chromium: Browser, site: str) -> dict[str, str]:
    """What a visitor copies from the page."""
    page = chromium.new_page()
    page.goto(site)
    page.get_by_role("button", name="Embed").click()
    page.locator("dialog iframe").wait_for()
    names = ("element", "frame")
    return {name: page.locator(f"[data-snippet={name}]").text_content() or "" for name in names}


def paste(browser: Browser, snippet: str, headers: dict[str, str]) -> tuple[Page, list[str]]:
    """A page of another origin that holds the snippet; the page and what it complained of."""
    other = Flask("other")

    @other.get("/")
    def page_of_theirs() -> Response:
        html = f'<!doctype html><html lang="en"><title>Theirs</title>{snippet}'
        return Response(html, mimetype="text/html", headers=headers)

    @other.get("/favicon.ico")
    def favicon() -> Response:
        return Response(b"", mimetype="image/x-icon")

    faults: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    with running(make_server("127.0.0.1", 0, other, threaded=True)) as address:
        page.goto(address.replace("127.0.0.1", "localhost"))
        page.wait_for_load_state("networkidle")
    return page, faults


@pytest.mark.parametrize("headers", [{}, {"Cross-Origin-Embedder-Policy": "require-corp"}])
def test_the_element_works_on_another_site(
    chromium: Browser, snippets: dict[str, str], headers: dict[str, str]
) -> None:
    page, faults = paste(chromium, snippets["element"], headers)
    assert page.evaluate(READ, STROKES) == "7"
    assert faults == []


@pytest.mark.parametrize("headers", [{}, {"Cross-Origin-Embedder-Policy": "require-corp"}])
def test_the_frame_works_on_another_site(
    chromium: Browser, snippets: dict[str, str], headers: dict[str, str]
) -> None:
    page, faults = paste(chromium, snippets["frame"], headers)
    assert page.frames[1].evaluate(READ, STROKES) == "7"
    assert faults == []


def test_the_snippet_refuses_a_script_that_was_changed(
    chromium: Browser, snippets: dict[str, str]
) -> None:
    wrong = snippets["element"].replace("sha384-", "sha384-A", 1)
    page, faults = paste(chromium, wrong, {})
    assert page.evaluate("customElements.get('digit-pad') === undefined")
    assert any("integrity" in fault for fault in faults)


README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def of_readme(containing: str, site: str) -> str:
    """The README's HTML snippet with that text, pointing at `site`."""
    (snippet,) = (s for s in re.findall(r"```html\n(.*?)```", README, re.DOTALL) if containing in s)
    return snippet.replace('"/player/', f'"{site}/player/').replace('"/models/', f'"{site}/models/')


def test_the_readmes_element_works_on_another_site(chromium: Browser, site: str) -> None:
    page, faults = paste(chromium, of_readme("<digit-pad", site), {})
    assert page.evaluate(READ, STROKES) == "7"
    assert faults == []


def test_the_readmes_three_lines_predict_on_another_site(chromium: Browser, site: str) -> None:
    snippet = of_readme("await load", site).replace(
        "</script>", "  window.answer = Array.from(probabilities);\n</script>"
    )
    pixels = "<script>const pixels = new Float32Array(784).fill(0.5);</script>"
    page, faults = paste(chromium, pixels + snippet, {})
    page.wait_for_function("window.answer")
    assert sum(page.evaluate("window.answer")) == pytest.approx(1.0, abs=1e-5)
    assert faults == []
