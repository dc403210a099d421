"""Formats: what turns a Keras model into files. One module each, listed in one table.

A format may import `exporter.source`, `exporter.manifest` and `exporter.errors`, never a runtime
or another format. To add one: write a module with a subclass of `Format`, add a line to `_TABLE`.
The command line, the pipeline, the docs test and the contract tests iterate the table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from exporter.errors import BadUsage

if TYPE_CHECKING:
    import numpy as np

    from exporter.source import Source

PRECISIONS = ("float32", "float16", "uint16", "uint8", "int8", "int8-static")

# name -> "module:class"; the order is that of the bundle.
_TABLE = {
    "keras": "exporter.formats.keras:KerasFormat",
    "tfjs-layers": "exporter.formats.tfjs_layers:TfjsLayersFormat",
    "tfjs-graph": "exporter.formats.tfjs_graph:TfjsGraphFormat",
    "onnx": "exporter.formats.onnx:OnnxFormat",
}
NAMES = tuple(_TABLE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a format cannot take a model: one layer, one reason.

    Attributes:
        layer: The layer's path in the model ("encoder/gru"), or the model's name.
        layer_class: The Keras class ("GRU").
        reason: What is missing, and the way out where there is one.
    """

    layer: str
    layer_class: str
    reason: str

    def __str__(self) -> str:
        return f"layer {self.layer!r} ({self.layer_class}): {self.reason}"


@dataclass(frozen=True, slots=True)
class Exported:
    """What a format wrote.

    Attributes:
        path: The file that a runtime opens, POSIX, relative to the bundle.
        files: All files written, `path` among them.
        notes: What was changed on the way, for the manifest.
    """

    path: str
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


class Format(ABC):
    """One on-disk format."""

    name: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]

    def missing(self) -> str | None:
        """Why this format cannot be written on this machine, with the remedy; None if it can."""
        return None

    @abstractmethod
    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """What in the model this format cannot take. Writes nothing."""

    @abstractmethod
    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write the model below `directory` (the root of a bundle being staged).

        The same model gives the same bytes, in one process and across processes.

        Raises:
            UnsupportedModel: If `refusals` is not empty, before anything is written.
        """

    @abstractmethod
    def read_weights(self, directory: Path, path: str) -> Iterator[tuple[str, np.ndarray]]:
        """Float32 weights as the file holds them, each with the path of its Keras variable.

        Read from the written file, for the comparison bit for bit with Keras' own; variables
        that the format folded, rewrote or rounded are left out. One is read after the other, so
        that a big model's are never all in memory.
        """

    def weights(self, directory: Path, path: str) -> Mapping[str, np.ndarray]:
        """All of them by their path."""
        return dict(self.read_weights(directory, path))


def get(name: str) -> Format:
    """The format of that name, imported now.

    Raises:
        BadUsage: There is none.
    """
    if name not in _TABLE:
        raise BadUsage(f"format {name!r}: unknown; known formats: {', '.join(NAMES)}")
    module, attribute = _TABLE[name].split(":")
    return getattr(import_module(module), attribute)()


def way_out(source: Source, others: Sequence[str]) -> str:
    """Which of the other formats take a model that one refuses, asked of them; "" if none is here.

    Args:
        source: The model; what the others make of it is kept with it.
        others: Their names; none of them may ask back.
    """
    here = [name for name in others if get(name).missing() is None]
    able = [name for name in here if not get(name).refusals(source, "float32")]
    if able or not here:
        return f"; {' and '.join(able)} can take it" if able else ""
    return f"; {' and '.join(here)} cannot take it either"
