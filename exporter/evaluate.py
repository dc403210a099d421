"""Evaluation: how well a model, or a published bundle's predictor, reads a data set.

Owns the figures (accuracy, loss, precision, recall, F1, confusion matrix, the most confident
mistakes) and their rows for a terminal; the pictures are drawn by `exporter.evaluation_page`. May
import `exporter.{data, evaluation_page, errors}`. scikit-learn is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from exporter import data
from exporter.data import Dataset
from exporter.errors import BadUsage

BATCH_SIZE = 1000
MISTAKES = 24
PREDICTIONS = 24
DECIMALS = 4
"""Of every figure that is written down: the last float32 bits differ from machine to machine."""
_EPSILON = 1e-7  # keras.config.epsilon(), which Keras' crossentropies clip by


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: how much of it was found (recall), how much of what was called it is it.

    Attributes:
        confused_with: The class that it is most often read as when it is misread, or None.
    """

    label: str
    precision: float
    recall: float
    f1: float
    samples: int
    confused_with: str | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """One sample: what it is, what it was read as, and how sure the model was.

    Attributes:
        index: Of the sample in the test set.
        probability: The answer's share of the outputs' sum.
        shares: Every class' share.
    """

    index: int
    label: str
    answer: str
    probability: float
    shares: tuple[float, ...]
    picture: np.ndarray = field(repr=False)

    @property
    def is_right(self) -> bool:
        """Whether the answer is the label."""
        return self.answer == self.label

    def to_json(self) -> dict[str, Any]:
        """Without the picture."""
        return {
            "index": self.index,
            "label": self.label,
            "answer": self.answer,
            "probability": round(self.probability, DECIMALS),
        }


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What was measured on a test set; the averages over classes are macro averages.

    Attributes:
        confusion: (classes, classes) counts: rows are what is there, columns what was read.
        mistakes: The most confident first, at most MISTAKES.
        predictions: Samples spread evenly over the test set.
    """

    data: str
    samples: int
    labels: tuple[str, ...]
    accuracy: float
    loss: float
    precision: float
    recall: float
    f1: float
    classes: tuple[ClassFigures, ...]
    confusion: np.ndarray
    mistakes: tuple[Prediction, ...]
    predictions: tuple[Prediction, ...]

    def figures(self) -> dict[str, float]:
        """The five headline figures."""
        return {
            key: getattr(self, key) for key in ("accuracy", "loss", "precision", "recall", "f1")
        }

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; pictures are left out, samples named by their index."""
        return {
            "data": self.data,
            "samples": self.samples,
            "labels": list(self.labels),
            **self.figures(),
            "classes": [asdict(row) for row in self.classes],
            "confusion": self.confusion.tolist(),
            "mistakes": [mistake.to_json() for mistake in self.mistakes],
            "predictions": [prediction.to_json() for prediction in self.predictions],
        }

    def summary_row(self) -> tuple[str, ...]:
        """Data, samples, accuracy, loss, precision, recall and F1, for a table of models."""
        shares = (self.precision, self.recall, self.f1)
        return (
            self.data, f"{self.samples:,}", f"{self.accuracy:.2%}", f"{self.loss:.4f}",
            *(f"{share:.4f}" for share in shares),
        )  # fmt: skip

    def class_rows(self) -> list[tuple[str, ...]]:
        """Label, precision, recall, F1, samples and worst confusion of every class."""
        return [
            (
                row.label, f"{row.precision:.4f}", f"{row.recall:.4f}", f"{row.f1:.4f}",
                f"{row.samples:,}", row.confused_with or "",
            )
            for row in self.classes
        ]  # fmt: skip


def evaluate(model: Any, dataset: Dataset, *, labels: Sequence[str] | None = None) -> Evaluation:
    """Read the test set of a data set.

    Args:
        model: A Keras model, or anything with `predict(inputs)` from (n, 28, 28) float32 in 0..1
            to (n, classes) of numbers of 0 or more: probabilities, or independent sigmoids.
        dataset: Its `x_test` and `y_test` are read.
        labels: Names of the classes; "0", "1", … where they are not given.

    Raises:
        BadUsage: The model's outputs are not one number for each class.
    """
    outputs = predict(model, dataset.x_test)
    names = tuple(labels) if labels else tuple(str(i) for i in range(outputs.shape[1]))
    truth = dataset.y_test.astype(np.int64)
    if outputs.shape[1] != len(names) or truth.max() >= len(names):
        raise BadUsage(
            f"data set {dataset.name}: {int(truth.max()) + 1} classes and {len(names)} labels, "
            f"but the model has {outputs.shape[1]} outputs; evaluate it on its own data"
        )
    shares = normalise(outputs)
    answers = outputs.argmax(axis=1)
    confusion = _confusion(truth, answers, len(names))
    wrong = np.flatnonzero(answers != truth)
    sure = shares[np.arange(len(truth)), answers]
    worst = wrong[np.argsort(-sure[wrong], kind="stable")][:MISTAKES]
    spread = np.unique(np.linspace(0, len(truth) - 1, PREDICTIONS).astype(int))

    def tell(index: int) -> Prediction:
        return Prediction(
            index=int(index),
            label=names[truth[index]],
            answer=names[answers[index]],
            probability=float(sure[index]),
            shares=tuple(float(share) for share in shares[index]),
            picture=dataset.x_test[index],
        )

    return Evaluation(
        data=dataset.name,
        samples=len(truth),
        labels=names,
        **figures(outputs, truth),
        classes=_classes(truth, answers, names, confusion),
        confusion=confusion,
        mistakes=tuple(tell(index) for index in worst),
        predictions=tuple(tell(index) for index in spread),
    )


def predict(model: Any, pictures: np.ndarray) -> np.ndarray:
    """The outputs, (n, classes) float32, for uint8 pictures.

    Raises:
        BadUsage: The model answers with something else than one row of numbers a picture.
    """
    # Keras draws a progress bar unless told not to; a predictor has none.
    quiet = {"verbose": 0} if hasattr(model, "predict_on_batch") else {}
    parts = [
        model.predict(data.as_input(pictures[start : start + BATCH_SIZE]), **quiet)
        for start in range(0, len(pictures), BATCH_SIZE)
    ]
    shapes = {getattr(part, "shape", (None,))[1:] for part in parts}
    if len(shapes) != 1 or len(next(iter(shapes))) != 1:
        raise BadUsage(
            f"the model: one output of shape (classes,) expected, {sorted(map(str, shapes))} found"
        )
    return np.concatenate(parts)


def figures(outputs: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy, crossentropy, and macro precision, recall and F1, rounded to DECIMALS.

    The crossentropy is Keras' own, sparse or categorical alike: of the outputs divided by their
    sum, clipped by 1e-7.
    """
    from sklearn.metrics import precision_recall_fscore_support

    answers = outputs.argmax(axis=1)
    share = normalise(outputs)[np.arange(len(labels)), labels.astype(np.int64)]
    precision, recall, f1, _ = precision_recall_fscore_support(
        labels, answers, average="macro", zero_division=0.0
    )
    found = {
        "accuracy": (answers == labels).mean(),
        "loss": -np.log(np.clip(share, _EPSILON, 1.0 - _EPSILON)).mean(),
        "precision": precision,
        "recall": recall,
        "f1": f1,
    }
    return {key: round(float(value), DECIMALS) for key, value in found.items()}


def normalise(outputs: np.ndarray) -> np.ndarray:
    """Outputs of 0 or more as shares of their sum, float64: sigmoids beside softmaxes."""
    wide = outputs.astype(np.float64)
    return wide / np.maximum(wide.sum(axis=1, keepdims=True), _EPSILON)


def write_pictures(
    evaluation: Evaluation, history: Mapping[str, Sequence[float]] | None, directory: Path
) -> Path:
    """Draw an evaluation as PNG files and one self-contained HTML page.

    Args:
        evaluation: What to draw.
        history: A training's figures by epoch, for the learning curves; None draws none.
        directory: Where to; made if it is missing.

    Returns:
        The page, `directory / "evaluation.html"`.

    Raises:
        MachineFailed: The folder cannot be written.
    """
    from exporter import evaluation_page

    return evaluation_page.write(evaluation, history, directory)


def _confusion(truth: np.ndarray, answers: np.ndarray, count: int) -> np.ndarray:
    from sklearn.metrics import confusion_matrix

    return np.asarray(confusion_matrix(truth, answers, labels=range(count)))


def _classes(
    truth: np.ndarray, answers: np.ndarray, names: tuple[str, ...], confusion: np.ndarray
) -> tuple[ClassFigures, ...]:
    from sklearn.metrics import precision_recall_fscore_support

    by_class = precision_recall_fscore_support(
        truth, answers, labels=range(len(names)), zero_division=0.0
    )
    rows = []
    for index, (precision, recall, f1, samples) in enumerate(zip(*by_class, strict=True)):
        misread = confusion[index].copy()
        misread[index] = 0
        rows.append(
            ClassFigures(
                label=names[index],
                precision=round(float(precision), DECIMALS),
                recall=round(float(recall), DECIMALS),
                f1=round(float(f1), DECIMALS),
                samples=int(samples),
                confused_with=names[int(misread.argmax())] if misread.any() else None,
            )
        )
    return tuple(rows)
