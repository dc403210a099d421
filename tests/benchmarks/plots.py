"""Bars, one per contender, readable on light and on dark; the same bytes for the same figures."""

from __future__ import annotations

import re
from pathlib import Path

import matplotlib as mpl

from tests.benchmarks.document import number_text
from tests.benchmarks.result import Result

INK, OURS, OTHERS = "#57606a", "#1a7f6b", "#9aa4ae"
_DARK = """<style>@media (prefers-color-scheme: dark) {
 text { fill: #d0d7de !important } .axis path { stroke: #d0d7de !important } }</style>"""
WIDE = 30.0
"""Where the largest is more than so many times the smallest, the scale is logarithmic."""


def draw(path: Path, result: Result) -> None:
    """One row's contenders as bars of its chosen column."""
    mpl.use("svg")
    from matplotlib.figure import Figure

    shown = [one for one in result.contenders if result.plot in one.figures][::-1]
    values = [one.figures[result.plot] for one in shown]
    rc = {
        "svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.family": "sans-serif",
        "text.color": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    }  # fmt: skip
    with mpl.rc_context(rc):
        figure = Figure(figsize=(7.2, 0.7 + 0.36 * len(shown)), layout="constrained")
        axes = figure.subplots()
        colours = [OURS if one is result.contenders[0] else OTHERS for one in shown]
        bars = axes.barh([one.name.replace("`", "") for one in shown], values, color=colours)
        axes.bar_label(bars, [number_text(value) for value in values], padding=4, color=INK)
        if min(values) > 0 and max(values) > WIDE * min(values):
            axes.set_xscale("log")
            axes.set_xlim(min(values) / 3, max(values) * 6)
        else:
            axes.set_xlim(0, max(values) * 1.2)
        axes.set_xlabel(result.plot)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(INK)
        axes.tick_params(axis="y", length=0)
        path.parent.mkdir(exist_ok=True)
        metadata = {"Date": None, "Creator": None}
        figure.savefig(path, format="svg", transparent=True, metadata=metadata)
    text = path.read_text(encoding="utf-8")
    text = re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)
    path.write_text(text.replace("</defs>", f"{_DARK}\n </defs>", 1), encoding="utf-8")
