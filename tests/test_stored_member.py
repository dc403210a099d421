"""A stored member is read where it lies: forward, back and at its end."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import pytest

from exporter import declared
from exporter.stored_member import StoredMember
from tests.attacks import archives


def test_every_place_of_a_member_is_read_as_it_was_written(tmp_path: Path) -> None:
    dice = random.Random(1)
    data = dice.randbytes(10_000)
    path = tmp_path / "a.zip"
    path.write_bytes(archives.pack({"first": b"x" * 99, "second": data, "third": b"y" * 99}))
    with zipfile.ZipFile(path) as archive, StoredMember(archive, "second") as stream:
        for _ in range(300):
            start, count = dice.randrange(11_000), dice.randrange(300)
            stream.seek(start)
            assert stream.read(count) == data[start : start + count]
        assert stream.seek(-5, io.SEEK_END) == 9_995
        assert stream.read() == data[-5:]


def test_a_stored_file_is_not_judged_through_the_stream_that_rereads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a step back would read all from the beginning")

    path = tmp_path / "m.keras"
    path.write_bytes(archives.pack(archives.good_files()))
    monkeypatch.setattr(zipfile.ZipExtFile, "seek", refuse)
    assert declared.judge(path, lambda module, name: False) == 23
