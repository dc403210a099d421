"""HDF5 and a disk that takes no more: an error like any other."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import upstream_hdf5
from exporter.errors import MachineFailed
from exporter.keras_file import save_keras

NUMBERS = 20_000
LIMITED = """
import resource, sys
from pathlib import Path
import h5py, numpy as np
from exporter import upstream_hdf5
from exporter.errors import MachineFailed
from exporter.keras_file import save_keras
upstream_hdf5.IN_MEMORY_BYTES = {memory}
path = Path(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
def fill(file):
    for number in range(5):
        file[f"group/{{number}}"] = np.arange(10, dtype="float32")
try:
    {block}
except OSError as error:
    print(error.errno, flush=True)
"""
PLAIN = "with h5py.File(path, 'w') as file: fill(file)"
OURS = "with upstream_hdf5.writing(path, 1) as file: fill(file)"
OTHERS = f"with upstream_hdf5.files_that_last():\n        {PLAIN}"


def write_within_a_limit(path: Path, block: str, memory: int) -> subprocess.CompletedProcess[str]:
    script = LIMITED.format(block=block, memory=memory)
    command = [sys.executable, "-c", script, str(path)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize(("block", "memory"), [(OURS, 1 << 20), (OURS, 0), (OTHERS, 0)])
def test_a_write_that_fails_is_an_error_with_the_systems_own_number(
    tmp_path: Path, block: str, memory: int
) -> None:
    done = write_within_a_limit(tmp_path / "file.h5", block, memory)
    assert (done.returncode, done.stdout) == (0, "27\n"), done.stderr  # EFBIG
    assert done.stderr == ""


def test_hdf5_by_itself_still_dies_of_it(tmp_path: Path) -> None:
    """When this fails, HDF5 is mended: `exporter.upstream_hdf5` can go."""
    done = write_within_a_limit(tmp_path / "file.h5", PLAIN, 0)
    assert done.returncode == -signal.SIGSEGV


def test_what_is_written_is_what_hdf5_writes_by_itself(tmp_path: Path) -> None:
    import h5py
    import numpy as np

    def fill(file: h5py.File) -> None:
        for number in range(30):
            file[f"layers/{number}/vars/0"] = np.arange(100 * number, dtype="float32")
        file.attrs["keras_version"] = "3"

    with h5py.File(tmp_path / "plain.h5", "w") as plain:
        fill(plain)
    with upstream_hdf5.writing(tmp_path / "ours.h5", 1) as ours:
        fill(ours)
    assert (tmp_path / "ours.h5").read_bytes() == (tmp_path / "plain.h5").read_bytes()


@pytest.mark.parametrize("memory", [0, upstream_hdf5.IN_MEMORY_BYTES])
def test_both_kinds_of_files_hold_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: int
) -> None:
    import h5py
    import numpy as np

    monkeypatch.setattr(upstream_hdf5, "IN_MEMORY_BYTES", memory)
    values = np.arange(NUMBERS, dtype="float32")
    with upstream_hdf5.writing(tmp_path / "file.h5", 1) as file:
        file["group/values"] = values
    with h5py.File(tmp_path / "file.h5", "r") as file:
        assert np.array_equal(file["group/values"][()], values)


def test_others_files_are_told_apart_from_those_that_are_read(tmp_path: Path) -> None:
    import h5py

    plain = h5py.File
    with upstream_hdf5.files_that_last():
        with h5py.File(tmp_path / "file.h5", "w") as file:
            file["a"] = 1
        with h5py.File(tmp_path / "file.h5", "r") as file:
            assert file["a"][()] == 1
    assert h5py.File is plain


def test_a_file_that_cannot_be_opened_is_the_machines_fault_and_not_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.conftest import tiny_classifier

    def refuse(path: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(upstream_hdf5, "_Lasting", refuse)
    with pytest.raises(MachineFailed, match="disk full"):
        save_keras(tiny_classifier(), tmp_path / "model.keras")
    assert os.listdir(tmp_path) == []
