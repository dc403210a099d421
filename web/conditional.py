"""Whether a request wants all of a file, a part of it, or only to hear that it has not changed.

Decided as RFC 9110 says (sections 13 and 14), in its order; Werkzeug's own way answers a part
where a tag says "not modified", takes weak tags for `If-Range`, cuts the answer to HEAD, and
refuses units and lists of ranges that are to be ignored. Tags are made of contents and files have
no date, so conditions on dates never hold. Imports Werkzeug only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from werkzeug.exceptions import PreconditionFailed, RequestedRangeNotSatisfiable
from werkzeug.wrappers import Request

_SPEC = re.compile(r"(?P<first>\d+)-(?P<last>\d*)|-(?P<suffix>\d+)", re.ASCII)
_LARGEST = 2**63
_DIGITS = 18
"""Of numbers below `_LARGEST`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to send.

    Attributes:
        status: 200, 206 or 304.
        start, stop: The part to send with 206, half open.
    """

    status: int = 200
    start: int = 0
    stop: int = 0


def wanted(request: Request, tag: str, length: int) -> Wanted:
    """Judge a request for a file.

    Args:
        request: GET or HEAD.
        tag: The file's strong tag, without quotation marks.
        length: The file's, in bytes.

    Raises:
        PreconditionFailed: `If-Match` names other tags.
        RequestedRangeNotSatisfiable: The part that is asked for is outside.
    """
    if "If-Match" in request.headers and tag not in request.if_match:
        raise PreconditionFailed
    if request.if_none_match.contains_weak(tag):
        return Wanted(304)
    if request.method != "GET" or request.headers.get("If-Range", f'"{tag}"').strip() != f'"{tag}"':
        return Wanted()
    asked = _specs(request.headers.get("Range", ""))
    parts = [part for part in (_part(spec, length) for spec in asked) if part is not None]
    if asked and not parts:
        raise RequestedRangeNotSatisfiable(length)
    # Several parts may be answered with the whole; nobody who reads models asks for them.
    return Wanted(206, *parts[0]) if len(parts) == 1 else Wanted()


def _specs(header: str) -> list[re.Match[str]]:
    """The ranges of a `Range` header; none where it is malformed or of a unit unknown here."""
    unit, _, ranges = header.partition("=")
    found = [_SPEC.fullmatch(spec.strip(" \t")) for spec in ranges.split(",") if spec.strip(" \t")]
    if unit.strip(" \t").lower() != "bytes" or None in found:
        return []
    specs = [match for match in found if match is not None]
    backwards = any(m["last"] and _number(m["last"]) < _number(m["first"]) for m in specs)
    return [] if backwards else specs


def _part(spec: re.Match[str], length: int) -> tuple[int, int] | None:
    """Start and stop within the file; None where there is nothing of it."""
    if spec["suffix"] is not None:
        start, stop = max(length - _number(spec["suffix"]), 0), length
    else:
        start = _number(spec["first"])
        stop = min(_number(spec["last"]) + 1, length) if spec["last"] else length
    return (start, stop) if start < stop else None


def _number(digits: str) -> int:
    """Python refuses to read numbers of thousands of digits; no file is that long."""
    digits = digits.lstrip("0")
    return int(digits or 0) if len(digits) <= _DIGITS else _LARGEST
