"""Bytes have budgets: they do not depend on the machine, and what grows is felt by every visitor.

The page as a whole is measured in a browser by `tests/web/test_first_answer.py`, the wheel where it
is built, by `tests/player/test_wheel.py`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from web.files import PLAYER

BUILT = {
    "index.js": 11_000, "digit-pad.js": 20_000, "inspector.js": 6_500, "picture.js": 3_300,
}  # fmt: skip
"""What a page names itself, or loads for a picture, gzipped."""

RUNTIMES = {
    "tiny/js": 3_000,
    "tfjs/cpu": 175_000,
    "tfjs/wasm": 315_000,
    "tfjs/webgl": 225_000,
    "tfjs/webgpu": 215_000,
    "onnx/wasm": 3_800_000,
    "onnx/webgpu": 6_800_000,
}
"""All that is loaded when a runtime's backend is first wanted, gzipped, WebAssembly included."""

CHUNK = 90_000
"""No single part that several share weighs more, gzipped."""


def _gzipped(path: Path) -> int:
    return len(gzip.compress(path.read_bytes(), 9, mtime=0))


@pytest.mark.parametrize("name", BUILT)
def test_what_a_page_names_is_within_its_budget(name: str) -> None:
    assert _gzipped(PLAYER / name) <= BUILT[name]


def _runtimes() -> Iterator[tuple[str, int]]:
    sizes = json.loads((PLAYER / "runtimes.json").read_text(encoding="utf-8"))
    for runtime, backends in sizes.items():
        for backend, size in backends.items():
            yield f"{runtime}/{backend}", size["gzip_bytes"]


def test_every_runtime_is_within_its_budget() -> None:
    found = dict(_runtimes())
    assert found.keys() == RUNTIMES.keys()
    assert {name: size for name, size in found.items() if size > RUNTIMES[name]} == {}


def test_no_part_of_the_player_is_larger_than_the_largest_may_be() -> None:
    sizes = {path.name: _gzipped(path) for path in PLAYER.glob("*.js")}
    assert len(sizes) > len(BUILT)
    assert {name: size for name, size in sizes.items() if size > CHUNK} == {}
