"""Which file to ship: the rule, and the figures beside it."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter import shipping
from exporter.manifest import Artifact, File, Manifest, TensorSpec
from exporter.parity import Flip, ParityReport, Row


def artifact(format: str, precision: str, size_bytes: int) -> Artifact:
    path = f"{format}/{precision}"
    return Artifact(format, precision, path, (File(path, size_bytes, "0" * 64),))


def bundle(*artifacts: Artifact, meaning: str = "probabilities", tiny: str = "") -> Manifest:
    return Manifest(
        name="m", created_by={}, source={},
        inputs=(TensorSpec("x", (None, 4), "float32"),),
        outputs=(TensorSpec("y", (None, 3), "float32", meaning=meaning),),
        artifacts=(artifact("keras", "float32", 10), *artifacts), files=(),
        parity=({"artifact": tiny, "runtime": "tiny-node", "backend": "js", "passed": {}},),
    )  # fmt: skip


FULL = artifact("tfjs-layers", "float32", 400_000)
HALF = artifact("tfjs-layers", "float16", 200_000)
EIGHT = artifact("tfjs-layers", "uint8", 100_000)
GRAPH = artifact("tfjs-graph", "uint8", 101_000)
ONNX = artifact("onnx", "int8-static", 90_000)


def chosen(manifest: Manifest) -> str:
    found = shipping.recommend(manifest)
    assert found is not None
    return found.id


def test_the_smallest_with_its_runtime_is_recommended_not_the_smallest_file() -> None:
    assert chosen(bundle(FULL, EIGHT, ONNX)) == "tfjs-layers/uint8"
    huge = artifact("tfjs-layers", "uint8", 90_000_000)
    assert chosen(bundle(huge, artifact("onnx", "int8", 60_000_000))) == "onnx/int8"


def test_the_small_runner_counts_for_what_it_runs() -> None:
    assert chosen(bundle(EIGHT, GRAPH)) == "tfjs-graph/uint8"
    assert chosen(bundle(EIGHT, GRAPH, tiny=EIGHT.id)) == "tfjs-layers/uint8"


def test_answers_that_are_numbers_get_nothing_coarser_than_16_bits() -> None:
    manifest = bundle(FULL, HALF, EIGHT, ONNX, meaning="values")
    assert chosen(manifest) == "tfjs-layers/float16"
    assert "because its answers are numbers" in shipping.why(manifest)


def test_of_two_of_one_size_the_more_exact_is_recommended() -> None:
    same = artifact("tfjs-layers", "uint16", HALF.size_bytes)
    assert chosen(bundle(HALF, same)) == "tfjs-layers/uint16"


def test_a_bundle_without_anything_for_the_web_recommends_nothing() -> None:
    assert shipping.recommend(bundle()) is None
    assert shipping.why(bundle()) == ""


def row(precision: str, backend: str, name: str, batch: int, ms: float, **figures: object) -> Row:
    return Row(
        "tfjs-layers", precision, "tfjs-node", backend, name, batch, "passed",
        samples=100, max_abs=0.01, top1_agreement=1.0, latency_ms=ms, **figures,  # type: ignore[arg-type]
    )  # fmt: skip


def test_the_figures_are_those_of_the_worst_place_on_the_largest_set() -> None:
    flips = (Flip(3, 1, 2, 0.04), Flip(9, 0, 2, 0.01))
    rows = (
        row("uint8", "cpu", "golden/picture", 1, 0.3),
        row("uint8", "cpu", "golden/tie", 1, 0.3, flip_count=50, flips=(Flip(0, 0, 1, 0.9),)),
        row("uint8", "cpu", "own-test", 100, 4.0, accuracy=0.98, keras_accuracy=0.99),
        row("uint8", "wasm", "own-test", 100, 2.0, accuracy=0.97, keras_accuracy=0.99,
            flip_count=2, flips=flips),
        row("uint8", "wasm", "golden/edge", 1, 0.1),
        replace(row("uint8", "webgl", "own-test", 20, 9.0, accuracy=0.5, keras_accuracy=0.5,
                    flip_count=9), samples=20),
    )  # fmt: skip
    offers = shipping.offers(bundle(FULL, EIGHT), ParityReport("m", rows))
    assert [(offer.artifact.id, offer.recommended) for offer in offers] == [
        ("tfjs-layers/uint8", True), ("tfjs-layers/float32", False),
    ]  # fmt: skip
    eight, full = offers
    assert (eight.accuracy, eight.keras_accuracy) == (0.97, 0.99)
    assert (eight.flips, eight.samples, eight.flip_margin) == (2, 100, 0.04)
    places = [place for place, _ in eight.latencies_ms]
    assert places == ["tfjs-node wasm", "tfjs-node cpu", "tfjs-node webgl"]
    assert eight.latencies_ms[0][1] == 0.1
    assert (full.accuracy, full.samples, full.latencies_ms) == (None, 0, ())


def test_golden_vectors_that_fill_a_batch_by_being_repeated_count_once() -> None:
    once = replace(row("uint8", "cpu", "golden/noise", 1, 0.3, flip_count=1), samples=8)
    often = replace(row("uint8", "cpu", "golden/noise", 256, 9.0, flip_count=32), samples=256)
    report = ParityReport("m", (once, often))
    (offer,) = shipping.offers(bundle(EIGHT), report)
    assert (offer.flips, offer.samples) == (1, 8)


def test_the_wire_is_what_gzip_makes_of_the_files(tmp_path: Path) -> None:
    data = np.random.default_rng(1).integers(0, 9, 50_000, np.uint8).tobytes()
    (tmp_path / "shard").write_bytes(data)
    one = Artifact("onnx", "float32", "shard", (File("shard", len(data), "0" * 64),))
    expected = len(gzip.compress(data, shipping.GZIP_LEVEL))
    assert shipping.wire_bytes(one, tmp_path) == pytest.approx(expected, abs=20)


def test_the_wire_of_a_large_file_is_reckoned_from_parts_of_it(tmp_path: Path) -> None:
    size = (1 << 25) + (1 << 24)
    part = np.random.default_rng(1).integers(0, 4, 1 << 20, np.uint8).tobytes()
    with (tmp_path / "shard").open("wb") as stream:
        for _ in range(size >> 20):
            stream.write(part)
    one = Artifact("onnx", "float32", "shard", (File("shard", size, "0" * 64),))
    each = len(gzip.compress(part, shipping.GZIP_LEVEL))
    assert shipping.wire_bytes(one, tmp_path) == pytest.approx((size >> 20) * each, rel=0.02)
