"""Evaluation: how well a model or a predictor reads a data set."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter import data


def predict(model: Any, pictures: np.ndarray) -> np.ndarray:
    return model.predict(data.as_input(pictures), batch_size=1000, verbose=0)


def figures(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import precision_recall_fscore_support

    p = probabilities.astype(np.float64)
    share = p[np.arange(len(labels)), labels] / p.sum(axis=1)
    loss = -np.log(np.clip(share, 1e-7, 1 - 1e-7)).mean()
    guess = p.argmax(axis=1)
    prec, rec, f1, _ = precision_recall_fscore_support(labels, guess, average="macro", zero_division=0)
    return {
        "accuracy": round(float((guess == labels).mean()), 4),
        "loss": round(float(loss), 4),
        "precision": round(float(prec), 4),
        "recall": round(float(rec), 4),
        "f1": round(float(f1), 4),
    }
