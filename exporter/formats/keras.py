"""The Keras format itself: the source model that every other artefact is compared with.

May import `exporter.source`, `exporter.manifest`, `exporter.errors`.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.formats import Exported, Format, Refusal
from exporter.source import load, save_keras

if TYPE_CHECKING:
    import numpy as np

    from exporter.source import Source

_PATH = "keras/model.keras"


class KerasFormat(Format):
    """`keras/model.keras`, without optimizer, the same bytes every time."""

    name = "keras"
    precisions = ("float32",)

    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """None: what was loaded or built can be saved, or `export` says why not."""
        return ()

    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write the model as it is, with its own dtype policy."""
        target = directory / _PATH
        target.parent.mkdir(parents=True, exist_ok=True)
        save_keras(source.model, target)
        return Exported(_PATH, (_PATH,))

    def read_weights(self, directory: Path, path: str) -> Iterator[tuple[str, np.ndarray]]:
        """Every float32 variable of the written model; see `Format.read_weights`.

        Code in it is run only where the user agreed (`keras_file.trusting`): a bundle that is
        judged again may be a stranger's.
        """
        import numpy as np

        model = load(directory / path)
        for variable in model.variables:
            if variable.dtype == "float32":
                yield variable.path, np.asarray(variable.value)
        del model
        gc.collect()  # layers and models hold each other
