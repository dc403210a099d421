"""What the files of artefacts say themselves: every weight is inside, and none is left over.

A hash proves that a file is the one that was listed, not that a runtime may open it: `model.json`
names other files, and an ONNX model may. Owns reading both as far as that goes, in plain Python, so
that `exporter verify` costs nothing. May import `exporter.json_text` and `exporter.errors`.
"""

from __future__ import annotations

import math
import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter import json_text
from exporter.errors import BadBundle

LARGEST_TOPOLOGY = 64 << 20
MOST_VALUES = 4_000_000
MOST_NUMBERS = 1 << 40
MOST_AXES = 64
_TFJS_BYTES = {
    "float32": 4, "int32": 4, "bool": 1, "complex64": 8,
    "float16": 2, "uint16": 2, "uint8": 1,
}  # fmt: skip

# https://github.com/onnx/onnx/blob/main/onnx/onnx.proto: where tensors may lie.
_PLACES: Mapping[str, Mapping[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_DIMS, _DATA_TYPE, _RAW_DATA, _EXTERNAL_DATA, _DATA_LOCATION = 1, 2, 9, 13, 14
_ONNX_BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64,
    15: 128, 16: 16, 17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4,
}  # fmt: skip
DEEPEST = 64
"""Graphs inside graphs; onnx itself reads no deeper than 100 messages."""


def check_tfjs(path: Path, beside: Mapping[str, int]) -> None:
    """Judge a `model.json`.

    Args:
        path: The file.
        beside: The artefact's other files: their paths relative to `path`, and their sizes.

    Raises:
        BadBundle: It names a file that is not one of them, or its weights are not theirs.
    """
    try:
        document = json_text.parse(
            path.read_bytes(), largest=LARGEST_TOPOLOGY, values=MOST_VALUES, plain=False
        )
        named: list[str] = []
        for i, group in enumerate(_list(document, "weightsManifest", "")):
            named += _check_group(group, f"weightsManifest[{i}].", beside)
    except (json_text.BadText, _Wrong) as error:
        raise BadBundle(f"{path}: {error}; export it again") from None
    if doubled := sorted(name for name, count in Counter(named).items() if count > 1):
        raise BadBundle(f"{path}: shard {doubled[0]!r} is named twice; export it again")
    if left := sorted(set(beside) - set(named)):
        raise BadBundle(f"{path}: does not name {', '.join(left)}; export it again")


class _Wrong(Exception):
    """What is wrong, without the file's name."""


def _check_group(group: Any, place: str, beside: Mapping[str, int]) -> list[str]:
    paths = _list(group, "paths", place)
    for path in paths:
        if not isinstance(path, str) or path not in beside:
            raise _Wrong(f"{place}paths: a file of this artefact expected, {path!r} found")
    sizes = [
        _weight_bytes(weight, f"{place}weights[{i}]")
        for i, weight in enumerate(_list(group, "weights", place))
    ]
    stored, least = sum(beside[path] for path in paths), sum(size for size, _ in sizes)
    exact = all(known for _, known in sizes)
    if stored < least or (exact and stored != least):
        raise _Wrong(f"{place}weights: {least:,} bytes expected in the shards, {stored:,} found")
    return paths


def _weight_bytes(weight: Any, place: str) -> tuple[int, bool]:
    """Bytes in the shards, and whether they are all: a text's length stands before it."""
    shape = _list(weight, "shape", place + ".")
    if not all(type(size) is int and size >= 0 for size in shape):
        raise _Wrong(f"{place}.shape: sizes expected, {str(shape)[:80]} found")
    count = _numbers(shape, f"{place}.shape")
    dtype = weight.get("dtype")
    if dtype == "string":
        return 4 * count, False
    quantization = weight.get("quantization")
    if quantization is not None:
        _want(isinstance(quantization, dict), f"{place}.quantization", "an object", quantization)
        numbers = [quantization.get(key, 0) for key in ("scale", "min")]
        finite = all(type(n) in (int, float) and abs(n) < math.inf for n in numbers)
        _want(finite, f"{place}.quantization", "finite numbers", quantization)
        dtype = quantization.get("dtype")
    _want(isinstance(dtype, str) and dtype in _TFJS_BYTES, f"{place}.dtype", "a dtype", dtype)
    return count * _TFJS_BYTES[str(dtype)], True


def _numbers(shape: list[int], place: str) -> int:
    """How many numbers are in a tensor; a shape may have many axes of many digits."""
    if len(shape) > MOST_AXES:
        raise _Wrong(f"{place}: at most {MOST_AXES} axes expected, {len(shape):,} found")
    if 0 in shape:
        return 0
    count = 1
    for size in shape:
        count *= size
        if count > MOST_NUMBERS:
            raise _Wrong(f"{place}: at most {MOST_NUMBERS:,} numbers expected, more found")
    return count


def _list(document: Any, key: str, place: str) -> list[Any]:
    _want(isinstance(document, dict), place.rstrip(".") or "the file", "an object", document)
    value = document.get(key, [] if key == "weightsManifest" else None)
    _want(isinstance(value, list), place + key, "a list", value)
    return value


def _want(right: bool, place: str, expected: str, found: Any) -> None:
    if not right:
        raise _Wrong(f"{place}: {expected} expected, {str(found)[:80]!r} found")


def check_onnx(path: Path) -> None:
    """Judge an ONNX file: every tensor's numbers are in it, all of them.

    Raises:
        BadBundle: It reads other files, or is damaged.
    """
    with open(path, "rb") as stream:
        if not path.stat().st_size:
            raise BadBundle(f"{path}: an ONNX model expected, an empty file found")
        with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                _check_messages(data)
            except _Wrong as error:
                raise BadBundle(f"{path}: {error}; export it again") from None


def _check_messages(data: mmap.mmap) -> None:
    waiting = [("model", 0, len(data), 1)]
    graphs = 0
    while waiting:
        kind, start, end, depth = waiting.pop()
        if depth > DEEPEST:
            raise _Wrong(f"at most {DEEPEST} levels of graphs expected, more found")
        if kind == "tensor":
            _check_tensor(data, start, end)
            continue
        places = _PLACES[kind]
        for field, wire, first, last in _fields(data, start, end):
            if field in places and wire == 2:
                waiting.append((places[field], first, last, depth + 1))
                graphs += kind == "model"
    if not graphs:
        raise _Wrong("an ONNX model with a graph expected, none found")


def _check_tensor(data: mmap.mmap, start: int, end: int) -> None:
    sizes: list[int] = []
    kind, raw = 0, None
    for field, wire, first, last in _fields(data, start, end):
        if field == _EXTERNAL_DATA or (field == _DATA_LOCATION and (wire != 0 or first)):
            raise _Wrong("weights in another file (external data); all inside expected")
        if field == _DATA_TYPE and wire == 0:
            if first >> 32:
                raise _Wrong("an ONNX model expected, a tensor of no data type found")
            kind = first
        elif field == _RAW_DATA and wire == 2:
            raw = last - first
        elif field == _DIMS:
            sizes += [first] if wire == 0 else _packed(data, first, last)
            if len(sizes) > MOST_AXES:
                raise _Wrong(f"a tensor: at most {MOST_AXES} axes expected, more found")
    count = _numbers(sizes, "a tensor")  # a negative size is a huge one here
    bits = _ONNX_BITS.get(kind)
    if raw is not None and bits and raw != (count * bits + 7) // 8:
        expected = (count * bits + 7) // 8
        raise _Wrong(f"a tensor of {expected:,} bytes expected, {raw:,} found")
    if raw is None and bits and count > 2 * (end - start):
        raise _Wrong(f"a tensor of {count:,} numbers expected, {end - start:,} bytes found")


def _fields(data: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, wire type, value or start, end) of each field of a protobuf message."""
    position = start
    while position < end:
        key, position = _varint(data, position, end)
        field, wire = key >> 3, key & 7
        if not field or key >> 32:  # protobuf reads the lower 32 bits alone
            raise _Wrong("an ONNX model expected, a field of no number found")
        if wire == 0:
            value, position = _varint(data, position, end)
            yield field, wire, value, position
            continue
        if wire == 2:
            size, position = _varint(data, position, end)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
        else:
            raise _Wrong("an ONNX model expected, something else or a damaged one found")
        if size > end - position:
            raise _Wrong("a whole ONNX model expected, a cut or damaged one found")
        yield field, wire, position, position + size
        position += size


def _packed(data: mmap.mmap, start: int, end: int) -> list[int]:
    values: list[int] = []
    position = start
    while position < end and len(values) <= MOST_AXES:
        value, position = _varint(data, position, end)
        values.append(value)
    return values


def _varint(data: mmap.mmap, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            break
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if value >> 64:
            raise _Wrong("an ONNX model expected, a number of more than 64 bits found")
        if byte < 0x80:
            return value, position
    raise _Wrong("a whole ONNX model expected, a cut or damaged one found")
