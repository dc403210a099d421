"""Pictures of an evaluation: PNG files and one self-contained HTML page.

Owns how an evaluation looks. May import `exporter.errors`; what it draws is an
`exporter.evaluate.Evaluation`. matplotlib and Jinja are imported where they are used, matplotlib
without its global state (no pyplot), so that a notebook's own settings stay as they are.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exporter.errors import MachineFailed

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from exporter.evaluate import Evaluation, Prediction

PAGE_NAME = "evaluation.html"
TEMPLATES = Path(__file__).parent / "templates"
DOTS_PER_INCH = 144
COLUMNS = 8

# The report's colours: blue is right, orange is wrong, to be told apart by every eye.
INK, SOFT, LINE, RIGHT, WRONG = "#16191d", "#565e69", "#dde1e6", "#0a6a9c", "#b23c00"

History = Mapping[str, Sequence[float]]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture of the page: its file, heading, caption and text for those who cannot see it."""

    file: str
    heading: str
    caption: str
    png: bytes

    @property
    def data_url(self) -> str:
        """The picture inside the page itself."""
        return "data:image/png;base64," + base64.b64encode(self.png).decode("ascii")


def write(evaluation: Evaluation, history: History | None, directory: Path) -> Path:
    """Draw everything into `directory`; returns the page.

    Raises:
        MachineFailed: The folder cannot be written.
    """
    drawings = draw(evaluation, history)
    page = directory / PAGE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            (directory / drawing.file).write_bytes(drawing.png)
        page.write_text(render(evaluation, drawings), encoding="utf-8")
    except OSError as error:
        raise MachineFailed(f"{error.filename or directory}: {error.strerror}") from error
    return page


def draw(evaluation: Evaluation, history: History | None) -> list[Drawing]:
    """Learning curves (with a history), confusion matrix, predictions, mistakes."""
    drawings = []
    if history and history.get("loss"):
        caption = "One value an epoch."
        if "val_loss" in history:
            caption += " The dashed line is the part that was held out."
        drawings.append(_drawing("learning-curves", "Learning", caption, _curves(history)))
    drawings.append(
        _drawing(
            "confusion-matrix", "Confusion matrix",
            "Rows are what was written, columns what was read. Blue is right, orange is wrong.",
            _confusion(evaluation),
        )
    )  # fmt: skip
    drawings.append(
        _drawing(
            "predictions", "Samples",
            "Taken evenly from the test set; the bars are the probabilities of the classes.",
            _tiles(evaluation.predictions),
        )
    )  # fmt: skip
    if evaluation.mistakes:
        drawings.append(
            _drawing(
                "mistakes", "Most confident mistakes",
                "Where the model was wrong and surest of it: what was written, and read as what.",
                _tiles(evaluation.mistakes),
            )
        )  # fmt: skip
    return drawings


def render(evaluation: Evaluation, drawings: Sequence[Drawing]) -> str:
    """The page: figures, classes, pictures; nothing is fetched, no script runs."""
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    template = environment.get_template("evaluation.html.jinja")
    return template.render(evaluation=evaluation, drawings=drawings)


def _drawing(stem: str, heading: str, caption: str, figure: Figure) -> Drawing:
    stream = io.BytesIO()
    # No date and no version of matplotlib in the file.
    figure.savefig(stream, format="png", dpi=DOTS_PER_INCH, metadata={"Software": None})
    return Drawing(f"{stem}.png", heading, caption, stream.getvalue())


def empty_figure(width: float, height: float) -> Figure:
    """An empty figure, inches; apart from pyplot and from the user's own style."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor="white", layout="constrained")


def _curves(history: History) -> Figure:
    figure = empty_figure(9.6, 3.4)
    for axes, key, title in zip(
        figure.subplots(1, 2), ("accuracy", "loss"), ("Accuracy", "Loss"), strict=True
    ):
        plain_axes(axes, title)
        for name, colour, dashes, label in (
            (key, RIGHT, "-", "training"),
            (f"val_{key}", WRONG, (0, (4, 2)), "held out"),
        ):
            values = history.get(name)
            if not values:
                continue
            epochs = np.arange(1, len(values) + 1)
            axes.plot(
                epochs, values, color=colour, linestyle=dashes, linewidth=1.8, label=label,
                marker="o" if len(values) == 1 else None,
            )  # fmt: skip
        axes.set_xlabel("epoch", color=SOFT, fontsize=9)
        axes.legend(frameon=False, fontsize=9, labelcolor=SOFT)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if key == "loss":
            axes.set_ylim(bottom=0)
    return figure


def plain_axes(axes: Axes, title: str) -> None:
    """A title, a grid of lines across, and no frame."""
    axes.set_title(title, loc="left", color=INK, fontsize=11, fontweight="bold", pad=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=SOFT, labelsize=9, length=0)
    axes.grid(axis="y", color=LINE, linewidth=0.6)
    axes.set_axisbelow(True)


def _confusion(evaluation: Evaluation) -> Figure:
    """Counts; a cell's strength is the logarithm of its share of the row, so that few show."""
    from matplotlib.colors import to_rgb

    counts = evaluation.confusion
    size = len(counts)
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    strength = np.clip(1.0 + np.log10(np.maximum(share, 1e-4)) / 4.0, 0.0, 1.0)
    colours = np.where(np.eye(size, dtype=bool)[..., None], to_rgb(RIGHT), to_rgb(WRONG))
    figure = empty_figure(max(4.0, 0.62 * size), max(3.6, 0.56 * size))
    axes = figure.subplots()
    axes.imshow(1.0 + (colours - 1.0) * (0.9 * strength[..., None]), aspect="auto")
    for row, column in zip(*np.nonzero(counts), strict=True):
        axes.text(
            column, row, f"{counts[row, column]:,}", ha="center", va="center", fontsize=8.5,
            color="white" if strength[row, column] > 0.6 else INK,
        )  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(range(size), evaluation.labels, fontsize=10, color=INK)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("read as", color=SOFT, fontsize=10)
    axes.set_ylabel("written", color=SOFT, fontsize=10)
    return figure


def _tiles(predictions: Sequence[Prediction]) -> Figure:
    """Pictures in rows of COLUMNS; under each the answer and the probabilities as bars."""
    rows = -(-len(predictions) // COLUMNS)
    figure = empty_figure(9.6, 1.85 * rows)
    grid = figure.add_gridspec(
        2 * rows, COLUMNS, height_ratios=[3.2, 1.0] * rows, hspace=0.02, wspace=0.08
    )
    for index, prediction in enumerate(predictions):
        row, column = divmod(index, COLUMNS)
        colour = RIGHT if prediction.is_right else WRONG
        picture = figure.add_subplot(grid[2 * row, column])
        picture.imshow(prediction.picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        picture.set_axis_off()
        told = prediction.answer
        if not prediction.is_right:
            told = f"{prediction.label} as {prediction.answer}"
        picture.set_title(
            f"{told}  {prediction.probability:.0%}", fontsize=8.5, color=colour, pad=4,
            fontweight="bold",
        )  # fmt: skip
        _bars(figure.add_subplot(grid[2 * row + 1, column]), prediction)
    return figure


def _bars(axes: Axes, prediction: Prediction) -> None:
    shares = np.array(prediction.shares)
    colours = np.full(len(shares), LINE, dtype=object)
    colours[shares.argmax()] = RIGHT if prediction.is_right else WRONG
    if not prediction.is_right and prediction.label.isdigit():
        colours[min(int(prediction.label), len(shares) - 1)] = RIGHT
    axes.bar(range(len(shares)), np.maximum(shares, 0.03), color=colours, width=0.8)
    axes.set_ylim(0, 1.05)
    axes.spines[:].set_visible(False)
    axes.set_yticks([])
    axes.set_xticks([])
    axes.tick_params(length=0, labelsize=6, colors=SOFT, pad=1)
    if len(shares) <= 10:
        axes.set_xticks(range(len(shares)), [str(i) for i in range(len(shares))])
