"""Other people's ways from Keras to the browser, on the same models and inputs.

Each is driven as its documentation says, at its best: models were called once before
`model.export`, and what a converter names otherwise is taken in order. Owns the four ways.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import keras
import numpy as np

from exporter.formats import upstream_tensorflowjs
from exporter.runtimes.node import node_executable
from exporter.source import Source
from tests.conformance.outcome import Outcome, distance, worse

SCRIPT = Path(__file__).with_name("peers.js")
Arrays = Sequence[np.ndarray]


class PlainTfjs:
    """TF.js in Node, without anything of ours around it; a process that dies is replaced."""

    def __init__(self) -> None:
        self._process = _start()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()

    def run(
        self, path: Path, kind: str, inputs: Sequence[Arrays], expected: Sequence[Arrays]
    ) -> Outcome:
        """The worse of cpu and wasm."""
        return worse(*(self._run(path, kind, b, inputs, expected) for b in ("cpu", "wasm")))

    def _run(
        self, path: Path, kind: str, backend: str, inputs: Sequence[Arrays],
        expected: Sequence[Arrays],
    ) -> Outcome:  # fmt: skip
        calls = [[_encoded(x) for x in arrays] for arrays in inputs]
        answer = self._ask({"path": str(path), "kind": kind, "backend": backend, "calls": calls})
        if "error" in answer:
            status = "does not load" if answer["stage"] == "load" else "does not run"
            return Outcome(status, reason=f"{backend}: {_short(answer['error'])}")
        found = [[_decoded(x) for x in outputs] for outputs in answer["outputs"]]
        return Outcome("runs", max(map(distance, expected, found)))

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        line = ""
        with contextlib.suppress(BrokenPipeError):
            cast(IO[str], self._process.stdin).write(json.dumps(request) + "\n")
            cast(IO[str], self._process.stdin).flush()
            line = cast(IO[str], self._process.stdout).readline()
        if line:
            return dict(json.loads(line))
        self.close()
        self._process = _start()
        return {"stage": "run", "error": "Node ended"}


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [node_executable(), str(SCRIPT)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip


@contextmanager
def started() -> Iterator[PlainTfjs]:
    """TF.js, ended when the block is left."""
    tfjs = PlainTfjs()
    try:
        yield tfjs
    finally:
        tfjs.close()


def measure(source: Source, inputs: Sequence[Arrays], tfjs: PlainTfjs) -> dict[str, Outcome]:
    """What comes of the model on each way, compared with Keras in float32."""
    expected = [[np.asarray(y) for y in source.float32.call(arrays)] for arrays in inputs]
    return {way: _attempt(way, source.model, inputs, expected, tfjs) for way in WAYS}


def _attempt(
    way: str, model: keras.Model, inputs: Sequence[Arrays], expected: Sequence[Arrays],
    tfjs: PlainTfjs,
) -> Outcome:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder, _quiet():
        try:
            path = WAYS[way](model, Path(folder))
        except Exception as error:  # converters raise anything
            return Outcome("not exported", reason=_short(f"{type(error).__name__}: {error}"))
        if way.startswith("tensorflowjs"):
            return tfjs.run(path, "layers" if "layers" in way else "graph", inputs, expected)
        return _run_onnx(path, inputs, expected)


def _layers(model: keras.Model, folder: Path) -> Path:
    upstream_tensorflowjs.converter()
    from tensorflowjs.converters import keras_h5_conversion

    keras_h5_conversion.save_keras_model(model, str(folder / "made"))
    return folder / "made" / "model.json"


def _graph(model: keras.Model, folder: Path) -> Path:
    model.export(folder / "saved", verbose=False)
    converter = upstream_tensorflowjs.converter()
    converter.convert_tf_saved_model(str(folder / "saved"), str(folder / "made"))
    return folder / "made" / "model.json"


def _tf2onnx(model: keras.Model, folder: Path) -> Path:
    import tf2onnx

    tf2onnx.convert.from_keras(model, output_path=str(folder / "model.onnx"))
    return folder / "model.onnx"


def _keras_export(model: keras.Model, folder: Path) -> Path:
    model.export(folder / "model.onnx", format="onnx", verbose=False)
    return folder / "model.onnx"


WAYS: dict[str, Callable[[keras.Model, Path], Path]] = {
    "tensorflowjs layers": _layers,
    "tensorflowjs graph": _graph,
    "tf2onnx": _tf2onnx,
    "keras onnx": _keras_export,
}
"""Name -> what writes the file that a runtime opens."""


def _run_onnx(path: Path, inputs: Sequence[Arrays], expected: Sequence[Arrays]) -> Outcome:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        return Outcome("does not load", reason=_short(str(error)))
    try:
        given = session.get_inputs()
        found = [
            session.run(
                None, {i.name: _cast(x, i.type) for i, x in zip(given, arrays, strict=True)}
            )
            for arrays in inputs
        ]
    except Exception as error:
        return Outcome("does not run", reason=_short(str(error)))
    return Outcome("runs", max(map(distance, expected, found)))


def _cast(array: np.ndarray, wanted: str) -> np.ndarray:
    """The array in the type that a file asks for: "tensor(int64)"."""
    name = wanted.removeprefix("tensor(").removesuffix(")")
    return array.astype({"float": "float32", "double": "float64"}.get(name, name))


def _encoded(array: np.ndarray) -> dict[str, Any]:
    values = base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()
    return {"dtype": array.dtype.name, "shape": array.shape, "values": values}


def _decoded(tensor: dict[str, Any]) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(tensor["values"]), tensor["dtype"])
    return data.reshape(tensor["shape"])


def _short(text: str, longest: int = 160) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the converters print and warn of to themselves."""
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
