"""The weights of a TF.js model: binary shards, and the manifest that describes them.

Owns the layout that `tf.loadLayersModel` and `tf.loadGraphModel` read
(`weightsManifest` of `model.json`: one group, values of all weights one after the other, cut into
shards of 4 MB) and TF.js' quantisation of weights. Written here instead of by tensorflowjs, which
holds a whole model in memory three times. May import NumPy and `exporter.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from exporter.errors import BadBundle, BadUsage

SHARD_SIZE_BYTES = 4 * 1024 * 1024
"""The largest file that all major browsers cache."""

PRECISIONS = ("float32", "float16", "uint16", "uint8")
_FLOAT16_MAX = 65504.0
_CHUNK = 1 << 20
"""Values quantised at a time: a weight of 100 million needs no second copy of itself."""


@dataclass(frozen=True)
class Weight:
    """One weight, its values fetched when they are written, so that few are in memory at once.

    Attributes:
        name: The name by which TF.js finds it.
        shape: Of the values.
        dtype: NumPy's name: "float32", "int32", "bool", or "string".
        values: Returns an array of that shape and dtype; called twice where it is quantised.
        exact: True if it must stay as it is under every precision (shapes, axes, statistics).
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    values: Callable[[], np.ndarray]
    exact: bool = False

    @classmethod
    def of(cls, name: str, array: np.ndarray, exact: bool = False) -> Weight:
        """A weight from an array at hand."""
        dtype = "string" if array.dtype.kind in "OSU" else array.dtype.name
        return cls(name, array.shape, dtype, lambda: array, exact)


def write_shards(
    weights: Sequence[Weight],
    precision: str,
    directory: Path,
    shard_size_bytes: int = SHARD_SIZE_BYTES,
) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Write `group1-shard<i>of<n>.bin` into `directory`.

    Only float32 weights are quantised, each by itself and as tensorflowjs does it: `uint8` and
    `uint16` by `{min, scale}` with an exact zero, `float16` by rounding. A weight that the
    precision cannot hold (not finite, or beyond the range of float16) stays float32.

    Returns:
        The `weightsManifest` of `model.json`, and the names of the files written.

    Raises:
        BadUsage: TF.js has no such precision.
    """
    if precision not in PRECISIONS:
        raise BadUsage(f"precision {precision!r}: TF.js weights have {', '.join(PRECISIONS)}")
    names = [weight.name for weight in weights]
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"weights: each name once expected, {twice} found twice")
    directory.mkdir(parents=True, exist_ok=True)
    with _Shards(directory, shard_size_bytes) as shards:
        entries = [_write(weight, precision, shards) for weight in weights]
    files = shards.files()
    return [{"paths": list(files), "weights": entries}], files


def read_shards(
    manifest: Sequence[Mapping[str, Any]], directory: Path
) -> Iterator[tuple[str, np.ndarray, bool]]:
    """Yield name, values as TF.js decodes them, and whether they were quantised.

    One weight is in memory at a time.

    Raises:
        BadBundle: A shard is missing or too short.
    """
    for group in manifest:
        with _Stream([directory / path for path in group["paths"]]) as stream:
            for entry in group["weights"]:
                yield entry["name"], _decode(entry, stream), "quantization" in entry
            if rest := stream.rest_bytes:
                raise BadBundle(f"{directory}: {rest} bytes more than its weights have found")


class _Stream:
    """Reads shards as if they were one file."""

    def __init__(self, paths: Sequence[Path]) -> None:
        missing = [path for path in paths if not path.is_file()]
        if missing:
            raise BadBundle(f"{missing[0]}: a shard of weights is missing here")
        self.rest_bytes = sum(path.stat().st_size for path in paths)
        self._waiting = list(reversed(paths))
        self._file: BinaryIO | None = None

    def __enter__(self) -> _Stream:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, name: str, size_bytes: int) -> bytearray:
        """The next bytes, for the weight of that name."""
        if self.rest_bytes < size_bytes:
            raise BadBundle(
                f"weight {name!r}: {size_bytes} bytes expected, {self.rest_bytes} found"
            )
        taken = bytearray(size_bytes)
        room = memoryview(taken)
        while room.nbytes:
            if self._file is None:
                self._file = open(self._waiting.pop(), "rb")  # noqa: SIM115  (closed below)
            read = self._file.readinto(room)  # type: ignore[attr-defined]
            if not read:
                self._file.close()
                self._file = None
            room = room[read:]
        self.rest_bytes -= size_bytes
        return taken


class _Shards:
    """Writes a stream of bytes into files of equal size; names them when their number is known."""

    def __init__(self, directory: Path, shard_size_bytes: int) -> None:
        self._directory = directory
        self._size_bytes = shard_size_bytes
        self._count = 0
        self._room_bytes = 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> _Shards:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self._stream is not None:
            self._stream.close()
        if kind is None:
            for part, name in zip(range(1, self._count + 1), self.files(), strict=True):
                self._part(part).replace(self._directory / name)

    def _part(self, number: int) -> Path:
        return self._directory / f"group1-shard{number}.part"

    def files(self) -> tuple[str, ...]:
        numbers = range(1, self._count + 1)
        return tuple(f"group1-shard{number}of{self._count}.bin" for number in numbers)

    def write(self, data: memoryview) -> None:
        while data.nbytes:
            if not self._room_bytes:
                if self._stream is not None:
                    self._stream.close()
                self._count += 1
                self._room_bytes = self._size_bytes
                self._stream = open(self._part(self._count), "wb")  # noqa: SIM115  (closed above)
            assert self._stream is not None
            piece = data[: self._room_bytes]
            self._stream.write(piece)
            self._room_bytes -= piece.nbytes
            data = data[piece.nbytes :]


def _write(weight: Weight, precision: str, shards: _Shards) -> dict[str, Any]:
    values = weight.values()
    entry: dict[str, Any] = {
        "name": weight.name,
        "shape": list(weight.shape),
        "dtype": weight.dtype,
    }
    if weight.dtype == "string":
        shards.write(memoryview(_encode_strings(values)))
        return entry
    assert values.shape == weight.shape, (weight.name, values.shape, weight.shape)
    assert values.dtype == weight.dtype, (weight.name, values.dtype, weight.dtype)
    flat = np.ascontiguousarray(values).reshape(-1)
    change = None
    if not weight.exact and weight.dtype == "float32" and _can_hold(precision, flat):
        entry["quantization"], change = _quantizer(flat, precision)
    for start in range(0, flat.size, _CHUNK):
        chunk = flat[start : start + _CHUNK]
        chunk = chunk if change is None else change(chunk)
        little = np.ascontiguousarray(chunk, dtype=chunk.dtype.newbyteorder("<"))
        shards.write(memoryview(little.view(np.uint8).data))
    return entry


def _can_hold(precision: str, values: np.ndarray) -> bool:
    if precision == "float32" or not values.size or not np.isfinite(values).all():
        return False
    return precision != "float16" or -_FLOAT16_MAX <= values.min() <= values.max() <= _FLOAT16_MAX


def quantize(values: np.ndarray, precision: str) -> tuple[np.ndarray, dict[str, Any]]:
    """Round finite float32 values to `precision`, as tensorflowjs 4.22 does.

    For `uint8` and `uint16`, values are `q * scale + min`; where zero lies within the range, min
    is nudged to a multiple of scale, so that zero stays zero (TF-Lite's NudgeQuantizationRange).

    Returns:
        The quantised values and the weight's "quantization" of the manifest.
    """
    details, change = _quantizer(values, precision)
    return change(values), details


def _quantizer(
    values: np.ndarray, precision: str
) -> tuple[dict[str, Any], Callable[[np.ndarray], np.ndarray]]:
    """The "quantization" for all of `values`, and what quantises a part of them."""
    details: dict[str, Any] = {"original_dtype": "float32", "dtype": precision}
    if precision == "float16":
        return details, lambda part: part.astype(np.float16)
    low, high = float(values.min()), float(values.max())
    largest = np.iinfo(precision).max
    if low == high:
        scale, minimum = 1.0, low
    else:
        scale = (high - low) / largest
        minimum = float(-np.round(-low / scale) * scale) if low <= 0 <= high else low
    high = minimum + largest * scale

    def change(part: np.ndarray) -> np.ndarray:
        steps = (part.astype(np.float64).clip(minimum, high) - minimum) / scale
        return np.round(steps).astype(precision)

    # No negative zero in the file.
    return {"min": minimum + 0.0, "scale": scale, **details}, change


def _encode_strings(values: np.ndarray) -> bytes:
    """Length in four bytes, little-endian, then the UTF-8 text, for each value."""
    parts = []
    for value in values.ravel().tolist():
        text = value if isinstance(value, bytes) else str(value).encode()
        parts += [len(text).to_bytes(4, "little"), text]
    return b"".join(parts)


def _decode(entry: Mapping[str, Any], stream: _Stream) -> np.ndarray:
    name, shape = entry["name"], tuple(entry["shape"])
    size = int(np.prod(shape, dtype=np.int64))
    if entry["dtype"] == "string":
        array = np.empty(size, dtype=object)
        for index in range(size):
            length = int.from_bytes(stream.take(name, 4), "little")
            array[index] = bytes(stream.take(name, length))
        return array.reshape(shape)
    quantization = entry.get("quantization")
    dtype = np.dtype(quantization["dtype"] if quantization else entry["dtype"]).newbyteorder("<")
    values = np.frombuffer(stream.take(name, size * dtype.itemsize), dtype).reshape(shape)
    if quantization and quantization["dtype"] != "float16":
        values = values.astype(np.float64) * quantization["scale"] + quantization["min"]
    return values.astype(entry["dtype"], copy=False)
