"""ONNX Runtime for Python, on the CPU with one thread, so that the sums are the same everywhere.

May import what a runtime may: manifest and errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from exporter.errors import BadUsage, RuntimeCrashed
from exporter.manifest import Artifact, Manifest
from exporter.runtimes import Engine, Runtime, Session

ERRORS_ONLY = 3
"""ONNX Runtime's log severity."""


class OnnxSession(Session):
    """One ONNX file."""

    def __init__(self, session: Any, manifest: Manifest, version: str) -> None:
        self._session = session
        self._inputs = [spec.name for spec in manifest.inputs]
        self._outputs = [spec.name for spec in manifest.outputs]
        (provider, *_) = session.get_providers()
        self.ran_on = f"onnxruntime {version} {provider}"
        _check_names("inputs", self._inputs, [item.name for item in session.get_inputs()])
        _check_names("outputs", self._outputs, [item.name for item in session.get_outputs()])

    def predict(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the dtypes that the file declares; see `Session.predict`."""
        feeds = dict(zip(self._inputs, inputs, strict=True))
        # ONNX Runtime raises a dozen classes of its own, which share no base but Exception.
        try:
            return list(self._session.run(self._outputs, feeds))
        except Exception as error:
            raise RuntimeCrashed(f"{self.ran_on}: {_one_line(error)}") from error


class OnnxEngine(Engine):
    """Nothing to start: each session stands alone."""

    def open(
        self, directory: Path, manifest: Manifest, artifact: Artifact, backend: str
    ) -> OnnxSession:
        """See `Engine.open`."""
        import onnxruntime

        if backend not in OnnxRuntime.backends:
            known = ", ".join(OnnxRuntime.backends)
            raise BadUsage(f"onnxruntime: backend {backend!r}: unknown; known backends: {known}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = ERRORS_ONLY
        path = Path(directory) / artifact.path
        try:
            session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise RuntimeCrashed(
                f"{artifact.path}: onnxruntime {onnxruntime.__version__} does not load it: "
                f"{_one_line(error)}"
            ) from error
        return OnnxSession(session, manifest, onnxruntime.__version__)


class OnnxRuntime(Runtime):
    """ONNX Runtime's own Python package."""

    name = "onnxruntime"
    backends = ("cpu",)
    formats = frozenset({"onnx"})
    everywhere = True

    @contextmanager
    def start(self) -> Iterator[OnnxEngine]:
        """Start nothing."""
        yield OnnxEngine()


def _check_names(what: str, expected: list[str], found: list[str]) -> None:
    if sorted(expected) != sorted(found):
        raise RuntimeCrashed(
            f"onnxruntime: {what} {', '.join(expected)} expected, {', '.join(found)} found"
        )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
