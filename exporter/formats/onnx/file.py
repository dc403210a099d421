"""An ONNX model whose large weights are not in it until it is written, nor when it was read.

Owns the file: `onnx.save` would hold the weights three times in memory, `onnx.load` twice. The
layout is that of
https://protobuf.dev/programming-guides/encoding and onnx.proto3. May import nothing of the project.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

# Field numbers of onnx.proto3.
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER = 5
_TENSOR_RAW_DATA = 9
_BYTES = 2  # the wire type of what has a length
_FIXED = {1: 8, 5: 4}  # wire types of what has a fixed size in bytes
READ_LATER_BYTES = 1 << 20
"""An initializer of a file that has more is left where it is until it is asked for."""

LARGEST_BYTES = 2**31 - 1
"""No message of protobuf holds more (https://protobuf.dev/programming-guides/proto-limits)."""


@dataclass(frozen=True)
class Large:
    """A weight beside the model.

    Attributes:
        shape, dtype: Of what `read` returns.
        read: Returns the values; called when they are needed.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]

    @property
    def size_bytes(self) -> int:
        """Of the values in the file."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@dataclass
class OnnxModel:
    """A ModelProto without its large initializers.

    Attributes:
        proto: The ModelProto.
        large: The missing initializers by their name.
        origins: For each value of the graph the operation of the traced graph that it came from.
    """

    proto: Any
    large: dict[str, Large] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path, later_bytes: int = READ_LATER_BYTES) -> OnnxModel:
        """The model of a file, its large initializers left in it until they are asked for.

        Args:
            path: Of the file.
            later_bytes: An initializer that has more is large.

        Raises:
            OSError: It cannot be read.
            ValueError: It is no ONNX model, or was cut.
            google.protobuf.message.DecodeError: Likewise.
        """
        from onnx import ModelProto

        with open(path, "rb") as stream:
            kept, large = _split(stream, path, path.stat().st_size, later_bytes, in_graph=False)
        return cls(ModelProto.FromString(kept), large)

    def copy(self) -> OnnxModel:
        """One whose ModelProto can be changed; the weights are not copied."""
        proto = type(self.proto)()
        proto.CopyFrom(self.proto)
        return OnnxModel(proto, dict(self.large), dict(self.origins))

    @property
    def size_bytes(self) -> int:
        """Of the file, within a hundred bytes for each large weight."""
        return self.proto.ByteSize() + sum(weight.size_bytes for weight in self.large.values())

    def complete(self) -> Any:
        """A ModelProto with everything in it."""
        whole = self.copy().proto
        for name, weight in self.large.items():
            tensor = whole.graph.initializer.add()
            tensor.CopyFrom(_header(name, weight))
            tensor.raw_data = _little(weight.read()).tobytes()
        return whole

    def values(self, name: str) -> np.ndarray:
        """The values of an initializer.

        Raises:
            KeyError: The model has none of that name.
        """
        from onnx import numpy_helper

        if name in self.large:
            return self.large[name].read()
        for tensor in self.proto.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        raise KeyError(name)

    def write(self, path: Path) -> None:
        """Write the file, one large weight after the other."""
        frame = type(self.proto)()
        frame.CopyFrom(self.proto)
        frame.ClearField("graph")
        graph = self.proto.graph.SerializeToString(deterministic=True)
        parts = [(name, weight, _tensor_header(name, weight)) for name, weight in self._sorted()]
        size = len(graph) + sum(
            len(_prefix(_GRAPH_INITIALIZER, len(header) + weight.size_bytes))
            + len(header)
            + weight.size_bytes
            for _, weight, header in parts
        )
        with open(path, "wb") as stream:
            stream.write(frame.SerializeToString(deterministic=True))
            stream.write(_prefix(_MODEL_GRAPH, size))
            stream.write(graph)
            for _, weight, header in parts:
                stream.write(_prefix(_GRAPH_INITIALIZER, len(header) + weight.size_bytes))
                stream.write(header)
                _write_values(stream, weight)

    def _sorted(self) -> Iterator[tuple[str, Large]]:
        """In the order in which the graph uses them."""
        order: dict[str, int] = {}
        for index, node in enumerate(self.proto.graph.node):
            for name in node.input:
                order.setdefault(name, index)
        yield from sorted(self.large.items(), key=lambda item: (order.get(item[0], -1), item[0]))


def _split(
    stream: IO[bytes], path: Path, end: int, later_bytes: int, *, in_graph: bool
) -> tuple[bytes, dict[str, Large]]:
    """A ModelProto or (in_graph) a GraphProto up to `end`, large initializers apart."""
    kept = bytearray()
    large: dict[str, Large] = {}
    for start, number, kind, after in _fields(stream, end):
        if kind == _BYTES and number == _MODEL_GRAPH and not in_graph:
            inner, found = _split(stream, path, after, later_bytes, in_graph=True)
            kept += _prefix(number, len(inner)) + inner
            large |= found
        elif (
            in_graph
            and (number, kind) == (_GRAPH_INITIALIZER, _BYTES)
            and after - start > later_bytes
        ):
            name, weight = _left(stream, path, after)
            large[name] = weight
        else:
            stream.seek(start)
            kept += stream.read(after - start)
    return bytes(kept), large


def _fields(stream: IO[bytes], end: int) -> Iterator[tuple[int, int, int, int]]:
    """Of each field up to `end`: where it starts, its number, its wire type and where it ends.

    Whoever takes one finds the stream at its value, and may leave the stream anywhere.
    """
    while stream.tell() < end:
        start = stream.tell()
        tag = _read_varint(stream)
        number, kind = tag >> 3, tag & 7
        if kind == _BYTES:
            size = _read_varint(stream)
            after = stream.tell() + size
        elif kind in _FIXED:
            after = stream.tell() + _FIXED[kind]
        elif kind == 0:
            _read_varint(stream)
            after = stream.tell()
        else:
            raise ValueError(f"a field of wire type {kind} found at byte {start}")
        if after > end:
            raise ValueError(f"{after - end} bytes more expected after byte {end}")
        yield start, number, kind, after
        stream.seek(after)


def _left(stream: IO[bytes], path: Path, end: int) -> tuple[str, Large]:
    """The name of the initializer that ends there, and how it is read."""
    from onnx import TensorProto, helper

    header = bytearray()
    place = None
    for start, number, kind, after in _fields(stream, end):
        if (number, kind) == (_TENSOR_RAW_DATA, _BYTES):
            place = stream.tell(), after - stream.tell()
        else:
            stream.seek(start)
            header += stream.read(after - start)
    tensor = TensorProto.FromString(bytes(header))
    if place is None:
        raise ValueError(f"initializer {tensor.name!r}: values as raw bytes expected")
    offset, size_bytes = place
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    shape = tuple(tensor.dims)

    def read() -> np.ndarray:
        little = dtype.newbyteorder("<")
        return np.fromfile(path, little, math.prod(shape), offset=offset).reshape(shape)

    large = Large(shape, dtype.name, read)
    if min(shape, default=0) < 0 or large.size_bytes != size_bytes:
        raise ValueError(
            f"initializer {tensor.name!r}: {large.size_bytes} bytes expected by its shape, "
            f"{size_bytes} found"
        )
    return tensor.name, large


def _read_varint(stream: IO[bytes]) -> int:
    value = shift = 0
    while True:
        (byte,) = stream.read(1) or (None,)
        if byte is None:
            raise ValueError("its end found in the middle of a number")
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value


def _little(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values, dtype=values.dtype.newbyteorder("<"))


def _write_values(stream: IO[bytes], weight: Large) -> None:
    values = _little(weight.read())
    assert values.shape == weight.shape, (values.shape, weight.shape)
    assert values.dtype == weight.dtype, (values.dtype, weight.dtype)
    stream.write(values.reshape(-1).view(np.uint8).data)


def _header(name: str, weight: Large) -> Any:
    from onnx import TensorProto, helper

    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(weight.dtype))
    return TensorProto(name=name, dims=weight.shape, data_type=dtype)


def _tensor_header(name: str, weight: Large) -> bytes:
    """A TensorProto up to its values."""
    header: bytes = _header(name, weight).SerializeToString(deterministic=True)
    return header + _prefix(_TENSOR_RAW_DATA, weight.size_bytes)


def _prefix(number: int, size: int) -> bytes:
    """The tag and length that stand before a field."""
    return _varint(number << 3 | _BYTES) + _varint(size)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, the eighth bit saying that more follow."""
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)
