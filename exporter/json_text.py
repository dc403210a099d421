"""JSON from strangers, parsed within limits.

Python's own parser reads a file of 16 MB into a gigabyte, and halves of surrogate pairs into texts
that no file and no terminal takes. Imports the standard library only.
"""

from __future__ import annotations

import json
import re
from typing import Any

LARGEST = 16 << 20
MOST_VALUES = 1_000_000
"""The largest config of Keras' own applications has under 50,000."""
DEEPEST = 200
"""A model inside a model is four levels."""
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BadText(ValueError):
    """Not JSON, or more of it than there may be; the message is one line."""


def parse(
    text: bytes | str, *, largest: int = LARGEST, values: int = MOST_VALUES, plain: bool = True
) -> Any:
    """Parse UTF-8 text.

    Args:
        text: Hostile.
        largest: Bytes at most.
        values: Values at most, keys among them.
        plain: Whether NaN and Infinity are refused, which JSON has not and Keras writes.

    Raises:
        BadText: See there.
    """
    try:
        data = text.encode("utf-8") if isinstance(text, str) else text
        text = data.decode("utf-8")
    except UnicodeError as error:
        raise BadText(f"not UTF-8: {error}") from None
    if len(data) > largest:
        raise BadText(f"at most {largest:,} bytes of JSON expected, {len(data):,} found")
    found = sum(data.count(mark) for mark in (b",", b"{", b"[", b":"))
    if found > values:
        raise BadText(f"at most {values:,} values expected, up to {found:,} found")
    try:
        document = json.loads(text, parse_constant=_refuse if plain else None)
    except RecursionError:
        raise BadText(f"at most {DEEPEST} levels expected, far more found") from None
    except ValueError as error:
        raise BadText(f"not JSON: {error}") from None
    _check(document, _SURROGATE.search(data) is not None)
    return document


def _refuse(text: str) -> None:
    """Python would read what no JSON parser of a browser does."""
    raise BadText(f"{text} is no number of JSON")


def _check(document: Any, texts: bool) -> None:
    """Refuse depth and, where there may be some, halves of surrogate pairs."""
    waiting = [(1, document)]
    while waiting:
        depth, value = waiting.pop()
        if depth > DEEPEST:
            raise BadText(f"at most {DEEPEST} levels expected, more found")
        if texts:
            _check_texts(value)
        if isinstance(value, (dict, list)):
            parts = value.values() if isinstance(value, dict) else value
            waiting += [
                (depth + 1, part) for part in parts if texts or isinstance(part, (dict, list))
            ]


def _check_texts(value: Any) -> None:
    for text in value if isinstance(value, dict) else (value,):
        if isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text):
            raise BadText(f"Unicode text expected, {text[:40]!a} found")
