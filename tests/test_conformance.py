"""docs/conformance.md says what is measured, for every layer of Keras; the guards fire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.conformance import document, measuring, rows
from tests.conformance.outcome import Outcome, distance, worse

SAMPLE = (
    "Dense/plain", "topology/outputs", "LSTM/plain", "GRU/reset-after", "Hashing/plain",
    "MultiHeadAttention/causal", "activation/dense-hard_sigmoid", "topology/random",
    "topology/sequential", "names/colons", "Conv3DTranspose/valid-strided",
)  # fmt: skip
"""Right everywhere, refused, and what others do not export, load, run or get right."""


@pytest.fixture(scope="module")
def text() -> str:
    return document.PATH.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def measure() -> Iterator[measuring.Measure]:
    with measuring.started() as function:
        yield function


def _models() -> Iterator[Any]:
    for name in dict.fromkeys(row.model for row in rows.rows()):
        yield pytest.param(name, marks=() if name in SAMPLE else pytest.mark.slow)


def test_every_class_of_keras_layers_has_a_row_or_a_reason(text: str) -> None:
    assert document.incomplete(text) == []
    told = set(re.findall(r"^\| (\w+)", text, re.MULTILINE))
    assert set(rows.classes()) <= told
    assert set(rows.NOT_IN_A_MODEL) <= set(rows.classes())
    assert set(SAMPLE) <= {row.model for row in rows.rows()}


@pytest.mark.parametrize("model", list(_models()))
def test_a_row_says_what_is_measured(model: str, text: str, measure: measuring.Measure) -> None:
    assert document.disagreements(text, {model: measure(model)}) == []


def test_a_row_that_is_no_longer_true_is_told(text: str) -> None:
    table, reasons = document.parse(text)
    said = table["Dense/plain"]["onnx"]
    assert said == "≤ 1e-6"
    for outcome, measured in (
        (Outcome("runs", 0.02), "'**differs** 1e-1'"),
        (Outcome("runs", 4e-5), "'≤ 1e-4'"),
        (Outcome("runs", np.inf), "'**differs**'"),
        (Outcome("does not run"), "'does not run'"),
    ):
        assert document.disagreements(text, {"Dense/plain": {"onnx": outcome}}) == [
            f"Dense/plain, onnx: '≤ 1e-6' said, {measured} measured"
        ]
    assert reasons["GRU/reset-after", "tfjs-layers"].startswith("layer 'gru' (GRU): reset_after")
    (told,) = document.disagreements(
        text, {"GRU/reset-after": {"tfjs-layers": Outcome("refused", reason="another")}}
    )
    assert "measured 'another'" in told


def test_an_edited_missing_or_needless_row_is_told(text: str) -> None:
    edited = text.replace("| tfjs-graph |", "| tfjs-graph!|", 1)
    assert edited != text
    assert document.incomplete(edited)
    without = "\n".join(line for line in text.splitlines() if "`Dense/plain`" not in line) + "\n"
    assert document.incomplete(without) == ["Dense/plain: no row"]
    needless = text.replace("`Dense/plain`", "`Dense/plane`")
    assert document.incomplete(needless) == [
        "Dense/plain: no row", "Dense/plane: no such model any more",
    ]  # fmt: skip


def test_a_cell_that_still_holds_stays_and_one_that_does_not_is_written_anew(text: str) -> None:
    same = {"Dense/plain": {"onnx": Outcome("runs", 2e-6)}}
    assert document.updated(text, same) == text
    other = {"Dense/plain": {"onnx": Outcome("refused", reason="layer 'dense' (Dense): why | not")}}
    changed = document.updated(text, other)
    assert document.incomplete(changed) == []
    assert document.disagreements(changed, other) == []
    assert document.disagreements(text, other)


def test_errors_are_in_units_of_the_largest_magnitude() -> None:
    x = [np.array([100.0, 1.0])]
    assert distance(x, [np.array([100.0, 2.0])]) == pytest.approx(0.01)
    assert distance([np.array([0.5])], [np.array([0.25])]) == pytest.approx(0.25)
    assert distance(x, [np.array([100.0])]) == np.inf
    assert distance(x, []) == np.inf
    assert distance([np.array([np.nan, 1])], [np.array([np.nan, 1])]) == 0.0
    assert distance([np.array([np.nan, 1])], [np.array([0.0, 1])]) == np.inf
    assert distance([np.array([0, 1], "int32")], [np.array([0, 1], "int32")]) == 0.0


def test_the_worse_backend_counts() -> None:
    right, wrong = Outcome("runs", 1e-7), Outcome("runs", 0.3)
    assert worse(right, wrong) == worse(wrong, right) == wrong
    assert worse(right, Outcome("does not run")) == Outcome("does not run")
    assert worse(Outcome("does not load"), Outcome("does not run")) == Outcome("does not load")
