"""Small mutators of bytes and of JSON; the same seed gives the same mutation everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any

_TOKENS = (
    b"../", b"\0", b"%2e", b"//", b"\\", b"NaN", b"-1", b"1e999", b"99999999999999999999", b"[]",
    b"{}", b"null", b'"', b"\xff\xfe", b"\xed\xa0\x80", b"[[[[[[[[", b"\n", b"=", b"true", b"PK",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**53, 2**63, 2**64, 10**400, 0.5, -0.0, 1e308, "", "\0", "../x",
    "a" * 5000, "\ud83d\ude00", [], {}, [[[[]]]], [None], {"a": {}}, float("inf"), float("nan"),
)  # fmt: skip


def of_bytes(data: bytes, chance: Random) -> bytes:
    """One to four changes: bits, bytes, and pieces taken away, doubled, put in or cut off."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4))):
        if not changed:
            return b"\0"
        at = chance.randrange(len(changed))
        length = min(len(changed) - at, chance.choice((1, 1, 2, 4, 16, 64, 512)))
        kind = chance.randrange(8)
        if kind <= 1:
            changed[at] ^= 1 << chance.randrange(8)
        elif kind == 2:
            changed[at] = chance.choice((0, 1, 127, 128, 255))
        elif kind == 3:
            del changed[at : at + length]
        elif kind == 4:
            changed[at:at] = changed[at : at + length] * chance.choice((1, 2, 50))
        elif kind == 5:
            changed[at : at + length] = chance.randbytes(length)
        elif kind == 6:
            changed[at:at] = chance.choice(_TOKENS)
        else:
            del changed[at + 1 :]
    return bytes(changed)


def of_json(data: bytes, chance: Random) -> bytes:
    """Half the time bytes, half the time a value of the document replaced, moved or taken away."""
    if chance.random() < 0.5:
        return of_bytes(data, chance)
    document = json.loads(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        holder, key = _place(document, chance)
        if holder is None:
            return json.dumps(chance.choice(_VALUES)).encode()
        kind = chance.randrange(4)
        if kind == 0:
            del holder[key]
        elif kind == 1:
            other, another = _place(document, chance)
            # A copy: a document that holds itself is none.
            holder[key] = json.loads(json.dumps(other[another])) if other else None
        elif kind == 2 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        else:
            holder[key] = chance.choice(_VALUES)
    return json.dumps(document).encode()


def _place(document: Any, chance: Random) -> tuple[Any, Any]:
    """Somewhere in the document: what holds it, and its key or index."""
    places: list[tuple[Any, Any]] = []
    waiting = [document]
    while waiting:
        value = waiting.pop()
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, part in pairs:
            places.append((value, key))
            if isinstance(part, (dict, list)):
                waiting.append(part)
    return chance.choice(places) if places else (None, None)


Mutator = Callable[[bytes, Random], bytes]
