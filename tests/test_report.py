"""The report and the model card: whatever was measured is shown, and nothing in it can do harm."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
import zlib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporter import browser, shipping
from exporter.errors import MachineFailed
from exporter.gates import gate_for
from exporter.judgement import judge
from exporter.manifest import Artifact, File, Manifest, Skipped, TensorSpec
from exporter.parity import HISTOGRAM_EDGES, ParityReport, Row, Samples
from exporter.report import (
    charts,
    model_card,
    parity_document,
    render_page,
    view,
    wording,
    write_report,
)
from exporter.report.card import escape
from exporter.report.pictures import data_uri

HOSTILE = "<script>alert(1)</script>"
NOT_RUN = "no Chromium here; install one with `apt-get install chromium`"


def artifact(format: str, precision: str, size_bytes: int) -> Artifact:
    path = f"{format}/{precision}/model"
    return Artifact(format, precision, path, (File(path, size_bytes, "0" * 64),))


def make_manifest(name: str = "mlp-128-64", labels: tuple[str, ...] | None = None) -> Manifest:
    return Manifest(
        name=name,
        created_by={"keras": "3.15.1", "tensorflow": "2.21.0", "onnx": "1.23.2"},
        source={"sha256": "0" * 64},
        inputs=(TensorSpec("image", (None, 28, 28), "float32", (0.0, 1.0), "NHW", "white ink"),),
        outputs=(TensorSpec("digit", (None, 10), "float32", meaning="probabilities"),),
        labels=labels or tuple("0123456789"),
        artifacts=(
            artifact("keras", "float32", 455_000),
            artifact("tfjs-layers", "float32", 438_000),
            artifact("tfjs-layers", "float16", 220_500),
            artifact("tfjs-layers", "uint8", 112_040),
            artifact("tfjs-graph", "float32", 442_112),
            artifact("onnx", "float32", 439_870),
            artifact("onnx", "int8-static", 121_000),
        ),
        files=(),
        skipped=(Skipped("tfjs-graph", "uint8", "top-1 agrees on 99.1 %, 99.80 % wanted"),),
        metrics={"mnist-test": {"accuracy": 0.9912, "loss": 0.031}},
    )


def make_samples(name: str = "golden/pictures", count: int = 24, seed: int = 1) -> Samples:
    """Strokes that look like ink, and the probabilities of a made-up model."""
    generator = np.random.default_rng(seed)
    images = np.zeros((count, 28, 28), np.float32)
    for image in images:
        turn, y, x = generator.uniform(-0.4, 0.4), 14.0, 14.0
        for _ in range(60):
            turn += generator.normal(0, 0.35)
            y, x = np.clip([y + np.sin(turn) * 1.2, x + np.cos(turn) * 1.2], 4, 23)
            image[int(y) : int(y) + 2, int(x) : int(x) + 2] = 1
    logits = generator.normal(0, 3, (count, 10))
    oracle = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Samples(
        name,
        (images,),
        (oracle.astype(np.float32),),
        (oracle,),
        pictures="noise" not in name,
        names=tuple(f"drawn-{i}" for i in range(count)) if name.startswith("golden") else (),
    )


def measure(
    samples: Samples, format: str, precision: str, runtime: str, backend: str, noise: float,
    batch: int = 7,
) -> tuple[Row, tuple[np.ndarray, ...]]:  # fmt: skip
    """A row judged for real on answers that are off by `noise`."""
    generator = np.random.default_rng(
        zlib.crc32(f"{format} {precision} {backend} {batch}".encode())
    )
    found = samples.reference[0] + generator.normal(0, noise, samples.reference[0].shape).astype(
        np.float32
    )
    gate = gate_for(precision, backend, pictures=samples.pictures)
    judged = judge(samples, [found], ["probabilities"], gate)
    row = Row(
        format, precision, runtime, backend, samples.name, batch, judged.status, judged.reason,
        str(gate), judged.samples, judged.max_abs, judged.mean_abs, judged.oracle_max_abs,
        judged.keras_max_abs, judged.worst_sample, judged.top1_agreement, judged.flips,
        judged.histogram, 0.12 * batch**0.5, ran_on=f"{runtime} 1.31.1 {backend}",
    )  # fmt: skip
    return row, (found[judged.worst_sample],)


PLACES = (
    ("keras", "float32", "keras", "cpu", 0.0),
    ("tfjs-layers", "float32", "tfjs-node", "cpu", 3e-8),
    ("tfjs-layers", "float32", "tfjs-node", "wasm", 5e-8),
    ("tfjs-layers", "float16", "tfjs-node", "cpu", 2e-5),
    ("tfjs-layers", "float16", "tfjs-node", "wasm", 3e-5),
    ("tfjs-layers", "uint8", "tfjs-node", "cpu", 1e-3),
    ("tfjs-layers", "uint8", "tfjs-node", "wasm", 1e-3),
    ("tfjs-graph", "float32", "tfjs-node", "cpu", 4e-8),
    ("tfjs-graph", "float32", "tfjs-node", "wasm", 4e-8),
    ("onnx", "float32", "onnxruntime", "cpu", 2e-8),
    ("onnx", "float32", "onnxruntime-web-node", "wasm", 3e-8),
    ("onnx", "int8-static", "onnxruntime", "cpu", 2e-3),
    ("onnx", "int8-static", "onnxruntime-web-node", "wasm", 2e-3),
)


def make_run(failing: bool = False, browser: bool = True) -> tuple:
    """A report like a recipe's, its samples and the answers on the worst of them."""
    sets = {s.name: s for s in (make_samples(), make_samples("golden/noise", 30, 2))}
    rows, answers = [], {}
    for format, precision, runtime, backend, noise in PLACES:
        wrong = failing and (format, precision, backend) in (
            ("tfjs-graph", "float32", "wasm"), ("onnx", "int8-static", "cpu"),
        )  # fmt: skip
        for samples in sets.values():
            for batch in (1, 7, 256):
                row, answer = measure(
                    samples, format, precision, runtime, backend, 0.2 if wrong else noise, batch
                )
                rows.append(row)
                answers[row] = answer
    if browser:
        for backend in ("webgl", "webgpu"):
            rows.append(
                Row("tfjs-layers", "float32", "tfjs-chromium", backend, "golden/pictures", 1,
                    "not_run", NOT_RUN)
            )  # fmt: skip
    reported = ({"artifact": "tfjs-layers/float32", "input": "NaN", "answer": "zeros on wasm"},)
    return ParityReport("mlp-128-64", tuple(rows), reported), sets, answers


class Page(HTMLParser):
    """Elements and text of a page, and whether every element that is opened is closed."""

    VOID = frozenset({"meta", "img", "br", "use", "path", "circle", "rect", "line"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.text += data

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def read(html: str) -> Page:
    page = Page(html)
    assert page.open == []
    return page


def test_the_headline_of_a_good_run_says_so_and_tells_what_was_not_run() -> None:
    report, samples, answers = make_run()
    page = read(render_page(report, make_manifest(), samples=samples, answers=answers))
    assert "Every artefact that was run answers as Keras does." in page.words
    assert f"All {len(PLACES) * 6} rows that ran passed. 2 rows were not run." in page.words
    assert NOT_RUN in page.words


def test_the_headline_of_a_failed_run_names_the_artefacts() -> None:
    report, samples, answers = make_run(failing=True)
    page = read(render_page(report, make_manifest(), samples=samples, answers=answers))
    assert "2 artefacts leave Keras." in page.words
    assert "tfjs-graph/float32, onnx/int8-static" in page.words
    for row in report.failed:
        assert row.reason in page.text


def test_what_failed_and_was_left_out_does_not_blame_what_was_published() -> None:
    report, samples, answers = make_run(failing=True)
    manifest = make_manifest()
    bad = {row.artifact for row in report.failed}
    kept = tuple(a for a in manifest.artifacts if a.id not in bad)
    skipped = tuple(Skipped(*id.split("/"), "leaves Keras") for id in sorted(bad))
    manifest = replace(manifest, artifacts=kept, skipped=skipped)
    page = read(render_page(report, manifest, samples=samples, answers=answers))
    assert "Every artefact that was run answers as Keras does." in page.words
    assert "Measured and left out: onnx/int8-static, tfjs-graph/float32." in page.words


def test_a_report_without_rows_is_shown_as_a_failure() -> None:
    page = read(render_page(ParityReport("empty", ()), make_manifest()))
    assert "Nothing was compared." in page.words
    assert any("failed" in (a.get("class") or "") for a in page.tags("svg"))


def test_a_report_in_which_nothing_ran_is_shown_as_a_failure() -> None:
    row = Row("onnx", "float32", "onnxruntime", "cpu", "golden", 1, "not_run", NOT_RUN)
    assert wording.headline(ParityReport("idle", (row,)))[0] == "failed"


def test_every_cell_of_the_matrix_leads_to_its_rows() -> None:
    report, samples, answers = make_run()
    page = read(render_page(report, make_manifest(), samples=samples, answers=answers))
    targets = {a["href"] for a in page.tags("a")}
    ids = {f"#{attributes['id']}" for _, attributes in page.elements if "id" in attributes}
    assert len(targets) == len(PLACES) + 2
    assert targets <= ids


def test_a_cell_is_failed_by_one_row_and_not_run_only_where_no_row_ran() -> None:
    good = Row("onnx", "float32", "onnxruntime", "cpu", "golden", 1, "passed")
    bad, idle = (replace(good, status=s, reason="r") for s in ("failed", "not_run"))  # type: ignore[arg-type]
    for rows, expected in (((good, idle), "passed"), ((good, bad), "failed"), ((idle,), "not_run")):
        matrix = view.matrix(ParityReport("x", rows), make_manifest(), {}, {})
        assert [cell.status for cell in matrix.cells] == [expected]


def test_hostile_names_stay_text_on_the_page() -> None:
    manifest = make_manifest(HOSTILE, labels=(HOSTILE, *"123456789"))
    manifest = replace(
        manifest,
        created_by={HOSTILE: HOSTILE},
        skipped=(Skipped(HOSTILE, "float32", HOSTILE),),
        artifacts=(Artifact("onnx", "float32", '"><img src=x>', (), (HOSTILE,)),),
    )
    samples = replace(make_samples(), name=HOSTILE, names=(HOSTILE,) * 24)
    row, answer = measure(samples, "onnx", "float32", HOSTILE, '" onload="x', 0.3)
    report = ParityReport(HOSTILE, (row,), ({HOSTILE: HOSTILE},))
    html = render_page(report, manifest, samples={HOSTILE: samples}, answers={row: answer})
    page = read(html)
    assert page.tags("script") == []
    assert not any(key.startswith("on") for _, attributes in page.elements for key in attributes)
    assert all(a["src"].startswith("data:image/png;base64,") for a in page.tags("img"))
    assert HOSTILE in page.text


def test_the_page_asks_for_nothing_from_anywhere() -> None:
    report, samples, answers = make_run(failing=True)
    html = render_page(report, make_manifest(), samples=samples, answers=answers)
    page = read(html)
    assert {tag for tag, _ in page.elements} & {"link", "script", "iframe", "object"} == set()
    assert all(a["href"].startswith("#") for a in page.tags("a"))
    assert "http:" not in html
    assert "https:" not in html
    assert "url(" not in html
    policy = [a["content"] for a in page.tags("meta") if "http-equiv" in a]
    assert policy
    assert policy[0].startswith("default-src 'none'")


@pytest.mark.parametrize("value", [np.inf, np.nan, -np.inf])
def test_errors_that_are_no_numbers_are_shown_and_written(tmp_path: Path, value: float) -> None:
    samples = make_samples()
    row, _ = measure(samples, "onnx", "float32", "onnxruntime", "cpu", 1e-8)
    row = replace(row, max_abs=value, mean_abs=value, oracle_max_abs=value, keras_max_abs=value,
                  latency_ms=value, status="failed", reason="not finite")  # fmt: skip
    answers = {row: (np.full(10, value, np.float32),)}
    path = write_report(ParityReport("x", (row,)), make_manifest(), tmp_path,
                        samples={samples.name: samples}, answers=answers)  # fmt: skip
    read(path.read_text(encoding="utf-8"))
    text = (tmp_path / "report" / "parity.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert float(document["rows"][0]["max_abs"]) == pytest.approx(value, nan_ok=True)


def test_two_hundred_rows_without_samples_are_all_listed() -> None:
    rows = tuple(
        Row("onnx", "float32", "onnxruntime", "cpu", f"set-{i}", 1, "passed", samples=3)
        for i in range(200)
    )
    page = read(render_page(ParityReport("many", rows), make_manifest()))
    assert all(f"set-{i}" in page.words for i in range(200))


def test_models_with_several_outputs_and_no_pictures_are_shown() -> None:
    generator = np.random.default_rng(0)
    outputs = tuple(generator.normal(size=(5, *s)).astype(np.float32) for s in ((3,), (2, 4)))
    samples = Samples("noise", (generator.normal(size=(5, 6)).astype(np.float32),), outputs,
                      tuple(o.astype(np.float64) for o in outputs))  # fmt: skip
    specs = tuple(TensorSpec(n, (None, *o.shape[1:]), "float32", meaning="values")
                  for n, o in zip("ab", outputs, strict=True))  # fmt: skip
    manifest = replace(
        make_manifest(), inputs=(TensorSpec("x", (None, 6), "float32"),), outputs=specs, labels=None
    )
    row = replace(measure(make_samples(), "onnx", "float32", "onnxruntime", "cpu", 1e-8)[0],
                  samples_name="noise", worst_sample=2, flips=())  # fmt: skip
    answers = {row: tuple(output[2] for output in outputs)}
    html = render_page(ParityReport("m", (row,)), manifest, samples={"noise": samples},
                       answers=answers)  # fmt: skip
    assert read(html).tags("img") == []
    assert "noise, sample 2" in html


def test_the_document_holds_every_row_and_the_verdict(tmp_path: Path) -> None:
    report, samples, _ = make_run(failing=True)
    write_report(report, make_manifest(), tmp_path, samples=samples)
    document = json.loads((tmp_path / "report" / "parity.json").read_text(encoding="utf-8"))
    assert len(document["rows"]) == len(report.rows)
    assert document["verdict"] == report.verdict()
    assert document["failed"] == len(report.failed) > 0
    assert document["skipped"][0]["format"] == "tfjs-graph"


def test_the_document_names_neither_the_machine_nor_the_user(tmp_path: Path) -> None:
    import getpass
    import socket

    text = json.dumps(parity_document(make_run()[0], make_manifest()))
    assert str(tmp_path) not in text
    assert socket.gethostname() not in text
    assert f'"{getpass.getuser()}"' not in text


def test_a_report_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(MachineFailed, match="report"):
        write_report(ParityReport("x", ()), make_manifest(), tmp_path)


def test_a_picture_comes_back_pixel_by_pixel() -> None:
    image = np.random.default_rng(3).integers(0, 256, (28, 28)).astype(np.uint8)
    spec = TensorSpec("image", (None, 28, 28), "float32", (0.0, 1.0))
    uri = data_uri((image / 255).astype(np.float32), spec)
    assert uri is not None
    png = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    np.testing.assert_array_equal(np.asarray(png), image)


@pytest.mark.parametrize(
    ("shape", "layout", "is_picture"),
    [
        ((28, 28), "NHW", True), ((64, 48, 3), None, True), ((64, 48, 1), None, True),
        ((3, 64, 48), "NCHW", True), ((3, 64, 48), None, False), ((64, 48, 4), None, False),
        ((784,), None, False), ((4, 4), None, False), ((8, 8, 8, 3), None, False),
        ((), None, False),
    ],
)  # fmt: skip
def test_only_picture_like_inputs_become_pictures(
    shape: tuple[int, ...], layout: str | None, is_picture: bool
) -> None:
    spec = TensorSpec("x", (None, *shape), "float32", layout=layout)
    assert (data_uri(np.full(shape, np.nan, np.float32), spec) is not None) == is_picture


def test_a_big_picture_is_made_small() -> None:
    uri = data_uri(np.random.default_rng(0).random((512, 256, 3)), None)
    assert uri is not None
    assert Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).size == (48, 96)


def test_the_axis_runs_from_1e_12_to_1_in_equal_steps_per_decade() -> None:
    assert [charts.position(10.0**p) for p in (-15, -12, -6, 0, 3)] == [0, 0, 50, 100, 100]
    assert charts.position(float("inf")) == charts.position(float("nan")) == 100


def test_the_histogram_adds_rows_and_hides_no_single_value() -> None:
    size = len(HISTOGRAM_EDGES) + 1
    first, second = [0] * size, [0] * size
    first[0], second[0], second[5] = 4000, 6000, 1
    bins = charts.histogram([first, (), second])
    assert [(b.count, b.height > 0) for b in bins if b.count] == [(10000, True), (1, True)]
    assert bins[5].label == "1e-8 to 1e-7"


def test_a_share_is_never_rounded_to_all_or_nothing() -> None:
    assert wording.share(0.999999) == "99.99 %"
    assert wording.share(1e-9) == "0.01 %"
    assert (wording.share(1), wording.share(0)) == ("100 %", "0 %")


def test_sizes_are_told_in_decimal_units() -> None:
    told = [wording.size(n) for n in (999, 1000, 404_000, 999_499, 999_600, 3_700_000_000)]
    assert told == ["999 B", "1.0 kB", "404 kB", "999 kB", "1.0 MB", "3.7 GB"]


def test_a_cell_says_how_to_run_it_again_with_its_data() -> None:
    row = Row("onnx", "float32", "onnxruntime", "cpu", "mnist-test", 1, "passed")
    assert view.command(row) == "exporter parity BUNDLE --runtimes onnxruntime --data mnist"
    in_file = replace(row, samples_name="weights", runtime="weights", backend="file")
    assert view.command(in_file) == "exporter parity BUNDLE"
    golden = replace(row, samples_name="golden/noise", runtime="a b")
    assert view.command(golden) == "exporter parity BUNDLE --runtimes 'a b'"


def test_the_gate_mark_stands_where_the_gate_does() -> None:
    samples = make_samples()
    row, _ = measure(samples, "onnx", "float16", "onnxruntime", "cpu", 1e-8)
    cell = view.matrix(
        ParityReport("x", (row,)), make_manifest(), {samples.name: samples}, {}
    ).cells[0]
    assert cell.distance is not None
    assert cell.distance.gate_at == charts.position(0.02)


@pytest.mark.parametrize("width", [320, 1200])
def test_a_browser_shows_the_page_without_scrolling_sideways_or_complaint(
    tmp_path: Path, width: int
) -> None:
    from playwright.sync_api import sync_playwright

    report, samples, answers = make_run(failing=True)
    path = write_report(report, make_manifest("x" * 200), tmp_path, samples=samples,
                        answers=answers)  # fmt: skip
    complaints: list[str] = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(browser.require()), args=list(browser.FLAGS)
        )
        page = chromium.new_page(viewport={"width": width, "height": 800})
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", lambda request: complaints.append(request.url))
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        # A link into the matrix opens the rows behind it, without any script.
        link = page.locator("a.chip.passed").first
        target = page.locator(link.get_attribute("href") or "none")
        assert not target.is_visible()
        link.click()
        assert target.is_visible()
        chromium.close()
    wanted = [url for url in complaints if not url.startswith(("data:image/png", path.as_uri()))]
    assert wanted == []


PARITY = (
    {"artifact": "onnx/float32", "runtime": "onnxruntime", "backend": "cpu",
     "passed": {"golden/noise": "top-1 | equal", "golden/pictures": "top-1 | equal"}},
)  # fmt: skip


def test_the_page_says_which_file_to_ship_and_draws_sizes_against_speed() -> None:
    report, samples, answers = make_run()
    manifest = make_manifest()
    offers = shipping.offers(manifest, report)
    page = render_page(report, manifest, samples=samples, answers=answers, offers=offers)
    assert "Ship <b>tfjs-layers/uint8</b>" in page
    assert page.count("ship this") == 1
    drawn = charts.scatter(offers)
    assert drawn is not None
    assert len(drawn.dots) == sum(len(offer.latencies_ms) for offer in offers) > 10
    assert page.count('class="dot ') == len(drawn.dots)
    for dot in drawn.dots:
        assert 0 <= dot.x <= charts.WIDTH
        assert 0 <= dot.y <= charts.HEIGHT
    heights = [label.text_y for label in drawn.labels]
    gaps = [b - a for a, b in itertools.pairwise(heights)]
    assert min(gaps) >= 14, "names over each other"
    assert charts.scatter(()) is None


def test_the_document_has_the_figures_of_every_file_to_ship(tmp_path: Path) -> None:
    report, samples, answers = make_run()
    manifest = make_manifest()
    offers = shipping.offers(manifest, report)
    write_report(report, manifest, tmp_path, samples=samples, answers=answers, offers=offers)
    found = json.loads((tmp_path / "report" / "parity.json").read_text())["offers"]
    assert [one["artifact"] for one in found] == [offer.artifact.id for offer in offers]
    assert [one["artifact"] for one in found if one["recommended"]] == ["tfjs-layers/uint8"]
    assert found[0]["latencies_ms"]


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [(0.9914, 0.9912, "+0.02"), (0.98, 0.99, "−1.00"), (0.5, 0.5, "±0"), (None, 0.5, "–")],
)
def test_a_change_of_accuracy_is_told_in_points(
    value: float | None, reference: float | None, expected: str
) -> None:
    assert wording.change(value, reference) == expected


def test_the_card_names_the_file_to_ship_and_nothing_measured() -> None:
    card = model_card(make_manifest())
    assert "Which one to ship: tfjs-layers/uint8: with its runtime" in card


def test_the_card_says_how_to_load_each_artefact_in_three_lines() -> None:
    card = model_card(make_manifest(), "784-128-64-10, relu, softmax.")
    blocks = re.findall(r"```(?:js|python)\n(.*?)\n```", card, re.DOTALL)
    assert [len(block.split("\n")) for block in blocks] == [3] * 6
    for call in ("loadLayersModel", "loadGraphModel", "ort.InferenceSession", "keras.saving"):
        assert sum(call in block for block in blocks) == 1
    for block in (b for b in blocks if "import onnxruntime" in b or "import keras" in b):
        compile(block, "card", "exec")


def test_the_card_is_the_same_every_time_and_holds_nothing_measured_here() -> None:
    manifest = replace(make_manifest(), parity=PARITY)
    first = model_card(manifest, "A small MLP.")
    assert first == model_card(manifest, "A small MLP.")
    assert "latency" not in first
    assert "e-0" not in first
    assert "0.9912" in first
    assert "438,000" in first


def test_hostile_names_stay_text_in_the_card() -> None:
    manifest = make_manifest(f"{HOSTILE}\n# Title", labels=("a|b", "`c`", "[d](javascript:x)"))
    spec = TensorSpec("``` \n</code> <b>", (None, 2), "float32")
    manifest = replace(manifest, inputs=(spec,), parity=PARITY)
    card = model_card(manifest, HOSTILE)
    assert "<" not in card
    assert card.count("```") == 2 * len(re.findall(r"^```(?:js|python)$", card, re.MULTILINE))
    assert "1. top-1 \\| equal" in card


@pytest.mark.parametrize("text", ["a|b", "*b*", "_c_", "<d>", "[e](f)", "`g`", "# h", "i\nj"])
def test_escaped_text_is_one_line_without_markdown(text: str) -> None:
    bare = re.sub(r"\\.|&[a-z]+;", "", escape(text))
    assert not re.search(r"[|*_<>\[\]`#\n]", bare)
