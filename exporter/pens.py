"""Digits that people wrote with a pen: read from a file of strokes, as model input.

Owns the file's form: JSON lines, gzipped or not, each with `label` (0 to 9) and `strokes` (lists of
[x, y], y downwards, any unit); `writer` where it is known. Without such a file the drawn digits of
the golden vectors stand in, under their own name: they are ours, and few. May import
`exporter.{ink, golden, errors}`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exporter import ink
from exporter.errors import BadData, BadUsage, DataMissing, MachineFailed

GZIP_MAGIC = b"\x1f\x8b"
STAND_IN = "drawings of our own"


@dataclass(frozen=True, slots=True)
class PenDigits:
    """Drawn digits as model input.

    Attributes:
        name: What they are, for people: the file's name, or STAND_IN.
        pictures: (n, 28, 28) float32 in 0..1, through the ink contract; all 0 where the strokes
            are too small to be a digit, which a page would not answer.
        labels: (n,) whole numbers.
        writers: How many people wrote them, where that is known.
        real: False for the stand-in.
    """

    name: str
    pictures: np.ndarray
    labels: np.ndarray
    writers: int | None
    real: bool


def read(path: Path) -> PenDigits:
    """All digits of a file.

    Raises:
        DataMissing: There is no such file.
        BadData: A line is not what it should be; the message names it.
        MachineFailed: It cannot be read.
    """
    pictures, labels, writers = [], [], set()
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line, parse_constant=_refuse)
            label, writer = row["label"], row.get("writer")
            if type(label) is not int:
                raise ValueError(f"label: a whole number expected, {label!r} found")
            picture = ink.from_strokes(row["strokes"])
        except (ValueError, KeyError, TypeError, AttributeError, BadUsage) as error:
            raise BadData(
                f"{path}, line {number}: a JSON object with label and strokes of [x, y] expected "
                f"({type(error).__name__}: {error})"
            ) from None
        pictures.append(np.zeros((ink.SIDE, ink.SIDE), np.float32) if picture is None else picture)
        labels.append(label)
        writers.add(writer)
    if not pictures:
        raise BadData(f"{path}: one digit or more expected, none found")
    known = None if None in writers else len(writers)
    return PenDigits(path.name, np.stack(pictures), np.array(labels), known, real=True)


def stand_in() -> PenDigits:
    """The twenty drawn digits of the golden vectors."""
    from exporter.golden.drawn_digits import draw_pictures

    drawn = draw_pictures()
    pictures = np.stack(list(drawn.values())).astype(np.float32) / np.float32(255)
    labels = np.array([int(name.split()[0]) for name in drawn])
    return PenDigits(STAND_IN, pictures, labels, None, real=False)


def _refuse(constant: str) -> None:
    raise ValueError(f"finite numbers expected, {constant} found")


def _lines(path: Path) -> Iterator[Any]:
    try:
        data = path.read_bytes()
        text = gzip.decompress(data) if data.startswith(GZIP_MAGIC) else data
        yield from text.decode("utf-8").split("\n")
    except FileNotFoundError:
        raise DataMissing(
            f"{path}: no such file of pen digits; give the path of a .jsonl.gz with --pens, or "
            "leave it out"
        ) from None
    except (EOFError, zlib.error, gzip.BadGzipFile, UnicodeDecodeError) as error:
        raise BadData(f"{path}: cut, or no file of pen digits ({error})") from None
    except OSError as error:
        raise MachineFailed(f"{path}: {error.strerror}") from error
