"""Golden vectors: a bundle's stored inputs and answers, a self-test that runs anywhere.

Owns `golden.json`: the rows, how their inputs are regenerated bit for bit (`exporter/player/
golden.js` does the same; both are pinned by tests/vectors/golden.json), reading it from strangers
and writing it. What goes into it is chosen by `exporter.golden.rows`. Imports NumPy,
`exporter.manifest` and `exporter.errors`.

An input is described by one of
    {"picture": [0..255, …]}       low + (high - low) · k / 255
    {"noise": "noise 3"}           uniform in the input's range, by seed and name
    {"fill": 1e30}                 one number everywhere; integers stay in their range
    {"blend": [a, b], "t": t}      a + (b - a) · t; a and b name a row that is no blend, or noise
computed in float64 in this order of operations, then rounded once to float32.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.manifest import TensorSpec

if TYPE_CHECKING:
    from exporter.source import Source

SCHEMA_VERSION = 1
KINDS = ("picture", "noise", "tie", "edge", "nonfinite")
SPELLED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
DTYPES = ("float32", "int32", "bool")
MAX_ROWS = 1024
MAX_NUMBERS = 2**26
"""Of one input or output over all rows: what a stranger's file may make us allocate."""


@dataclass(frozen=True, slots=True)
class Row:
    """One golden vector.

    Attributes:
        name: Unique within the file: "3 upright", "noise 0", "tie 7", "1e30", "NaN".
        kind: One of `KINDS`; "nonfinite" rows are reported, never gated.
        recipe: How its inputs are made (see the module).
        outputs: The oracle's answers rounded to float32, flat, one array per output, every
            `Golden.strides`-th number; None where they were left out to keep the file small.
        checked: False where Keras' own float32 is not to be had or far off: no self-test there.
    """

    name: str
    kind: str
    recipe: Mapping[str, Any]
    outputs: tuple[np.ndarray, ...] | None = None
    checked: bool = True


@dataclass(frozen=True)
class Golden:
    """The golden vectors of one bundle.

    Attributes:
        seed: Of the noise.
        input_specs, output_specs: As in the manifest, with the free dimensions but the batch
            made concrete in `shapes`.
        shapes: Per input, without the batch.
        rows: In the order of `KINDS`.
        tolerance: What a float32 artefact may be off in a self-test: of probabilities, and of
            values in units of the row's largest magnitude, or 1 if that is more.
        strides: Per output, every how many-th number is stored.
        named: Recipes that blends may name besides those of the rows.
    """

    seed: int
    input_specs: tuple[TensorSpec, ...]
    output_specs: tuple[TensorSpec, ...]
    shapes: tuple[tuple[int, ...], ...]
    rows: tuple[Row, ...]
    tolerance: float = 1e-4
    strides: tuple[int, ...] = ()
    named: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)

    def of_kind(self, *kinds: str) -> Golden:
        """The same with only the rows of these kinds."""
        rows = tuple(row for row in self.rows if row.kind in kinds)
        return replace(self, rows=rows, named=self.nameable)

    @property
    def names(self) -> tuple[str, ...]:
        """The rows' names."""
        return tuple(row.name for row in self.rows)

    def inputs(self) -> tuple[np.ndarray, ...]:
        """One array per model input, shape (rows, *shape), in the specs' dtypes."""
        return self.inputs_for([row.recipe for row in self.rows])

    def inputs_for(self, recipes: Sequence[Mapping[str, Any]]) -> tuple[np.ndarray, ...]:
        """The same for recipes that are not among the rows."""
        return tuple(
            np.stack([self._input(recipe, index) for recipe in recipes])
            if recipes
            else np.empty((0, *self.shapes[index]), spec.dtype)
            for index, spec in enumerate(self.input_specs)
        )

    def _input(self, recipe: Mapping[str, Any], index: int) -> np.ndarray:
        spec, shape = self.input_specs[index], self.shapes[index]
        low, high = range_of(spec)
        if "noise" in recipe:
            flat = noise(self.seed, recipe["noise"], index, math.prod(shape), spec)
        elif "picture" in recipe:
            steps = np.asarray(recipe["picture"], np.float64)
            flat = low + (high - low) * steps / 255
        elif "blend" in recipe:
            a, b = (self._named(name, index).astype(np.float64) for name in recipe["blend"])
            flat = a + (b - a) * recipe["t"]
        else:
            value = SPELLED.get(recipe["fill"], recipe["fill"])
            if spec.dtype != "float32":
                value = min(max(value, low), high) if math.isfinite(value) else low
                value = math.floor(value)
            flat = np.full(shape, value)
        with np.errstate(over="ignore"):
            return np.asarray(flat).astype(spec.dtype).reshape(shape)

    def _named(self, name: str, index: int) -> np.ndarray:
        return self._input(self.nameable.get(name) or {"noise": name}, index)

    @property
    def nameable(self) -> dict[str, Mapping[str, Any]]:
        """Name -> recipe of what a blend may name besides noise."""
        own = {row.name: row.recipe for row in self.rows if "blend" not in row.recipe}
        return {**self.named, **own}

    def to_json(self) -> str:
        """The text of `golden.json`: one row per line."""
        head = {
            "schema": SCHEMA_VERSION,
            "seed": self.seed,
            "tolerance": self.tolerance,
            "inputs": [
                {"name": s.name, "shape": list(shape), "dtype": s.dtype, "range": range_of(s)}
                for s, shape in zip(self.input_specs, self.shapes, strict=True)
            ],
            "outputs": [
                {"name": s.name, "dtype": s.dtype, "meaning": s.meaning or "values"}
                | ({"every": stride} if stride > 1 else {})
                for s, stride in zip(self.output_specs, self._strides, strict=True)
            ],
        }
        lines = ",\n".join(f"  {_compact(self._row_document(row))}" for row in self.rows)
        return f'{_compact(head)[:-1]},"rows":[\n{lines}\n]}}\n'

    @property
    def _strides(self) -> tuple[int, ...]:
        return self.strides or (1,) * len(self.output_specs)

    def _row_document(self, row: Row) -> dict[str, Any]:
        document: dict[str, Any] = {"name": row.name, "kind": row.kind, **row.recipe}
        if not row.checked:
            document["checked"] = False
        if row.outputs is not None:
            document["outputs"] = [_numbers(array) for array in row.outputs]
        return document

    @classmethod
    def from_json(cls, text: str) -> Golden:
        """Parse; hostile until checked.

        Raises:
            BadBundle: Malformed; the message names the place.
        """
        from exporter.golden.reader import read

        return read(text)


def build(
    source: Source, pictures: Mapping[str, np.ndarray] | None = None, *, seed: int = 1
) -> Golden:
    """Choose golden vectors for a model and have the oracle answer them.

    Args:
        source: The model. Where its preprocessing is the ink contract, digits of our own drawing
            are the pictures.
        pictures: Name -> integers of 0-255 that fill the only input, for other models.
        seed: Of the noise.
    """
    from exporter.golden import rows

    return rows.build(source, pictures, seed)


def range_of(spec: TensorSpec) -> tuple[float, float]:
    """The range that inputs are drawn from; the manifest's, or what the dtype suggests."""
    if spec.value_range is not None:
        return spec.value_range
    return {"float32": (-1.0, 1.0), "bool": (0.0, 1.0)}.get(spec.dtype, (0.0, 9.0))


def noise(seed: int, name: str, index: int, size: int, spec: TensorSpec) -> np.ndarray:
    """`size` numbers, uniform in the spec's range, the same on every machine and in JavaScript.

    The generator is mulberry32 (https://gist.github.com/tommyettinger/46a874533244883189143505d203312c),
    seeded with the FNV-1a hash of "seed/name/index"; of its 32 bits the upper 24 are used.

    Returns:
        float64 that float32 rounds once, or whole numbers for integer and bool inputs.
    """
    state = np.uint64(_fnv1a(f"{seed}/{name}/{index}"))
    low32 = np.uint64(0xFFFFFFFF)
    a = (state + np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x6D2B79F5)) & low32
    t = ((a ^ (a >> np.uint64(15))) * (a | np.uint64(1))) & low32
    t = ((t + (((t ^ (t >> np.uint64(7))) * (t | np.uint64(61))) & low32)) ^ t) & low32
    units = ((t ^ (t >> np.uint64(14))) >> np.uint64(8)).astype(np.float64) / 2.0**24
    low, high = range_of(spec)
    if spec.dtype == "float32":
        return low + (high - low) * units
    return low + np.floor(units * (high - low + 1))


def _fnv1a(text: str) -> int:
    state = 0x811C9DC5
    for byte in text.encode():
        state = ((state ^ byte) * 0x01000193) & 0xFFFFFFFF
    return state


def _numbers(array: np.ndarray) -> list[Any]:
    """As JSON has them: shortest decimals that give the same float32, others spelled out."""
    if array.dtype != np.float32:
        return array.astype(int).tolist()
    return [_number(value) for value in array]


def _number(value: np.float32) -> float | int | str:
    if not np.isfinite(value):
        return next(k for k, v in SPELLED.items() if v == value or (v != v and value != value))
    if value == np.floor(value) and abs(value) < 2**24:
        return int(value)
    return float(str(value))


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def spell(value: float) -> float | str:
    """A number as a `fill` has it: NaN and infinities by name."""
    spelled = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
    return spelled.get(str(value), value)


def flat_outputs(
    outputs: Iterable[np.ndarray], row: int, strides: Sequence[int], specs: Sequence[TensorSpec]
) -> tuple[np.ndarray, ...]:
    """One row of the oracle's outputs as it is stored: flat, strided, rounded."""
    with np.errstate(over="ignore"):
        return tuple(
            np.asarray(output[row]).ravel()[::stride].astype(spec.dtype)
            for output, stride, spec in zip(outputs, strides, specs, strict=True)
        )
