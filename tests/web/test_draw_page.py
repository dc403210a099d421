"""The page to draw on, as a person uses it, over the real app in a real Chromium."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import Browser, Page

from exporter.manifest import Manifest
from tests.web.digit_pad_page import MODEL, MODELS, draw, smallest_precision

pytestmark = pytest.mark.browser

SEVEN = [(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]


@pytest.fixture
def visit(chromium: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Opens the page; afterwards nothing was printed, blocked or fetched from elsewhere."""
    faults: list[str] = []
    contexts: list[Any] = []

    def note(request: Any) -> None:
        if not request.url.startswith((site, "data:", "blob:")):
            faults.append(f"fetched {request.url}")

    def visit(address: str = "/", **options: Any) -> Page:
        contexts.append(chromium.new_context(**options))
        page: Page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", note)
        page.goto(address if address.startswith("http") else site + address)
        page.locator(".units.output").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []


def fact(page: Page, name: str) -> str:
    return page.locator(f"[data-fact={name}]").text_content() or ""


def test_drawing_shows_the_answer_and_what_was_measured(visit: Callable[..., Page]) -> None:
    page = visit()
    draw(page, SEVEN)
    page.get_by_text("units active").first.wait_for()
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    assert fact(page, "runtime") == "tiny js"
    assert "ms" in fact(page, "latency")
    assert smallest_precision() in fact(page, "model")
    assert "kB" in fact(page, "fetched")


def test_how_far_it_is_from_keras_is_told_as_its_precision_can_be(
    visit: Callable[..., Page],
) -> None:
    page = visit("/#precision=float32")
    assert re.fullmatch(r"\d\.\de-\d over \d+ samples", fact(page, "parity"))
    assert fact(page, "compared") == "off Keras at most, on this device"
    page.locator("select[name=precision]").select_option("uint8")
    page.get_by_text(re.compile(r"same answer on \d+ of \d+ digits")).wait_for()
    told = re.fullmatch(
        r"as Keras, on this device: at most (\S+) off, (\S+) on noise and near ties",
        fact(page, "compared"),
    )
    assert told
    assert 0 < float(told[1]) <= float(told[2]) < 1


def test_nothing_is_preloaded_for_a_choice_that_may_be_taken_back(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    hinted = page.locator("link[rel=preload]")
    before = hinted.count()
    assert before > 0
    page.locator("select[name=model]").select_option("mlp-128")
    page.locator("select[name=model]").select_option(MODEL)
    draw(page, SEVEN)
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    assert hinted.count() == before


@pytest.mark.parametrize("name", ["__proto__", "toString", "none"])
def test_a_link_to_a_model_that_is_not_here_says_so_and_another_answers(
    visit: Callable[..., Page], name: str
) -> None:
    page = visit(f"/#model={name}")
    page.locator(".told", has_text="The link's model is not here").wait_for()
    assert page.locator("select[name=model]").input_value() == MODEL


def test_a_link_cannot_put_words_into_the_page(visit: Callable[..., Page]) -> None:
    page = visit()
    draw(page, SEVEN)
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    page.wait_for_timeout(1000)
    friend = visit(page.url.replace("answer=7", "answer=call+555-1234"))
    friend.locator("digit-pad [part=answer]", has_text="7").wait_for()
    friend.wait_for_timeout(200)
    assert friend.locator(".told").text_content() == ""


def test_what_was_measured_of_one_model_is_not_told_of_the_next(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    draw(page, SEVEN)
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    # As a model that cannot be used would.
    page.evaluate("() => { document.querySelector('digit-pad').backend = 'none'; }")
    page.locator("digit-pad .status.error").wait_for()
    assert {fact(page, name) for name in ("runtime", "latency", "model", "parity")} == {"–"}
    assert page.locator(".units").count() == 0


def test_hidden_layers_light_up_and_a_unit_shows_its_weights(visit: Callable[..., Page]) -> None:
    page = visit()
    lit = (
        "() => [...document.querySelectorAll('.units button')]"
        ".filter(unit => Number(unit.style.getPropertyValue('--a')) > 0).length"
    )
    assert page.evaluate(lit) == 0
    draw(page, SEVEN)
    page.locator(".unit", has_text="the answer 7").wait_for()
    assert page.evaluate(lit) > 20
    page.locator(".units button").nth(5).click()
    page.locator(".unit", has_text="unit 6 of").wait_for()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.locator(".unit", has_text="unit 7 of").wait_for()
    colours = page.evaluate(
        "() => { const c = document.querySelector('.unit canvas');"
        " const d = c.getContext('2d').getImageData(0, 0, 28, 28).data; return new Set(d).size; }"
    )
    assert colours > 20


@pytest.mark.parametrize("runtime", ["tfjs wasm", "tfjs cpu", "onnx wasm"])
def test_a_runtime_is_offered_with_its_size_and_answers(
    visit: Callable[..., Page], runtime: str
) -> None:
    page = visit()
    choice = page.locator(f"option[value='{runtime}']")
    assert (choice.text_content() or "").endswith(("kB", "MB"))
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    page.locator("select[name=runtime]").select_option(runtime)
    draw(page, SEVEN)
    page.locator("[data-fact=runtime]", has_text=runtime.split()[1]).wait_for(timeout=60_000)
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    name = "onnx" if runtime.startswith("onnx") else "tfjs"
    assert any(f"/player/{name}" in url for url in fetched)


def test_every_precision_that_the_model_has_can_be_chosen(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator("select[name=runtime]").select_option("tiny js")
    artifacts = Manifest.read(MODELS / MODEL).artifacts
    has = {artifact.precision for artifact in artifacts if artifact.format == "tfjs-layers"}
    options = page.locator("select[name=precision] option")
    offered = [str(option.get_attribute("value")) for option in options.all()]
    assert set(offered) == has | {"auto"}
    draw(page, SEVEN)
    for precision in has:
        page.locator("select[name=precision]").select_option(precision)
        page.locator("[data-fact=model]", has_text=precision).wait_for()
        page.locator("digit-pad [part=answer]", has_text="7").wait_for()


def test_a_link_shows_a_friend_the_same(visit: Callable[..., Page]) -> None:
    page = visit()
    page.locator("select[name=runtime]").select_option("tfjs cpu")
    draw(page, SEVEN)
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    # The address is written once the hand has rested.
    page.wait_for_timeout(1000)
    assert "ink=" in page.url
    assert page.url.endswith("&answer=7")
    friend = visit(page.url, viewport={"width": 400, "height": 800})
    friend.locator("digit-pad [part=answer]", has_text="7").wait_for()
    friend.locator("[data-fact=runtime]", has_text="cpu").wait_for()
    assert friend.locator("select[name=model]").input_value() == MODEL
    sure = "digit-pad [part=confidence]"
    assert friend.locator(sure).text_content() == page.locator(sure).text_content()


def test_a_link_says_when_the_answer_was_another_one_where_it_was_made(
    visit: Callable[..., Page],
) -> None:
    page = visit()
    draw(page, SEVEN)
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    page.wait_for_timeout(1000)
    friend = visit(page.url.replace("answer=7", "answer=1"))
    friend.locator(".told", has_text="Where the link was made, the answer was 1.").wait_for()


def test_a_picture_is_opened_and_read(visit: Callable[..., Page]) -> None:
    page = visit()
    image = Image.new("RGB", (400, 300), (240, 235, 220))
    ImageDraw.Draw(image).line([(120, 60), (280, 60), (190, 250)], (30, 40, 90), 22)
    stream = io.BytesIO()
    image.save(stream, "JPEG")
    chooser = page.locator("input[type=file]")
    chooser.set_input_files(
        {"name": "7.jpg", "mimeType": "image/jpeg", "buffer": stream.getvalue()}
    )
    page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    chooser.set_input_files({"name": "x.png", "mimeType": "image/png", "buffer": b"no picture"})
    page.locator(".told", has_text="x.png: no picture that this browser can read").wait_for()


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1440, 900), (1920, 1080)])
def test_on_a_desktop_it_is_one_screen(visit: Callable[..., Page], width: int, height: int) -> None:
    page = visit(viewport={"width": width, "height": height})
    draw(page, SEVEN)
    page.locator(".unit", has_text="the answer 7").wait_for()
    assert page.evaluate("document.documentElement.scrollHeight") <= height


@pytest.mark.parametrize("width", [320, 360, 820, 2200])
def test_the_page_is_never_wider_than_its_window(visit: Callable[..., Page], width: int) -> None:
    page = visit(viewport={"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_embed_page_shows_a_model_whatever_its_link_says(
    visit: Callable[..., Page], site: str
) -> None:
    page = visit()
    page.goto(f"{site}/embed/#model=__proto__")
    page.locator("code[data-snippet=element]", has_text=f"/models/{MODEL}/").wait_for()
    assert page.locator("select[name=model]").input_value() == MODEL
