"""Real people's pen strokes, none of them in training, read on the page in a real Chromium."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.web import pens
from tests.web.digit_pad_page import Pad

pytestmark = pytest.mark.browser

DIGITS_LEAST = 0.965
WRITERS_LEAST = 0.98
# Primes: samples in these steps hold every class.
FEW, SOME = 251, 29


@pytest.fixture(scope="module")
def digits() -> list[pens.PenDigit]:
    path = os.environ.get("PEN_DIGITS_PATH")
    if not path:
        pytest.skip("PEN_DIGITS_PATH names no data set of pen strokes (jsonl.gz)")
    return pens.read(path)


@pytest.fixture
def make_pad(chromium: Browser, site: str) -> Iterator[Callable[..., Pad]]:
    made: list[Pad] = []

    def make(**context: Any) -> Pad:
        made.append(Pad(chromium, site, **context))
        return made[-1].open()

    yield make
    for pad in made:
        pad.context.close()
    assert [pad.faults for pad in made] == [[] for _ in made]


def assert_good(digits: list[pens.PenDigit], labels: list[str | None]) -> None:
    found = pens.Accuracy.of(digits, labels)
    assert found.digits >= DIGITS_LEAST
    assert found.writers >= WRITERS_LEAST


def test_people_are_read_as_well_as_promised(
    make_pad: Callable[..., Pad], digits: list[pens.PenDigit]
) -> None:
    assert_good(digits, pens.labels(make_pad(), digits))


def test_a_mouse_gives_the_same_answers_as_draw(
    make_pad: Callable[..., Pad], digits: list[pens.PenDigit]
) -> None:
    pad = make_pad(viewport={"width": 500, "height": 700})
    sample = digits[::FEW]
    expected = pens.labels(pad, sample)
    box = pad.canvas()
    found = []
    for digit in sample:
        pad.run("pad => pad.clear()")
        for stroke in pens.place(digit, box["width"], 0.7, (0.5, 0.5), None):
            pad.page.mouse.move(box["x"] + stroke[0][0], box["y"] + stroke[0][1])
            pad.page.mouse.down()
            for x, y in stroke[1:]:
                pad.page.mouse.move(box["x"] + x, box["y"] + y)
            pad.page.mouse.up()
        found.append(pad.run("async pad => (await pad.predict()).label"))
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= len(sample) - 1


@pytest.mark.slow
@pytest.mark.parametrize("ratio", [2, 3])
def test_the_device_pixel_ratio_does_not_matter(
    make_pad: Callable[..., Pad], digits: list[pens.PenDigit], ratio: int
) -> None:
    assert_good(digits, pens.labels(make_pad(device_scale_factor=ratio), digits))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "middle"), [(0.2, (0.15, 0.85)), (0.95, (0.5, 0.5)), (0.4, (0.75, 0.25))]
)
def test_size_and_place_do_not_matter(
    make_pad: Callable[..., Pad], digits: list[pens.PenDigit],
    size: float, middle: tuple[float, float],
) -> None:  # fmt: skip
    assert_good(digits, pens.labels(make_pad(), digits, size=size, middle=middle))


@pytest.mark.slow
@pytest.mark.parametrize("change", [pens.fast, pens.slow])
def test_the_speed_of_the_hand_does_not_matter(
    make_pad: Callable[..., Pad], digits: list[pens.PenDigit], change: pens.Change
) -> None:
    assert_good(digits, pens.labels(make_pad(), digits, change=change))


@pytest.mark.parametrize(
    ("size", "middle", "change"),
    [(0.2, (0.15, 0.85), None), (0.95, (0.5, 0.5), None), (0.7, (0.5, 0.5), pens.slow)],
)
def test_the_same_digits_get_the_same_answers_elsewhere_and_at_another_speed(
    make_pad: Callable[..., Pad], digits: list[pens.PenDigit],
    size: float, middle: tuple[float, float], change: pens.Change | None,
) -> None:  # fmt: skip
    sample = digits[::SOME]
    pad = make_pad(device_scale_factor=2)
    expected = pens.labels(pad, sample)
    found = pens.labels(pad, sample, size=size, middle=middle, change=change)
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 0.99 * len(sample)
