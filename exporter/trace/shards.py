"""The weights of a TF.js model as they lie in its shards, whole or in part.

Owns copying them unchanged, byte for byte, quantised ones too. May import `exporter.errors`.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

from exporter.errors import BadBundle

_ITEM_BYTES = {"float32": 4, "int32": 4, "float16": 2, "uint16": 2, "uint8": 1, "bool": 1}
PART = "group1-shard1of1.bin"


def copy(document: Mapping[str, Any], folder: Path, target: Path) -> tuple[str, ...]:
    """Copy all shards beside each other; returns their names."""
    names = tuple(path for group in document["weightsManifest"] for path in group["paths"])
    for name in names:
        try:
            shutil.copyfile(folder / name, target / name)
        except FileNotFoundError:
            raise BadBundle(f"{folder / name}: a shard of weights is missing here") from None
    return names


def take(
    document: Mapping[str, Any], folder: Path, target: Path, wanted: Container[str]
) -> tuple[list[dict[str, Any]], str]:
    """Write only the weights that are wanted, into one shard.

    Returns:
        The `weightsManifest`, and the shard's name.
    """
    entries, parts = [], []
    for group in document["weightsManifest"]:
        data = b"".join((folder / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            size = _size_bytes(entry, data, offset)
            if entry["name"] in wanted:
                entries.append(entry)
                parts.append(data[offset : offset + size])
            offset += size
    (target / PART).write_bytes(b"".join(parts))
    return [{"paths": [PART], "weights": entries}], PART


def _size_bytes(entry: Mapping[str, Any], data: bytes, offset: int) -> int:
    count = math.prod(entry["shape"])
    if entry["dtype"] == "string":
        end = offset
        for _ in range(count):
            end += 4 + int.from_bytes(data[end : end + 4], "little")
        return end - offset
    dtype = entry.get("quantization", entry)["dtype"]
    return int(count) * _ITEM_BYTES[dtype]
