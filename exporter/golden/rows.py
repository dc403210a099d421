"""Which golden vectors a model gets: pictures, noise, near ties, edges, numbers that are none.

Owns the choice, and the calls of the oracle that answer it; `exporter.golden` owns the format.
May import the package, `exporter.ink`, `exporter.source`,
`exporter.gates` and `exporter.errors`.
Nothing here may depend on the clock, the machine or a float32 sum: a bundle's bytes do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from exporter.errors import BadUsage
from exporter.gates import KERAS_ERROR_FACTOR
from exporter.golden import Golden, Row, flat_outputs, range_of, spell

if TYPE_CHECKING:
    from exporter.source import Source

NOISE_ROWS = 8
EDGES = (0.0, 1.0, 255.0, -1.0, 1e30, 1e-40)
NONFINITE = (math.nan, math.inf, -math.inf)

MAX_STORED = 60_000
"""Stored numbers of all outputs together: at 12 characters each, below 1 MB."""
MIN_STORED_ROWS = 3
"""Kept for whatever large output, then with a stride."""

BIG = 2_000_000
"""Weights, and inputs times 8, of a model on which the oracle takes seconds for dozens of rows."""
BATCH, BATCH_OF_BIG = 256, 8

TOLERANCE = 1e-4
"""What a float32 artefact may be off in a self-test: the gate of the GPU backends."""
UNCHECKED = 1e-2
"""Where Keras' own float32 is further off than this (of the row's largest), nobody can judge."""
USUAL = ("picture", "noise", "tie")
"""The kinds whose errors say what is usual; an edge may be far beyond it."""


class Answers:
    """One form of the model, the oracle or Keras' float32, as a function of rows."""

    def __init__(self, model: Source, *, big: bool) -> None:
        fixed = model.inputs[0].shape[0] if model.inputs[0].shape else None
        self._source = model
        self._batch = fixed or (BATCH_OF_BIG if big else BATCH)
        self._fixed = fixed is not None

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """One array per output, the rows first; as many rows as were given."""
        count = len(inputs[0])
        parts: list[list[np.ndarray]] = []
        for start in range(0, count, self._batch):
            end = start + self._batch if self._fixed else min(start + self._batch, count)
            index = np.arange(start, end) % count
            answers = self._source.call([array[index] for array in inputs])
            parts.append([np.asarray(answer)[: count - start] for answer in answers])
        return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def is_big(source: Source) -> bool:
    """Whether a row takes so long that there should be few."""
    numbers = sum(math.prod(shape[1:]) for shape in source.shapes)  # type: ignore[misc, arg-type]
    return source.model.count_params() + 8 * numbers > BIG


def build(source: Source, pictures: Mapping[str, np.ndarray] | None, seed: int) -> Golden:
    """See `exporter.golden.build`."""
    from exporter.golden.ties import BLACK, find

    empty = Golden(
        seed=seed,
        input_specs=source.inputs,
        output_specs=source.outputs,
        shapes=tuple(tuple(map(int, shape[1:])) for shape in source.shapes),  # type: ignore[arg-type]
        rows=(),
        tolerance=TOLERANCE,
    )
    rows = [*_pictures(source, pictures), *_noise()]
    vectors = replace(empty, rows=tuple(rows))
    # Where a model has no oracle, the reference serves.
    oracle = Answers(source.oracle or source.float32, big=is_big(source))
    keras = Answers(source.float32, big=is_big(source))
    extremes = _answerable(vectors, keras, [*_edges(source), *_nonfinite(source)])
    # Blends may fade to black: half-way there a sigmoid is not yet sure.
    black = {row.name: row.recipe for row in extremes if row.name == BLACK}
    ties = find(replace(vectors, named=black), oracle, source.labels, few=is_big(source))
    vectors = replace(vectors, rows=(*rows, *ties, *extremes))
    return _answered(vectors, source, oracle, keras)


def _pictures(source: Source, pictures: Mapping[str, np.ndarray] | None) -> list[Row]:
    if pictures is None:
        if (source.preprocessing or {}).get("name") != "mnist-ink":
            return []
        from exporter.golden.drawn_digits import draw_pictures

        pictures = draw_pictures()
    wanted = math.prod(source.shapes[0][1:])  # type: ignore[arg-type]
    for name, picture in pictures.items():
        if len(source.inputs) != 1 or np.size(picture) != wanted:
            raise BadUsage(
                f"picture {name!r}: one input of {wanted} numbers expected, "
                f"{np.size(picture)} numbers for {len(source.inputs)} inputs found"
            )
    return [
        Row(name, "picture", {"picture": np.asarray(picture).ravel().astype(int).tolist()})
        for name, picture in pictures.items()
    ]


def _noise() -> list[Row]:
    return [
        Row(name, "noise", {"noise": name}) for name in map("noise {}".format, range(NOISE_ROWS))
    ]


def _edges(source: Source) -> list[Row]:
    """One row per number; of integer inputs only those that give different rows."""
    rows, seen = [], set()
    for value in EDGES:
        key = tuple(
            value if spec.dtype == "float32" else math.floor(min(max(value, low), high))
            for spec in source.inputs
            for low, high in [range_of(spec)]
        )
        if key not in seen:
            seen.add(key)
            rows.append(Row(f"all {value:g}", "edge", {"fill": value}))
    return rows


def _nonfinite(source: Source) -> list[Row]:
    if not any(spec.dtype == "float32" for spec in source.inputs):
        return []
    spelled = [spell(value) for value in NONFINITE]
    return [Row(f"all {fill}", "nonfinite", {"fill": fill}, checked=False) for fill in spelled]


def _answerable(vectors: Golden, keras: Answers, rows: list[Row]) -> list[Row]:
    """The rows that Keras takes; a look-up of rows refuses numbers that are out of range."""
    try:
        keras(vectors.inputs_for([row.recipe for row in rows]))
    except Exception:  # TensorFlow's, Keras' or a custom layer's: alone, each row shows
        if len(rows) == 1:
            return []
        return [one for row in rows for one in _answerable(vectors, keras, [row])]
    return rows


def _answered(vectors: Golden, source: Source, oracle: Answers, keras: Answers) -> Golden:
    """Store the oracle's answers, and find what a self-test may ask for."""
    size = _output_size(vectors, oracle)
    strides, stored = _plan(vectors, size)
    chosen = replace(vectors, rows=tuple(vectors.rows[i] for i in stored), named=vectors.nameable)
    inputs = chosen.inputs()
    answers = oracle(inputs)
    errors = _own_errors(answers, keras(inputs), source)
    rows = list(vectors.rows)
    usual = [e for e, i in zip(errors, stored, strict=True) if rows[i].kind in USUAL]
    tolerance = _tolerance(max((e for e in usual if e <= UNCHECKED), default=0.0))
    for place, i in enumerate(stored):
        checked = rows[i].checked and bool(KERAS_ERROR_FACTOR * errors[place] <= tolerance)
        outputs = flat_outputs(answers, place, strides, source.outputs)
        rows[i] = replace(rows[i], outputs=outputs, checked=checked)
    return replace(vectors, rows=tuple(rows), tolerance=tolerance, strides=strides)


def _output_size(vectors: Golden, oracle: Answers) -> list[int]:
    """Numbers per row of each output, measured where the shape is not fully known."""
    shapes = [spec.shape[1:] for spec in vectors.output_specs]
    if not any(None in shape for shape in shapes):
        return [math.prod(shape) for shape in shapes]  # type: ignore[arg-type]
    return [array[0].size for array in oracle(vectors.inputs_for([{"noise": "noise 0"}]))]


def _plan(vectors: Golden, sizes: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """Strides, and which rows keep their outputs: one of each kind, then the next of each, …."""
    per_row = max(1, sum(sizes))
    allowed = max(MIN_STORED_ROWS, MAX_STORED // per_row)
    stride = max(1, math.ceil(per_row * MIN_STORED_ROWS / MAX_STORED))
    turn: dict[str, int] = {}
    order = []
    for i, row in enumerate(vectors.rows):
        turn[row.kind] = turn.get(row.kind, -1) + 1
        order.append((turn[row.kind], i))
    stored = sorted(i for _, i in sorted(order)[:allowed])
    return tuple(stride if size > 1 else 1 for size in sizes), stored


def _own_errors(
    answers: Sequence[np.ndarray], own: Sequence[np.ndarray], source: Source
) -> np.ndarray:
    """Per row the float32 reference's largest error, of the row's magnitude; inf: not finite."""
    count = len(answers[0])
    errors = np.zeros(count)
    for answer, got, spec in zip(answers, own, source.outputs, strict=True):
        exact = np.asarray(answer, np.float64).reshape(count, -1)
        found = np.asarray(got, np.float64).reshape(count, -1)
        with np.errstate(invalid="ignore", over="ignore"):
            finite = np.isfinite(exact.astype(np.float32)).all(1) & np.isfinite(found).all(1)
            difference = np.abs(exact - found).max(axis=1, initial=0.0)
            scale = np.abs(exact).max(axis=1, initial=0.0)
            if spec.meaning != "probabilities":
                difference = difference / np.maximum(scale, 1.0)
        errors = np.maximum(errors, np.where(finite, difference, np.inf))
    return errors


def _tolerance(worst: float) -> float:
    """Four times Keras' own error where that is more than usual, in powers of ten.

    So that the last bits of a float32 sum, which differ from machine to machine, do not show.
    """
    if KERAS_ERROR_FACTOR * worst <= TOLERANCE:
        return TOLERANCE
    return float(f"1e{math.ceil(math.log10(KERAS_ERROR_FACTOR * worst))}")
