"""Which should I ship? The page over bundles measured or not, timed in a real Chromium, frozen."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser, expect

from tests.web.conftest import write_bundle
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.static_host import static_host
from web import bundles
from web.freeze import freeze
from web.ship import page_of

BETTER = {"data": "mnist", "test": {"accuracy": 0.9951}}
PATIENCE_MS = 120_000


def measure(folder: Path, artifacts: dict[str, Any], **changes: Any) -> None:
    """What `exporter evaluate` would have left in the bundle."""
    raw = (folder / "manifest.json").read_bytes()
    document = {
        "schema": 1, "manifest_sha256": hashlib.sha256(raw).hexdigest(), "data": "mnist",
        "samples": 10_000, "pens": "pens.jsonl.gz", "pen_digits": 6_097, "pens_are_real": True,
        "artifacts": artifacts,
    }  # fmt: skip
    (folder / "report").mkdir(exist_ok=True)
    (folder / "report" / "evaluation.json").write_text(json.dumps(document | changes))


def row(accuracy: Any, pens: Any) -> dict[str, dict[str, Any]]:
    one = {"accuracy": accuracy, "pens": pens, "latencies_ms": {}}
    return {"tfjs-layers/float32": one, "onnx/float32": one}


def test_without_measurements_it_goes_by_what_the_manifests_say(
    client: FlaskClient, root: Path
) -> None:
    write_bundle(root / "better", metrics=BETTER)
    text = client.get("/ship/").text
    assert '<a href="../#model=better">better</a> as tfjs-layers/float32' in text
    assert "99.51 %" in text
    assert "99.12 %" in text
    assert "pen digits</th>" not in text
    assert "How many pen digits they read." in text
    assert "what Keras reached in float32" in text


def test_measured_pen_digits_decide(client: FlaskClient, root: Path) -> None:
    write_bundle(root / "better", metrics=BETTER)
    measure(root / "better", row(0.995, 0.91))
    measure(root / "tiny", row(0.991, 0.97))
    text = client.get("/ship/").text
    assert "tiny</a> as tfjs-layers/float32" in text
    assert "misread of 1,000 of 6,097 pen digits" in text
    assert "97.00 %" in text
    assert "Not known here" not in text


@pytest.mark.parametrize(
    "changes",
    [
        {"manifest_sha256": "0" * 64}, {"pens_are_real": False}, {"pens": 7},
        {"pen_digits": "many"}, {"pens": ["x"]}, {"pen_digits": {}}, {"data": ["x"]},
        {"samples": {"x": 1}}, {"pens_are_real": [True]}, {"artifacts": []}, {"data": None},
    ],
)  # fmt: skip
def test_what_was_measured_of_other_files_or_digits_is_not_shown(
    client: FlaskClient, root: Path, changes: dict[str, Any]
) -> None:
    measure(root / "tiny", **({"artifacts": row(0.991, 0.97)} | changes))
    text = client.get("/ship/").text
    assert "97.00 %" not in text
    assert "How many pen digits they read." in text


@pytest.mark.parametrize("wrong", ["<script>", 7, -0.5, None, [1.0], {"x": 1}])
def test_a_strangers_figures_are_numbers_or_nothing(
    client: FlaskClient, root: Path, wrong: Any
) -> None:
    measure(root / "tiny", row(wrong, wrong))
    response = client.get("/ship/")
    assert response.status_code == 200
    assert "<script>" not in response.text.replace("<script type", "")


def test_some_measured_and_some_not_are_not_compared_by_it(client: FlaskClient, root: Path) -> None:
    write_bundle(root / "better", metrics=BETTER)
    measure(root / "tiny", row(0.999, 0.999))
    text = client.get("/ship/").text
    assert "99.90 %" not in text
    assert "better</a> as" in text


def test_one_file_that_was_not_measured_leaves_all_to_what_is_recorded(
    client: FlaskClient, root: Path
) -> None:
    write_bundle(root / "better", metrics=BETTER)
    measure(root / "tiny", row(0.999, None))
    measure(root / "better", row(0.997, 0.91) | {"onnx/float32": {"accuracy": None, "pens": 0.9}})
    text = client.get("/ship/").text
    assert "99.90 %" not in text
    assert "91.00 %" not in text
    assert "better</a> as" in text
    assert "Keras recorded 99.51 %" in text


def test_what_cannot_be_compared_is_named(client: FlaskClient, root: Path) -> None:
    (root / "broken").mkdir()
    (root / "broken" / "manifest.json").write_text("{")
    assert "broken: its manifest is malformed" in client.get("/ship/").text


def test_no_bundles_at_all(client: FlaskClient, root: Path) -> None:
    (root / "tiny" / "manifest.json").unlink()
    assert "no accuracy is known" in client.get("/ship/").text.lower()


def test_times_are_shown_as_measured_elsewhere(client: FlaskClient, root: Path) -> None:
    assert "not on this device" not in client.get("/ship/").text
    one = {"accuracy": 0.99, "pens": 0.9, "latencies_ms": {"tiny-node js": 0.4321, "<b> js": 1.0}}
    measure(root / "tiny", {"onnx/float32": one})
    text = client.get("/ship/").text
    assert "ms, tiny-node js</th>" in text
    assert ">0.43</td>" in text
    assert "not on this device" in text
    assert "&lt;b&gt;" not in text


def test_the_short_table_holds_the_lightest_and_the_chosen_one(
    client: FlaskClient, root: Path
) -> None:
    page = page_of(root, bundles.entries(root))
    fetched = {e.id: e.fetch_bytes for e in page.contest.entrants}
    assert page.lightest[0].fetch_bytes == min(fetched.values())
    least = page.lightest[0].artifact
    other = next(e.artifact for e in page.contest.entrants if e.artifact != least)
    rows = {e.artifact: {"accuracy": 0.5, "pens": 0.5} for e in page.contest.entrants}
    measure(root / "tiny", rows | {other: {"accuracy": 0.9, "pens": 0.9}})
    page = page_of(root, bundles.entries(root))
    assert {e.artifact for e in page.lightest} == {least, other}
    assert page.chosen in page.lightest


def test_names_of_strangers_are_text(client: FlaskClient, root: Path) -> None:
    write_bundle(root / "a<b>&amp;")
    text = client.get("/ship/").text
    assert "a<b>" not in text
    assert "a&lt;b&gt;" in text


@pytest.mark.browser
@pytest.mark.parametrize("width", [320, 1280])
def test_models_are_timed_on_this_device_frozen_as_well(
    chromium: Browser, tmp_path: Path, width: int
) -> None:
    freeze([MODELS / MODEL, MODELS / "mlp-128"], tmp_path / "a site")
    with static_host(tmp_path) as address:
        page = chromium.new_page(viewport={"width": width, "height": 700})
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(f"{address}/a%20site/models/")
        page.get_by_role("link", name="Which should I ship?").click()
        expect(page.locator(".chart .mark")).to_have_count(16)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.get_by_role("button", name="Time them on this device").click()
        done = page.get_by_role("button", name="Time them again")
        expect(done).to_be_enabled(timeout=PATIENCE_MS)
        times = page.locator("[data-times]").all_inner_texts()
        assert len(times) == 2
        for text in times:
            milliseconds, runtime = text.split(" ms\n")
            assert float(milliseconds) > 0
            assert runtime == "tiny js"
        page.context.close()
    assert faults == []


@pytest.mark.browser
def test_a_model_that_does_not_load_is_told(chromium: Browser, site: str) -> None:
    page = chromium.new_page()
    page.route(f"**/models/{MODEL}/golden.json*", lambda route: route.abort())
    page.goto(f"{site}/ship/")
    page.get_by_role("button", name="Time them on this device").click()
    expect(page.get_by_text("1 could not be run here.")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.get_by_role("row", name=MODEL).get_by_text("failed")).to_have_count(1)
    page.context.close()


STOPS = """
const fill = Float32Array.prototype.fill;
Float32Array.prototype.fill = function (...given) {
  const told = document.querySelector("[data-told]")?.textContent ?? "";
  if (told.startsWith("They answer in turns")) throw new Error("lost");
  return fill.apply(this, given);
};
"""


@pytest.mark.browser
def test_a_model_that_fails_while_it_is_timed_is_told(chromium: Browser, site: str) -> None:
    page = chromium.new_page()
    page.add_init_script(STOPS)
    page.goto(f"{site}/ship/")
    page.get_by_role("button", name="Time them on this device").click()
    expect(page.get_by_role("button", name="Time them again")).to_be_enabled(timeout=PATIENCE_MS)
    times = page.locator("[data-times]")
    assert set(times.all_inner_texts()) == {"failed"}
    assert times.first.get_attribute("title") == "lost"
    page.context.close()
