"""Pictures of a study: how it went, what mattered, and which values went together.

Owns how they look; the style is that of `exporter.evaluation_page`. May import that,
`exporter.{ranges, errors}`; Optuna and matplotlib are imported inside.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.errors import MachineFailed
from exporter.evaluation_page import (
    DOTS_PER_INCH,
    INK,
    LINE,
    RIGHT,
    SOFT,
    WRONG,
    empty_figure,
    plain_axes,
)
from exporter.ranges import Range

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.trial import FrozenTrial

IMPORTANCE_SEED = 0
MOST_TICKS = 6

Trials = Sequence["FrozenTrial"]


class _TooFew(Exception):
    """There is not enough to draw; the message says what is wanted."""


def write(
    trials: Trials, ranges: Sequence[Range], study: optuna.Study, directory: Path
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Draw history, importance and parallel coordinates; returns the files, and why some are not.

    Raises:
        MachineFailed: The folder cannot be written.
    """
    done = [trial for trial in trials if trial.state.name == "COMPLETE"]
    drawn: dict[str, Callable[[], Figure]] = {
        "history": lambda: _history(trials),
        "importance": lambda: _importance(done, ranges, study),
        "parallel-coordinates": lambda: _parallel(done, ranges),
    }
    pages, undrawn = [], []
    for name, draw in drawn.items():
        path = directory / f"{name}.png"
        try:
            figure = draw()
        except _TooFew as reason:
            undrawn.append(f"{name}: {reason}")
            path.unlink(missing_ok=True)
            continue
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
        try:
            path.write_bytes(stream.getvalue())
        except OSError as error:
            raise MachineFailed(f"{path}: {error.strerror}") from error
        pages.append(path)
    return tuple(pages), tuple(undrawn)


def _history(trials: Trials) -> Figure:
    """Every trial's accuracy; pruned ones where they were stopped; the best so far as a line."""
    from matplotlib.ticker import MaxNLocator

    figure = empty_figure(9.6, 3.8)
    axes = figure.subplots()
    plain_axes(axes, "Accuracy on the held-out part, trial by trial")
    done = [trial for trial in trials if trial.state.name == "COMPLETE"]
    pruned = [t for t in trials if t.state.name == "PRUNED" and t.intermediate_values]
    reached = np.array([trial.value or 0.0 for trial in done])
    numbers = [trial.number for trial in done]
    axes.step(
        numbers,
        np.maximum.accumulate(reached),
        where="post",
        color=RIGHT,
        linewidth=1.8,
        label="best so far",
    )
    axes.scatter(numbers, reached, color=RIGHT, s=26, zorder=3, label="complete")
    if pruned:
        last = [trial.intermediate_values[max(trial.intermediate_values)] for trial in pruned]
        axes.scatter(
            [trial.number for trial in pruned], last, marker="x", color=WRONG, s=26, zorder=3,
            label="pruned, where it was stopped",
        )  # fmt: skip
    axes.set_xlabel("trial", color=SOFT, fontsize=9)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.2%}")
    figure.legend(loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=SOFT)
    return figure


def _importance(done: Trials, ranges: Sequence[Range], study: optuna.Study) -> Figure:
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    if len(ranges) < 2:
        raise _TooFew("two ranges or more expected, one found")
    if len({trial.value for trial in done}) < 2:
        raise _TooFew("two complete trials or more that differ expected")
    found = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=IMPORTANCE_SEED))
    names, shares = list(found)[::-1], list(found.values())[::-1]
    figure = empty_figure(9.6, 1.1 + 0.42 * len(names))
    axes = figure.subplots()
    plain_axes(axes, "What mattered: share of the differences that each value explains")
    axes.grid(visible=False)
    axes.barh(range(len(names)), shares, color=RIGHT, height=0.62)
    axes.set_yticks(range(len(names)), names, fontsize=9, color=INK)
    axes.set_xticks([])
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.set_xlim(0, 1.12 * max(shares))
    for row, share in enumerate(shares):
        axes.text(share, row, f"  {share:.0%}", va="center", fontsize=9, color=SOFT)
    return figure


def _parallel(done: Trials, ranges: Sequence[Range]) -> Figure:
    """One line a trial across one axis a range, the last axis its accuracy; the best is bold."""
    from matplotlib.colors import LinearSegmentedColormap

    if len(done) < 2:
        raise _TooFew("two complete trials or more expected")
    scales = [_Scale(one) for one in ranges]
    values = np.array([float(trial.value or 0.0) for trial in done])
    low, high = float(values.min()), float(values.max())
    heights = np.array(
        [[scale.place(trial.params[scale.name]) for scale in scales] for trial in done]
    )
    height = (values - low) / max(high - low, 1e-9)
    heights = np.column_stack([heights, height])
    count = heights.shape[1]
    figure = empty_figure(max(6.4, 1.75 * count), 4.6)
    axes = figure.subplots()
    shades = LinearSegmentedColormap.from_list("shades", ["#cfd6dd", "#5b9cc4", RIGHT])
    for index in np.argsort(values, kind="stable"):
        axes.plot(range(count), heights[index], color=shades(height[index]), linewidth=1.1)
    # As the study says it: of equals the first.
    best = int(values.argmax())
    axes.plot(range(count), heights[best], color=WRONG, linewidth=2.4, label="the best trial")
    ticks = [scale.ticks() for scale in scales]
    ticks.append([(share, f"{low + share * (high - low):.2%}") for share in (0.0, 0.5, 1.0)])
    for column, marks in enumerate(ticks):
        axes.plot([column, column], [0, 1], color=LINE, linewidth=1, zorder=0)
        for place, word in marks:
            _tick(axes, column, place, word)
    titles = [scale.name.replace(".", "\n") for scale in scales] + ["accuracy,\nheld out"]
    axes.set_xticks(range(count), titles, fontsize=9, color=INK)
    axes.set_yticks([])
    axes.tick_params(length=0, pad=8)
    axes.set_xlim(-0.25, count - 0.6)
    axes.set_ylim(-0.05, 1.05)
    axes.spines[:].set_visible(False)
    axes.set_title("Which values went together", loc="left", color=INK, fontsize=11,
                   fontweight="bold", pad=10)  # fmt: skip
    figure.legend(loc="outside upper right", frameon=False, fontsize=9, labelcolor=SOFT)
    return figure


def _tick(axes: Axes, column: int, place: float, word: str) -> None:
    box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    axes.text(column + 0.04, place, word, fontsize=8, color=SOFT, va="center", bbox=box, zorder=4)


class _Scale:
    """From a value of one range to 0..1."""

    def __init__(self, found: Range) -> None:
        self.name = found.name
        self._choices, self._log = found.choices, found.log
        low, high = found.low or 0.0, found.high or 0.0
        if found.choices:
            low, high = 0.0, float(len(found.choices) - 1)
        self._low = float(np.log(low)) if found.log else low
        self._high = float(np.log(high)) if found.log else high

    def place(self, value: Any) -> float:
        """Where a value stands."""
        if self._choices:
            number: float = self._choices.index(value)
        else:
            number = np.log(value) if self._log else value
        return float((number - self._low) / (self._high - self._low))

    def ticks(self) -> list[tuple[float, str]]:
        """Some values with their places."""
        if self._choices:
            step = -(-len(self._choices) // MOST_TICKS)
            return [(self.place(one), str(one)) for one in self._choices[::step]]
        ends = np.linspace(self._low, self._high, 3)
        values = np.exp(ends) if self._log else ends
        return [(float(place), f"{value:.3g}") for place, value in zip((0, 0.5, 1), values,
                                                                      strict=True)]  # fmt: skip
