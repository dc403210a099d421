"""Generates golden.json: golden vectors with the bits of the inputs that they stand for.

Written from the description in `exporter/golden.py` with plain Python numbers, one at a time, and
without importing it, so that the Python and the JavaScript half are both held against a third.
`python tests/vectors/generate_golden.py --check` says whether the file is up to date.
"""

from __future__ import annotations

import json
import math
import struct
import sys
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("golden.json")
MASK = 0xFFFFFFFF
SPELLED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def document(inputs: list[dict], rows: list[dict]) -> dict:
    rows = [{"outputs": [[0.25, "NaN", "-Infinity"]], **row} for row in rows]
    return {
        "schema": 1, "seed": 20, "tolerance": 0.0001, "inputs": inputs, "rows": rows,
        "outputs": [{"name": "scores", "dtype": "float32", "meaning": "values"}],
    }  # fmt: skip


PIXELS = {"name": "pixels", "shape": [2, 3], "dtype": "float32", "range": [0.0, 1.0]}
ODD = {"name": "odd", "shape": [5], "dtype": "float32", "range": [-3.7, 0.1]}
TOKENS = {"name": "tökens", "shape": [4], "dtype": "int32", "range": [2.0, 9.0]}
WIDE = {"name": "wide", "shape": [3], "dtype": "int32", "range": [-2147483648.0, 2147483647.0]}
FLAGS = {"name": "flags", "shape": [8], "dtype": "bool", "range": [0.0, 1.0]}

CASES = {
    "one picture": document(
        [PIXELS],
        [
            {"name": "drawn", "kind": "picture", "picture": [0, 1, 127, 128, 254, 255]},
            {"name": "other", "kind": "picture", "picture": [255, 3, 0, 77, 200, 9]},
            {"name": "noise 0", "kind": "noise", "noise": "noise 0"},
            {"name": "tie", "kind": "tie", "blend": ["drawn", "other"], "t": 0.3000030517578125},
            {"name": "tie 2", "kind": "tie", "blend": ["other", "noise 77"], "t": 0.1},
            {"name": "tie 4", "kind": "tie", "blend": ["other", "all -1"], "t": 0.7},
            {"name": "tie 5", "kind": "tie", "blend": ["tie 4", "drawn"], "t": 0.25},
            {"name": "tie 3", "kind": "tie", "blend": ["noise é", "noise 77"], "t": 1},
            *[
                {"name": f"all {x}", "kind": "edge", "fill": x}
                for x in (0, 1.0, 255, -1, 1e30, 1e-40)
            ],
            *[{"name": f"all {x}", "kind": "nonfinite", "fill": x} for x in SPELLED],
        ],
    ),
    "several inputs": document(
        [ODD, TOKENS, WIDE, FLAGS],
        [
            {"name": "noise 0", "kind": "noise", "noise": "noise 0"},
            {"name": "noise 1", "kind": "noise", "noise": "noise 1", "checked": False},
            {"name": "high", "kind": "edge", "fill": 1e30},
            {"name": "low", "kind": "edge", "fill": -1},
            {"name": "tiny", "kind": "edge", "fill": 1e-40},
            {"name": "NaN", "kind": "nonfinite", "fill": "NaN"},
        ],
    ),
}


def float32(x: float) -> float:
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def noise(seed: int, name: str, index: int, spec: dict) -> list[float]:
    state = 0x811C9DC5
    for byte in f"{seed}/{name}/{index}".encode():
        state = ((state ^ byte) * 0x01000193) & MASK
    low, high = spec["range"]
    numbers = []
    for _ in range(math.prod(spec["shape"])):
        state = (state + 0x6D2B79F5) & MASK
        t = ((state ^ (state >> 15)) * (state | 1)) & MASK
        t = ((t + ((t ^ (t >> 7)) * (t | 61))) ^ t) & MASK
        unit = ((t ^ (t >> 14)) >> 8) / 2**24
        if spec["dtype"] == "float32":
            numbers.append(float32(low + (high - low) * unit))
        else:
            numbers.append(low + math.floor(unit * (high - low + 1)))
    return numbers


def make(golden: dict, row: dict, index: int) -> list[float]:
    spec = golden["inputs"][index]
    low, high = spec["range"]
    size = math.prod(spec["shape"])
    if "noise" in row:
        return noise(golden["seed"], row["noise"], index, spec)
    if "picture" in row:
        return [float32(low + (high - low) * k / 255) for k in row["picture"]]
    if "blend" in row:
        others = {r["name"]: r for r in golden["rows"] if "blend" not in r}
        a, b = (make(golden, others.get(n, {"noise": n}), index) for n in row["blend"])
        return [float32(x + (y - x) * row["t"]) for x, y in zip(a, b, strict=True)]
    value = SPELLED.get(row["fill"], row["fill"])
    if spec["dtype"] == "float32":
        return [float32(value)] * size
    value = min(max(value, low), high) if math.isfinite(value) else low
    return [math.floor(value)] * size


def bits(spec: dict, numbers: list[float]) -> str:
    if spec["dtype"] == "float32":
        return struct.pack(f"<{len(numbers)}f", *numbers).hex()
    kind = "i" if spec["dtype"] == "int32" else "B"
    return struct.pack(f"<{len(numbers)}{kind}", *map(int, numbers)).hex()


def generate() -> str:
    cases: list[dict[str, Any]] = []
    for name, golden in CASES.items():
        inputs = [
            [bits(spec, make(golden, row, index)) for row in golden["rows"]]
            for index, spec in enumerate(golden["inputs"])
        ]
        cases.append({"name": name, "golden": golden, "inputs": inputs})
    return json.dumps(cases, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(0 if PATH.read_text(encoding="utf-8") == generate() else f"{PATH}: not up to date")
    PATH.write_text(generate(), encoding="utf-8")
