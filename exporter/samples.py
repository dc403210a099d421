"""Samples: inputs with Keras' own answers, on which artefacts are compared.

Owns where samples come from: the bundle's golden vectors, a data set, the caller's arrays. May
import data, golden, source, parity and errors.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exporter.errors import BadUsage
from exporter.parity import Samples

if TYPE_CHECKING:
    from exporter.golden import Golden
    from exporter.source import Source

DATA_SUFFIX = "-test"
"""What the name of a data set's samples ends with."""
PIXEL_MAX = 255.0
CHUNK = 256
"""How many samples Keras is given at once."""


def of_arrays(
    name: str, inputs: Sequence[np.ndarray], source: Source, **details: object
) -> Samples:
    """The caller's own inputs with Keras' answers.

    Args:
        name: Of the samples, for the report.
        inputs: One array per model input, the samples first.
        source: The model.
        details: Further fields of `Samples`.

    Raises:
        BadUsage: There are none, or they do not fit the model.
    """
    if len(inputs) != len(source.inputs):
        raise BadUsage(f"{name}: {len(source.inputs)} inputs expected, {len(inputs)} found")
    for array, spec in zip(inputs, source.inputs, strict=True):
        shape = np.shape(array)
        if len(shape) != len(spec.shape) or any(
            size not in (None, found) for size, found in zip(spec.shape[1:], shape[1:], strict=True)
        ):
            raise BadUsage(
                f"{name}: input {spec.name!r}: shape {spec.shape} expected, {shape} found"
            )
    arrays = tuple(
        np.ascontiguousarray(array, dtype=spec.dtype)
        for array, spec in zip(inputs, source.inputs, strict=True)
    )
    if len({len(array) for array in arrays}) != 1 or len(arrays[0]) == 0:
        raise BadUsage(f"{name}: the same number of samples, one or more, expected in each input")
    reference = answers(source, arrays)
    oracle = reference if source.oracle is None else answers(source.oracle, arrays)
    if details.get("each_alone"):
        details["alone"] = answers(source, arrays, chunk=1)
    return Samples(name, arrays, reference, oracle, **{"pictures": True, **details})  # type: ignore[arg-type]


def answers(
    source: Source, inputs: Sequence[np.ndarray], chunk: int = CHUNK
) -> tuple[np.ndarray, ...]:
    """Keras' outputs, in the specs' order, for any number of samples, `chunk` at once."""
    fixed = source.inputs[0].shape[0]
    size = fixed or chunk
    count = len(inputs[0])
    parts: list[list[np.ndarray]] = []
    for start in range(0, count, size):
        index = np.arange(start, start + size if fixed else min(start + size, count)) % count
        outputs = source.call([array[index] for array in inputs])
        parts.append([np.asarray(output)[: count - start] for output in outputs])
    return tuple(np.concatenate(pieces) for pieces in zip(*parts, strict=True))


def calibrated(source: Source, golden: Golden, given: Sequence[np.ndarray] | None) -> Source:
    """The source with the inputs on which static quantisation measures its ranges.

    Those of the golden vectors that lie within the inputs' ranges, so that every machine has the
    same; and `given`, a user's own data, where its shape allows.
    """
    inputs = golden.of_kind(*_CALIBRATING).inputs()
    if given is not None:
        if all(a.shape[1:] == b.shape[1:] for a, b in zip(inputs, given, strict=True)):
            inputs = tuple(np.concatenate(pair) for pair in zip(inputs, given, strict=True))
        else:
            inputs = tuple(given)
    return source.calibrated(inputs)


_CALIBRATING = ("picture", "noise", "tie")
_KINDS = ("picture", "noise", "tie", "edge")


def of_golden(golden: Golden, source: Source) -> tuple[Samples, ...]:
    """The golden vectors by kind, with Keras' live answers: those that are gated.

    Rows that are not finite by nature ("nonfinite") are left to `nonfinite`.
    """
    return tuple(
        of_arrays(
            f"golden/{kind}", part.inputs(), source, pictures=kind == "picture",
            each_alone=kind == "edge", near_ties=kind == "tie", golden=True, names=part.names,
            in_range=_in_range(part),
        )
        for kind in _KINDS
        if (part := golden.of_kind(kind)).rows
    )  # fmt: skip


def _in_range(golden: Golden) -> tuple[bool, ...]:
    """Which rows lie within the ranges that noise is drawn from."""
    from exporter.golden import range_of

    inside = np.ones(len(golden.rows), bool)
    for spec, array in zip(golden.input_specs, golden.inputs(), strict=True):
        low, high = range_of(spec)
        flat = array.reshape(len(array), -1)
        inside &= ((flat >= low) & (flat <= high)).all(axis=1)
    return tuple(bool(one) for one in inside)


def stored_answers(golden: Golden, sets: Sequence[Samples]) -> tuple[Samples, list[np.ndarray]]:
    """The answers in `golden.json` as one more thing to judge against Keras.

    Returns:
        Keras' and the oracle's answers on the rows whose outputs the file holds, as samples
        whose outputs are flat; and the file's own.
    """
    rows = {row.name: row for row in golden.rows if row.outputs is not None}
    live = {
        name: (samples, index)
        for samples in sets
        for index, name in enumerate(samples.names)
        if name in rows
    }
    if not live:
        empty = np.zeros((0, 1), np.float32)
        return Samples("golden.json", (empty,), (empty,), (empty,)), [empty]

    def flat(arrays: str) -> tuple[np.ndarray, ...]:
        return tuple(
            np.stack(
                [
                    getattr(samples, arrays)[number][i].ravel()[::stride]
                    for samples, i in live.values()
                ]
            )
            for number, stride in enumerate(golden.strides or (1,) * len(golden.output_specs))
        )

    found = [
        np.stack([rows[name].outputs[number] for name in live])  # type: ignore[index]
        for number in range(len(golden.output_specs))
    ]
    inputs = (np.zeros((len(live), 1), np.float32),)
    samples = Samples(
        "golden.json", inputs, flat("reference"), flat("oracle"), names=tuple(live),
        each_alone=True,
    )  # fmt: skip
    return samples, found


def of_data(name: str, source: Source) -> Samples:
    """The test part of a data set, with its labels.

    Args:
        name: A known data set, the path of an `mnist.npz`, or that of any `.npz` which holds the
            model's own inputs (see `exporter.given`).
        source: The model.

    Raises:
        DataMissing: It is not to be had.
        BadData: The file is not what it should be.
        BadUsage: The model takes something else.
    """
    from exporter import data, given

    if name not in data.NAMES and not given.is_mnist(name):
        inputs, labels = given.read(Path(name), source.inputs)
        return of_arrays(f"{name}{DATA_SUFFIX}", inputs, source, labels=labels)
    dataset = data.load(name)
    labels = dataset.y_test.astype(np.int64)
    pictures = _as_wanted(data.as_input(dataset.x_test), source)
    return of_arrays(f"{dataset.name}{DATA_SUFFIX}", [pictures], source, labels=labels)


def _as_wanted(pictures: np.ndarray, source: Source) -> np.ndarray:
    """Digits in 0..1, (n, 28, 28), in the shape and range of the model's only input."""
    spec = source.inputs[0]
    if len(source.inputs) == 1 and None not in spec.shape[1:]:
        shape = [size or 1 for size in spec.shape[1:]]
        if math.prod(shape) == pictures[0].size:
            pictures = pictures.reshape(-1, *shape)
    # Pixels as they are for a model that rescales them itself, else in 0..1.
    rescales = spec.value_range is not None and spec.value_range[1] == PIXEL_MAX
    return pictures * np.float32(PIXEL_MAX) if rescales else pictures
