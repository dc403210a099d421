"""What an export needs of memory, in models' sizes: measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from exporter.retype import retype

SCRIPT = """
import json, sys
from pathlib import Path
from exporter.keras_file import import_keras
keras = import_keras()
import tensorflow, onnx, onnxruntime, tf2onnx
from exporter import formats, golden, samples, source

def megabytes(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith(key))

millions, directory = float(sys.argv[1]), Path(sys.argv[2])
width = int((millions * 1e6 / 4) ** 0.5)
model = keras.Sequential([
    keras.Input((width,)), keras.layers.Dense(2 * width, activation="relu"),
    keras.layers.Dense(width, activation="relu"), keras.layers.Dense(10),
])
copy = model.count_params() * 4 / 1e6
with_model = megabytes("VmRSS")
described = source.describe(model, "big")
found = {}

def measure(name, work):
    before = megabytes("VmRSS")
    with open("/proc/self/clear_refs", "w") as peaks:
        peaks.write("5")
    result = work()
    found[name] = (megabytes("VmHWM") - before) / copy
    return result

# Once with next to nothing: what TensorFlow and onnx take however small the model is.
tiny = source.describe(keras.Sequential([keras.Input((9,)), keras.layers.Dense(9)]), "tiny")
for name in formats.NAMES:
    formats.get(name).export(tiny, "float32", directory / "tiny")
for name, precision in json.loads(sys.argv[3]):
    work = lambda: formats.get(name).export(described, precision, directory)
    measure(f"{name}/{precision}", work)
measure("opening", lambda: source.load(directory / "keras" / "model.keras") and None)
for name, path in json.loads(sys.argv[4]).items():
    weights = lambda: [path for path, _ in formats.get(name).read_weights(directory, path)]
    assert len(measure(f"weights of {name}", weights)) >= 3
vectors = measure("golden", lambda: golden.build(described))
calibrated = samples.calibrated(described, vectors, None)
name, precision, described = "onnx", "int8-static", calibrated
measure("onnx/int8-static", work)
print(json.dumps(found))
"""
PAIRS = [
    ("keras", "float32"),
    ("tfjs-layers", "float32"), ("tfjs-layers", "uint8"), ("tfjs-graph", "float32"),
    ("onnx", "float32"), ("onnx", "float16"), ("onnx", "int8"),
]  # fmt: skip

WRITTEN = {
    "tfjs-layers": "tfjs/layers/model.json", "tfjs-graph": "tfjs/graph/model.json",
    "onnx": "onnx/model.onnx",
}  # fmt: skip
"""Where the weights are read from again, one at a time."""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc")
def test_a_model_of_20_million_parameters_is_written_in_the_room_of_another_copy(
    tmp_path: Path,
) -> None:
    """Besides the model itself; the oracle widens one weight at a time, here half the model."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT, "20", tmp_path, json.dumps(PAIRS), json.dumps(WRITTEN)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    peaks = json.loads(ended.stdout.splitlines()[-1])
    for format, precision in PAIRS:
        assert peaks[f"{format}/{precision}"] < 1.6, peaks
    assert peaks["golden"] < 2.5, peaks
    assert peaks["opening"] < 2.3, peaks  # itself, and the weight that is being read, here half
    for format in WRITTEN:
        assert peaks[f"weights of {format}"] < 1.3, peaks
    assert peaks["onnx/int8-static"] < 1.6, peaks
    sizes = [path.stat().st_size for path in (tmp_path / "tfjs").rglob("*.bin")]
    assert len(sizes) > 40
    assert max(sizes) == 4 * 1024 * 1024


def test_a_large_weight_is_copied_part_by_part_and_whole() -> None:
    keras.utils.set_random_seed(2)
    model = keras.Sequential([keras.Input((1500,)), keras.layers.Dense(1000)])
    copy = retype(model, "float64")
    for mine, other in zip(model.get_weights(), copy.get_weights(), strict=True):
        assert other.dtype == np.float64
        np.testing.assert_array_equal(mine, other)
