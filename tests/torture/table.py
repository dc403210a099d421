"""The table of `docs/reliability.md`: its rows, what was measured for each, and the page.

Owns `results.json`, which `python -m tests.torture` writes, and the text between the page's marks.
Imports no row: whoever reads the table needs no TensorFlow and no browser.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
RESULTS = Path(__file__).with_name("results.json")
PAGE = ROOT / "docs" / "reliability.md"
_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- /table -->)", re.DOTALL)

Figure = int | float | str


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: What is tortured.
        module: Below `tests.torture`; its `measure()` measures the row.
        how: What is done to it.
        goal: What must hold.
    """

    name: str
    module: str
    how: str
    goal: str

    @property
    def command(self) -> str:
        """What measures this row alone."""
        return f"python -m tests.torture {self.module}"


@dataclass(frozen=True)
class Measured:
    """What one row came to.

    Attributes:
        figures: What was counted or measured, in the order of the page: words to a number.
        shortfalls: Where the goal was missed, a sentence each; empty where it was reached.
    """

    figures: Mapping[str, Figure]
    shortfalls: tuple[str, ...] = field(default=())


ROWS = (
    Row(
        "hostile model files", "hostile",
        "at least 300 files made by code, through every command that takes files",
        "each: exit 2, one clear line, under a second after imports, under 200 MiB more memory, "
        "no file outside the staging folder, no network call, no code run",
    ),
    Row(
        "fuzzing", "fuzzing",
        "100,000 seeded mutations of `.keras`, manifest, `model.json`, shards, ONNX, recipes, "
        "pictures, strokes",
        "no crash, no hang over 2 s, no altered file accepted where a manifest stands",
    ),
    Row(
        "every byte counts", "every_byte",
        "each byte of a small published bundle flipped in turn",
        "all found by `exporter verify`, and by the player in the browser",
    ),
    Row(
        "dying", "dying",
        "SIGKILL at 200 random moments and at every write, fsync and rename; ENOSPC, EIO, EXDEV "
        "injected; two exports racing 100 times",
        "the published bundle is wholly the old or wholly the new one; leftovers are swept; one "
        "racer wins cleanly",
    ),
    Row(
        "republishing under load", "republishing",
        "1,000 republishes under 8 readers of the served bundle",
        "no short body, no 5xx, no stale 304; hashed URLs never mix; on fixed URLs the player "
        "notices a mixed set, and one fresh read of the manifest mends it",
    ),
    Row(
        "the server", "server",
        "500 traversal strings on raw sockets, RFC 9110's cases, 1,000 slow sockets for a minute "
        "beside a normal reader, constant load for a minute",
        "no leak, no 5xx, every case as the RFC says, the normal reader is not slowed",
    ),
    Row(
        "headers", "headers",
        "MDN's HTTP Observatory table over every page, TLS assumed; every embed in Chromium",
        "at least 135 for `/`, no violation, every embed works",
    ),
    Row(
        "supply chain", "supply_chain",
        "locks, integrity, SBOM and signatures tampered with; the lowest versions allowed",
        "a tampered bundle or lock never passes",
    ),
)  # fmt: skip


def tracked() -> dict[str, Measured]:
    """What `results.json` holds, by the rows' modules."""
    document = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {
        module: Measured(item["figures"], tuple(item["shortfalls"]))
        for module, item in document.items()
    }


def write(found: Mapping[str, Measured]) -> None:
    """Write `results.json`, in the order of the rows, and the table of the page."""
    document: dict[str, Any] = {
        row.module: {
            "figures": dict(found[row.module].figures),
            "shortfalls": list(found[row.module].shortfalls),
        }
        for row in ROWS
        if row.module in found
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    RESULTS.write_text(text, encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: markdown(found), page), encoding="utf-8")


def markdown(found: Mapping[str, Measured]) -> str:
    """The table: a line per row; one that nobody measured says so."""
    lines = ["| what | how | goal | measured | command |", "|---" * 5 + "|"]
    for row in ROWS:
        said = _said(found.get(row.module))
        cells = (f"**{row.name}**", row.how, row.goal, said, f"`{row.command}`")
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def page_table() -> str:
    """The table as it stands on the page."""
    found = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found, f"{PAGE}: no table between its marks"
    return found.group()


def _said(measured: Measured | None) -> str:
    if measured is None:
        return "not measured"
    figures = "; ".join(f"{name}: {_number(value)}" for name, value in measured.figures.items())
    short = "; ".join(measured.shortfalls)
    return f"{figures}. **Falls short:** {short}" if short else figures


def _number(value: Figure) -> str:
    return value if isinstance(value, str) else f"{value:,}"
