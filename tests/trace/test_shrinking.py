"""What is cut out shows the fault on its own, with nothing of this project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from exporter.errors import BadUsage
from exporter.runtimes.node import node_executable
from exporter.trace.tracing import Wish, trace_bundle
from tests.mutations import topology, weights

NODE_MODULES = Path(__file__).parent.parent.parent / "exporter" / "player" / "node_modules"


def spoil_units(layer: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with weights.opened(path) as held:
            (bias,) = [a for name, a in held.items() if name == f"{layer}/bias"]
            bias[::2] += np.float32(0.02)

    return change


def cut(folder: Path, target: Path, format: str, runtime: str | None = None) -> Path:
    trace_bundle(folder, Wish(runtime=runtime, format=format), shrink_to=target)
    return target


def reproduce(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the folder's script as whoever gets it would, elsewhere."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    if (folder / "reproduce.py").exists():
        command = [sys.executable, str(folder / "reproduce.py")]
    else:
        (folder / "node_modules").symlink_to(NODE_MODULES)
        command = [node_executable(), str(folder / "reproduce.mjs")]
    try:
        return subprocess.run(command, capture_output=True, text=True, env=environment, cwd="/")
    finally:
        (folder / "node_modules").unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("format", "runtime"),
    [
        ("onnx", "onnxruntime"), ("onnx", "onnxruntime-web-node"), ("tfjs-layers", None),
        ("tfjs-graph", None),
    ],
)  # fmt: skip
def test_the_script_shows_the_fault_and_its_absence(
    spoilt: Callable[..., Path], tmp_path: Path, format: str, runtime: str | None
) -> None:
    folder = spoilt("regression", format, spoil_units("square"))
    report = cut(folder, tmp_path / "report", format, runtime)
    shown = reproduce(report)
    assert shown.returncode == 1, shown.stderr
    assert "largest difference 0.0" in shown.stdout
    assert "np.float" not in shown.stdout, "numbers as NumPy, not as people, write them"
    readme = (report / "README.md").read_text()
    assert "'square'" in readme
    needs = "onnxruntime" if format == "onnx" else "@tensorflow/tfjs"
    install = "npm" if (report / "reproduce.mjs").exists() else "pip"
    assert re.search(rf"^    {install} install .*{needs}", readme, re.MULTILINE)
    assert "keras 3." in readme
    assert str(tmp_path) not in readme + (report / "case.json").read_text()
    shutil.copy(report / "got.npy", report / "expected.npy")
    assert reproduce(report).returncode == 0


def test_only_the_wrong_layer_is_cut_out(spoilt: Callable[..., Path], tmp_path: Path) -> None:
    folder = spoilt("regression", "tfjs-layers", spoil_units("square"))
    report = cut(folder, tmp_path / "report", "tfjs-layers")
    model = keras.saving.load_model(report / "model.keras")
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense"]
    x = np.load(report / "input_0.npy")
    np.testing.assert_allclose(model(x), np.load(report / "expected.npy"), atol=1e-6)
    wrong = np.abs(np.load(report / "got.npy") - np.load(report / "expected.npy"))
    assert wrong.max() == pytest.approx(0.02, rel=0.5)
    files = {path.relative_to(report).as_posix() for path in report.rglob("*") if path.is_file()}
    assert "tfjs/layers/group1-shard1of1.bin" in files
    shard = (report / "tfjs" / "layers" / "group1-shard1of1.bin").stat().st_size
    assert shard == 4 * (12 * 12 + 12)


@pytest.mark.parametrize("format", ["tfjs-graph", "onnx"])
def test_a_layer_without_a_tensor_before_it_takes_its_neighbours_along(
    spoilt: Callable[..., Path], tmp_path: Path, format: str
) -> None:
    folder = spoilt("convolutional", format, spoil_units("second"))
    report = cut(folder, tmp_path / "report", format)
    assert reproduce(report).returncode == 1
    model = keras.saving.load_model(report / "model.keras")
    names = [type(layer).__name__ for layer in model.layers]
    expected = {"tfjs-graph": ["InputLayer", "Conv2D", "ReLU"], "onnx": ["InputLayer", "Conv2D"]}
    assert names == expected[format]


@pytest.mark.slow
@pytest.mark.parametrize("format", ["tfjs-layers", "tfjs-graph", "onnx"])
def test_a_recurrent_layer_can_be_cut_out(
    spoilt: Callable[..., Path], tmp_path: Path, format: str
) -> None:
    folder = spoilt("recurrent", format, lambda p: topology.activate(p, "square", "sigmoid"))
    assert reproduce(cut(folder, tmp_path / "report", format)).returncode == 1


@pytest.mark.slow
def test_the_onnx_script_can_ask_keras_anew(spoilt: Callable[..., Path], tmp_path: Path) -> None:
    folder = spoilt("regression", "onnx", spoil_units("left"))
    report = cut(folder, tmp_path / "report", "onnx")
    (report / "expected.npy").unlink()
    shutil.copy(report / "got.npy", report / "expected.npy")
    command = [sys.executable, str(report / "reproduce.py"), "--keras"]
    shown = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert shown.returncode == 1, shown.stderr


def test_a_right_bundle_leaves_no_folder(run_exporter: Any, subject: Any, tmp_path: Path) -> None:
    result = run_exporter(
        "trace", subject("regression").directory, "--format", "onnx", "--shrink",
        tmp_path / "report",
    )  # fmt: skip
    assert result.exit_code == 0
    assert not (tmp_path / "report").exists()


def test_a_folder_with_files_is_left_alone(spoilt: Callable[..., Path], tmp_path: Path) -> None:
    folder = spoilt("regression", "onnx", spoil_units("square"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("mine")
    with pytest.raises(BadUsage, match="an empty folder expected"):
        cut(folder, tmp_path / "mine", "onnx")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
