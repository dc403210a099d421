"""Publications that are killed, or fail, at every system call: nothing is lost, nothing is left."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.torture import faults


@pytest.fixture
def fast_folder() -> Iterator[Path]:
    """In memory where the system has such a place: hundreds of tries flush every file."""
    memory = Path("/dev/shm")
    place = memory if os.access(memory, os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=place) as folder:
        yield Path(folder)


@pytest.fixture
def injected() -> None:
    """Faults can be injected here; where CI=true a missing compiler fails."""
    reason = faults.missing()
    if reason and os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


@pytest.mark.usefixtures("injected")
def test_killed_or_failed_at_every_call_the_old_or_the_new_one_stands_whole(
    fast_folder: Path,
) -> None:
    found = faults.preloaded(fast_folder, "tests.torture.dying_texts", str(fast_folder), "quick")
    assert found["wrong"] == []
    # Every state that may be was come by, and no other.
    assert set(found["tries"]) == {"old", "new", "nothing"}
    assert min(found["tries"].values()) > 20


@pytest.mark.usefixtures("injected")
def test_a_publication_that_is_careless_is_found_out(fast_folder: Path) -> None:
    found = faults.preloaded(fast_folder, "tests.torture.dying_texts", str(fast_folder), "careless")
    assert {"the target is mixed", "the target is nothing"} <= set(found["wrong"])


@pytest.mark.usefixtures("injected")
def test_of_two_that_race_one_wins_and_nothing_else_is_left(fast_folder: Path) -> None:
    found = faults.preloaded(fast_folder, "tests.torture.dying_texts", str(fast_folder), "race")
    assert found["wrong"] == []
    assert set(found["tries"]) == {"new", "other"}
    assert sum(found["tries"].values()) == 160


def test_an_export_onto_a_disk_that_takes_no_more_ends_with_4_and_one_line(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    target = tmp_path / "bundle"
    model = tiny_bundle / "keras" / "model.keras"
    # The system's own limit of a file's size: what HDF5 makes of it happens at the process' end.
    done = subprocess.run(
        [sys.executable, "-m", "exporter", "export", str(model), "-o", str(target)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "File too large" in done.stderr
    assert os.listdir(tmp_path) == []
