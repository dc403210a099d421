"""`exporter site`: the frozen folder under a plain static server, and the single file from disk."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote, urljoin

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

import exporter
from exporter import manifest
from exporter.manifest import Manifest, TensorSpec
from tests.web.conftest import write_bundle, write_report
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.static_host import Quiet, static_host, watched
from web.freeze import SITE_NAME, freeze

SEVEN = [[[80, 60], [200, 60], [120, 220]]]
ASK = """async strokes => {
  await customElements.whenDefined('digit-pad');
  const pad = document.querySelector('digit-pad');
  pad.clear();
  pad.draw(strokes);
  const {label, probabilities, input, runtime} = await pad.predict();
  return {label, probabilities, input: Array.from(input), runtime};
}"""
PLACE = "some/deep place"
EXACT = "#precision=float32"
"""The page takes the smallest weights by itself."""


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A host's root with a site of two shipped models below it; not to be changed."""
    root = tmp_path_factory.mktemp("host")
    freeze([MODELS / MODEL, MODELS / "mlp-128"], root / PLACE)
    return root


@pytest.fixture(scope="module")
def host(frozen: Path) -> Iterator[str]:
    with static_host(frozen) as address:
        yield f"{address}/{PLACE.replace(' ', '%20')}/"


def keras_answer(pixels: list[float]) -> np.ndarray:
    model = exporter.load(MODELS / MODEL, runtime="keras")
    return np.asarray(model.predict(np.reshape(pixels, (1, 28, 28)).astype(np.float32))).ravel()


def sizes_of(bundle: Path) -> re.Pattern[str]:
    """What the page says of the model's size, in whichever precision it takes."""
    artifacts = [a for a in Manifest.read(bundle).artifacts if a.format == "tfjs-layers"]
    return re.compile("|".join(rf"^{a.size_bytes / 1e3:.0f} kB" for a in artifacts))


def tree(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


@pytest.mark.browser
def test_the_frozen_page_answers_what_keras_answers(chromium: Browser, host: str) -> None:
    with watched(chromium, host) as (page, faults):
        page.goto(f"{host}{EXACT}")
        page.locator(".units.output").wait_for()
        found = page.evaluate(ASK, SEVEN)
        assert found["label"] == "7"
        assert found["probabilities"] == pytest.approx(keras_answer(found["input"]), abs=1e-5)
        page.locator("[data-fact=parity]", has_text="samples").wait_for()
    assert faults == []


@pytest.mark.browser
@pytest.mark.parametrize("runtime", [pytest.param("tfjs cpu", marks=pytest.mark.slow), "onnx wasm"])
def test_the_frozen_page_has_the_other_runtimes(chromium: Browser, host: str, runtime: str) -> None:
    with watched(chromium, host) as (page, faults):
        page.goto(f"{host}#model=mlp-128")
        page.locator(".units.output").wait_for()
        page.locator("select[name=runtime]").select_option(runtime)
        found = page.evaluate(ASK, SEVEN)
        assert (found["label"], found["runtime"]) == ("7", runtime.split()[0])
    assert faults == []


@pytest.mark.browser
def test_every_page_is_led_to_and_is_in_order(chromium: Browser, host: str) -> None:
    with watched(chromium, host) as (page, faults):
        page.goto(host)
        page.locator(".units.output").wait_for()
        page.get_by_role("link", name="Embed").click()
        example = page.frame_locator(".example iframe")
        example.locator("digit-pad canvas").first.wait_for()
        assert f"{host}embed/{MODEL}/" in (
            page.locator("[data-snippet=frame]").text_content() or ""
        )
        frame = next(one for one in page.frames if one.url == f"{host}embed/{MODEL}/")
        assert frame.evaluate(ASK, SEVEN)["label"] == "7"
        page.get_by_role("link", name="Draw a digit").click()
        page.get_by_role("link", name="All models").click()
        assert page.locator("article").count() == 2
    assert faults == []


@pytest.mark.browser
def test_after_one_visit_the_frozen_page_works_without_its_host(
    chromium: Browser, frozen: Path
) -> None:
    with static_host(frozen) as address:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(f"{address}/{PLACE}/")
        page.locator("body[data-offline=true]").wait_for()
    page.reload()
    assert page.evaluate(ASK, SEVEN)["label"] == "7"
    page.get_by_role("link", name="Embed").click()
    page.frame_locator(".example iframe").locator("digit-pad canvas").first.wait_for()
    assert page.frames[1].evaluate(ASK, SEVEN)["label"] == "7"
    context.close()


class KeepsForTenMinutes(Quiet):
    """As GitHub Pages has it, for every file.

    That host tells two releases apart by their contents; this one would by whole seconds, and take
    two of one second for the same. So nothing is "not modified" here.
    """

    def send_head(self) -> BytesIO | BinaryIO | None:
        del self.headers["If-Modified-Since"]
        return super().send_head()

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "max-age=600")
        super().end_headers()


@pytest.mark.browser
def test_a_new_release_is_seen_at_once_and_whole(chromium: Browser, tmp_path: Path) -> None:
    bundle, out = tmp_path / "it", tmp_path / "host"
    shown = "[data-fact=model]"
    with static_host(out, KeepsForTenMinutes) as address:
        with watched(chromium, address) as (page, faults):
            for name in ("mlp-128", "mlp-sigmoid"):
                shutil.rmtree(bundle, ignore_errors=True)
                shutil.copytree(MODELS / name, bundle, ignore=shutil.ignore_patterns("report"))
                freeze([bundle], out)
                page.goto("about:blank")
                page.goto(address)
                page.locator(shown, has_text=sizes_of(bundle)).wait_for()
                page.locator("body[data-offline=true]").wait_for()
                assert page.evaluate(ASK, SEVEN)["label"] == "7"
        assert faults == []


def links(path: str, text: str) -> set[str]:
    """What a file of the site names, as paths in the site."""
    if path.endswith(".html"):
        found = re.findall(r'\s(?:href|src)="([^"]*)"', text)
        assert not [one for one in found if one.startswith(("/", "http"))]
        found += re.findall(r'"manifest": ?"([^"]*)"', text)
    elif path.startswith("static/"):
        found = re.findall(r'(?:from|import) "([^"]*)"|"src": "([^"]*)"', text)
        found = [one for pair in found for one in pair if one]
    else:
        found = re.findall(r'(?:from|import)\s*\(?"(\.[^"]*\.js)"', text)
    named = (unquote(urljoin(f"/{path}", re.sub(r"[?#].*", "", one))) for one in found if one)
    return {one.removeprefix("/") for one in named}


def test_every_link_is_relative_and_leads_to_a_file(frozen: Path) -> None:
    files = tree(frozen / PLACE)
    broken = []
    for path, data in files.items():
        if not path.endswith((".html", ".js", ".webmanifest")) or path.startswith("models/m"):
            continue
        text = data.decode("utf-8")
        for link in links(path, text):
            place = link + "index.html" if link.endswith("/") or not link else link
            if "//" in link or place not in files:
                broken.append((path, link))
    # Left out, and not offered: a wasm file beyond what hosts take.
    assert [one for one in broken if "webgpu" not in one[1]] == []
    pages = {path for path in files if path.endswith(".html") and "/report/" not in path}
    models = {f"embed/{name}/index.html" for name in (MODEL, "mlp-128")}
    shared = {"index.html", "embed/index.html", "models/index.html", "ship/index.html"}
    assert pages == shared | models


def test_a_bundle_of_any_name_is_led_to(tmp_path: Path) -> None:
    name = "a'b & ü #1?"
    write_bundle(tmp_path / name)
    freeze([tmp_path / name], tmp_path / "out")
    files = tree(tmp_path / "out")
    pages = {path: data.decode() for path, data in files.items() if path.endswith(".html")}
    assert set(pages) == {"index.html", "models/index.html", "embed/index.html",
                          "ship/index.html", f"embed/{name}/index.html"}  # fmt: skip
    for path, text in pages.items():
        for link in links(path, html.unescape(text)):
            place = link + "index.html" if link.endswith("/") or not link else link
            assert place in files, (path, link)


def test_what_the_pages_name_has_a_hash_of_its_contents_in_its_name(frozen: Path) -> None:
    files = tree(frozen / PLACE)
    page = files["index.html"].decode("utf-8")
    named = re.findall(r'(?:href|src)="((?:static|player)/[^"]*)"', page)
    assert len(named) >= 6
    assert all(re.search(r"\.[0-9a-f]{10}\.\w+$", name) for name in named)
    assert all(re.search(r"\.[0-9a-f]{10}\.\w+$", path) for path in files if path[:7] == "static/")
    hashed = re.compile(r"(\.[0-9a-f]{10}|-[0-9A-Z]{8})\.js$")
    entries = [files[name].decode("utf-8") for name in named if name.startswith("player/")]
    later = re.findall(r'import\("\./([^"]*)"\)', "".join(entries))
    assert len(later) >= 3
    assert all(hashed.search(name) and f"player/{name}" in files for name in later)
    manifests = re.findall(r'"manifest": ?"([^"]*)"', page)
    assert len(manifests) == 2
    assert all(re.search(r"manifest\.json\?[0-9a-f]{10}$", address) for address in manifests)


def test_the_models_of_a_site_are_bundles_that_prove_themselves(frozen: Path) -> None:
    manifest.verify(frozen / PLACE / "models" / MODEL)


def test_the_same_bundles_give_the_same_bytes_and_another_gives_other_names(
    tmp_path: Path,
) -> None:
    write_bundle(tmp_path / "a" / "tiny")
    freeze([tmp_path / "a" / "tiny"], tmp_path / "one")
    freeze([tmp_path / "a" / "tiny"], tmp_path / "two")
    before = tree(tmp_path / "one")
    assert before == tree(tmp_path / "two")
    write_bundle(tmp_path / "a" / "tiny", metrics={})
    freeze([tmp_path / "a" / "tiny"], tmp_path / "one")
    after = tree(tmp_path / "one")
    address = re.compile(rb'"manifest": ?"([^"]*)"')
    assert address.findall(before["index.html"]) != address.findall(after["index.html"])
    assert before["sw.js"] != after["sw.js"]


def test_a_report_of_a_stranger_runs_nothing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "tiny")
    write_report(tmp_path / "tiny", 1, 0, 0)
    evil = "<!DOCTYPE HTML><script>alert(1)</script>"
    (tmp_path / "tiny" / "report" / "report.html").write_text(evil)
    freeze([tmp_path / "tiny"], tmp_path / "out")
    page = (tmp_path / "out/models/tiny/report/report.html").read_text()
    assert page.startswith("<!doctype html>\n<meta")
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy[0].startswith("default-src &#x27;none&#x27;")
    assert "script-src" not in policy[0]
    assert page.index("http-equiv") < page.index("<script>")


def test_hosts_that_read_headers_are_told_those_of_the_app(frozen: Path) -> None:
    rules = (frozen / PLACE / "_headers").read_text(encoding="utf-8")
    assert re.search(r"^/models/\*\n  Access-Control-Allow-Origin: \*$", rules, re.MULTILINE)
    assert re.search(rf"^/embed/{MODEL}/\n  Content-Security-Policy: .*ancestors \*$", rules, re.M)
    assert "/static/*\n  Cache-Control: public, max-age=31536000, immutable" in rules


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    write_bundle(tmp_path / "models" / "tiny")
    return tmp_path / "models" / "tiny"


@pytest.mark.parametrize("single", [(), ("--single-file",)])
def test_a_folder_that_is_no_bundle_is_refused(
    run_exporter: Any, tmp_path: Path, single: tuple[str, ...]
) -> None:
    (tmp_path / "stuff").mkdir()
    result = run_exporter("site", tmp_path / "stuff", "-o", tmp_path / "out", *single)
    assert result.exit_code == 2
    assert "no manifest.json here" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("single", [(), ("--single-file",)])
def test_a_damaged_bundle_is_refused_and_what_was_published_stays(
    run_exporter: Any, bundle: Path, tmp_path: Path, single: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    assert run_exporter("site", bundle, "-o", out).exit_code == 0
    before = tree(out)
    (bundle / "onnx" / "model.onnx").write_bytes(b"other")
    result = run_exporter("site", bundle, "-o", out, *single)
    assert result.exit_code == 1
    assert "changed: onnx/model.onnx" in result.stderr
    assert tree(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"models", "out"}


def test_a_folder_that_is_no_site_of_ours_is_not_replaced(
    run_exporter: Any, bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    result = run_exporter("site", bundle, "-o", tmp_path / "mine")
    assert result.exit_code == 4
    assert "no site of ours" in result.stderr
    assert tree(tmp_path / "mine") == {"thesis.txt": b"years"}
    (tmp_path / "mine" / SITE_NAME).write_text("[]")
    assert (
        "not one that `exporter site` wrote"
        in run_exporter("site", bundle, "-o", tmp_path / "mine").stderr
    )


def test_what_somebody_put_into_a_site_is_not_lost(
    run_exporter: Any, bundle: Path, tmp_path: Path
) -> None:
    run_exporter("site", bundle, "-o", tmp_path / "out")
    (tmp_path / "out" / "CNAME").write_text("digits.example")
    result = run_exporter("site", bundle, "-o", tmp_path / "out")
    assert result.exit_code == 4
    assert "CNAME" in result.stderr
    assert (tmp_path / "out" / "CNAME").exists()


def test_a_bundle_is_no_place_for_a_site(run_exporter: Any, bundle: Path) -> None:
    before = tree(bundle)
    assert run_exporter("site", bundle, "-o", bundle).exit_code == 4
    assert tree(bundle) == before


def test_two_bundles_of_one_name_are_told_apart_by_nobody(
    run_exporter: Any, bundle: Path, tmp_path: Path
) -> None:
    write_bundle(tmp_path / "others" / "tiny")
    result = run_exporter("site", bundle, tmp_path / "others" / "tiny", "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "second bundle named 'tiny'" in result.stderr


@pytest.mark.parametrize("name", [".hidden", "index.html"])
def test_a_name_that_cannot_be_an_address_is_refused(
    run_exporter: Any, tmp_path: Path, name: str
) -> None:
    write_bundle(tmp_path / name)
    result = run_exporter("site", tmp_path / name, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "rename the folder" in result.stderr


@pytest.mark.parametrize("single", [(), ("--single-file",)])
def test_without_the_player_there_is_no_site(
    run_exporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, single: tuple[str, ...]
) -> None:
    monkeypatch.setattr("web.freeze.PLAYER", tmp_path / "nowhere")
    result = run_exporter("site", MODELS / MODEL, "-o", tmp_path / "out", *single)
    assert result.exit_code == 3
    assert "make player" in result.stderr
    assert not (tmp_path / "out").exists()


def test_the_command_says_what_it_wrote(run_exporter: Any, bundle: Path, tmp_path: Path) -> None:
    result = run_exporter("site", bundle, "-o", tmp_path / "out", "--json")
    said = json.loads(result.stdout)
    assert said["bundles"] == ["tiny"]
    assert said["files"] == len(tree(tmp_path / "out")) - 1
    assert run_exporter("site", "-o", tmp_path / "none").exit_code == 2


# ---- the single file


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from web.single import write

    target = tmp_path_factory.mktemp("stick") / "digits & more.html"
    write([MODELS / MODEL, MODELS / "mlp-128"], target)
    return target


def opened(page: Page, path: Path) -> None:
    page.goto(f"{path.as_uri()}{EXACT}")
    page.locator(".units.output").wait_for()


@pytest.mark.browser
def test_the_single_file_works_from_disk_with_no_network(chromium: Browser, single: Path) -> None:
    with watched(chromium, single.as_uri(), offline=True) as (page, faults):
        opened(page, single)
        found = page.evaluate(ASK, SEVEN)
        assert (found["label"], found["runtime"]) == ("7", "tiny")
        assert found["probabilities"] == pytest.approx(keras_answer(found["input"]), abs=1e-5)
        page.locator("[data-fact=parity]", has_text="samples").wait_for()
        page.locator("select[name=model]").select_option("mlp-128")
        page.locator("[data-fact=model]", has_text=sizes_of(MODELS / "mlp-128")).wait_for()
        assert page.evaluate(ASK, SEVEN)["label"] == "7"
    assert faults == []


@pytest.mark.browser
def test_the_single_file_works_on_a_server_too(chromium: Browser, single: Path) -> None:
    with static_host(single.parent) as address, watched(chromium, address) as (page, faults):
        page.goto(f"{address}/{quote(single.name)}")
        page.locator(".units.output").wait_for()
        assert page.evaluate(ASK, SEVEN)["label"] == "7"
        page.locator("body[data-offline=false]").wait_for()
    assert [one for one in faults if "404" not in one] == []


@pytest.mark.browser
def test_the_single_file_reads_pictures(chromium: Browser, single: Path, tmp_path: Path) -> None:
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (200, 200), "white")
    ImageDraw.Draw(image).line([(60, 40), (140, 40), (95, 170)], "black", 14)
    image.save(tmp_path / "7.png")
    with watched(chromium, single.as_uri(), offline=True) as (page, faults):
        opened(page, single)
        page.locator("input[type=file]").set_input_files(tmp_path / "7.png")
        page.locator("digit-pad [part=answer]", has_text="7").wait_for()
    assert faults == []


def test_the_single_file_is_the_same_each_time_and_names_nothing_outside(
    single: Path, tmp_path: Path
) -> None:
    from web.single import write

    text = single.read_text(encoding="utf-8")
    write([MODELS / MODEL, MODELS / "mlp-128"], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == text
    write([MODELS / MODEL], tmp_path)
    assert len((tmp_path / "index.html").read_bytes()) < len(text)
    named = re.findall(r'\s(?:href|src)="([^"]*)"', text)
    assert all(one.startswith("data:") for one in named)
    assert "unsafe" not in text.split("</head>")[0]


def test_a_model_that_reads_no_drawings_has_no_single_file(
    run_exporter: Any, tmp_path: Path
) -> None:
    one_number = (TensorSpec("price", (None, 1), "float32"),)
    write_bundle(tmp_path / "prices", outputs=one_number)
    result = run_exporter("site", tmp_path / "prices", "-o", tmp_path / "a.html", "--single-file")
    assert result.exit_code == 1
    assert "prices: a model that takes 28x28 numbers and answers one per class expected" in (
        result.stderr
    )


def test_a_single_file_takes_no_strangers_place(
    run_exporter: Any, tmp_path: Path, single: Path
) -> None:
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    result = run_exporter("site", MODELS / MODEL, "-o", tmp_path / "mine.html", "--single-file")
    assert result.exit_code == 4
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    result = run_exporter("site", MODELS / MODEL, "-o", tmp_path, "--single-file")
    assert result.exit_code == 4
    shutil.copy(single, tmp_path / "ours.html")
    result = run_exporter("site", MODELS / MODEL, "-o", tmp_path / "ours.html", "--single-file")
    assert result.exit_code == 0
    assert {path.name for path in tmp_path.iterdir()} == {"mine.html", "ours.html"}


def test_a_model_that_the_tiny_runner_never_ran_is_not_put_into_a_file(
    run_exporter: Any, bundle: Path, tmp_path: Path
) -> None:
    assert Manifest.read(bundle).parity
    result = run_exporter("site", bundle, "-o", tmp_path / "x.html", "--single-file")
    assert result.exit_code == 1
    assert "tiny" in result.stderr
    assert not (tmp_path / "x.html").exists()
