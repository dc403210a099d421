"""Where in a TOML file a key stands: tomllib tells values, not lines.

Owns nothing but that. Reads text that tomllib has accepted, so it only has to follow headers,
keys, strings and brackets. Imports the standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

Place = tuple[str | int, ...]
"""A path in the document: keys, and indices in arrays of tables."""

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]\]?")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|\#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


def locate(text: str) -> dict[Place, int]:
    """The line (from 1) of every header and key; keys of an inline table have none of their own."""
    text = text.replace("\r\n", "\n")
    lines: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    position = 0
    while position < len(text):
        line = text.count("\n", 0, position) + 1
        header = _HEADER.match(text, position)
        assignment = None if header else _ASSIGNMENT.match(text, position)
        if header:
            table = _enter(_keys(header[2]), header[1] == "[[", counts)
            lines.setdefault(table, line)
            position = header.end()
        elif assignment:
            place = table
            for key in _keys(assignment[1]):
                place = (*place, key)
                lines.setdefault(place, line)
            position = assignment.end()
        position = _end_of_statement(text, position)
    return lines


def line_of(lines: Mapping[Place, int], place: Place) -> int | None:
    """The line of `place`, or of the nearest table around it that has one."""
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return lines[place[:length]]
    return None


def dotted(place: Place) -> str:
    """("layers", 2, "units") as "layers[2].units"."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _keys(text: str) -> list[str]:
    return [key.strip("\"'") for key in re.findall(_KEY, text)]


def _enter(keys: list[str], is_array: bool, counts: dict[Place, int]) -> Place:
    """The place of a header: an array of tables goes on to its next index, or is in its last."""
    place: Place = ()
    for depth, key in enumerate(keys):
        place = (*place, key)
        if is_array and depth == len(keys) - 1:
            counts[place] = counts.get(place, -1) + 1
        if place in counts:
            place = (*place, counts[place])
    return place


def _end_of_statement(text: str, position: int) -> int:
    """The start of the line after the value that begins at `position`."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        if token[0] in "[{":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
        elif token[0] == "\n" and depth == 0:
            return token.end()
    return len(text)
