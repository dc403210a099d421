"""Runtimes: what executes an artefact. One module each, listed in one table.

A runtime may import `exporter.manifest`, `exporter.source` and `exporter.errors`, never a format
or another runtime. To add one: write a module with a subclass of `Runtime`, add a line to `_TABLE`.

A runtime is started once for a whole parity run (`start`); the engine that it yields opens one
artefact after another; a session predicts. What starts costs seconds is paid once.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from exporter.errors import BadUsage

if TYPE_CHECKING:
    import numpy as np

    from exporter.manifest import Artifact, Manifest

# name -> "module:class"; the order is that of the report.
_TABLE = {
    "keras": "exporter.runtimes.keras:KerasRuntime",
    "onnxruntime": "exporter.runtimes.onnxruntime:OnnxRuntime",
    "tiny-node": "exporter.runtimes.node:TinyInNode",
    "tfjs-node": "exporter.runtimes.node:TfjsInNode",
    "onnxruntime-web-node": "exporter.runtimes.node:OnnxRuntimeWebInNode",
    "tiny-browser": "exporter.runtimes.chromium:TinyInChromium",
    "tfjs-browser": "exporter.runtimes.chromium:TfjsInChromium",
    "onnxruntime-web-browser": "exporter.runtimes.chromium:OnnxRuntimeWebInChromium",
}
NAMES = tuple(_TABLE)


class Session(ABC):
    """One opened artefact."""

    ran_on: str
    """What actually runs, as the runtime itself says it ("tfjs 4.22.0 wasm")."""

    bytes_fetched: int | None = None
    """What had been fetched when the first answer was given: code, WebAssembly and model, not
    compressed; None where nothing is fetched."""

    @abstractmethod
    def predict(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the manifest's order for inputs in the manifest's order.

        Raises:
            RuntimeCrashed: The runtime refused the input or died; the message is its own.
        """

    def predict_each(
        self, calls: Iterable[Sequence[np.ndarray]]
    ) -> Iterator[tuple[list[np.ndarray], float]]:
        """`predict` for several calls, each with its time in ms where the model runs."""
        for inputs in calls:
            begun = time.perf_counter()
            outputs = self.predict(inputs)
            yield outputs, 1e3 * (time.perf_counter() - begun)

    def close(self) -> None:
        """Free what the session holds; nothing, unless a session says otherwise."""
        return


class Engine(ABC):
    """A started runtime."""

    @abstractmethod
    def open(
        self, directory: Path, manifest: Manifest, artifact: Artifact, backend: str
    ) -> Session:
        """Load `artifact` of the bundle in `directory` on `backend`.

        Raises:
            RuntimeCrashed: It does not load; the message is the runtime's own.
            UnsupportedModel: A runtime that takes only some models does not take this one.
        """


class Runtime(ABC):
    """One thing that executes artefacts."""

    name: ClassVar[str]
    backends: ClassVar[tuple[str, ...]]
    formats: ClassVar[frozenset[str]]
    everywhere: ClassVar[bool]
    """True where it runs on every machine the project runs on (no browser, no GPU)."""

    def missing(self, backend: str) -> str | None:
        """Why it cannot run here and how to make it run; None if it can."""
        return None

    @abstractmethod
    def start(self) -> AbstractContextManager[Engine]:
        """Start whatever costs time (a process, a browser), once for all rows."""


def get(name: str) -> Runtime:
    """The runtime of that name, imported now.

    Raises:
        BadUsage: There is none.
    """
    if name not in _TABLE:
        raise BadUsage(f"runtime {name!r}: unknown; known runtimes: {', '.join(NAMES)}")
    module, attribute = _TABLE[name].split(":")
    return getattr(import_module(module), attribute)()
