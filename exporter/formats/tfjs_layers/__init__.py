"""TF.js Layers: `model.json` and shards for `tf.loadLayersModel`.

Owns the files of the format; the topology is written by the modules beside it, from the live
Keras model, one rule per layer class. May import what a format may.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from exporter.errors import BadBundle, UnsupportedModel
from exporter.formats import Exported, Format, Refusal
from exporter.formats.tfjs_weights import read_shards, write_shards

if TYPE_CHECKING:
    import numpy as np

    from exporter.source import Source

FOLDER = "tfjs/layers"
_VARIABLES = "kerasVariables"


class TfjsLayersFormat(Format):
    """Writes `tfjs/layers[-<precision>]/model.json` and its shards."""

    name: ClassVar[str] = "tfjs-layers"
    precisions: ClassVar[tuple[str, ...]] = ("float32", "float16", "uint16", "uint8")

    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """What TF.js Layers does not have, layer by layer."""
        from exporter.formats.tfjs_layers.conversion import convert

        return convert(source).refusals

    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write the model; see `Format.export`."""
        from exporter.formats.tfjs_layers.conversion import convert, signature
        from exporter.formats.tfjs_layers.graph import plain_number

        conversion = convert(source)
        if conversion.refusals:
            raise UnsupportedModel(
                f"{source.name}: tfjs-layers cannot take it: "
                + "; ".join(str(refusal) for refusal in conversion.refusals)
            )
        folder = FOLDER if precision == "float32" else f"{FOLDER}-{precision}"
        pairs = list(conversion.graph.weights())
        manifest, shards = write_shards([w for w, _ in pairs], precision, directory / folder)
        variables = {w.name: kept.variable for w, kept in pairs if kept.variable is not None}
        document = {
            "format": "layers-model",
            "generatedBy": "keras-web-exporter",
            "convertedBy": "keras-web-exporter",
            "modelTopology": {
                "keras_version": "2.15.0",
                "backend": "tensorflow",
                "model_config": conversion.graph.topology(source.model.name),
            },
            "signature": signature(source, conversion.graph),
            "userDefinedMetadata": {_VARIABLES: variables},
            "weightsManifest": manifest,
        }
        text = json.dumps(
            document,
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
            default=plain_number,
        )
        (directory / folder / "model.json").write_text(text, encoding="utf-8")
        files = ("model.json", *shards)
        return Exported(
            f"{folder}/model.json", tuple(f"{folder}/{f}" for f in files), conversion.notes
        )

    def read_weights(self, directory: Path, path: str) -> Iterator[tuple[str, np.ndarray]]:
        """Read the shards back; see `Format.read_weights`.

        Raises:
            BadBundle: `model.json` is malformed or a shard is missing.
        """
        file = directory / path
        try:
            document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            variables = document["userDefinedMetadata"][_VARIABLES]
            manifest = document["weightsManifest"]
        except (OSError, ValueError, KeyError) as error:
            raise BadBundle(f"{file}: a tfjs-layers model.json expected; {error!r}") from None
        for name, array, quantized in read_shards(manifest, file.parent):
            if name in variables and not quantized:
                yield variables[name], array
