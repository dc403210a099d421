"""Measure, and write docs/conformance.md.

python -m tests.conformance                 all rows (some minutes)
python -m tests.conformance Dense/plain …   these rows; the others stay as they are
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tests.conformance.document import PATH, updated
from tests.conformance.measuring import started
from tests.conformance.rows import rows


def main(arguments: Sequence[str]) -> None:
    """Measure the models that are named, or all that have a row."""
    wanted = list(dict.fromkeys(row.model for row in rows()))
    if unknown := [name for name in arguments if name not in wanted]:
        sys.exit(f"{', '.join(unknown)}: no such row; rows: {', '.join(wanted)}")
    chosen = list(arguments) or wanted
    with started() as measure:
        for number, name in enumerate(chosen, 1):
            if sys.stderr.isatty():
                print(f"\r\033[K{number}/{len(chosen)} {name}", end="", file=sys.stderr, flush=True)
            measured = {name: measure(name)}
            text = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
            PATH.write_text(updated(text, measured), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
