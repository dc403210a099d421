"""Samples as pictures, and what was expected and found on them.

May import `exporter.parity` and `exporter.manifest`; Pillow is imported where it is used.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from exporter.manifest import Manifest, TensorSpec
from exporter.parity import Samples
from exporter.report import wording

_SIDES = range(8, 2049)
_LARGEST_SIDE = 96
_MOST_BARS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One class: Keras' answer beside the artefact's; widths in percent of the largest."""

    label: str
    expected: str
    found: str
    expected_width: float
    found_width: float


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample for the page.

    Attributes:
        title: Its name, or its number.
        picture: A PNG as data URI, or None where the input is no picture.
        note: What is remarkable.
        bars: Expected and found, or empty where they are not known or too many kinds.
    """

    title: str
    picture: str | None
    note: str
    bars: tuple[Bar, ...] = ()


def show(
    samples: Samples, index: int, manifest: Manifest, note: str,
    answer: Sequence[np.ndarray] | None = None,
) -> Sample:  # fmt: skip
    """One sample, with bars where the artefact's answer on it is given.

    Args:
        samples: The set that holds it.
        index: Its place in the set.
        manifest: For the labels and the meaning of the inputs.
        note: Text under the picture.
        answer: The artefact's outputs on this sample, one array per output, without the
            samples' axis.
    """
    named = index < len(samples.names)
    title = samples.names[index] if named else f"{samples.name}, sample {index}"
    spec = manifest.inputs[0] if manifest.inputs else None
    picture = data_uri(np.asarray(samples.inputs[0][index]), spec)
    bars = _bars(samples.reference[0][index], answer[0], manifest) if answer else ()
    return Sample(title, picture, note, bars)


def data_uri(array: np.ndarray, spec: TensorSpec | None = None) -> str | None:
    """An input as PNG in a `data:` URI; None where it is no picture.

    Args:
        array: (H, W), (H, W, 1 or 3), or (1 or 3, H, W) where the spec's layout is "NCHW".
        spec: Its range is what black and white are; without one, the array's own extremes.
    """
    pixels = _pixels(array, spec)
    if pixels is None:
        return None
    from PIL import Image

    image = Image.fromarray(pixels)
    if max(image.size) > _LARGEST_SIDE:
        image.thumbnail((_LARGEST_SIDE, _LARGEST_SIDE))
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _pixels(array: np.ndarray, spec: TensorSpec | None) -> np.ndarray | None:
    """uint8, (H, W) or (H, W, 3); None where the shape is no picture's."""
    if spec is not None and spec.layout == "NCHW" and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    channels_fit = array.ndim == 2 or (array.ndim == 3 and array.shape[-1] == 3)
    if not channels_fit or array.dtype.kind not in "fiub":
        return None
    if array.shape[0] not in _SIDES or array.shape[1] not in _SIDES:
        return None
    values = array.astype(np.float64)
    finite = values[np.isfinite(values)]
    if spec is not None and spec.value_range is not None:
        low, high = spec.value_range
    elif finite.size:
        low, high = float(finite.min()), float(finite.max())
    else:
        low, high = 0.0, 1.0
    span = high - low if high > low else 1.0
    scaled = np.nan_to_num(np.clip((values - low) / span, 0, 1), nan=0.0)
    return np.rint(scaled * 255).astype(np.uint8)


def _bars(expected: np.ndarray, found: np.ndarray, manifest: Manifest) -> tuple[Bar, ...]:
    expected, found = (np.asarray(a, np.float64) for a in (expected, found))
    if expected.ndim != 1 or expected.shape != found.shape or expected.size == 0:
        return ()
    magnitude = np.maximum(np.abs(expected), np.nan_to_num(np.abs(found), posinf=0.0))
    order = np.argsort(-magnitude, kind="stable")[:_MOST_BARS]
    largest = float(magnitude.max()) or 1.0
    labels = manifest.labels
    if labels is None or len(labels) != expected.size:
        labels = tuple(str(i) for i in range(expected.size))
    return tuple(
        Bar(
            labels[i],
            wording.number(float(expected[i])),
            wording.number(float(found[i])),
            _width(expected[i], largest),
            _width(found[i], largest),
        )
        for i in sorted(order)
    )


def _width(value: float, largest: float) -> float:
    share = abs(float(value)) / largest if np.isfinite(value) else 0.0
    return round(100 * min(share, 1.0), 1)
