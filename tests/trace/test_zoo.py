"""No layer of a right export is called wrong, whatever the model: a layer's tensors are its own."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from exporter import formats, golden, runtimes, source
from exporter.manifest import Artifact, Manifest, measure
from exporter.trace import Layer
from exporter.trace.tracer import choose, open_tracer
from exporter.trace.tracing import DEFAULT_RUNTIMES
from tests import zoo

# Several outputs of one shape; states that leave their layer, too.
QUICK = [("Bidirectional/GRU-None", "tfjs-layers"), ("LSTM/state", "onnx")]
EVERY = [
    (name, format)
    for name in sorted(zoo.MODELS) if "application" not in name for format in DEFAULT_RUNTIMES
]  # fmt: skip
ROWS = 4


def layers_of(name: str, format: str, folder: Path) -> tuple[Layer, ...]:
    described = source.describe(zoo.build(name), "zoo")
    if formats.get(format).refusals(described, "float32"):
        pytest.skip(f"{format} refuses it")
    written = formats.get(format).export(described, "float32", folder)
    artifact = Artifact(format, "float32", written.path, measure(folder, written.files))
    manifest = Manifest("zoo", {}, {}, described.inputs, described.outputs, (artifact,), ())
    vectors = golden.build(described).of_kind("noise", "tie")
    rows = [(row.name, vectors.inputs_for([row.recipe])) for row in vectors.rows[:ROWS]]
    runtime = runtimes.get(DEFAULT_RUNTIMES[format])
    with ExitStack() as stack:
        engine = stack.enter_context(runtime.start())
        backend = runtime.backends[0]
        tracer = open_tracer(folder, manifest, artifact, described, engine, backend, stack)
        _, _, layers = choose(tracer, rows)
    return layers


@pytest.mark.parametrize(
    ("name", "format"),
    [
        pytest.param(*pair, marks=() if pair in QUICK else pytest.mark.slow, id="-".join(pair))
        for pair in EVERY
    ],
)
def test_no_layer_of_a_right_export_is_wrong(name: str, format: str, tmp_path: Path) -> None:
    layers = layers_of(name, format, tmp_path)
    assert [layer for layer in layers if layer.status == "failed"] == []
