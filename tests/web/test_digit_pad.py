"""What `<digit-pad>` promises to pages and to people, in a real Chromium under a strict policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from exporter.golden.drawn_digits import STYLES
from tests.web.digit_pad_page import MODEL, Pad, smallest_precision

pytestmark = pytest.mark.browser

ONE = [[[140, 40], [140, 240]]]
SEVEN = [[[80, 60], [200, 60], [120, 220]]]
DETAIL = {"label", "probabilities", "runtime", "backend", "precision", "latencyMs", "input"}


@pytest.fixture
def make_pad(chromium: Browser, site: str) -> Iterator[Callable[..., Pad]]:
    """Makes pads, and looks afterwards at what their pages complained of."""
    pads: list[Pad] = []

    def make(query: str = "", **context: Any) -> Pad:
        pads.append(Pad(chromium, site, **context))
        return pads[-1].open(query)

    yield make
    for pad in pads:
        pad.context.close()
    assert [pad.faults for pad in pads] == [[] for _ in pads]


@pytest.fixture
def pad(make_pad: Callable[..., Pad]) -> Pad:
    return make_pad()


def test_the_first_canvas_of_an_open_shadow_root_is_the_one_to_draw_on(pad: Pad) -> None:
    script = "pad => pad.shadowRoot.querySelector('canvas').getAttribute('part')"
    assert pad.run(script) == "canvas"
    assert (
        pad.run("pad => getComputedStyle(pad.shadowRoot.querySelector('canvas')).touchAction")
        == "none"
    )


@pytest.mark.parametrize("digit", range(10))
def test_digits_as_they_are_taught_are_read(pad: Pad, digit: int) -> None:
    strokes = [[[2 * x, 2 * y] for x, y in stroke] for stroke in STYLES["upright"][digit]]
    assert pad.label(strokes) == str(digit)


def test_a_prediction_says_what_the_contract_says(pad: Pad) -> None:
    pad.run("(pad, strokes) => pad.draw(strokes)", SEVEN)
    found = pad.run(
        """async pad => {
          const {input, ...rest} = await pad.predict();
          return {...rest, input: [input.constructor.name, input.length, Math.max(...input)]};
        }"""
    )
    assert set(found) == DETAIL
    assert found["label"] == "7"
    assert len(found["probabilities"]) == 10
    assert sum(found["probabilities"]) == pytest.approx(1, abs=1e-5)
    assert (found["runtime"], found["backend"]) == ("tiny", "js")
    assert found["precision"] == smallest_precision()
    assert found["input"][:2] == ["Float32Array", 784]
    assert 0.9 < found["input"][2] <= 1


@pytest.mark.parametrize("strokes", [[], [[[100, 100]]], [[[100, 100], [103, 101]]]])
def test_too_little_ink_is_no_digit(pad: Pad, strokes: list[Any]) -> None:
    assert pad.label(strokes) is None
    pad.page.wait_for_timeout(50)
    said = pad.run("pad => pad.shadowRoot.querySelector('[part=confidence]').textContent")
    assert ("Too little ink" in said) == bool(strokes)


def test_the_event_bubbles_out_of_every_shadow_root(pad: Pad) -> None:
    found = pad.run(
        """async (pad, strokes) => {
          const host = document.body.appendChild(document.createElement('div'));
          host.attachShadow({mode: 'open'}).append(pad);
          const heard = new Promise(done => document.addEventListener('prediction', event => {
            if (event.detail.label) done([event.bubbles, event.composed, event.detail.label]);
          }));
          pad.draw(strokes);
          return heard;
        }""",
        SEVEN,
    )
    assert found == [True, True, "7"]


def test_it_answers_while_the_pen_is_still_down(pad: Pad) -> None:
    pad.run("async pad => { await pad.predict(); window.heard = []; pad.addEventListener("
            "'prediction', event => window.heard.push(event.detail.label)); }")  # fmt: skip
    pad.page.mouse.move(*pad.point(0.3, 0.2))
    pad.page.mouse.down()
    pad.page.mouse.move(*pad.point(0.7, 0.2), steps=6)
    pad.page.mouse.move(*pad.point(0.45, 0.8), steps=10)
    pad.wait("() => window.heard.includes('7')")
    pad.page.mouse.up()
    assert len(pad.run("pad => pad.strokes")) == 1


def test_the_mouse_draws_in_css_pixels_of_the_canvas_and_also_outside_of_it(pad: Pad) -> None:
    pad.drag([(0.25, 0.5), (1.2, 0.5)])
    (stroke,) = pad.run("pad => pad.strokes")
    side = pad.canvas()["width"]
    assert stroke[0] == pytest.approx([0.25 * side, 0.5 * side], abs=1)
    assert stroke[-1] == pytest.approx([1.2 * side, 0.5 * side], abs=1)


def test_a_finger_draws_and_the_page_does_not_scroll(make_pad: Callable[..., Pad]) -> None:
    pad = make_pad(has_touch=True, viewport={"width": 360, "height": 300})
    client = pad.context.new_cdp_session(pad.page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        places = [{"x": x, "y": y} for x, y in points]
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": places})

    touch("touchStart", pad.point(0.5, 0.6))
    for step in range(1, 8):
        touch("touchMove", pad.point(0.5, 0.6 - 0.05 * step))
    touch("touchEnd")
    assert len(pad.run("pad => pad.strokes")) == 1
    assert pad.page.evaluate("scrollY") == 0


def pen_strokes(pad: Pad, force: float) -> None:
    """A line with a pen, pressed so much."""
    client = pad.context.new_cdp_session(pad.page)

    def send(kind: str, x: float, y: float) -> None:
        place = dict(zip("xy", pad.point(x, y), strict=True))
        pressed = {"button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen"}
        client.send("Input.dispatchMouseEvent", {"type": kind, "force": force, **place, **pressed})

    send("mousePressed", 0.2, 0.5)
    for step in range(3, 9):
        send("mouseMoved", step / 10, 0.5)
    send("mouseReleased", 0.8, 0.5)


def test_a_pen_that_is_pressed_draws_a_broader_line_and_the_same_digit(
    make_pad: Callable[..., Pad],
) -> None:
    inked = """async pad => {
      await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
      const canvas = pad.shadowRoot.querySelector('canvas');
      const {data} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      return data.filter((alpha, i) => i % 4 === 3 && alpha > 128).length;
    }"""
    found = []
    for force in (0.1, 0.6):
        pad = make_pad()
        pen_strokes(pad, force)
        numbers = pad.run("async pad => [...(await pad.predict()).input]")
        found.append((pad.run(inked), numbers))
    (light, first), (heavy, second) = found
    assert heavy > 1.3 * light > 0
    assert first == second


def test_all_points_of_a_fast_hand_are_taken(pad: Pad) -> None:
    """Browsers give one event per frame; what came in between is in it."""
    pad.run(
        """pad => pad.shadowRoot.querySelector('canvas').addEventListener('pointerdown',
          event => { window.followed = event.pointerId; })"""
    )
    pad.page.mouse.move(*pad.point(0.2, 0.2))
    pad.page.mouse.down()
    pad.run(
        """pad => {
          const canvas = pad.shadowRoot.querySelector('canvas');
          const {left, top} = canvas.getBoundingClientRect();
          const event = (x, more = {}) => new PointerEvent('pointermove', {
            pointerId: window.followed, isPrimary: true, buttons: 1,
            clientX: left + x, clientY: top + 50, ...more});
          canvas.dispatchEvent(event(90, {coalescedEvents: [event(70), event(80), event(90)]}));
        }"""
    )
    pad.page.mouse.up()
    (stroke,) = pad.run("pad => pad.strokes")
    assert [round(x) for x, _ in stroke[1:]] == [70, 80, 90]


def test_a_second_finger_draws_nothing(make_pad: Callable[..., Pad]) -> None:
    pad = make_pad(has_touch=True)
    client = pad.context.new_cdp_session(pad.page)
    first, second = pad.point(0.3, 0.3), pad.point(0.7, 0.7)
    one, two = ({"x": x, "y": y, "id": i} for i, (x, y) in enumerate((first, second)))
    for kind, points in (
        ("touchStart", [one]), ("touchStart", [one, two]),
        ("touchMove", [one, two | {"y": two["y"] - 20}]), ("touchEnd", []),
    ):  # fmt: skip
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert len(pad.run("pad => pad.strokes")) == 1


def test_a_digit_can_be_drawn_with_the_keyboard_alone(pad: Pad) -> None:
    pad.page.keyboard.press("Tab")
    keys = ["Space", *["ArrowDown"] * 8, "Space"]
    for key in keys:
        pad.page.keyboard.press(key)
    assert pad.run("async pad => (await pad.predict()).label") == "1"
    pad.page.keyboard.press("Escape")
    assert pad.run("pad => pad.strokes") == []


def test_keys_and_methods_undo_and_redo(pad: Pad) -> None:
    count = "pad => pad.strokes.length"
    pad.drag([(0.3, 0.3), (0.6, 0.3)])
    pad.drag([(0.3, 0.6), (0.6, 0.6)])
    found = []
    for key in (
        "Control+z",
        "Control+z",
        "Control+z",
        "Control+y",
        "Control+Shift+z",
        "Escape",
        "Control+z",
    ):
        pad.page.keyboard.press(key)
        found.append(pad.run(count))
    assert found == [1, 0, 0, 1, 2, 0, 2]
    pad.run("pad => pad.undo()")
    assert pad.run(count) == 1
    pad.run("pad => pad.redo()")
    assert pad.run(count) == 2
    pad.run("pad => pad.clear()")
    assert pad.run(count) == 0


def test_strokes_are_copies_and_can_be_set(pad: Pad) -> None:
    pad.run("(pad, strokes) => { pad.strokes = strokes; pad.strokes[0].pop(); }", SEVEN)
    assert pad.run("pad => pad.strokes") == SEVEN
    pad.run("(pad, strokes) => { pad.strokes = strokes; }", ONE)
    assert pad.run("pad => pad.strokes") == ONE


def test_what_was_set_before_the_script_came_is_kept(chromium: Browser, site: str) -> None:
    pad = Pad(chromium, site)
    held: list[Any] = []
    pad.page.route("**/digit-pad.js", lambda route: held.append(route))
    pad.page.goto(f"{site}/bare?src=&runtime=auto", wait_until="commit")
    pad.page.locator("digit-pad").wait_for(state="attached")
    pad.run(
        "(pad, [src, strokes]) => Object.assign(pad, {src, strokes, runtime: 'tiny'})",
        [f"/models/{MODEL}/manifest.json", SEVEN],
    )
    pad.wait("() => true")
    held[0].continue_()
    pad.page.evaluate("async () => { await customElements.whenDefined('digit-pad'); }")
    script = "async pad => [(await pad.predict()).label, pad.getAttribute('runtime')]"
    assert pad.run(script) == ["7", "tiny"]
    assert pad.faults == []
    pad.context.close()


def test_what_is_no_stroke_is_refused(pad: Pad) -> None:
    script = (
        """pad => { try { pad.draw([[[1, NaN]]]); } catch (error) { return error.message; } }"""
    )
    assert "strokes[0]: an array of finite [x, y] points expected" in pad.run(script)
    assert pad.run("pad => pad.strokes") == []


def test_device_pixel_ratios_give_the_same_784_numbers(make_pad: Callable[..., Pad]) -> None:
    found = []
    for ratio in (1, 2, 3):
        pad = make_pad(device_scale_factor=ratio, viewport={"width": 900, "height": 700})
        pad.drag([(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)])
        found.append(pad.run("async pad => [...(await pad.predict()).input]"))
    assert sum(found[0]) > 50
    assert found[0] == found[1] == found[2]


def test_strokes_keep_their_place_when_the_canvas_changes_its_size(
    make_pad: Callable[..., Pad],
) -> None:
    pad = make_pad(viewport={"width": 380, "height": 700})
    pad.drag([(0.25, 0.5), (0.75, 0.5)])
    before = pad.canvas()["width"]
    pad.page.set_viewport_size({"width": 330, "height": 700})
    pad.wait("(pad, x) => pad.strokes[0][0][0] < x", 0.25 * before - 5)
    after = pad.canvas()["width"]
    (stroke,) = pad.run("pad => pad.strokes")
    assert after < before
    assert stroke[-1] == pytest.approx([0.75 * after, 0.5 * after], abs=1)


@pytest.mark.parametrize(
    ("runtime", "backend"), [("tiny", "js"), ("tfjs", "wasm"), ("tfjs", "cpu"), ("onnx", "wasm")]
)
def test_every_runtime_answers(make_pad: Callable[..., Pad], runtime: str, backend: str) -> None:
    pad = make_pad(f"?runtime={runtime}&backend={backend}")
    script = """async (pad, strokes) => {
      pad.draw(strokes);
      const found = await pad.predict();
      return [found.label, found.runtime, found.backend];
    }"""
    found = pad.run(script, SEVEN)
    assert found == ["7", runtime, backend]


def test_another_runtime_can_be_chosen_at_any_time(pad: Pad) -> None:
    script = """async (pad, strokes) => {
      pad.draw(strokes);
      const first = await pad.predict();
      pad.runtime = 'tfjs'; pad.backend = 'cpu';
      const second = await pad.predict();
      return [first.runtime, second.runtime, second.backend, second.label, pad.strokes.length];
    }"""
    assert pad.run(script, SEVEN) == ["tiny", "tfjs", "cpu", "7", 1]


def test_predict_waits_until_the_model_is_loaded_and_tested(pad: Pad) -> None:
    script = """async (pad, [src, strokes]) => {
      const fresh = document.createElement('digit-pad');
      fresh.src = src;
      const order = [];
      const note = what => order.includes(what) || order.push(what);
      fresh.addEventListener('progress', () => note('progress'));
      fresh.addEventListener('load', ({detail}) => note(detail.selfTest.passed && 'load'));
      document.body.append(fresh);
      fresh.draw(strokes);
      const {label} = await fresh.predict();
      order.push(label);
      return order;
    }"""
    found = pad.run(script, [f"/models/{MODEL}/manifest.json", SEVEN])
    assert found == ["progress", "load", "7"]


def test_the_model_that_is_wanted_in_the_end_answers(pad: Pad) -> None:
    script = """async (pad, [src, strokes]) => {
      const fresh = document.createElement('digit-pad');
      fresh.src = src;
      document.body.append(fresh);
      fresh.draw(strokes);
      const asked = fresh.predict();
      fresh.runtime = 'tfjs';
      fresh.backend = 'cpu';
      const {label, backend} = await asked;
      return [label, backend];
    }"""
    assert pad.run(script, [f"/models/{MODEL}/manifest.json", SEVEN]) == ["7", "cpu"]


def test_a_choice_made_outside_of_the_page_counts(pad: Pad) -> None:
    script = """async (pad, strokes) => {
      pad.draw(strokes);
      await pad.predict();
      const place = pad.parentNode;
      pad.remove();
      pad.runtime = 'tfjs';
      pad.backend = 'cpu';
      place.append(pad);
      return (await pad.predict()).backend;
    }"""
    assert pad.run(script, SEVEN) == "cpu"


def test_an_answer_of_the_last_model_does_not_stay_when_the_next_cannot_be_used(pad: Pad) -> None:
    script = """async (pad, strokes) => {
      pad.draw(strokes);
      await pad.predict();
      pad.runtime = 'none';
      await pad.predict().catch(() => {});
    }"""
    pad.run(script, SEVEN)
    pad.page.locator("digit-pad [part=status]", has_text="runtime none: unknown").wait_for()
    assert pad.page.locator("digit-pad [part=answer]").text_content() == "–"
    assert pad.page.locator("digit-pad .best").count() == 0


def test_a_model_that_is_not_there_is_told(make_pad: Callable[..., Pad]) -> None:
    pad = make_pad("?src=/models/none/manifest.json")
    script = "async pad => { try { await pad.predict(); } catch (error) { return error.message; } }"
    assert "status 200 expected, 404 found" in pad.run(script)
    said = pad.page.locator("digit-pad [part=status]")
    assert "The model cannot be used" in (said.text_content() or "")
    # Chromium itself reports the 404.
    assert all("404" in fault for fault in pad.faults)
    pad.faults.clear()


def test_an_error_stays_when_more_of_the_model_arrives_after_it(
    make_pad: Callable[..., Pad],
) -> None:
    pad = make_pad("?src=")
    pad.page.route("**/golden.json", lambda route: (time.sleep(0.5), route.continue_()))
    script = """(pad, src) => {
      window.late = 0;
      let failed = false;
      pad.addEventListener('error', () => { failed = true; });
      pad.addEventListener('progress', () => { window.late += failed; });
      pad.runtime = 'none';
      pad.src = src;
    }"""
    pad.run(script, f"/models/{MODEL}/manifest.json")
    status = pad.page.locator("digit-pad .status.error", has_text="runtime none: unknown")
    status.wait_for()
    pad.page.wait_for_timeout(1000)
    assert status.count() == 1
    assert pad.run("() => window.late") == 0


def test_a_picture_is_read_like_a_drawing(pad: Pad) -> None:
    found = pad.run(
        """async pad => {
          const canvas = document.createElement('canvas');
          canvas.width = 300; canvas.height = 200;
          const context = canvas.getContext('2d');
          context.fillStyle = '#f4efe0'; context.fillRect(0, 0, 300, 200);
          context.strokeStyle = '#1a2a66'; context.lineWidth = 12;
          context.moveTo(90, 40); context.lineTo(200, 40); context.lineTo(130, 170);
          context.stroke();
          const {label} = await pad.read(context.getImageData(0, 0, 300, 200));
          return label;
        }"""
    )
    assert found == "7"


@pytest.mark.parametrize(("given", "expected"), [([-1, 1], 1), ([0, 255], 255), (None, 1)])
def test_a_model_that_says_nothing_of_its_pictures_gets_ink_from_0_up(
    make_pad: Callable[..., Pad], given: list[int] | None, expected: int
) -> None:
    pad = make_pad("?src=")

    def serve_changed(route: Any) -> None:
        response = route.fetch()
        manifest = response.json() | {"preprocessing": None}
        manifest["inputs"][0]["range"] = given
        route.fulfill(response=response, json=manifest)

    pad.page.route("**/manifest.json", serve_changed)
    script = """async (pad, [src, strokes]) => {
      pad.draw(strokes);
      pad.src = src;
      const {input} = await pad.predict();
      return [Math.min(...input), Math.max(...input)];
    }"""
    low, high = pad.run(script, [f"/models/{MODEL}/manifest.json", SEVEN])
    assert low == 0
    assert 0.9 * expected < high <= expected


def test_dark_and_high_contrast_are_followed(make_pad: Callable[..., Pad]) -> None:
    colour = "pad => getComputedStyle(pad).backgroundColor"
    ink = "pad => getComputedStyle(pad.shadowRoot.querySelector('canvas')).color"
    light = make_pad(color_scheme="light")
    dark = make_pad(color_scheme="dark")
    assert light.run(colour) != dark.run(colour)
    assert light.run(ink) != dark.run(ink)
    forced = make_pad(forced_colors="active")
    assert forced.page.evaluate("matchMedia('(forced-colors: active)').matches")
    assert forced.run(ink) == forced.page.evaluate(
        "() => { const p = document.createElement('p'); p.style.color = 'CanvasText';"
        " document.body.append(p); return getComputedStyle(p).color; }"
    )


@pytest.mark.parametrize("width", [320, 600, 1600])
def test_nothing_is_wider_than_its_window(make_pad: Callable[..., Pad], width: int) -> None:
    pad = make_pad(viewport={"width": width, "height": 800})
    pad.label(SEVEN)
    assert pad.page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_answer_is_said_once_the_hand_rests(pad: Pad) -> None:
    pad.label(SEVEN)
    pad.wait(
        "pad => /^7, .* sure/.test(pad.shadowRoot.querySelector('[aria-live=polite]').textContent)"
    )
