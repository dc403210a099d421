"""Pen digits: read from JSON lines, mistakes told with their line; drawings of our own instead."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from exporter import ink, pens
from exporter.errors import BadData, DataMissing
from exporter.golden.drawn_digits import UPRIGHT

ROWS = [
    {"label": 7, "writer": "a", "strokes": UPRIGHT[7]},
    {"label": 4, "writer": "b", "strokes": UPRIGHT[4]},
    {"label": 1, "writer": "b", "strokes": [[[5, 5]]]},
]


def write(path: Path, text: str, packed: bool) -> Path:
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    return path


@pytest.mark.parametrize("packed", [True, False])
def test_digits_are_model_input(tmp_path: Path, packed: bool) -> None:
    text = "\n".join(json.dumps(row) for row in ROWS) + "\n"
    found = pens.read(write(tmp_path / "pens", text, packed))
    assert found.labels.tolist() == [7, 4, 1]
    assert found.writers == 2
    assert found.real
    expected = ink.from_strokes(UPRIGHT[7])
    assert expected is not None
    assert np.array_equal(found.pictures[0], expected)
    assert found.pictures[2].max() == 0.0  # a dot is no digit


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"label": 3}', '{"label": "x", "strokes": []}',
             '{"label": "4", "strokes": []}', '{"label": 4.5, "strokes": []}',
             '{"label": true, "strokes": []}', '{"label": 1, "strokes": [[[Infinity, 1]]]}',
             '{"label": 3, "strokes": [[[1e999, 1], [2, 2]]]}',
             '{"label": 3, "strokes": [[["a", 1]]]}', '{"label": 3, "strokes": 7}']
)  # fmt: skip
def test_a_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = write(tmp_path / "pens", f"{json.dumps(ROWS[0])}\n{line}\n", True)
    with pytest.raises(BadData, match=r"pens, line 2: a JSON object with label and strokes"):
        pens.read(path)


def test_empty_lines_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path / "pens", f"{json.dumps(ROWS[0])}\n\n \n{{\n", False)
    with pytest.raises(BadData, match="line 4"):
        pens.read(path)


def test_a_cut_file_and_none_are_told(tmp_path: Path) -> None:
    whole = gzip.compress(json.dumps(ROWS[0]).encode())
    (tmp_path / "cut").write_bytes(whole[:-9])
    with pytest.raises(BadData, match="cut"):
        pens.read(tmp_path / "cut")
    with pytest.raises(DataMissing, match="no such file of pen digits"):
        pens.read(tmp_path / "nothing")
    with pytest.raises(BadData, match="none found"):
        pens.read(write(tmp_path / "empty", "\n", False))


def test_our_own_drawings_stand_in_under_their_name() -> None:
    found = pens.stand_in()
    assert not found.real
    assert found.name == "drawings of our own"
    assert sorted(found.labels.tolist()) == sorted([*range(10)] * 2)
    assert found.pictures.shape == (20, 28, 28)
    assert found.pictures.max() <= 1.0
