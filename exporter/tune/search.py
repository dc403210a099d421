"""One process' part of a study: trials until there are enough, the best so far written down.

May import `exporter.{train, data, recipe, ranges, errors}` and its neighbours `study` and
`written`; Optuna is imported inside.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import data as datasets
from exporter.data import Dataset
from exporter.errors import BadUsage, ExporterError, MachineFailed
from exporter.ranges import Range
from exporter.recipe import Recipe
from exporter.tune import study, written

if TYPE_CHECKING:
    import optuna

    from exporter.train import Epoch

PRUNERS = ("median", "hyperband", "none")
TRIALS_NAME = "trials.json"
STARTED_BEFORE_PRUNING = 4
"""Trials that run to their end before the median of what they reached judges others."""

MOST_FAILED = 3
"""So many trials of a process that fail in a row end its search: it is not their values."""
LONGEST_REASON = 300

Values = dict[tuple[str, ...], Any]


@dataclass(frozen=True, slots=True)
class Told:
    """Progress: one trial ended, or an epoch of it.

    Attributes:
        number: Of the trial, from 0.
        state: "running", "complete", "pruned", "failed" or "given up".
        accuracy: On the held-out part; after the last epoch so far.
        epoch: How many are done.
        finished, wanted: Trials of the whole study.
        best: Number and accuracy of the best trial so far, or None.
        values: What the trial tries.
        reason: Why it failed; "" otherwise.
    """

    number: int
    state: str
    accuracy: float | None
    epoch: int
    epochs: int
    finished: int
    wanted: int
    best: tuple[int, float] | None
    values: Mapping[str, Any]
    reason: str = ""


class _Failed(Exception):
    """Training refused a trial's values, or the machine could not train them."""


class _OutOfTime(Exception):
    """The time that was given is over: the trial ends at this epoch."""


@dataclass
class Search:
    """One process' part of a study."""

    recipe: Recipe
    text: str
    dataset: Dataset
    directory: Path
    wanted: int
    epochs_given: int | None
    seed: int | None
    on_told: Callable[[Told], None]
    study: optuna.Study
    deadline: float | None

    @property
    def epochs(self) -> int:
        """Of a trial."""
        return self.epochs_given or self.recipe.training.epochs

    @property
    def best(self) -> optuna.trial.FrozenTrial | None:
        """The first of the most accurate trials."""
        done = self.trials("COMPLETE")
        return max(done, key=lambda trial: (trial.value, -trial.number), default=None)

    @property
    def new_recipe(self) -> Path:
        """Where the best so far stands."""
        return self.directory / f"{self.recipe.name}-tuned.toml"

    def run(self) -> str:
        """Trials until there are enough; returns why it ended."""
        own = written.own_values(self.recipe, self.recipe.tune)
        if all(found.holds(own[found.place]) for found in self.recipe.tune):
            # What is known to work comes first: the search cannot end below it.
            values = {found.name: own[found.place] for found in self.recipe.tune}
            self.study.enqueue_trial(values, skip_if_exists=True)
        held = datasets.split(self.dataset.x_train, self.dataset.y_train)
        # A trial cannot look at the test set: it is not given it.
        blind = replace(self.dataset, x_test=held[2], y_test=held[3])
        failed = 0
        try:
            while len(self.trials("COMPLETE", "PRUNED")) < self.wanted:
                if self.deadline is not None and time.monotonic() >= self.deadline:
                    return "timeout"
                reason = self._try_one(blind)
                _forget_models()
                failed = failed + 1 if reason else 0
                if failed == MOST_FAILED:
                    raise MachineFailed(
                        f"{self.recipe.name}: {failed} trials in a row failed, the last one: "
                        f"{reason}; the study is kept"
                    )
                if self.best is not None:
                    with written.alone(self.directory):
                        self.write_recipe()
        except (KeyboardInterrupt, _OutOfTime) as stop:
            self._give_up_mine()
            return "interrupted" if isinstance(stop, KeyboardInterrupt) else "timeout"
        return "trials"

    def _try_one(self, blind: Dataset) -> str:
        """One trial; returns why it failed, or ""."""
        from optuna.exceptions import UpdateFinishedTrialError

        numbers: list[int] = []
        reasons: list[str] = []

        def objective(trial: optuna.Trial) -> float:
            numbers.append(trial.number)
            try:
                return self._objective(trial, blind)
            except _Failed as error:
                reasons.append(str(error))
                raise

        try:
            self.study.optimize(objective, n_trials=1, catch=(_Failed,))
        except (UpdateFinishedTrialError, ValueError):
            # Optuna's words for: another process took this one for dead, and gave the trial up.
            ended = {trial.number for trial in self.trials("FAIL")}
            if not set(numbers) & ended:
                raise
        return reasons[0] if reasons else ""

    def _objective(self, trial: optuna.Trial, blind: Dataset) -> float:
        import optuna
        import tensorflow as tf

        from exporter import train

        trial.set_user_attr(study.WORKER, study.worker())
        self.study.sampler = _sampler(self.seed, trial.number)
        values = self._suggest(trial)
        named = {".".join(place): value for place, value in values.items()}
        reached: list[float] = []

        def tell(state: str, reason: str = "") -> None:
            best = self.best
            finished = len(self.trials("COMPLETE", "PRUNED")) + (state in ("complete", "pruned"))
            self.on_told(
                Told(
                    trial.number, state, reached[-1] if reached else None, len(reached),
                    self.epochs, finished, self.wanted,
                    None if best is None else (best.number, best.value or 0.0), named,
                    reason,
                )
            )  # fmt: skip

        def judge(epoch: Epoch) -> None:
            reached.append(epoch.figures["val_accuracy"])
            trial.report(reached[-1], epoch.number)
            tell("running")
            if epoch.number < epoch.count and trial.should_prune():
                raise optuna.TrialPruned
            if self.deadline is not None and time.monotonic() >= self.deadline:
                raise _OutOfTime

        try:
            recipe = written.recipe_of(self.text, self.recipe.path, values)
            trained = train.fit(
                recipe, blind, epochs=self.epochs_given, held_out=True, on_epoch=judge
            )
        except optuna.TrialPruned:
            tell("pruned")
            raise
        except (ExporterError, tf.errors.OpError, MemoryError) as error:
            reason = " ".join(str(error).split())[:LONGEST_REASON] or type(error).__name__
            trial.set_user_attr(study.REASON, reason)
            tell("failed", reason)
            raise _Failed(reason) from error
        except BaseException:
            tell("given up")
            raise
        accuracy = float(trained.metrics["validation"]["accuracy"])
        reached[-1] = accuracy
        tell("complete")
        return accuracy

    def _suggest(self, trial: optuna.Trial) -> Values:
        values: Values = {}
        for found in self.recipe.tune:
            low: Any = found.low
            high: Any = found.high
            if found.choices:
                value: Any = trial.suggest_categorical(found.name, found.choices)
            elif found.whole:
                step: Any = found.step or 1
                value = trial.suggest_int(found.name, low, high, step=step, log=found.log)
            else:
                value = trial.suggest_float(found.name, low, high, step=found.step, log=found.log)
            values[found.place] = written.rounded(value, found)
        return values

    def _give_up_mine(self) -> None:
        """The trial that was interrupted waits to be tried again."""
        mine = [t for t in self.trials("RUNNING", "FAIL")
                if t.user_attrs.get(study.WORKER) == study.worker()]  # fmt: skip
        if mine and study.is_interrupted(mine[-1]) and mine[-1].number not in self._again():
            study.give_up(self.study, mine[-1])

    def _again(self) -> set[int]:
        return study.tried_again(self.study.get_trials(deepcopy=False))

    def trials(self, *states: str) -> list[optuna.trial.FrozenTrial]:
        """Those of all processes that are in one of these states."""
        from optuna.trial import TrialState

        wanted = [TrialState[state] for state in states]
        return self.study.get_trials(deepcopy=False, states=wanted)

    def values(self, trial: optuna.trial.FrozenTrial) -> Values:
        """What a trial trained with."""
        by_name: dict[str, Range] = {found.name: found for found in self.recipe.tune}
        return {
            found.place: written.rounded(trial.params[name], found)
            for name, found in by_name.items()
        }

    def write_recipe(self) -> None:
        """The best so far as a recipe, and every trial as JSON; each whole or not at all."""
        best = self.best
        assert best is not None
        counts = self.counts()
        remark = (
            f"Found by `exporter tune {self.recipe.name}`: {best.value:.2%} of the held-out part "
            f"in trial {best.number}, of {counts['complete']} complete and {counts['pruned']} "
            f"pruned ones; trials of {self.epochs} epochs."
        )
        text = written.new_recipe(self.text, self.values(best), remark)
        written.replace_file(self.new_recipe, text)
        rows = [
            {
                "number": trial.number, "state": trial.state.name.lower(),
                "validation_accuracy": trial.value, "epochs": len(trial.intermediate_values),
                "values": {".".join(k): v for k, v in self.values(trial).items()}
                if len(trial.params) == len(self.recipe.tune) else dict(trial.params),
                **{k: v for k, v in trial.user_attrs.items() if k == study.REASON},
            }
            for trial in self.study.get_trials(deepcopy=False)
        ]  # fmt: skip
        written.replace_file(self.directory / TRIALS_NAME, json.dumps(rows, indent=1) + "\n")

    def counts(self) -> dict[str, int]:
        """How many trials ended how."""
        names = {"complete": "COMPLETE", "pruned": "PRUNED", "given_up": "FAIL",
                 "running": "RUNNING", "waiting": "WAITING"}  # fmt: skip
        return {word: len(self.trials(state)) for word, state in names.items()}


def _sampler(seed: int | None, number: int) -> Any:
    """TPE, seeded for each trial anew, so that a resumed study suggests what a whole one would."""
    import numpy as np
    from optuna.samplers import TPESampler

    if seed is None:
        return TPESampler()
    return TPESampler(seed=int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


def pruner_of(name: str, epochs: int) -> Any:
    """Optuna's pruner for trials of so many epochs.

    Raises:
        BadUsage: There is no such pruner.
    """
    from optuna import pruners

    if name == "none":
        return pruners.NopPruner()
    if name == "hyperband":
        return pruners.HyperbandPruner(min_resource=max(1, epochs // 9), max_resource=epochs)
    if name != "median":
        raise BadUsage(f"pruner: one of {', '.join(PRUNERS)} expected, {name!r} found")
    return pruners.MedianPruner(STARTED_BEFORE_PRUNING, n_warmup_steps=epochs // 5)


def _forget_models() -> None:
    """Keras keeps what was built until it is told otherwise."""
    import keras

    keras.backend.clear_session()
