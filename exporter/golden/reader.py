"""Reads `golden.json` from strangers: every key is checked before it is used.

May import `exporter.golden`, `exporter.manifest`, `exporter.json_text` and `exporter.errors`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from exporter import json_text
from exporter.errors import BadBundle
from exporter.golden import (
    DTYPES,
    KINDS,
    MAX_NUMBERS,
    MAX_ROWS,
    SCHEMA_VERSION,
    SPELLED,
    Golden,
    Row,
)
from exporter.manifest import TensorSpec

_RECIPES = ("picture", "noise", "fill", "blend")
_KIND_NAMES = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def read(text: str) -> Golden:
    """Parse and check.

    Raises:
        BadBundle: Malformed; the message names the place.
    """
    try:
        document = json_text.parse(text)
    except json_text.BadText as error:
        raise BadBundle(f"golden.json: {error}") from None
    _want(document, dict, "golden.json")
    if document.get("schema") != SCHEMA_VERSION:
        raise BadBundle(f"schema: {SCHEMA_VERSION} expected, {document.get('schema')!r} found")
    inputs = [_input(x, f"inputs[{i}]") for i, x in enumerate(_get(document, "inputs", list, ""))]
    outputs = [
        _output(x, f"outputs[{i}]") for i, x in enumerate(_get(document, "outputs", list, ""))
    ]
    items = _get(document, "rows", list, "")
    if len(items) > MAX_ROWS:
        raise BadBundle(f"rows: at most {MAX_ROWS} expected, {len(items)} found")
    for spec, shape in inputs:
        if math.prod(shape) * max(1, len(items)) > MAX_NUMBERS:
            raise BadBundle(f"inputs: {spec.name!r}: at most {MAX_NUMBERS} numbers expected")
    reader = _Rows([shape for _, shape in inputs], [spec for spec, _ in outputs])
    tolerance = _number(document.get("tolerance"), "tolerance")
    if not 0 < tolerance < math.inf:
        raise BadBundle(f"tolerance: a number above 0 expected, {tolerance} found")
    return Golden(
        seed=_get(document, "seed", int, ""),
        input_specs=tuple(spec for spec, _ in inputs),
        output_specs=tuple(spec for spec, _ in outputs),
        shapes=tuple(shape for _, shape in inputs),
        rows=tuple(reader.row(item, f"rows[{i}]") for i, item in enumerate(items)),
        tolerance=tolerance,
        strides=tuple(stride for _, stride in outputs),
    )


def _input(item: Any, place: str) -> tuple[TensorSpec, tuple[int, ...]]:
    _want(item, dict, place)
    shape = _get(item, "shape", list, place)
    for size in shape:
        if type(size) is not int or not 0 <= size <= MAX_NUMBERS:
            raise BadBundle(f"{place}.shape: sizes expected, {size!r} found")
    bounds = _get(item, "range", list, place)
    if len(bounds) != 2:
        raise BadBundle(f"{place}.range: two numbers expected, {len(bounds)} found")
    low, high = (_number(bound, f"{place}.range") for bound in bounds)
    if not -math.inf < low <= high < math.inf:
        raise BadBundle(f"{place}.range: smallest, then largest expected, {bounds} found")
    spec = TensorSpec(
        _get(item, "name", str, place), (None, *shape), _dtype(item, place), (low, high)
    )
    return spec, tuple(shape)


def _output(item: Any, place: str) -> tuple[TensorSpec, int]:
    _want(item, dict, place)
    stride = item.get("every", 1)
    if type(stride) is not int or stride < 1:
        raise BadBundle(f"{place}.every: a whole number above 0 expected, {stride!r} found")
    meaning = _get(item, "meaning", str, place)
    spec = TensorSpec(_get(item, "name", str, place), (None,), _dtype(item, place), meaning=meaning)
    return spec, stride


def _dtype(item: dict[str, Any], place: str) -> str:
    dtype = _get(item, "dtype", str, place)
    if dtype not in DTYPES:
        raise BadBundle(f"{place}.dtype: one of {', '.join(DTYPES)} expected, {dtype!r} found")
    return dtype


class _Rows:
    """Reads rows, and knows the names that were used and the pictures that blends may name."""

    def __init__(self, shapes: list[tuple[int, ...]], outputs: list[TensorSpec]) -> None:
        self._shapes = shapes
        self._outputs = outputs
        self._lengths: list[int] | None = None
        self._names: set[str] = set()

    def row(self, item: Any, place: str) -> Row:
        _want(item, dict, place)
        name = _get(item, "name", str, place)
        if name in self._names:
            raise BadBundle(f"{place}.name: {name!r} is there twice")
        self._names.add(name)
        kind = _get(item, "kind", str, place)
        if kind not in KINDS:
            raise BadBundle(f"{place}.kind: one of {', '.join(KINDS)} expected, {kind!r} found")
        checked = item.get("checked", True)
        if not isinstance(checked, bool):
            raise BadBundle(f"{place}.checked: true or false expected, {checked!r} found")
        stored = item.get("outputs")
        outputs = None if stored is None else self._stored(stored, f"{place}.outputs")
        return Row(name, kind, self._recipe(item, place), outputs, checked)

    def _recipe(self, item: dict[str, Any], place: str) -> dict[str, Any]:
        found = [key for key in _RECIPES if key in item]
        if len(found) != 1:
            raise BadBundle(
                f"{place}: one of {', '.join(_RECIPES)} expected, "
                f"{', '.join(found) or 'none'} found"
            )
        check = getattr(self, f"_{found[0]}")
        return check(item, place)

    def _picture(self, item: dict[str, Any], place: str) -> dict[str, Any]:
        steps = _get(item, "picture", list, place)
        if len(self._shapes) != 1 or len(steps) != math.prod(self._shapes[0]):
            raise BadBundle(f"{place}.picture: it does not fill the only input")
        for step in steps:
            if type(step) is not int or not 0 <= step <= 255:
                raise BadBundle(f"{place}.picture: 0 to 255 expected, {step!r} found")
        return {"picture": steps}

    def _noise(self, item: dict[str, Any], place: str) -> dict[str, Any]:
        return {"noise": _get(item, "noise", str, place)}

    def _fill(self, item: dict[str, Any], place: str) -> dict[str, Any]:
        if isinstance(item["fill"], str) and item["fill"] in SPELLED:
            return {"fill": item["fill"]}
        return {"fill": _number(item["fill"], f"{place}.fill")}

    def _blend(self, item: dict[str, Any], place: str) -> dict[str, Any]:
        names = _get(item, "blend", list, place)
        if len(names) != 2 or not all(isinstance(name, str) for name in names):
            raise BadBundle(f"{place}.blend: two names expected, {names!r} found")
        t = _number(item.get("t"), f"{place}.t")
        if not 0 <= t <= 1:
            raise BadBundle(f"{place}.t: 0 to 1 expected, {t} found")
        return {"blend": names, "t": t}

    def _stored(self, stored: Any, place: str) -> tuple[np.ndarray, ...]:
        _want(stored, list, place)
        if len(stored) != len(self._outputs):
            raise BadBundle(f"{place}: {len(self._outputs)} outputs expected, {len(stored)} found")
        arrays = tuple(
            _array(numbers, spec.dtype, f"{place}[{i}]")
            for i, (numbers, spec) in enumerate(zip(stored, self._outputs, strict=True))
        )
        lengths = [len(array) for array in arrays]
        if self._lengths not in (None, lengths):
            raise BadBundle(f"{place}: {self._lengths} numbers expected, {lengths} found")
        self._lengths = lengths
        return arrays


def _array(numbers: Any, dtype: str, place: str) -> np.ndarray:
    _want(numbers, list, place)
    if dtype == "float32":
        floats = [
            SPELLED[x] if isinstance(x, str) and x in SPELLED else _number(x, place)
            for x in numbers
        ]
        return np.array(floats, np.float64).astype(np.float32)
    low, high = (0, 1) if dtype == "bool" else (-(2**31), 2**31 - 1)
    for x in numbers:
        if type(x) is not int or not low <= x <= high:
            raise BadBundle(f"{place}: whole numbers of {dtype} expected, {x!r} found")
    return np.array(numbers, dtype)


def _number(value: Any, place: str) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or abs(value) > 3.5e38:
        raise BadBundle(f"{place}: a number expected, {str(value)[:40]!r} found")
    return value


def _get(item: dict[str, Any], key: str, kind: type, place: str) -> Any:
    name = f"{place}.{key}" if place else key
    if key not in item:
        raise BadBundle(f"{name}: missing")
    return _want(item[key], kind, name)


def _want(value: Any, kind: type, place: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BadBundle(f"{place}: {_KIND_NAMES[kind]} expected, {type(value).__name__} found")
    return value
