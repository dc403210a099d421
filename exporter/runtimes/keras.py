"""Keras itself: in float32 the reference of every comparison, in float64 the oracle.

May import what a runtime may: source, manifest and errors. The model comes from the bundle's own
Keras file, opened in safe mode; a model that needs custom objects is compared through the
`Source` that was exported.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exporter.errors import BadUsage, RuntimeCrashed, UnsupportedModel
from exporter.manifest import Artifact, Manifest
from exporter.runtimes import Engine, Runtime, Session

if TYPE_CHECKING:
    from exporter.source import Source


class KerasSession(Session):
    """A Keras model that predicts; `source` may be the float64 oracle."""

    def __init__(self, source: Source) -> None:
        import keras

        self._source = source
        self.ran_on = f"keras {keras.__version__} {keras.backend.backend()} {source.floatx}"

    def predict(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the specs' dtypes, float64 from the oracle; see `Session.predict`."""
        # TensorFlow, Keras and custom layers raise classes that share no base but Exception.
        try:
            return [np.asarray(output) for output in self._source.call(inputs)]
        except Exception as error:
            raise RuntimeCrashed(f"{self.ran_on}: {' '.join(str(error).split())}") from error

    def close(self) -> None:
        """Free the model now: its layers and it hold each other."""
        del self._source
        gc.collect()


class KerasEngine(Engine):
    """TensorFlow, once imported."""

    def open(
        self, directory: Path, manifest: Manifest, artifact: Artifact, backend: str
    ) -> KerasSession:
        """Load the bundle's Keras file; see `Engine.open`.

        Raises:
            BadUsage: The backend is neither "float32" nor "float64".
            UnsupportedModel: The model cannot be computed in float64: there is no such row, and
                the manifest's `source.oracle` says why.
            BadModel: The file cannot be loaded.
        """
        from exporter.source import describe, load

        if backend not in KerasRuntime.backends:
            known = ", ".join(KerasRuntime.backends)
            raise BadUsage(f"keras: backend {backend!r}: unknown; known backends: {known}")
        source = describe(load(Path(directory) / artifact.path), manifest.name)
        if backend == "float32":
            return KerasSession(source)
        # Of the two models in memory only the oracle is kept.
        oracle, missing = source.oracle, source.oracle_missing
        if oracle is None:
            raise UnsupportedModel(f"{manifest.name}: {missing}")
        return KerasSession(oracle)


class KerasRuntime(Runtime):
    """Keras on TensorFlow."""

    name = "keras"
    backends = ("float32", "float64")
    formats = frozenset({"keras"})
    everywhere = True

    @contextmanager
    def start(self) -> Iterator[KerasEngine]:
        """Start nothing: what costs time is the import, once per process."""
        yield KerasEngine()
