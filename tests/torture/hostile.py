"""Every hostile file of `tests.attacks` through its command, in one process."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from tests.attacks import cases, sandbox
from tests.torture.table import Measured

MOST_SECONDS, MOST_BYTES = 1.0, 200 << 20


def measure() -> Measured:
    """Run them all; times are of this process's CPU, after imports."""
    import h5py  # noqa: F401
    import onnxruntime  # noqa: F401
    import PIL.Image  # noqa: F401

    import exporter.evaluate
    import exporter.samples
    import exporter.trace.picture
    import exporter.trace.tracing  # noqa: F401
    import web.freeze
    import web.single  # noqa: F401
    from exporter.keras_file import import_keras

    import_keras()
    os.environ["KERAS_HOME"] = "/nonexistent"
    short, slowest, largest = [], 0.0, 0
    attacks = cases.every()
    for attack in attacks:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name).resolve()
            watched = sandbox.run(attack.make(folder), folder)
        short += [f"{attack.name}: {complaint}" for complaint in watched.complaints]
        slowest, largest = max(slowest, watched.seconds), max(largest, watched.more_bytes)
        if watched.seconds >= MOST_SECONDS or watched.more_bytes >= MOST_BYTES:
            short.append(f"{attack.name}: {watched.seconds:.1f} s, {watched.more_bytes >> 20} MiB")
    advisories = set(re.findall(r"CVE-\d{4}-\d+", " ".join(attack.name for attack in attacks)))
    figures: dict[str, int | float | str] = {
        "files and commands": len(attacks),
        "of published advisories": len(advisories),
        "refused with one line and nothing else": len(attacks)
        - len({complaint.split(": ")[0] for complaint in short}),
        "the slowest, seconds of CPU": round(slowest, 2),
        "the most memory, MiB": largest >> 20,
    }
    return Measured(figures, tuple(short[:20]))
