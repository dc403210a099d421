"""Tuning: a search by Optuna over what a recipe declares as ranges, and the best of it as a recipe.

Owns the trials: each trains on 80 % of the training pictures and is judged by its accuracy on the
other 20 %; the test set is measured once, with the model that the new recipe trains. The study is
`exporter.tune.study`'s, the texts are `written`'s, the pictures `pictures`'. Prints nothing. May
import `exporter.{train, trained, data, recipe, ranges, errors}`; Optuna is imported inside.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.data import Dataset
from exporter.errors import AnswerIsNo, BadRecipe
from exporter.recipe import Recipe
from exporter.tune import pictures, study, written
from exporter.tune.search import PRUNERS, Search, Told, pruner_of

if TYPE_CHECKING:
    from exporter.train import OnEpoch

__all__ = ["PRUNERS", "TRIALS", "Outcome", "Told", "run"]

TRIALS = 20
JOURNAL_NAME = "study.journal"
MODEL_FOLDER = "model"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found so far, and where it lies.

    Attributes:
        values: Of the best trial, by the ranges' names; `own`: the recipe's.
        accuracy: The best trial's, on the held-out part; `own_accuracy`: that of the recipe's
            own values, where they were tried.
        recipe: The new recipe file.
        pages: Pictures that could be drawn; `undrawn`: why others could not.
        metrics: Of the trained model; None where none was trained.
        ended: "trials", "timeout" or "interrupted".
    """

    directory: Path
    values: Mapping[str, Any]
    own: Mapping[str, Any]
    accuracy: float
    own_accuracy: float | None
    best: int
    counts: Mapping[str, int]
    recipe: Path
    pages: tuple[Path, ...]
    undrawn: tuple[str, ...]
    metrics: Mapping[str, Any] | None
    ended: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "values": dict(self.values),
            "own_values": dict(self.own),
            "validation_accuracy": self.accuracy,
            "own_validation_accuracy": self.own_accuracy,
            "best_trial": self.best,
            "trials": dict(self.counts),
            "recipe": str(self.recipe),
            "pictures": [str(path) for path in self.pages],
            "not_drawn": list(self.undrawn),
            "metrics": None if self.metrics is None else dict(self.metrics),
            "ended": self.ended,
        }


def run(
    recipe: Recipe,
    dataset: Dataset,
    directory: Path,
    *,
    trials: int = TRIALS,
    timeout_seconds: float | None = None,
    epochs: int | None = None,
    storage: str | None = None,
    name: str | None = None,
    seed: int | None = None,
    pruner: str = "median",
    train_best: bool = True,
    on_told: Callable[[Told], None] = lambda _: None,
    on_epoch: OnEpoch | None = None,
) -> Outcome:
    """Search until the study holds `trials` finished trials, then write and train the best.

    A study that is there is gone on with. The best so far is written after every trial, and when
    the search is interrupted or its time is over.

    Args:
        recipe: With ranges.
        dataset: Its training pictures are split; its test part is for the trained model alone.
        directory: For the study, the new recipe, the pictures and the model.
        trials: Finished or pruned ones, of all processes together.
        timeout_seconds: No epoch of a trial is begun after so long.
        epochs: Of a trial, instead of the recipe's; the model is trained for the recipe's.
        storage: Path of a journal file or URL of a database; a journal in `directory` by default.
        name: Of the study; the recipe's by default.
        seed: Of the suggestions; a trial's number and what is known before it decide the rest.
        pruner: One of PRUNERS.
        train_best: Whether to train the new recipe on all training pictures.
        on_told: Told of every epoch and every trial.
        on_epoch: Told of the final training.

    Raises:
        PackageMissing: Optuna is not installed.
        BadRecipe: No ranges, or one whose ends cannot be trained.
        BadUsage: The study there is searches something else.
        AnswerIsNo: No trial was finished.
    """
    study.require()
    # Every trial is a model of its own: TensorFlow warns of that, and it is meant.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    if not recipe.tune:
        raise BadRecipe(
            f"{recipe.path}: no table [tune], so nothing to search over; see docs/tuning.md"
        )
    text = recipe.path.read_text(encoding="utf-8")
    written.check_ends(recipe, text, dataset)
    search = Search(
        recipe, text, dataset, directory, trials, epochs, seed, on_told,
        study.open_study(
            storage or directory / JOURNAL_NAME, name or recipe.name,
            _fingerprint(recipe, dataset, epochs),
        ),
        None if timeout_seconds is None else time.monotonic() + timeout_seconds,
    )  # fmt: skip
    search.study.pruner = pruner_of(pruner, search.epochs)
    ended = search.run()
    if search.best is None and ended == "interrupted":
        raise KeyboardInterrupt
    if search.best is None:
        raise AnswerIsNo(
            f"{recipe.name}: {ended} before any trial was finished; the study is kept: run again"
            " with more time"
        )
    if ended == "interrupted" or not train_best:
        return _outcome(search, ended, None)
    with written.alone(directory):
        _outcome(search, ended, None)
        try:
            metrics = _train(search.new_recipe, dataset, directory, on_epoch)
        except KeyboardInterrupt:
            return _outcome(search, "interrupted", None)
        return _outcome(search, ended, metrics)


def _outcome(search: Search, ended: str, metrics: Mapping[str, Any] | None) -> Outcome:
    """Recipe, trials and pictures of what is known now, written."""
    search.write_recipe()
    best = search.best
    assert best is not None
    own = written.own_values(search.recipe, search.recipe.tune)
    tried = [t.value for t in search.trials("COMPLETE") if search.values(t) == own]
    pages, undrawn = pictures.write(
        search.study.get_trials(deepcopy=False), search.recipe.tune, search.study, search.directory
    )
    return Outcome(
        directory=search.directory,
        values={".".join(place): value for place, value in search.values(best).items()},
        own={".".join(place): value for place, value in own.items()},
        accuracy=best.value or 0.0,
        own_accuracy=tried[0] if tried else None,
        best=best.number,
        counts=search.counts(),
        recipe=search.new_recipe,
        pages=pages,
        undrawn=undrawn,
        metrics=metrics,
        ended=ended,
    )


def _train(
    path: Path, dataset: Dataset, directory: Path, on_epoch: OnEpoch | None
) -> Mapping[str, Any]:
    """The new recipe's model, trained on all training pictures unless it is there already."""
    from exporter import recipe as recipes
    from exporter import train, trained

    recipe = recipes.load(path)
    folder = directory / MODEL_FOLDER
    found = trained.find(recipe, folder, dataset.name)
    if found is None:
        found = trained.record_of(train.fit(recipe, dataset, on_epoch=on_epoch))
        trained.save(found, folder)
    return found.metrics


def _fingerprint(recipe: Recipe, dataset: Dataset, epochs: int | None) -> str:
    pixels = hashlib.sha256(dataset.x_train.tobytes() + dataset.y_train.tobytes()).hexdigest()
    ranges = {found.name: found.to_json() for found in recipe.tune}
    parts = [recipe.fingerprint, ranges, dataset.name, pixels, epochs or recipe.training.epochs]
    return study.fingerprint(parts)
