"""Benchmarks: ours beside what people use today, alternating in one run; never tests of time.

`python -m tests.benchmarks [ROW…]` (`make bench`) measures, keeps the figures in
`docs/benchmarks.json` and writes `docs/benchmarks.md` and its plots from them. A row is a module
here: its docstring is its text on the page, `measure()` its `Result`. Owns what a result is
(`result`), how contenders take turns (`turns`), and the page (`document`, `plots`). May import
everything of the exporter and of the web.
"""

from __future__ import annotations

ROWS = (
    "first_bytes",
    "first_answer",
    "one_answer",
    "stroke",
    "export",
    "commands",
    "scale",
    "training",
    "parity",
    "serving",
)
"""The modules of the rows, in the order of the page."""

LONGEST_S = {"scale": 5400, "training": 2700, "parity": 2700}
"""What a row may take before it is said to hang; others `LONGEST_OF_OTHERS_S`."""
LONGEST_OF_OTHERS_S = 900
TOOLS = {
    **dict.fromkeys(("first_bytes", "first_answer", "one_answer", "stroke"),
                    ("Chromium", "gunicorn")),
    **dict.fromkeys(("export", "scale", "parity"), ("Node",)),
    "serving": ("gunicorn", "nginx", "wrk"),
}  # fmt: skip
"""What besides Python's packages has a part in a row; its version is named there."""
