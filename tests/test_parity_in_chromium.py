"""A published bundle in a real Chromium: every row proven, every wrong number caught.

And no row that was not run ever reads as one that passed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import exporter
from exporter import comparison, golden, runtimes, samples, source
from exporter.manifest import Manifest, measure
from exporter.parity import ParityReport, Row
from exporter.runtimes.chromium import HALF
from tests.conftest import tiny_classifier

if TYPE_CHECKING:
    from exporter.parity import Samples
    from exporter.source import Source

pytestmark = pytest.mark.browser

IN_CHROMIUM = ("tiny-browser", "tfjs-browser", "onnxruntime-web-browser")
PLACES = [
    ("tiny-browser", "js"),
    *(("tfjs-browser", backend) for backend in ("cpu", "wasm", "webgl", HALF, "webgpu")),
    *(("onnxruntime-web-browser", backend) for backend in ("wasm", "webgpu")),
]


@pytest.fixture(scope="module")
def report(tiny_bundle: Path, chromium_here: None) -> ParityReport:
    """The bundle in Chromium, on its golden vectors and on 300 inputs besides."""
    inputs = np.random.default_rng(4).random((300, 28, 28), np.float32)
    return exporter.compare(tiny_bundle, runtimes=IN_CHROMIUM, inputs=inputs)


def _of(report: ParityReport, runtime: str, backend: str) -> list[Row]:
    return [row for row in report.rows if (row.runtime, row.backend) == (runtime, backend)]


@pytest.mark.parametrize(("runtime", "backend"), PLACES)
def test_every_row_passes_and_holds_what_was_measured(
    report: ParityReport, runtime: str, backend: str
) -> None:
    rows = _of(report, runtime, backend)
    formats = {row.format for row in rows}
    assert formats == runtimes.get(runtime).formats
    for row in rows:
        assert (row.status, row.reason) == ("passed", "")
        assert row.samples > 0
        assert row.max_abs is not None
        assert row.mean_abs is not None
        assert row.max_abs >= row.mean_abs >= 0
        assert row.cold_start_ms is not None
        assert row.latency_ms is not None
        assert row.cold_start_ms > 0 < row.latency_ms
        assert row.bytes_fetched is not None
        assert row.bytes_fetched > (10_000 if runtime == "tiny-browser" else 400_000)
        assert ("16-bit textures" in row.ran_on) == (backend == HALF)
        assert backend.removesuffix("-half") in row.ran_on
        assert row.advisory == (backend == HALF)


def test_half_floats_are_less_exact_than_floats_and_under_their_own_gate(
    report: ParityReport,
) -> None:
    def error(backend: str) -> float:
        rows = _of(report, "tfjs-browser", backend)
        return max(row.max_abs or 0.0 for row in rows if row.samples_name == "given")

    assert error("webgl") < 1e-5 < error(HALF) < 2e-2
    gates = {row.gate for row in _of(report, "tfjs-browser", HALF)}
    assert gates
    assert all("0.02" in gate for gate in gates)


def test_gpus_take_a_sample_of_the_data_and_say_so(report: ParityReport) -> None:
    for runtime, backend in PLACES:
        rows = [row for row in _of(report, runtime, backend) if row.samples_name == "given"]
        assert rows
        for row in rows:
            if "web" in row.backend:
                assert row.samples <= 256
                assert f"the first {row.samples} of 300" in row.note
            else:
                assert (row.samples, row.note) == (300, "")


def test_the_phones_verdict_stands_in_the_report(report: ParityReport) -> None:
    assert report.half_float is not None
    assert report.half_float.safe
    assert {item.place for item in report.half_float.ranges} >= {
        "input 'pixels'", "layer 'hidden'", "layer 'probabilities'",
    }  # fmt: skip
    assert report.to_document()["half_float"]["verdict"] == report.half_float.verdict


@contextmanager
def _changed(bundle: Path, path: str, old: bytes, new: bytes) -> Iterator[Manifest]:
    """One number in a file is another, and the manifest says it has always been so."""
    file = bundle / path
    data = file.read_bytes()
    assert data.count(old) == 1
    file.write_bytes(data.replace(old, new))
    manifest = Manifest.read(bundle)
    yield replace(
        manifest,
        artifacts=tuple(
            replace(item, files=measure(bundle, [f.path for f in item.files]))
            for item in manifest.artifacts
        ),
    )
    file.write_bytes(data)


def _given(bundle: Path) -> tuple[Source, tuple[Samples, ...]]:
    manifest = Manifest.read(bundle)
    described = replace(
        source.describe(source.load(bundle / manifest.artifact("keras").path), manifest.name),
        inputs=manifest.inputs, outputs=manifest.outputs,
    )  # fmt: skip
    vectors = golden.Golden.from_json((bundle / "golden.json").read_text())
    return described, samples.of_golden(vectors, described)


@pytest.mark.parametrize("format", ["tfjs-layers", "tfjs-graph", "onnx"])
def test_wrong_weights_are_caught_on_every_backend(
    own_bundle: Path, chromium_here: None, format: str
) -> None:
    described, sets = _given(own_bundle)
    kernel, _ = described.model.layers[-1].get_weights()
    assert kernel.shape == (16, 10)
    artifact = Manifest.read(own_bundle).artifact(format)
    (path,) = (
        file.path for file in artifact.files
        if (own_bundle / file.path).read_bytes().count(kernel.tobytes()) == 1
    )  # fmt: skip
    wrong = kernel.copy()
    wrong[:, 3] += 0.5
    with _changed(own_bundle, path, kernel.tobytes(), wrong.tobytes()) as manifest:
        found = comparison.compare(
            own_bundle, manifest, described, sets, runtime_names=IN_CHROMIUM,
            artifacts=[manifest.artifact(format)],
        )  # fmt: skip
    for runtime, backend in PLACES:
        if format not in runtimes.get(runtime).formats:
            continue
        rows = _of(found, runtime, backend)
        assert "failed" in {row.status for row in rows}, (runtime, backend)
        assert any("off by" in row.reason for row in rows)
    assert {row.backend for row in found.warned} <= {HALF}
    assert found.verdict() is not None


def test_a_phone_that_cannot_is_told_and_holds_nothing_back(
    tmp_path: Path, chromium_here: None
) -> None:
    """A layer of 1e5: wrong on half floats, right everywhere else, published, the layer named."""
    import keras

    keras.utils.set_random_seed(9)
    model = keras.Sequential(
        [
            keras.Input((8,), name="x"),
            keras.layers.Dense(6, kernel_initializer="ones", name="loud"),
            keras.layers.Rescaling(1e-6, name="quiet"),
            keras.layers.Dense(3, activation="softmax", name="probabilities"),
        ]
    )
    model.layers[0].set_weights([np.full((8, 6), 1e5, np.float32), np.full(6, 1e5, np.float32)])
    manifest = exporter.export(model, tmp_path / "loud", formats=["tfjs-graph"])
    assert [artifact.format for artifact in manifest.artifacts] == ["keras", "tfjs-graph"]
    found = exporter.compare(tmp_path / "loud", runtimes=["tfjs-browser"])
    assert found.verdict() is None
    assert {row.backend for row in found.warned} == {HALF}
    assert found.half_float is not None
    assert "layer 'loud'" in {item.place for item in found.half_float.unsafe}
    assert found.half_float.verdict.startswith("not safe on half-float GPUs")
    document = found.to_document()
    assert document["failed"] == 0
    assert document["warned"] == len(found.warned) > 0


NO_BROWSER_REMEDY = "EXPORTER_BROWSER"


def _without_a_browser(tmp_path: Path, **more: str) -> dict[str, str]:
    """This environment on a machine that has no Chromium anywhere."""
    kept = {k: v for k, v in os.environ.items() if k not in ("EXPORTER_BROWSER", "CI")}
    return {**kept, "PATH": "", "PLAYWRIGHT_BROWSERS_PATH": str(tmp_path / "none"), **more}


def _exporter(environment: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "exporter", *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=300,
        cwd=Path(__file__).parent.parent,
    )  # fmt: skip


class TestWithoutABrowser:
    """These run where there is one, too: it is hidden from them."""

    @pytest.fixture
    def model(self, tmp_path: Path) -> Path:
        path = tmp_path / "tiny.keras"
        tiny_classifier().save(path)
        return path

    def _export(
        self, model: Path, tmp_path: Path, *options: str, **more: str
    ) -> subprocess.CompletedProcess[str]:
        return _exporter(
            _without_a_browser(tmp_path, **more),
            "export", model, "-o", tmp_path / "bundle", "--formats", "onnx", *options,
        )  # fmt: skip

    def test_the_export_says_in_one_line_what_was_not_run_and_how_to_make_it_run(
        self, model: Path, tmp_path: Path
    ) -> None:
        done = self._export(model, tmp_path)
        assert done.returncode == 0, done.stderr
        lines = [line for line in done.stdout.splitlines() if "not run:" in line]
        assert len(lines) == 1
        for part in ("onnxruntime-web-browser wasm", "webgpu", "no Chromium", NO_BROWSER_REMEDY):
            assert part in lines[0]
        rows = [line for line in done.stdout.splitlines() if "onnx/float32" in line]
        assert "2 not run" in rows[0]

    @pytest.mark.parametrize(("options", "more"), [(("--strict",), {}), ((), {"CI": "true"})])
    def test_strict_and_ci_fail_and_publish_nothing(
        self, model: Path, tmp_path: Path, options: tuple[str, ...], more: dict[str, str]
    ) -> None:
        done = self._export(model, tmp_path, *options, **more)
        assert done.returncode == 1
        (line,) = done.stderr.strip().splitlines()
        assert "2 rows were not run" in line
        assert NO_BROWSER_REMEDY in line
        assert not (tmp_path / "bundle").exists()

    def test_a_row_that_was_not_run_never_reads_as_passed(
        self, own_bundle: Path, tmp_path: Path
    ) -> None:
        shutil.rmtree(own_bundle / "report")
        options = ("--runtimes", "onnxruntime,tfjs-browser", "--json")
        done = _exporter(_without_a_browser(tmp_path), "parity", own_bundle, *options)
        assert done.returncode == 0, done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        rows = [row for row in document["rows"] if row["runtime"] == "tfjs-browser"]
        assert len(rows) == 2 * 5
        for row in rows:
            assert row["status"] == "not_run"
            assert NO_BROWSER_REMEDY in row["reason"]
            assert row["samples"] == 0
            assert row["max_abs"] is None
            assert row["top1_agreement"] is None
            assert row["ran_on"] == ""
        assert document["not_run"] == 10
        page = (own_bundle / "report" / "report.html").read_text(encoding="utf-8")
        assert "not run" in page
        assert NO_BROWSER_REMEDY in page

    def test_a_browser_that_is_named_and_not_there_is_no_pass_either(
        self, own_bundle: Path, tmp_path: Path
    ) -> None:
        environment = _without_a_browser(tmp_path, EXPORTER_BROWSER=str(tmp_path / "nowhere"))
        options = ("--runtimes", "onnxruntime-web-browser", "--strict")
        done = _exporter(environment, "parity", own_bundle, *options)
        assert done.returncode == 1
        assert f"EXPORTER_BROWSER={tmp_path / 'nowhere'}: no such program" in done.stderr
