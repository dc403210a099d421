"""Digits that people wrote with a pen, drawn on the element in a real Chromium.

Used by test_pens.py; `python -m tests.web.pens` measures and writes the table of docs/ink.md. The
data set is named by PEN_DIGITS_PATH: JSON lines, gzipped, of `label`, `writer` and `strokes`.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tests.web.digit_pad_page import MODEL, Pad

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "ink.md"
BEGIN, END = "<!-- begin: python -m tests.web.pens -->", "<!-- end -->"
PART = 500
"""Digits that go to the page at once."""

Stroke = list[list[float]]
Change = Callable[[np.ndarray], np.ndarray]
"""Makes of one stroke, (points, 2), how a faster or a slower hand would have given it."""

DRAW = """async (pad, digits) => {
  const labels = [];
  for (const strokes of digits) {
    pad.clear();
    pad.draw(strokes);
    labels.push((await pad.predict()).label);
  }
  return labels;
}"""

# What most demos do: a canvas of 280 x 280, a line 20 wide, scaled to 28 x 28 by the browser.
NAIVE = """async (pad, digits) => {
  const {load} = await import('/player/index.js');
  window.naive ??= load(pad.src, {runtime: 'tiny'});
  const model = await window.naive;
  const make = side => Object.assign(document.createElement('canvas'), {width: side, height: side});
  const [large, small] = [make(280), make(28)].map(
    canvas => canvas.getContext('2d', {willReadFrequently: true}));
  Object.assign(large, {lineWidth: 20, lineCap: 'round', lineJoin: 'round', strokeStyle: '#fff'});
  const labels = [];
  for (const strokes of digits) {
    large.fillStyle = small.fillStyle = '#000';
    large.fillRect(0, 0, 280, 280);
    for (const [first, ...rest] of strokes) {
      large.beginPath();
      large.moveTo(...first);
      for (const point of rest.length ? rest : [first]) large.lineTo(...point);
      large.stroke();
    }
    small.drawImage(large.canvas, 0, 0, 28, 28);
    const {data} = small.getImageData(0, 0, 28, 28);
    const input = Float32Array.from({length: 784}, (_, i) => data[4 * i] / 255);
    const found = await model.predict(input);
    labels.push(String(found.indexOf(Math.max(...found))));
  }
  return labels;
}"""


@dataclass(frozen=True, slots=True)
class PenDigit:
    """One digit: its label, who wrote it, strokes of [x, y] in 0..1000 of the larger side."""

    label: str
    writer: str
    strokes: list[Stroke]


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of the digits that were read as what they are."""

    digits: float
    writers: float
    """The mean over writers."""

    @classmethod
    def of(cls, digits: Sequence[PenDigit], labels: Sequence[str | None]) -> Accuracy:
        """Compare `labels` with what was written."""
        hits: dict[str, list[bool]] = {}
        for digit, label in zip(digits, labels, strict=True):
            hits.setdefault(digit.writer, []).append(digit.label == label)
        every = np.concatenate([np.array(some) for some in hits.values()])
        return cls(float(every.mean()), float(np.mean([np.mean(some) for some in hits.values()])))


def read(path: str | Path) -> list[PenDigit]:
    """All digits of a file."""
    with gzip.open(path, "rt") as lines:
        rows = [json.loads(line) for line in lines]
    return [PenDigit(str(row["label"]), str(row["writer"]), row["strokes"]) for row in rows]


def place(
    digit: PenDigit, side: float, size: float, middle: tuple[float, float], change: Change | None
) -> list[Stroke]:
    """Strokes on a canvas of `side`: the digit's larger side is `size` of it, around `middle`."""
    points = [np.asarray(stroke, dtype=float) for stroke in digit.strokes]
    low = np.min([stroke.min(axis=0) for stroke in points], axis=0)
    high = np.max([stroke.max(axis=0) for stroke in points], axis=0)
    scale = size * side / max(1.0, float((high - low).max()))
    moved = [
        (stroke - (low + high) / 2) * scale + np.array(middle) * side for stroke in points
    ]  # fmt: skip
    return [np.round(change(one) if change else one, 2).tolist() for one in moved]


def fast(stroke: np.ndarray) -> np.ndarray:
    """Every other point only, as from a hand twice as fast."""
    kept = np.unique([*range(0, len(stroke), 2), len(stroke) - 1])
    return stroke[kept]


def slow(stroke: np.ndarray) -> np.ndarray:
    """Four points for each one, each up to half a pixel off, as from a slow hand and a mouse."""
    at = np.linspace(0, len(stroke) - 1, 4 * len(stroke) - 3)
    fine = [np.interp(at, np.arange(len(stroke)), stroke[:, axis]) for axis in (0, 1)]
    return np.round(np.stack(fine, axis=1))


def labels(
    pad: Pad, digits: Sequence[PenDigit], *, script: str = DRAW, side: float | None = None,
    size: float = 0.7, middle: tuple[float, float] = (0.5, 0.5), change: Change | None = None,
) -> list[str | None]:  # fmt: skip
    """What the page says to each digit."""
    across = pad.canvas()["width"] if side is None else side
    strokes = [place(digit, across, size, middle, change) for digit in digits]
    parts = [strokes[at : at + PART] for at in range(0, len(strokes), PART)]
    return [label for part in parts for label in pad.run(script, part)]


def measure(digits: Sequence[PenDigit]) -> str:
    """The table of docs/ink.md."""
    from playwright.sync_api import sync_playwright

    from exporter import browser as browsers
    from tests.web.digit_pad_page import running, serve

    naive = "a canvas of 280 × 280 scaled to 28 × 28, as most demos do"
    ways: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (f"{naive}; digits of half its side", {}, {"script": NAIVE, "side": 280, "size": 0.5}),
        (f"{naive}; digits that fill the middle", {}, {"script": NAIVE, "side": 280}),
        *((f"`<digit-pad>`, {ratio} device pixel{'s' * (ratio > 1)} per pixel",
           {"device_scale_factor": ratio}, {}) for ratio in (1, 2, 3)),
        ("`<digit-pad>`, a fifth of the canvas, in a corner", {},
         {"size": 0.2, "middle": (0.15, 0.85)}),
        ("`<digit-pad>`, drawn twice as fast", {}, {"change": fast}),
        ("`<digit-pad>`, drawn slowly, in whole pixels", {}, {"change": slow}),
    ]  # fmt: skip
    lines = ["| preprocessing | digits | mean over writers |", "|---|---|---|"]
    with running(serve()) as address, sync_playwright() as playwright:
        path, flags = str(browsers.require()), list(browsers.FLAGS)
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        for name, context, options in ways:
            pad = Pad(browser, address, **context).open()
            found = Accuracy.of(digits, labels(pad, digits, **options))
            lines.append(
                f"| {name} | {found.digits:.2%} | {found.writers:.2%} |".replace("%", " %")
            )
            pad.context.close()
        browser.close()
    return "\n".join(lines)


def main() -> None:
    """Measure and write."""
    named = os.environ.get("PEN_DIGITS_PATH")
    if not named:
        sys.exit("PEN_DIGITS_PATH: a data set of pen strokes (jsonl.gz) expected, nothing found")
    digits = read(named)
    writers = len({digit.writer for digit in digits})
    head = f"{len(digits):,} digits of {writers} writers, read by `{MODEL}` in Chromium:"
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    text = f"{before}{BEGIN}\n{head}\n\n{measure(digits)}\n{END}{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
