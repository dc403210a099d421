"""A trace names the layer where a fault was planted, in every format, and none where none is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.errors import BadBundle, BadUsage
from exporter.trace import Trace
from exporter.trace.tracing import Wish, trace_bundle
from tests.mutations import topology, weights
from tests.mutations.subjects import WEB_FORMATS, Subject

Change = Callable[[Path], None]


def bias_of(layer: str, amount: float = 1e-2) -> Change:
    def change(path: Path) -> None:
        with weights.opened(path) as held:
            (bias,) = [
                array for name, array in held.items()
                if layer in name.split("/")[:-1] and name.endswith("/bias")
            ]  # fmt: skip
            bias[...] += np.linspace(amount, 2 * amount, bias.size, dtype=np.float32)

    return change


def traced(folder: Path, format: str | None = None, **wish: Any) -> tuple[Trace, ...]:
    return trace_bundle(folder, Wish(format=format, **wish))


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("convolutional", marks=pytest.mark.slow),
        pytest.param("recurrent", marks=pytest.mark.slow), "regression", "nested",
    ],
)  # fmt: skip
def test_a_right_bundle_has_no_wrong_layer(subject: Callable[[str], Subject], name: str) -> None:
    traces = traced(subject(name).directory)
    assert [trace.artifact for trace in traces] == [f"{f}/float32" for f in WEB_FORMATS]
    for trace in traces:
        assert trace.verdict is None
        assert trace.remarks == ()
        compared = [layer for layer in trace.layers if layer.status == "passed"]
        fused = {layer.path for layer in trace.layers if layer.status == "not_in_file"}
        assert compared
        # The graph format fuses a convolution with the ReLU after it, and computes one tanh of
        # what two calls gave, joined; Dropout does nothing.
        moved = {"second", "tower/narrow", "joined"} if trace.artifact.startswith("tfjs-g") else {}
        assert fused <= {"tower/dropped", *moved}


PLANTED = [
    (name, layer, format)
    for name, layer in (
        ("regression", "left"), ("regression", "square"), ("regression", "rent"),
        ("convolutional", "first"), ("recurrent", "lstm"), ("recurrent", "square"),
        ("nested", "wide_one"), ("nested", "scores"),
    )
    for format in WEB_FORMATS
]  # fmt: skip
QUICK = {("regression", "left"), ("regression", "square"), ("regression", "rent"),
         ("nested", "wide_one")}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "layer", "format"),
    [pytest.param(*case, marks=() if case[:2] in QUICK else pytest.mark.slow) for case in PLANTED],
)
def test_a_planted_bias_is_found_in_its_layer(
    spoilt: Callable[..., Path], name: str, layer: str, format: str
) -> None:
    if (name, layer) == ("nested", "wide_one"):
        planted, expected = _widest_bias, "tower/wide one"
    else:
        planted, expected = bias_of(layer), layer
    (trace,) = traced(spoilt(name, format, planted), format)
    assert trace.first is not None
    assert trace.first.path == expected
    assert expected in str(trace.verdict)
    assert "changed" in trace.remarks[0]
    if (name, format) != ("nested", "tfjs-layers"):
        assert "differs from Keras' in its bits" in trace.weights


def _widest_bias(path: Path) -> None:
    """Of the layer with six units: its name is another one in each format."""
    with weights.opened(path) as held:
        (bias,) = [a for name, a in held.items() if a.shape == (6,) and "bias" in name]
        bias += np.float32(0.01)


@pytest.mark.parametrize("format", WEB_FORMATS)
def test_a_planted_activation_is_found_in_its_layer(
    spoilt: Callable[..., Path], format: str
) -> None:
    folder = spoilt("regression", format, lambda p: topology.activate(p, "left", "sigmoid"))
    (trace,) = traced(folder, format)
    assert trace.first is not None
    assert trace.first.path == "left"
    assert trace.weights == ""


def test_a_bit_that_no_layer_shows_is_told_all_the_same(spoilt: Callable[..., Path]) -> None:
    def flip(path: Path) -> None:
        with weights.opened(path) as held:
            kernel = held["square/kernel"]
            kernel[0, 0] = (kernel[0, 0].view(np.uint32) ^ np.uint32(1)).view(np.float32)

    (trace,) = traced(spoilt("regression", "onnx", flip), "onnx")
    assert trace.first is None
    assert "no layer leaves the gate" in str(trace.verdict)
    assert "'square/kernel' differs" in str(trace.verdict)


def test_both_calls_of_a_shared_layer_are_compared(subject: Callable[[str], Subject]) -> None:
    for trace in traced(subject("nested").directory):
        calls = [layer.call for layer in trace.layers if layer.path == "tower/wide one"]
        tensors = {layer.tensor for layer in trace.layers if layer.path == "tower/wide one"}
        assert calls == [1, 2]
        assert len(tensors - {""}) == 2


def test_of_all_golden_rows_the_one_that_shows_most_is_taken(
    spoilt: Callable[..., Path],
) -> None:
    folder = spoilt("regression", "onnx", bias_of("square"))
    (best,) = traced(folder, "onnx")
    (given,) = traced(folder, "onnx", input="noise 0")
    assert given.input_name == "golden row 'noise 0'"
    over = [
        float(trace.first.max_abs or 0) / float(trace.first.allowed or 1)
        for trace in (best, given) if trace.first
    ]  # fmt: skip
    assert len(over) == 2
    assert over[0] >= over[1]


def test_the_input_may_be_an_array(subject: Callable[[str], Subject], tmp_path: Path) -> None:
    x = np.linspace(-1, 1, 6, dtype=np.float32)[None]
    np.savez(tmp_path / "mine.npz", a=x, b=-x)
    (trace,) = traced(subject("regression").directory, "onnx", input=str(tmp_path / "mine.npz"))
    assert trace.input_name == "mine.npz"
    assert trace.watched is not None
    np.testing.assert_array_equal(trace.watched.inputs[1], -x)


def test_a_picture_is_read_by_the_bundles_own_preprocessing(
    subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    from PIL import Image

    picture = np.full((60, 60), 255, np.uint8)
    picture[10:50, 28:34] = 0
    Image.fromarray(picture).save(tmp_path / "one.png")
    (trace,) = traced(subject("mlp-128-64").directory, "onnx", input=str(tmp_path / "one.png"))
    assert trace.watched is not None
    assert trace.watched.inputs[0].shape == (1, 28, 28)
    assert trace.verdict is None
    with pytest.raises(BadBundle, match="no preprocessing for pictures"):
        traced(subject("regression").directory, "onnx", input=str(tmp_path / "one.png"))


def test_a_runtime_with_one_output_is_traced_tensor_by_tensor(
    spoilt: Callable[..., Path],
) -> None:
    folder = spoilt("mlp-128-64", "tfjs-layers", bias_of("hidden_2"))
    (trace,) = traced(folder, runtime="tiny-node")
    assert trace.ran_on.startswith("tiny")
    assert trace.first is not None
    assert trace.first.path == "hidden_2"


@pytest.mark.browser
def test_a_browser_is_traced_like_any_runtime(
    spoilt: Callable[..., Path], chromium_here: None
) -> None:
    folder = spoilt("regression", "tfjs-graph", bias_of("square"))
    (trace,) = traced(folder, "tfjs-graph", runtime="tfjs-browser", backend="wasm")
    assert trace.backend == "wasm"
    assert trace.first is not None
    assert trace.first.path == "square"


@pytest.mark.parametrize(
    ("wish", "error", "said"),
    [
        (Wish(runtime="abacus"), BadUsage, "known runtimes"),
        (Wish(runtime="tfjs-node", backend="webgl"), BadUsage, "it has cpu, wasm"),
        (Wish(format="keras"), BadUsage, "one of tfjs-layers"),
        (Wish(precision="uint8"), BadBundle, "in uint8 expected"),
        (Wish(runtime="onnxruntime", format="tfjs-graph"), BadBundle, "that onnxruntime runs"),
        (Wish(input="noise 99"), BadUsage, "'noise 0'"),
    ],
)
def test_what_cannot_be_traced_is_said(
    subject: Callable[[str], Subject], wish: Wish, error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        trace_bundle(subject("regression").directory, wish)


def test_the_command_names_the_layer_and_leaves_picture_and_json(
    run_exporter: Any, spoilt: Callable[..., Path], tmp_path: Path
) -> None:
    folder = spoilt("regression", "onnx", bias_of("square"))
    result = run_exporter("trace", folder, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "'square' (Dense) is the first wrong" in result.stderr
    documents = json.loads((tmp_path / "out" / "trace.json").read_text())
    assert [d["first"] for d in documents] == [None, None, "square"]
    for format in WEB_FORMATS:
        picture = (tmp_path / "out" / f"{format}-float32.svg").read_text()
        assert "the gate" in picture
        assert ("outside" in picture) is True
        assert "square" in picture


def test_the_command_answers_0_where_all_is_well(
    run_exporter: Any, subject: Callable[[str], Subject]
) -> None:
    result = run_exporter(
        "trace", subject("regression").directory, "--runtime", "tfjs-node:wasm", "--json"
    )
    assert result.exit_code == 0
    documents = json.loads(result.stdout)
    assert {d["backend"] for d in documents} == {"wasm"}
    assert all(d["first"] is None for d in documents)
    table = run_exporter("trace", subject("regression").directory, "--format", "onnx")
    assert "no layer leaves the gate" in table.output


def test_a_model_that_was_not_published_is_traced_as_it_would_have_been(
    run_exporter: Any, subject: Callable[[str], Subject], tmp_path: Path
) -> None:
    model = subject("regression").directory / "keras" / "model.keras"
    result = run_exporter("trace", model, "--format", "onnx", "--json", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (document,) = json.loads(result.stdout)
    assert (document["artifact"], document["remarks"]) == ("onnx/float32", [])
    assert document["layers"][0]["path"] == "left"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "onnx-float32.svg", "trace.json",
    ]  # fmt: skip
