"""Rows whose answer is nearly a tie: where a small wrong bias shows in the top-1 answer.

Owns the search: bisection between two rows, by the oracle. May import `exporter.golden`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.golden import Golden, Row

Answer = Callable[[Sequence[np.ndarray]], list[np.ndarray]]

MAX_TIES = 16
MAX_TIES_OF_BIG = 4
BLACK = "all 0"
CANDIDATES = 256
CANDIDATES_OF_BIG = 8
PARTNERS = 3
STEPS = 40
STEPS_OF_BIG = 14

LOW, TARGET, HIGH = 2e-4, 7e-4, 2e-3
"""The margin that is looked for, above the 1e-4 below which no gate asks for the top-1 answer."""
STILL_A_TIE = 0.05
"""The widest margin that is kept where the search ends outside LOW to HIGH."""


def find(vectors: Golden, oracle: Answer, labels: Sequence[str] | None, *, few: bool) -> list[Row]:
    """One row for each class of each output that has classes and that some candidate answers.

    Args:
        vectors: Pictures and noise to start from.
        oracle: Answers inputs.
        labels: The classes' names, for the rows'.
        few: The model is big.
    """
    count = CANDIDATES_OF_BIG if few else CANDIDATES
    named = vectors.nameable
    names = list(dict.fromkeys([*named, *(f"noise {i}" for i in range(count))]))
    recipes = [named.get(name) or {"noise": name} for name in names]
    answers = oracle(vectors.inputs_for(recipes))
    rows: list[Row] = []
    for index, spec in enumerate(vectors.output_specs):
        scores = class_scores(answers[index], spec.meaning)
        if scores is None:
            continue
        search = _Search(vectors, oracle, index, names, scores, STEPS_OF_BIG if few else STEPS)
        prefix = f"{spec.name}: " if len(vectors.output_specs) > 1 else ""
        for label, recipe in search.run(MAX_TIES_OF_BIG if few else MAX_TIES).items():
            known = labels is not None and not prefix and label < len(labels)
            text = labels[label] if known and labels else str(label)
            rows.append(Row(f"{prefix}tie {text}", "tie", recipe))
    return rows[: 2 * MAX_TIES]


def class_scores(outputs: np.ndarray, meaning: str | None) -> np.ndarray | None:
    """Scores (n, classes >= 2) as the gate for top-1 sees them; None where there are no classes.

    One unit of probability is a yes or no. Values are divided by their magnitude.
    """
    if outputs.ndim != 2 or outputs.dtype.kind != "f":
        return None
    if meaning == "probabilities":
        return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs
    if outputs.shape[1] < 2:
        return None
    return outputs / np.maximum(1.0, np.abs(outputs).max(axis=1, keepdims=True, initial=0.0))


def _lead(scores: np.ndarray, label: int) -> np.ndarray:
    """How far `label` is before the best other class; -inf where that is no number."""
    others = np.delete(scores, label, axis=1).max(axis=1)
    return np.nan_to_num(scores[:, label] - others, nan=-np.inf)


@dataclass(slots=True)
class _Try:
    """One bisection: `label` wins at the row named `start` and loses at `end`."""

    label: int
    start: str
    end: str
    low: float = 0.0
    high: float = 1.0
    t: float = 0.0
    lead: float = np.inf
    doubt: float = np.inf

    @property
    def middle(self) -> float:
        return (self.low + self.high) / 2

    @property
    def found(self) -> bool:
        return LOW <= self.lead <= HIGH

    def recipe(self, t: float) -> dict[str, Any]:
        return {"blend": [self.start, self.end], "t": t}

    def narrow(self, lead: float, score: float) -> None:
        """Take in what the oracle says of the middle."""
        if LOW <= lead < self.lead:
            self.t, self.lead, self.doubt = self.middle, lead, abs(score - 0.5)
        if lead > TARGET:
            self.low = self.middle
        else:
            self.high = self.middle


class _Search:
    """Ties of one output."""

    def __init__(
        self, vectors: Golden, oracle: Answer, output: int, names: list[str],
        scores: np.ndarray, steps: int,
    ) -> None:  # fmt: skip
        self._vectors = vectors
        self._oracle = oracle
        self._output = output
        self._names = names
        # Rounded: which of two equal candidates is taken must not hang on the last bit.
        self._scores = np.round(np.nan_to_num(scores, nan=-1.0), 9)
        self._steps = steps
        self._blends = all(spec.dtype == "float32" for spec in vectors.input_specs)

    def run(self, most: int) -> dict[int, dict[str, Any]]:
        """Class -> recipe."""
        winners = np.argmax(self._scores, axis=1)
        labels = sorted(set(winners.tolist()))[:most]
        if len(labels) < 2:
            return {}
        if not self._blends:
            return {label: self._closest(label) for label in labels}
        tries = [
            _Try(label, self._names[a], self._names[b])
            for label in labels
            for a in self._starts(label, winners)
            for b in self._partners(label, winners)
        ]
        return self._bisect(tries)

    def _closest(self, label: int) -> dict[str, Any]:
        """Integers cannot be blended: of all candidates the narrowest victory."""
        lead = _lead(self._scores, label)
        name = self._names[int(np.argmin(np.where(lead >= LOW, lead, np.inf)))]
        return dict(self._vectors.nameable.get(name) or {"noise": name})

    def _starts(self, label: int, winners: np.ndarray) -> list[int]:
        """Candidates that the class wins: the clearest, and the one with a score nearest to 1/2.

        A sigmoid that is nearly 1 hardly moves with its bias.
        """
        clearest = int(np.argmax(_lead(self._scores, label)))
        doubt = np.where(winners == label, np.abs(self._scores[:, label] - 0.5), np.inf)
        return list(dict.fromkeys([clearest, int(np.argmin(doubt))]))

    def _partners(self, label: int, winners: np.ndarray) -> list[int]:
        """Candidates that other classes win: the clearest of each, the nearest rivals first."""
        clearest = {}
        for rival in sorted(set(winners.tolist()) - {label}):
            clearest[rival] = int(np.argmax(_lead(self._scores, rival)))
        mean = self._scores[winners == label].mean(axis=0)
        order = sorted(clearest, key=lambda rival: (-round(float(mean[rival]), 6), rival))
        black = [i for i, name in enumerate(self._names) if name == BLACK and winners[i] != label]
        return list(dict.fromkeys([*black, *(clearest[rival] for rival in order[:PARTNERS])]))

    def _bisect(self, tries: Sequence[_Try]) -> dict[int, dict[str, Any]]:
        """Per class the best blend, after as many steps as it takes, all tries side by side."""
        for _ in range(self._steps):
            waiting = [one for one in tries if not one.found]
            if not waiting:
                break
            for one, row in zip(waiting, self._answer(waiting), strict=True):
                one.narrow(float(_lead(row[None], one.label)[0]), float(row[one.label]))
        chosen: dict[int, _Try] = {}
        for one in tries:
            best = chosen.get(one.label)
            # The nearer to 1/2, the more a bias moves it.
            if one.lead <= STILL_A_TIE and (best is None or round(best.doubt - one.doubt, 6) > 0):
                chosen[one.label] = one
        return {label: one.recipe(one.t) for label, one in chosen.items()}

    def _answer(self, tries: Sequence[_Try]) -> np.ndarray:
        recipes = [one.recipe(one.middle) for one in tries]
        answers = self._oracle(self._vectors.inputs_for(recipes))
        meaning = self._vectors.output_specs[self._output].meaning
        scores = class_scores(answers[self._output], meaning)
        assert scores is not None
        return scores
