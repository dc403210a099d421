"""ONNX: what onnxruntime opens in Python, and ONNX Runtime Web in a page.

Owns the format: what is refused, which file each precision is. `build` makes the float32 model,
`half` and `quantization` make smaller ones (the latter with ranges of `calibration` and numbers of
`rounding`), `file` writes them. May import `exporter.graphs`, `exporter.source`,
`exporter.manifest`, `exporter.errors`; onnx is imported on use.
"""

from __future__ import annotations

from collections.abc import Iterator
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
_NOTHING_TO_MEASURE = "calibration data expected, none found; give data, or take int8"


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

    def read_weights(self, directory: Path, path: str) -> Iterator[tuple[str, np.ndarray]]:
        """Initializers that hold a Keras variable, in Keras' own layout.

        Raises:
            BadBundle: The file is no ONNX model, was cut, or does not hold what it says.
        """
        from google.protobuf.message import DecodeError

        from exporter.formats.onnx.build import read_variables
        from exporter.formats.onnx.file import OnnxModel

        try:
            # Within: they are read one after the other, after the file was understood.
            yield from read_variables(OnnxModel.read(directory / path))
        except (OSError, ValueError, DecodeError) as error:
            raise BadBundle(f"{directory / path}: an ONNX model expected; {error}") from None


def _prepare(source: Source, precision: str) -> Prepared:
    """The model at that precision, or why there is none."""
    from exporter.formats.onnx.file import LARGEST_BYTES

    model, refused = _made(source, precision)
    if model is not None and model.size_bytes > LARGEST_BYTES:
        return None, (_refusal(source, (
            f"the file would have {model.size_bytes / 1e9:.1f} GB, and an ONNX file holds no more "
            "than 2.1; take a smaller precision, or a format of TF.js, which cuts its weights"
        )),)  # fmt: skip
    return model, refused


def _made(source: Source, precision: str) -> Prepared:
    """Each made once."""
    if precision == "float32":
        result: Prepared = source.once("onnx", lambda: _prepare_float32(source))
    else:
        result = source.once(f"onnx/{precision}", lambda: _prepare_small(source, precision))
    return result


def _refusal(source: Source, reason: str) -> Refusal:
    return Refusal(source.model.name, type(source.model).__name__, reason)


def _prepare_float32(source: Source) -> Prepared:
    from exporter.formats.onnx.build import build
    from exporter.graphs.refusal import Refused

    try:
        return build(source.float32), ()
    except Refused as refused:
        return None, (Refusal(refused.layer, refused.layer_class, refused.reason),)


def _prepare_small(source: Source, precision: str) -> Prepared:
    from exporter.formats.onnx import calibration, half, quantization

    model, refused = _made(source, "float32")
    if model is None:
        return None, refused
    if precision == "float16":
        return half.to_float16(model), ()
    if precision == "int8":
        if not quantization.quantizable(model):
            return None, (_refusal(source, _NOTHING_TO_QUANTIZE),)
        return quantization.to_int8(model), ()
    if source.calibration is None:
        return None, (_refusal(source, _NOTHING_TO_MEASURE),)
    measured = calibration.measure(source, sorted(set(model.origins.values())))
    ranges = {new: measured[old] for new, old in model.origins.items() if old in measured}
    ranges = calibration.carry_over(model.proto.graph, ranges)
    if not quantization.quantizable(model, ranges):
        return None, (_refusal(source, _NOTHING_TO_QUANTIZE),)
    return quantization.to_int8_static(model, ranges), ()
