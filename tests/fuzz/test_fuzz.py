"""A short run of the fuzzer; the long one is `python -m tests.torture fuzzing`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz import __main__ as fuzz
from tests.fuzz.subjects import SUBJECTS, Accepted, Subject

COUNT = 15
"""Of each percent."""


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.name)
def test_mutations_crash_nothing_and_are_told(subject: Subject, tmp_path: Path) -> None:
    found = fuzz.run(subject, 0, COUNT * subject.share, tmp_path)
    assert found.faults == []
    assert found.refused >= COUNT


def test_all_kinds_are_fuzzed() -> None:
    assert sum(subject.share for subject in SUBJECTS) == 100


def test_a_mutation_is_the_same_every_time() -> None:
    for subject in SUBJECTS[1:]:
        assert fuzz.mutation(subject, 7) == fuzz.mutation(subject, 7)
        assert len({fuzz.mutation(subject, number) for number in range(20)}) > 15


@pytest.mark.parametrize("fault", [ValueError("x"), Accepted("x"), RecursionError("x")])
def test_whatever_is_no_error_of_ours_is_a_fault(fault: Exception, tmp_path: Path) -> None:
    def read(data: bytes, folder: Path) -> None:
        raise fault

    found = fuzz.run(Subject("some", 1, lambda chance: b"", read), 0, 3, tmp_path)
    assert len(found.faults) == 3


def test_what_hangs_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(data: bytes, folder: Path) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzz, "MOST_SECONDS", 0.2)
    found = fuzz.run(Subject("some", 1, lambda chance: b"", read), 0, 1, tmp_path)
    assert "Hung" in found.faults[0]
