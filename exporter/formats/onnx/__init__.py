"""ONNX: what onnxruntime opens in Python, and ONNX Runtime Web in a page.

Owns the format: what is refused, which file each precision is. `build` makes the float32 model,
`precisions` smaller ones, `file` writes them. May import `exporter.graphs`, `exporter.source`,
`exporter.manifest`, `exporter.errors`; onnx is imported on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from exporter.errors import BadBundle, UnsupportedModel
from exporter.formats import Exported, Format, Refusal

if TYPE_CHECKING:
    import numpy as np

    from exporter.formats.onnx.file import OnnxModel
    from exporter.source import Source

    Prepared = tuple[OnnxModel | None, tuple[Refusal, ...]]  # the model, or why there is none

_NOTHING_TO_QUANTIZE = (
    "it has no matrix product or convolution with a constant weight, so nothing would be smaller; "
    "take float32 or float16"
)


class OnnxFormat(Format):
    """`onnx/model.onnx`."""

    name = "onnx"
    precisions = ("float32", "float16", "int8", "int8-static")

    def refusals(self, source: Source, precision: str) -> tuple[Refusal, ...]:
        """Operations that ONNX lacks, by the layer they come from; or nothing to be made small."""
        return _prepare(source, precision)[1]

    def export(self, source: Source, precision: str, directory: Path) -> Exported:
        """Write one file; large weights are in it."""
        model, refused = _prepare(source, precision)
        if refused or model is None:
            raise UnsupportedModel(f"{self.name}: {'; '.join(map(str, refused))}")
        path = "onnx/model.onnx" if precision == "float32" else f"onnx/model.{precision}.onnx"
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        model.write(directory / path)
        return Exported(path, (path,), source.float32.notes)

    def weights(self, directory: Path, path: str) -> Mapping[str, np.ndarray]:
        """Initializers that hold a Keras variable, in Keras' own layout.

        Raises:
            BadBundle: The file is no ONNX model, or was cut.
        """
        import onnx
        from google.protobuf.message import DecodeError

        from exporter.formats.onnx.build import read_variables

        try:
            proto = onnx.load(directory / path)
        except (OSError, DecodeError) as error:
            raise BadBundle(f"{directory / path}: an ONNX model expected; {error}") from None
        return read_variables(proto)


def _prepare(source: Source, precision: str) -> Prepared:
    """The model at that precision, or why there is none; each made once."""
    if precision == "float32":
        result: Prepared = source.once("onnx", lambda: _prepare_float32(source))
    else:
        result = source.once(f"onnx/{precision}", lambda: _prepare_small(source, precision))
    return result


def _prepare_float32(source: Source) -> Prepared:
    from exporter.formats.onnx.build import build
    from exporter.graphs.refusal import Refused

    try:
        return build(source.float32), ()
    except Refused as refused:
        return None, (Refusal(refused.layer, refused.layer_class, refused.reason),)


def _prepare_small(source: Source, precision: str) -> Prepared:
    from exporter.formats.onnx import precisions

    model, refused = _prepare(source, "float32")
    if model is None:
        return None, refused

    def refuse(reason: str) -> Prepared:
        return None, (Refusal(source.model.name, type(source.model).__name__, reason),)

    if precision == "float16":
        return precisions.to_float16(model), ()
    if precision == "int8":
        if not precisions.quantizable(model):
            return refuse(_NOTHING_TO_QUANTIZE)
        return precisions.to_int8(model), ()
    if source.calibration is None:
        return refuse("calibration data expected, none found; give data, or take int8")
    measured = precisions.measure(source, sorted(set(model.origins.values())))
    ranges = {new: measured[old] for new, old in model.origins.items() if old in measured}
    ranges = precisions.carry_over(model.proto.graph, ranges)
    if not precisions.quantizable(model, ranges):
        return refuse(_NOTHING_TO_QUANTIZE)
    return precisions.to_int8_static(model, ranges), ()
