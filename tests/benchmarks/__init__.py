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
