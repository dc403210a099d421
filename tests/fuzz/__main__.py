"""Read mutations of one kind: `python -m tests.fuzz KIND FIRST COUNT`, in a process of its own.

Prints what was found as JSON. A mutation is its kind and number: both give the same file again.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from exporter.errors import ExporterError
from tests.fuzz.subjects import SUBJECTS, Subject

MOST_SECONDS = 2.0
"""Of this process's CPU, for one file."""


class Hung(BaseException):
    """One file took too long; no `except Exception` on the way may keep it."""


@dataclass
class Found:
    """What became of some mutations."""

    refused: int = 0
    read: int = 0
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0
    more_mib: int = 0


def mutation(subject: Subject, number: int) -> bytes:
    """The file of that number."""
    return subject.mutate(Random(f"{subject.name} {number}"))


def run(subject: Subject, first: int, count: int, folder: Path) -> Found:
    """Read mutations `first` to `first + count`; the folder is used for files."""
    found = Found()
    signal.signal(signal.SIGVTALRM, _hang)
    before = 0
    for number in range(first, first + count):
        data = mutation(subject, number)
        started = time.process_time()
        signal.setitimer(signal.ITIMER_VIRTUAL, MOST_SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                subject.read(data, folder)
            found.read += 1
        except ExporterError:
            found.refused += 1
        except (Exception, Hung) as error:
            found.faults.append(f"{subject.name} {number}: {type(error).__name__}: {error}"[:300])
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        found.slowest = max(found.slowest, time.process_time() - started)
        # After the first few, what is imported on first use is there.
        before = _peak_mib() if number - first == 20 else before
    found.more_mib = _peak_mib() - before if before else 0
    return found


def _hang(signum: int, frame: object) -> None:
    raise Hung(f"over {MOST_SECONDS:g} s")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def main() -> None:
    """See the module."""
    kind, first, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    (subject,) = [subject for subject in SUBJECTS if subject.name == kind]
    with tempfile.TemporaryDirectory() as folder:
        found = run(subject, first, count, Path(folder))
    print(json.dumps(asdict(found)))


if __name__ == "__main__":
    main()
