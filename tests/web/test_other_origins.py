"""What the Embed page offers other sites, pasted into one: two origins, with and without COEP."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from exporter.check import ANYWHERE, check
from tests.web.digit_pad_page import MODEL, MODELS, running
from tests.web.other_site import BUNDLE, page_with, visited
from tests.web.static_host import ReadsHeaders, static_host, watched
from web.freeze import freeze
from web.snippets import SNIPPETS, VENDORED, __main__, example, integrity_of

STROKES = [[[80, 60], [200, 60], [120, 220]]]
READ = """async strokes => {
  await customElements.whenDefined('digit-pad');
  const pad = document.querySelector('digit-pad');
  pad.draw(strokes);
  return (await pad.predict()).label;
}"""
COEP = {"Cross-Origin-Embedder-Policy": "require-corp"}
ALONE = [one.id for one in SNIPPETS if not one.draws]
README = Path(__file__).parents[2] / "README.md"


def answer_of(page: Page) -> list[float]:
    """The numbers that the page shows once it has them."""
    page.locator("output", has_text=".").wait_for(timeout=60_000)
    return [float(number) for number in (page.locator("output").text_content() or "").split()]


@pytest.fixture(scope="module")
def texts(chromium: Browser, site: str) -> dict[str, str]:
    """What a visitor copies from the Embed page."""
    page = chromium.new_page()
    page.goto(f"{site}/embed/#model={MODEL}")
    page.locator(".example iframe").wait_for()
    found = {
        one.id: page.locator(f"[data-snippet={one.id}]").text_content() or "" for one in SNIPPETS
    }
    page.close()
    return found


@pytest.mark.browser
@pytest.mark.parametrize("headers", [{}, COEP], ids=["plain", "coep"])
def test_the_element_works_on_another_site(
    chromium: Browser, site: str, texts: dict[str, str], headers: dict[str, str]
) -> None:
    with visited(chromium, page_with(texts["element"]), headers, known=(site,)) as (page, faults):
        assert page.evaluate(READ, STROKES) == "7"
        assert page.evaluate("crossOriginIsolated") is False
    assert faults == []


@pytest.mark.browser
@pytest.mark.parametrize("headers", [{}, COEP], ids=["plain", "coep"])
def test_the_frame_works_on_another_site(
    chromium: Browser, site: str, texts: dict[str, str], headers: dict[str, str]
) -> None:
    with visited(chromium, page_with(texts["frame"]), headers, known=(site,)) as (page, faults):
        page.locator("iframe").scroll_into_view_if_needed()
        page.frame_locator("iframe").locator("digit-pad canvas").first.wait_for()
        assert page.frames[1].evaluate(READ, STROKES) == "7"
    assert faults == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "headers", [pytest.param({}, marks=pytest.mark.slow), COEP], ids=["plain", "coep"]
)
@pytest.mark.parametrize("way", ALONE)
def test_the_model_answers_on_another_site_what_keras_answers(
    chromium: Browser, site: str, texts: dict[str, str], way: str, headers: dict[str, str]
) -> None:
    with visited(chromium, page_with(texts[way]), headers, known=(site,)) as (page, faults):
        found = answer_of(page)
    assert found == pytest.approx(example.golden_digit(BUNDLE)[1], abs=1e-4)
    assert faults == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "way", ["element", "player", pytest.param("tfjs-layers", marks=pytest.mark.slow), "onnx"]
)
def test_a_script_that_was_changed_is_refused(
    chromium: Browser, site: str, texts: dict[str, str], way: str
) -> None:
    wrong = texts[way].replace("sha384-", "sha384-A", 1)
    with visited(chromium, page_with(wrong), {}, known=(site,)) as (page, faults):
        page.wait_for_load_state("networkidle")
        assert page.locator("output").text_content() == ""
        assert page.evaluate("customElements.get('digit-pad') === undefined")
    assert any("integrity" in fault for fault in faults)


@pytest.mark.browser
def test_the_example_site_shows_every_way_from_a_second_port(chromium: Browser, site: str) -> None:
    other = example.create_app({"SITE": f"{site}/", "BUNDLE": BUNDLE})
    with running(make_server("127.0.0.1", 0, other, threaded=True)) as address:
        with watched(chromium, (address, site)) as (page, faults):
            page.goto(address)
            assert page.get_by_role("link").count() == len(SNIPPETS)
            page.get_by_role("link", name="ONNX Runtime").click()
            expected = example.golden_digit(BUNDLE)[1]
            assert answer_of(page) == pytest.approx(expected, abs=1e-4)
        assert faults == []
        assert other.test_client().get("/nothing").status_code == 404


@pytest.mark.browser
def test_a_frozen_site_serves_other_sites_where_its_headers_are_read(
    chromium: Browser, tmp_path: Path
) -> None:
    freeze([MODELS / MODEL], tmp_path)
    with static_host(tmp_path, ReadsHeaders) as address:
        assert check(f"{address}/", origin=ANYWHERE).findings == []
        assert check(f"{address}/models/{MODEL}/").findings == []
        page = chromium.new_page()
        page.goto(f"{address}/embed/")
        page.locator(".example iframe").wait_for()
        texts = {
            way: page.locator(f"[data-snippet={way}]").text_content() or ""
            for way in ("element", "frame")
        }
        page.close()
        for way, text in texts.items():
            with visited(chromium, page_with(text), COEP, known=(address,)) as (page, faults):
                place = page if way == "element" else page.frames[1]
                assert place.evaluate(READ, STROKES) == "7"
            assert faults == []


@pytest.mark.parametrize("name", VENDORED)
def test_the_pinned_hashes_are_those_of_the_pinned_packages(name: str) -> None:
    assert VENDORED[name] == integrity_of(example.COPIES[name].read_bytes())


def test_the_readme_holds_what_the_source_of_the_snippets_says() -> None:
    readme = README.read_text(encoding="utf-8")
    assert readme == __main__.rewritten(readme), "run: python -m web.snippets"
    assert readme.count("```html") == len(SNIPPETS)
