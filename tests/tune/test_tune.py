"""Searches: real studies on scikit-learn's digits, killed, resumed, shared and interrupted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import optuna
import pytest
from PIL import Image

from exporter import data, evaluate, recipe, train, trained, tune
from exporter.errors import AnswerIsNo, BadRecipe, BadUsage, MachineFailed, PackageMissing
from exporter.tune import search, study
from tests.tune.conftest import write_recipe

TRIALS = 4
SECONDS = 300
"""For a whole process, on a busy machine."""

Run = Callable[..., tune.Outcome]


@pytest.fixture(scope="module")
def run() -> Run:
    digits = data.load("digits")

    def run(path: Path, folder: Path, **options: Any) -> tune.Outcome:
        options = {"trials": TRIALS, "seed": 4, "train_best": False} | options
        return tune.run(recipe.load(path), digits, folder, **options)

    return run


class Searched(NamedTuple):
    """A folder with a recipe and its whole study in `out`, and all that was trained for it."""

    folder: Path
    outcome: tune.Outcome
    trained: list[tuple[data.Dataset, train.Trained]]


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Searched:
    """Not to be changed."""
    folder = tmp_path_factory.mktemp("search")
    told: list[tune.Told] = []
    seen = []

    def watched(recipe: Any, dataset: data.Dataset, **options: Any) -> train.Trained:
        found = fit(recipe, dataset, **options)
        seen.append((dataset, found))
        return found

    fit = train.fit
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(train, "fit", watched)
        patched.setattr(search, "STARTED_BEFORE_PRUNING", 1)
        outcome = run(write_recipe(folder), folder / "out", train_best=True, on_told=told.append)
    assert told[-1].finished == TRIALS
    return Searched(folder, outcome, seen)


@pytest.fixture
def copied(searched: Searched, tmp_path: Path) -> Path:
    return Path(shutil.copytree(searched[0], tmp_path / "copy"))


def trials_in(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / search.TRIALS_NAME).read_text(encoding="utf-8"))


def test_the_recipes_own_values_come_first_and_the_best_is_no_worse(
    searched: Searched,
) -> None:
    folder, outcome, _ = searched
    first = trials_in(folder / "out")[0]
    assert first["values"] == {"training.optimizer.learning_rate": 0.01, "layers.hidden.units": 8}
    assert first["validation_accuracy"] == outcome.own_accuracy
    assert outcome.accuracy >= outcome.own_accuracy
    assert outcome.accuracy == max(t["validation_accuracy"] or 0 for t in trials_in(folder / "out"))
    assert outcome.ended == "trials"


def study_in(folder: Path) -> optuna.Study:
    journal = str(folder / tune.JOURNAL_NAME)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    return optuna.load_study(study_name="small", storage=storage)


def test_what_falls_behind_is_pruned(searched: Searched) -> None:
    trials = study_in(searched.folder / "out").trials
    pruned = [trial for trial in trials if trial.state.name == "PRUNED"]
    assert 0 < len(pruned) == searched.outcome.counts["pruned"]
    for trial in pruned:
        last = max(trial.intermediate_values)
        assert last < 3
        before = [t for t in trials[: trial.number] if t.state.name == "COMPLETE"]
        others = [t.intermediate_values[last] for t in before]
        assert max(trial.intermediate_values.values()) < np.median(others)


def test_the_accuracy_is_that_of_the_held_out_part(searched: Searched) -> None:
    digits = data.load("digits")
    *_, x, y = data.split(digits.x_train, digits.y_train)
    complete = [t for t in trials_in(searched.folder / "out") if t["state"] == "complete"]
    *trials, (_, final) = searched.trained
    assert len(trials) == len(complete)
    for told, (_, found) in zip(complete, trials, strict=True):
        right = evaluate.predict(found.model, x).argmax(axis=1) == y
        assert told["validation_accuracy"] == pytest.approx(right.mean(), abs=1e-4)
    assert "validation" not in final.metrics


def test_a_trial_is_never_given_the_test_set(searched: Searched) -> None:
    digits = data.load("digits")
    hidden = {picture.tobytes() for picture in digits.x_test}
    hidden -= {picture.tobytes() for picture in digits.x_train}
    assert hidden
    *trials, (whole, _) = searched.trained
    for given, _ in trials:
        shown = {np.ascontiguousarray(one).tobytes() for one in (*given.x_train, *given.x_test)}
        assert not hidden & shown
    assert hidden <= {np.ascontiguousarray(one).tobytes() for one in whole.x_test}


def test_the_new_recipe_keeps_its_comments_and_trains(
    searched: Searched,
) -> None:
    folder, outcome, _ = searched
    text = outcome.recipe.read_text(encoding="utf-8")
    assert text.startswith("# Found by `exporter tune small`: ")
    assert "# A small recipe." in text
    best = recipe.load(outcome.recipe)
    assert best.title == "Digits, tuned"
    assert best.tune == recipe.load(folder / "small.toml").tune
    for found in best.tune:
        assert best.value_at(found.place) == outcome.values[found.name]
    assert "# few" in text
    if outcome.values["layers.hidden.units"] != 8:
        assert "# few; was 8" in text


def test_the_model_is_the_new_recipes(searched: Searched) -> None:
    folder, outcome, _ = searched
    found = trained.find(recipe.load(outcome.recipe), folder / "out" / "model", "digits")
    assert found is not None
    assert found.metrics == outcome.metrics
    assert found.metrics["trained_on"] == len(data.load("digits").x_train)


def test_pictures_are_pictures(searched: Searched) -> None:
    outcome = searched.outcome
    assert [path.stem for path in outcome.pages] == ["history", "importance",
                                                     "parallel-coordinates"]  # fmt: skip
    assert outcome.undrawn == ()
    for path in outcome.pages:
        with Image.open(path) as image:
            assert image.width > 400
            low, high = image.convert("L").getextrema()
            assert high - low > 100


def test_a_whole_study_is_not_gone_on_with(copied: Path, run: Run) -> None:
    before = (copied / "out" / tune.JOURNAL_NAME).read_bytes()
    outcome = run(copied / "small.toml", copied / "out", train_best=True)
    after = (copied / "out" / tune.JOURNAL_NAME).read_bytes()
    assert outcome.counts["complete"] + outcome.counts["pruned"] == TRIALS
    assert b"validation" not in after[len(before) :]
    assert outcome.metrics == json.loads(
        (copied / "out" / "model" / "keras" / "training.json").read_text()
    )["metrics"]  # fmt: skip


@pytest.mark.parametrize(
    "changed",
    [("high = 16", "high = 32"), ("learning_rate = 0.01 }", "learning_rate = 0.0000001 }")],
)
def test_another_search_is_not_mixed_in(copied: Path, run: Run, changed: tuple[str, str]) -> None:
    path = copied / "small.toml"
    path.write_text(path.read_text(encoding="utf-8").replace(*changed), encoding="utf-8")
    with pytest.raises(BadUsage, match=r"study small in .*: searches something else"):
        run(path, copied / "out")


def test_other_epochs_are_another_search(copied: Path, run: Run) -> None:
    with pytest.raises(BadUsage, match="searches something else"):
        run(copied / "small.toml", copied / "out", epochs=2)


def test_a_trial_that_ran_out_of_time_is_tried_again_and_the_best_is_kept(
    copied: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (copied / "out" / "small-tuned.toml").unlink()
    options = {"trials": TRIALS + 1, "pruner": "none"}

    ended: list[tune.Told] = []

    def stop(told: tune.Told) -> None:
        ended.append(told)
        if told.state == "running":
            monkeypatch.setattr(search.time, "monotonic", lambda: float("inf"))

    outcome = run(
        copied / "small.toml", copied / "out", on_told=stop, timeout_seconds=1e6, **options
    )
    monkeypatch.undo()
    assert outcome.ended == "timeout"
    assert (ended[-1].state, ended[-1].finished) == ("given up", TRIALS)
    assert recipe.load(copied / "out" / "small-tuned.toml").title == "Digits, tuned"
    assert outcome.counts["waiting"] == 1
    stopped = trials_in(copied / "out")[-2]
    assert stopped["state"] == "fail"
    again = run(copied / "small.toml", copied / "out", **options)
    assert again.counts["waiting"] == 0
    assert trials_in(copied / "out")[-1]["values"] == stopped["values"]


def test_no_time_at_all_is_told(tmp_path: Path, run: Run) -> None:
    with pytest.raises(AnswerIsNo, match="timeout before any trial was finished"):
        run(write_recipe(tmp_path), tmp_path / "out", timeout_seconds=1e-9)


def test_a_recipe_without_ranges_is_told(tmp_path: Path, run: Run) -> None:
    with pytest.raises(BadRecipe, match=r"no table \[tune\]"):
        run(write_recipe(tmp_path, ""), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_end_that_keras_refuses_is_told_before_any_trial(tmp_path: Path, run: Run) -> None:
    path = write_recipe(tmp_path, "[tune]\nlayers.hidden.activation.choices = ['relu', 'rellu']\n")
    with pytest.raises(BadRecipe, match=r"small.toml, line \d+: tune.*'rellu' cannot be trained"):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_without_optuna_the_extra_is_named(
    run_exporter: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    result = run_exporter("tune", "mlp-128", "--data", "digits")
    assert result.exit_code == 3
    assert "pip install 'keras-web-exporter[tune]'" in result.stderr
    with pytest.raises(PackageMissing):
        study.require()


def test_a_trial_that_fails_is_told_and_the_search_goes_on(
    copied: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorflow as tf

    faults: list[Exception] = [
        BadUsage("no such thing"), tf.errors.ResourceExhaustedError(None, None, "no memory")
    ]  # fmt: skip
    told: list[tune.Told] = []
    fit = train.fit

    def failing(*arguments: Any, **options: Any) -> train.Trained:
        if faults:
            raise faults.pop()
        return fit(*arguments, **options)

    monkeypatch.setattr(train, "fit", failing)
    options = {"trials": TRIALS + 1, "pruner": "none", "on_told": told.append}
    outcome = run(copied / "small.toml", copied / "out", **options)
    assert outcome.ended == "trials"
    assert [one.reason for one in told if one.state == "failed"] == ["no memory", "no such thing"]
    failed = [trial for trial in trials_in(copied / "out") if trial["state"] == "fail"]
    assert [trial["reason"] for trial in failed] == ["no memory", "no such thing"]
    assert outcome.counts["waiting"] == 0


def test_three_that_fail_in_a_row_end_the_search(
    copied: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any, **__: Any) -> train.Trained:
        raise BadUsage("no such thing")

    monkeypatch.setattr(train, "fit", failing)
    with pytest.raises(MachineFailed, match="3 trials in a row failed, the last one: no such"):
        run(copied / "small.toml", copied / "out", trials=TRIALS + 1)
    assert recipe.load(copied / "out" / "small-tuned.toml").tune


def test_a_batch_larger_than_the_data_is_told_before_any_trial(tmp_path: Path, run: Run) -> None:
    path = write_recipe(tmp_path, "[tune]\ntraining.batch_size = { low = 8, high = 50000 }\n")
    with pytest.raises(BadRecipe, match=r"line \d+: tune.*50000 cannot be trained: batch_size"):
        run(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_trial_that_another_process_gave_up_is_left_and_the_search_goes_on(
    copied: Path, run: Run
) -> None:
    told: list[tune.Told] = []

    def give_up(one: tune.Told) -> None:
        told.append(one)
        if len(told) == 1:
            study.give_up(opened := study_in(copied / "out"), opened.trials[one.number])

    options = {"trials": TRIALS + 1, "pruner": "none", "on_told": give_up}
    outcome = run(copied / "small.toml", copied / "out", **options)
    assert outcome.ended == "trials"
    assert outcome.counts["waiting"] == 0
    assert [one.state for one in told if one.number == told[0].number] == ["running", "given up"]
    found = study_in(copied / "out").trials
    assert found[told[0].number].state.name == "FAIL"
    assert found[-1].params == found[told[0].number].params
    assert found[-1].state.name == "COMPLETE"


@pytest.mark.parametrize(
    ("change", "freed"),
    [
        ({}, False),  # it lives
        ({4: "1"}, True),  # another process has its id
        ({2: "before"}, True),  # the machine was started anew
        ({1: "a-clone", 4: "1"}, False),
        ({0: "elsewhere", 4: "1"}, False),
    ],
)
@pytest.mark.parametrize("state", ["RUNNING", "FAIL"])
def test_only_the_trials_of_the_dead_of_this_machine_are_tried_again(
    tmp_path: Path, change: dict[int, str], freed: bool, state: str
) -> None:
    opened = study.open_study(tmp_path / "journal", "small", "x")
    trial = opened.ask()
    trial.suggest_int("units", 1, 9)
    parts = study.worker().split(" ")
    trial.set_user_attr(
        study.WORKER, " ".join(change.get(place, part) for place, part in enumerate(parts))
    )
    if state == "FAIL":
        opened.tell(trial, state=optuna.trial.TrialState.FAIL)
    for _ in range(2):  # the second time there is a successor
        again = study.open_study(tmp_path / "journal", "small", "x").trials
        assert [one.state.name for one in again[1:]] == (["WAITING"] if freed else [])
        assert again[0].state.name == ("FAIL" if freed else state)


def test_a_trial_that_failed_by_itself_is_not_tried_again(tmp_path: Path) -> None:
    opened = study.open_study(tmp_path / "journal", "small", "x")
    trial = opened.ask()
    trial.suggest_int("units", 1, 9)
    trial.set_user_attr(study.WORKER, study.worker().rpartition(" ")[0] + " 1")
    trial.set_user_attr(study.REASON, "no memory")
    opened.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert len(study.open_study(tmp_path / "journal", "small", "x").trials) == 1


@pytest.mark.parametrize(
    "url",
    ["postgresql://me:s3cret@localhost/none", "nosuchdb://me:s3cret@x/y",
     "sqlite:////nowhere/at/all.db?password=s3cret", "not a url:s3cret@://x"],
)  # fmt: skip
def test_passwords_are_in_no_message(url: str) -> None:
    with pytest.raises((BadUsage, PackageMissing)) as caught:
        study.open_study(url, "small", "x")
    assert "s3cret" not in str(caught.value)


def test_a_half_line_of_a_killed_writer_is_cut_off(copied: Path, run: Run) -> None:
    journal = copied / "out" / tune.JOURNAL_NAME
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code": 6, "worker_id')
    outcome = run(copied / "small.toml", copied / "out")
    assert outcome.counts["complete"] + outcome.counts["pruned"] == TRIALS
    assert journal.read_bytes().startswith(whole)


def test_a_database_that_cannot_be_used_is_told(tmp_path: Path, run: Run) -> None:
    path = write_recipe(tmp_path)
    with pytest.raises(BadUsage, match="nosuchdb://x: cannot be used"):
        run(path, tmp_path / "out", storage="nosuchdb://x")
    with pytest.raises(PackageMissing, match="driver is not installed; pip install psycopg"):
        run(path, tmp_path / "out", storage="postgresql://localhost/none")


def test_killed_then_shared_by_two_nothing_is_lost(tmp_path: Path, run: Run) -> None:
    path = write_recipe(tmp_path)
    storage = f"sqlite:///{tmp_path / 'studies.db'}"

    def start(folder: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "exporter", "tune", str(path), "--trials", "3", "--no-train",
             "--storage", storage, "-o", str(tmp_path / folder), "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    first = start("out")
    assert first.stderr is not None
    for line in first.stderr:
        if line.startswith("trial 0: complete"):
            break
    # Somewhere within the second trial.
    while len(running := states(storage)) < 2:
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.communicate(timeout=SECONDS)
    killed = [number for number, state in running.items() if state == "RUNNING"]
    assert recipe.load(tmp_path / "out" / "small-tuned.toml").tune
    second = start("other")
    outcome = run(path, tmp_path / "out", trials=3, storage=storage, seed=None)
    out, err = second.communicate(timeout=SECONDS)
    assert second.returncode == 0, err
    ended = states(storage)
    finished = [number for number, state in ended.items() if state in ("COMPLETE", "PRUNED")]
    assert 0 in finished
    assert 3 <= len(finished) <= 4  # the one may begin another while the other ends its last
    assert killed
    assert all(ended[number] == "FAIL" for number in killed)
    first_found = trials_in(tmp_path / "out")[0]["validation_accuracy"]
    assert min(outcome.accuracy, json.loads(out)["validation_accuracy"]) >= first_found
    assert recipe.load(tmp_path / "other" / "small-tuned.toml").tune


def states(storage: str) -> dict[int, str]:
    """Trials of the study by their number; read beside whoever writes."""
    found = optuna.load_study(study_name="small", storage=storage).get_trials(deepcopy=False)
    return {trial.number: trial.state.name for trial in found}


def test_a_terminated_search_writes_the_best_and_ends_with_130(
    copied: Path, run_exporter: Any
) -> None:
    (copied / "out" / "small-tuned.toml").unlink()
    journal = copied / "out" / tune.JOURNAL_NAME
    size = journal.stat().st_size

    def terminate() -> None:
        while journal.read_bytes()[size:].count(b"intermediate_value") == 0:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    # Only a handler of the command's own keeps the whole run alive.
    thread = threading.Thread(target=terminate, daemon=True)
    thread.start()
    result = run_exporter(
        "tune", copied / "small.toml", "--trials", 999, "--pruner", "none", "-o", copied / "out"
    )
    thread.join()
    assert result.exit_code == 130, result.output
    assert "the same command goes on" in result.stderr
    assert "not trained" in result.stdout
    assert "1 waiting" in result.stdout
    assert recipe.load(copied / "out" / "small-tuned.toml").tune
