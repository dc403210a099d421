"""Tensors as bytes: the frames of `exporter/player/browser/frames.js`, which describes them.

NumPy and the standard library only.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_LENGTH = struct.Struct("<I")


def encode(header: Mapping[str, Any], tensors: Sequence[np.ndarray]) -> bytes:
    """One frame; the tensors' dtypes, shapes and sizes are added to the header."""
    arrays = [np.ascontiguousarray(tensor).reshape(np.shape(tensor)) for tensor in tensors]
    described = [
        {"dtype": array.dtype.name, "shape": array.shape, "size_bytes": array.nbytes}
        for array in arrays
    ]
    text = json.dumps({**header, "tensors": described}).encode()
    return b"".join([_LENGTH.pack(len(text)), text, *(array.tobytes() for array in arrays)])


def decode(frame: bytes) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Header and tensors, which may be written to."""
    (length,) = _LENGTH.unpack_from(frame)
    start = _LENGTH.size + length
    header = json.loads(frame[_LENGTH.size : start])
    tensors = []
    for item in header["tensors"]:
        end = start + item["size_bytes"]
        flat = np.frombuffer(frame[start:end], dtype=item["dtype"])
        tensors.append(flat.reshape(item["shape"]).copy())
        start = end
    return header, tensors
