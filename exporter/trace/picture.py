"""A trace as a picture: the error of each layer over the network's depth, and what is allowed.

Owns the drawing, by matplotlib. May import `exporter.trace`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from exporter.trace import Layer, Trace

INK, SOFT, RIGHT, WRONG = "#1b1f24", "#6e7781", "#0a66c2", "#c62828"
SMALLEST = 1e-12
"""Where an error of nothing is drawn: the axis is logarithmic."""
MAX_NAMES = 40


def draw(trace: Trace, path: Path) -> None:
    """Write the picture, as SVG or PNG by the path's ending."""
    import matplotlib as mpl
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    layers = [layer for layer in trace.layers if layer.max_abs is not None]
    # No date and no random ids: the same trace gives the same picture.
    with mpl.rc_context({"svg.hashsalt": "exporter", "svg.fonttype": "none"}):
        figure = Figure(figsize=(max(6.0, 0.5 * len(layers) + 2), 4.2), layout="constrained")
        axes = figure.add_subplot()
        axes.set_yscale("log")
        places = np.arange(len(layers))
        axes.plot(places, [_shown(layer.max_abs) for layer in layers], color=SOFT, linewidth=1)
        axes.step(
            places, [_shown(layer.allowed) for layer in layers], where="mid", color=INK,
            linestyle="--", linewidth=1,
        )  # fmt: skip
        for place, layer in enumerate(layers):
            wrong = layer.status == "failed"
            axes.plot(
                place, _shown(layer.max_abs), "X" if wrong else "o", markersize=9 if wrong else 6,
                color=WRONG if wrong else RIGHT,
            )  # fmt: skip
        first = next((i for i, layer in enumerate(layers) if layer.status == "failed"), None)
        if first is not None:
            axes.axvline(first, color=WRONG, linewidth=0.8, alpha=0.5)
        step = max(1, len(layers) // MAX_NAMES)
        axes.set_xticks(places[::step], [_name(layer) for layer in layers[::step]], rotation=60,
                        ha="right", fontsize=8)  # fmt: skip
        axes.set_ylabel("largest error against Keras")
        title = f"{trace.bundle}: {trace.artifact}, {trace.ran_on}"
        axes.set_title(f"{title}\n{trace.input_name}", fontsize=9, loc="left", color=INK)
        axes.legend(
            handles=[
                Line2D([], [], color=RIGHT, marker="o", linestyle="", label="within the gate"),
                Line2D([], [], color=WRONG, marker="X", linestyle="", label="outside"),
                Line2D([], [], color=INK, linestyle="--", linewidth=1, label="the gate"),
            ],
            frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0),
        )  # fmt: skip
        metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        figure.savefig(path, metadata=metadata, dpi=150)


def _name(layer: Layer) -> str:
    return f"{layer.path} ({layer.call})" if layer.call > 1 else layer.path


def _shown(value: float | None) -> float:
    if value is None or not np.isfinite(value):
        return np.nan if value is None else 1e30
    return max(value, SMALLEST)
