"""The scripts with which people bring a Keras model to the browser today, as whole processes.

Each is what the documentation of TensorFlow.js and of Keras says; tensorflowjs' command line cannot
be imported beside current TensorFlow, so its converter is started as the exporter starts it.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from exporter.manifest import Manifest
from tests.benchmarks.servers import ROOT
from tests.benchmarks.turns import Spent, spend

MOST_BYTES = 12 << 30
"""Of memory for a script: Keras' ONNX export of 100 million parameters asked for 25 GB."""
OURS, TFJS, ONNX = "`exporter export`", "SavedModel + tensorflowjs", "Keras' ONNX export"
_SAVED_MODEL = """
import sys, keras
model = keras.saving.load_model(sys.argv[1], compile=False)
model.export(sys.argv[2])
"""
_CONVERT = """
import sys
from exporter.formats.upstream_tensorflowjs import converter
converter().convert_tf_saved_model(sys.argv[1], sys.argv[2])
"""
_ONNX = """
import sys, keras, numpy
model = keras.saving.load_model(sys.argv[1], compile=False)
model(numpy.zeros((1, *model.input_shape[1:]), "float32"))
model.export(sys.argv[2], format="onnx")
"""
_COUNTER = """
import os, pathlib, sys

class Counter:
    def find_spec(self, name, path=None, target=None):
        if name == "tensorflow":
            pathlib.Path(__file__).with_name(f"imported-{os.getpid()}").touch()

sys.meta_path.insert(0, Counter())
"""
NODE = ("tiny-node", "tfjs-node", "onnxruntime-web-node")
_IMPORTS = {
    OURS: "import tensorflow, keras, onnx, onnxruntime, tf2onnx, exporter.api; "
    "from exporter.formats import upstream_tensorflowjs; upstream_tensorflowjs.converter()",
    TFJS: "import tensorflow, keras; "
    "from exporter.formats import upstream_tensorflowjs; upstream_tensorflowjs.converter()",
    ONNX: "import tensorflow, keras, onnx, tf2onnx",
}


def ours(model: Path, folder: Path) -> Spent:
    """All formats in float32, proven in Python and Node; a browser is not on the path."""
    bundle = folder / "bundle"
    command = ["-m", "exporter", "export", str(model), "-o", str(bundle), "--json"]
    with open(folder / "told.json", "w+", encoding="utf-8") as told:
        spent = _python(command, stdout=told, PATH=str(Path(sys.executable).parent), CI="")
        told.seek(0)
        (row,) = json.load(told)
    ran = {proof["runtime"] for proof in Manifest.read(bundle).parity}
    _check_rows(row["parity"], ran)
    return spent


def _check_rows(counts: Mapping[str, int], ran: Set[str]) -> None:
    """Node was on the path and proved all; a browser was not.

    Raises:
        RuntimeError: Other rows ran than those that are compared.
    """
    missing = {name for name in NODE if name not in ran}
    if counts["failed"] or missing or not counts["not_run"]:
        raise RuntimeError(
            f"rows of {', '.join(NODE)} expected to pass, those of a browser not to run; "
            f"{dict(counts)} in {', '.join(sorted(ran))} found"
        )


def tensorflowjs(model: Path, folder: Path) -> Spent:
    """A script that writes a SavedModel, then the converter: two processes one after the other."""
    saved = str(folder / "saved")
    first = _peer(["-c", _SAVED_MODEL, str(model), saved])
    second = _peer(["-c", _CONVERT, saved, str(folder / "tfjs")])
    return Spent(
        first.wall_s + second.wall_s, first.cpu_s + second.cpu_s,
        max(first.peak_mib, second.peak_mib), first.imports + second.imports,
    )  # fmt: skip


def onnx(model: Path, folder: Path) -> Spent:
    """A script that calls the model once and exports it."""
    return _peer(["-c", _ONNX, str(model), str(folder / "model.onnx")])


CONTENDERS = {OURS: ours, TFJS: tensorflowjs, ONNX: onnx}


def imports(name: str) -> Spent:
    """What a contender's libraries cost without any work."""
    return _python(["-c", _IMPORTS[name]])


def _peer(arguments: list[str]) -> Spent:
    """One that takes all memory there is would end others before itself."""
    limits = (MOST_BYTES, MOST_BYTES)
    return _python(
        arguments, preexec_fn=partial(resource.setrlimit, resource.RLIMIT_AS, limits)
    )  # fmt: skip


def _python(
    arguments: list[str],
    preexec_fn: Callable[[], None] | None = None,
    stdout: IO[str] | int = subprocess.DEVNULL,
    **environment: str,
) -> Spent:
    with tempfile.TemporaryDirectory() as counting:
        Path(counting, "sitecustomize.py").write_text(_COUNTER, encoding="utf-8")
        known = {
            "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow",
            "PYTHONPATH": os.pathsep.join([counting, str(ROOT)]),
        }  # fmt: skip
        spent = spend(
            [sys.executable, *arguments], env={**os.environ, **known, **environment},
            preexec_fn=preexec_fn, stdout=stdout,
        )  # fmt: skip
        return replace(spent, imports=len(list(Path(counting).glob("imported-*"))))
