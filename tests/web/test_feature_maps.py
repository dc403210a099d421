"""Feature maps on the page, as a person looks at them, beside what Keras' layers answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from exporter import recipe
from tests.web.digit_pad_page import MODELS, draw

pytestmark = pytest.mark.browser

CONVOLUTIONAL = [
    name
    for name in recipe.names()
    if any(layer.class_name == "Conv2D" for layer in recipe.load(name).layers)
]
TWO = [(0.3, 0.35), (0.4, 0.22), (0.6, 0.22), (0.65, 0.38), (0.5, 0.58), (0.3, 0.78), (0.7, 0.78)]
TOLERANCE = 1e-4
"""Of what a layer answers, in units of its largest number: several layers of float32 rounding."""
LOOK = """async ([name, sample]) => {
  const { openInspector } = await import("/player/inspector.js");
  const inspector = await openInspector(`/models/${name}/manifest.json`, { backend: "cpu" });
  const answers = await inspector.look(Float32Array.from(sample));
  await inspector.close();
  return inspector.layers.map((layer, i) => ({ ...layer, answers: Array.from(answers[i]) }));
}"""
SEEN = "async () => Array.from((await document.querySelector('digit-pad').predict()).input)"
PAINTED = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return Array.from({ length: data.length / 4 }, (_, i) => data[4 * i + 3]);
}"""


@pytest.fixture
def visit(chromium: Browser, site: str) -> Iterator[Callable[..., Page]]:
    """Opens the page with a model and draws a two; afterwards nothing was printed."""
    faults: list[str] = []
    contexts: list[Any] = []

    def visit(model: str, **options: Any) -> Page:
        contexts.append(chromium.new_context(**options))
        page: Page = contexts[-1].new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{site}/#model={model}")
        page.locator(".units.output").wait_for(timeout=60_000)
        draw(page, TWO)
        page.locator("digit-pad [part=answer]", has_text="2").wait_for()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert faults == []


def keras_answers(model: str, names: list[str], sample: np.ndarray) -> list[np.ndarray]:
    """What these layers of the bundle's Keras model answer to one sample, without the batch."""
    import keras

    loaded = keras.models.load_model(MODELS / model / "keras" / "model.keras", compile=False)
    inside = keras.Model(loaded.input, {name: loaded.get_layer(name).output for name in names})
    answers = inside(sample[None])
    return [np.asarray(answers[name])[0] for name in names]


@pytest.mark.parametrize("model", CONVOLUTIONAL)
def test_what_is_seen_inside_is_what_keras_layers_answer(
    visit: Callable[..., Page], model: str
) -> None:
    page = visit(model)
    sample = np.array(page.evaluate(SEEN), np.float32)
    layers = page.evaluate(LOOK, [model, sample.tolist()])
    assert sum("map" in layer for layer in layers) >= 3
    expected = keras_answers(model, [layer["name"] for layer in layers], sample.reshape(28, 28))
    for layer, wanted in zip(layers, expected, strict=True):
        size = [layer["map"][side] for side in ("height", "width")] if "map" in layer else []
        assert wanted.shape == (*size, layer["units"]), layer["name"]
        found = np.array(layer["answers"], np.float32).reshape(wanted.shape)
        allowed = TOLERANCE * max(1.0, float(np.abs(wanted).max()))
        assert np.abs(found - wanted).max() <= allowed, layer["name"]


def test_a_chosen_map_is_painted_as_keras_answers_it_with_its_kernel(
    visit: Callable[..., Page],
) -> None:
    page = visit("cnn")
    chosen = page.get_by_label("Map 5 of strokes")
    chosen.click()
    page.locator(".unit", has_text="Map 5 of strokes").wait_for()
    sample = np.array(page.evaluate(SEEN), np.float32).reshape(28, 28)
    (wanted,) = keras_answers("cnn", ["strokes"], sample)
    own = wanted[..., 4]
    painted = np.array(chosen.locator("canvas").evaluate(PAINTED)).reshape(own.shape)
    # Of all maps the strongest number is painted fully; alone it is the map's own.
    assert np.abs(painted - 255 * np.abs(own) / np.abs(wanted).max()).max() <= 1
    large = page.locator(".unit canvas").first
    painted = np.array(large.evaluate(PAINTED)).reshape(own.shape)
    assert np.abs(painted - 255 * np.abs(own) / np.abs(own).max()).max() <= 1

    import keras

    loaded = keras.models.load_model(MODELS / "cnn" / "keras" / "model.keras", compile=False)
    kernel = np.abs(loaded.get_layer("strokes").get_weights()[0][:, :, 0, 4])
    painted = np.array(page.locator(".unit .kernels").evaluate(PAINTED)).reshape(kernel.shape)
    assert np.abs(painted - 255 * kernel / kernel.max()).max() <= 1


def test_the_layers_are_chosen_by_name_and_units_stay_bars(visit: Callable[..., Page]) -> None:
    page = visit("cnn")
    page.locator(".unit", has_text="speaks for the answer 2").wait_for()
    assert page.locator(".units.maps canvas").count() == 24
    page.get_by_label("Layer").select_option(label="parts, 64 maps of 6 × 6")
    assert page.locator(".units.maps canvas").count() == 64
    page.get_by_label("Map 1 of parts").click()
    page.locator(".unit", has_text="made by its 48 kernels of 3 × 3").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".unit", has_text="Map 17 of parts").wait_for()
    page.get_by_label("Layer").select_option(label="hidden, 128 units")
    assert page.locator(".units:not(.output) button").count() == 128
    lit = "(cells) => cells.filter((cell) => cell.style.getPropertyValue('--a') > 0).length"
    assert page.locator(".units:not(.output) button").evaluate_all(lit) > 5
    # Another model takes its place, one whose layers are all shown at once.
    page.locator("select[name=model]").select_option("mlp-128-64")
    page.get_by_text("of 128 units active").wait_for()
    page.locator(".unit", has_text="through the units that are active now").wait_for()


def test_a_model_with_many_maps_fits_a_screen_and_a_phone(visit: Callable[..., Page]) -> None:
    page = visit("cnn", viewport={"width": 1280, "height": 800})
    for layer in page.get_by_label("Layer").locator("option").all():
        page.get_by_label("Layer").select_option(label=layer.text_content())
        page.locator(".units button").first.click()
        assert page.evaluate("document.documentElement.scrollHeight") <= 800, layer.text_content()
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.set_viewport_size({"width": 320, "height": 700})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
