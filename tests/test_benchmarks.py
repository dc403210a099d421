"""docs/benchmarks.md says what docs/benchmarks.json holds; what is met or missed is computed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import benchmarks
from tests.benchmarks import __main__ as command
from tests.benchmarks import document, plots, scale, scripts, visits
from tests.benchmarks.result import Contender, Goal, Result, machine, ratio
from tests.benchmarks.turns import Spent, alternate, percentile, spend

MADE_UP = Result(
    contenders=(
        Contender("ours", {"median, ms": 2.0, "bytes": 1234567}),
        Contender("theirs", {"median, ms": 9.87654}),
        Contender("nobody", missing="not measured: it is not here"),
    ),
    goals=(
        Goal("theirs / ours", 4.93827, 5, least=True),
        Goal("ours, ms", 2.0, 2.0),
        Goal("nobody / ours", None, 1),
        Goal("heavy imports", 2, 0),
    ),
    runs=3, plot="median, ms", notes=("A note.",), machine="a machine",
)  # fmt: skip
ROW = benchmarks.ROWS[0]


def test_the_page_says_what_the_results_say() -> None:
    assert document.page_part() == document.written(document.tracked())


def test_a_row_without_a_result_is_told() -> None:
    lines = document.written({ROW: MADE_UP}).splitlines()
    told = [line for line in lines if line.endswith("| | | | not measured |")]
    assert len(told) == len(benchmarks.ROWS) - 1


def test_the_plots_show_what_the_results_say(tmp_path: Path) -> None:
    for row, result in document.tracked().items():
        plots.draw(tmp_path / "plot.svg", result)
        assert (tmp_path / "plot.svg").read_bytes() == (document.PLOTS / f"{row}.svg").read_bytes()


@pytest.mark.parametrize("row", benchmarks.ROWS)
def test_every_row_has_a_title_and_can_be_measured(row: str) -> None:
    title, text = document.text_of(row)
    assert title
    assert text
    assert find_spec(f"tests.benchmarks.{row}") is not None


def test_rows_import() -> None:
    """In one fresh process: some import TensorFlow."""
    code = "import importlib, sys; [importlib.import_module(n).measure for n in sys.argv[1:]]"
    names = [f"tests.benchmarks.{row}" for row in benchmarks.ROWS]
    done = subprocess.run(
        [sys.executable, "-c", code, *names], cwd=document.DOCS.parent, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_met_and_missed_follow_from_the_numbers() -> None:
    assert [goal.met for goal in MADE_UP.goals] == [False, True, None, False]
    text = document.written({ROW: MADE_UP})
    assert "| theirs / ours | ≥ 5 | 4.94 | **missed**, 0.988 of the goal |" in text
    assert "| ours, ms | ≤ 2 | 2 | met |" in text
    assert "| nobody / ours | ≤ 1 |  | not measured |" in text
    assert "| heavy imports | ≤ 0 | 2 | **missed** |" in text
    assert "| ours | 2 | 1,234,567 |" in text
    assert "| theirs | 9.88 |  |" in text
    assert "| nobody | not measured: it is not here |  |" in text
    assert f"by `python -m tests.benchmarks {ROW}` on: a machine." in text


def test_results_survive_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(document, "RESULTS", tmp_path / "results.json")
    document.keep(ROW, MADE_UP)
    assert document.tracked() == {ROW: MADE_UP}


def test_a_row_that_fails_loses_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("RESULTS", "PAGE", "PLOTS"):
        there = getattr(document, name)
        (shutil.copytree if there.is_dir() else shutil.copy)(there, tmp_path / there.name)
        monkeypatch.setattr(document, name, tmp_path / there.name)
    kept = document.RESULTS.read_bytes()
    # Whoever has no wrk cannot measure how files are served.
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command.main(["serving"]) == 1
    told = capfd.readouterr().err
    assert "wrk: needed to measure" in told
    assert "failed, and so as they were before: serving" in told
    assert document.RESULTS.read_bytes() == kept


def test_a_row_that_is_not_known_is_refused() -> None:
    with pytest.raises(SystemExit, match="nothing: no such row; rows: "):
        command.main(["nothing"])


def test_contenders_take_turns_and_none_is_always_first() -> None:
    asked: list[str] = []
    found = alternate({name: lambda name=name: asked.append(name) for name in "abc"}, 3)
    assert asked == list("abcbcacab")
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys("abc", 3)


def test_percentiles_are_values_that_were_measured() -> None:
    values = list(range(1000, 0, -1))
    assert percentile(values, 0.99) == 990
    assert percentile(values, 0.5) == 500
    assert percentile([7.0], 0.99) == 7.0


def _spent_by_a_small_process(code: str) -> dict[str, float]:
    """What `spend` says of a child of a process that holds next to nothing: see `Spent`."""
    own = (
        "import json, sys; from dataclasses import asdict; from tests.benchmarks.turns import "
        "spend; print(json.dumps(asdict(spend([sys.executable, '-c', sys.argv[1]]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", own, code], cwd=document.DOCS.parent, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_a_quotient_of_nothing_is_not_measured() -> None:
    assert ratio(3.0, 2.0) == 1.5
    assert ratio(-1.0, 0.0) is None
    assert ratio(-3.0, -2.0) is None
    assert Goal("one / none", ratio(-3.0, -2.0), 1).met is None


def test_a_process_is_measured_to_its_end_and_a_failure_is_told() -> None:
    lean, busy = (_spent_by_a_small_process(code) for code in ("0", "b'x' * (200 << 20)"))
    assert lean["wall_s"] > 0
    assert lean["cpu_s"] > 0
    assert 190 < busy["peak_mib"] - lean["peak_mib"] < 230
    with pytest.raises(subprocess.CalledProcessError) as failed:
        spend([sys.executable, "-c", "import sys; sys.exit('no such thing')"])
    assert "no such thing" in failed.value.__notes__[0]


def test_a_larger_model_that_costs_no_more_is_no_proof_of_a_line() -> None:
    """And each size has its goals beside the peers that ended with a file."""
    spent = {size: Spent(1.0, 5.0, 800.0) for size in scale.SIZES}
    ours = Contender("ours", scale._figures(spent, 500.0))
    peer = Contender("peer", scale._figures({0.1: Spent(1.0, 4.0, 1000.0)}, 100.0))
    goals = {goal.what: goal for goal in scale._goals((ours, peer))}
    assert [goal.met for what, goal in goals.items() if "ten times" in what] == [None]
    assert goals["CPU at 0.1 M, ours / the better peer's"].found == 1.25
    assert goals["peak at 0.1 M, ours / the better peer's"].found == 0.8
    assert goals["peak at 100 M, ours / the better peer's"].met is None


def test_a_process_that_imports_tensorflow_is_counted() -> None:
    assert scripts._python(["-c", "0"]).imports == 0
    assert scripts._python(["-c", "import tensorflow"]).imports == 1


@pytest.mark.parametrize(
    ("failed", "not_run", "ran"),
    [(1, 4, scripts.NODE), (0, 0, scripts.NODE), (0, 4, scripts.NODE[1:])],
)
def test_an_export_that_proves_other_rows_is_not_compared(
    failed: int, not_run: int, ran: tuple[str, ...]
) -> None:
    scripts._check_rows({"failed": 0, "not_run": 4}, set(scripts.NODE))
    with pytest.raises(RuntimeError, match="those of a browser not to run"):
        scripts._check_rows({"failed": failed, "not_run": not_run}, set(ran))


def test_what_is_preloaded_is_a_journey_and_an_icon_is_none() -> None:
    """The browser may call both "Other"."""
    asked = [("/", "Document"), ("/weights.bin", "Other"), ("/favicon.ico", "Other")]
    log: list[tuple[str, dict[str, Any]]] = []
    for path, kind in asked:
        request = {"url": f"http://127.0.0.1:1{path}"}
        log += [
            ("requestWillBeSent", {"requestId": path, "type": kind, "request": request}),
            ("responseReceived", {"requestId": path}),
        ]
    assert visits.journeys(log) == (("/",), ("/weights.bin",))


def test_the_machine_is_told_without_its_name() -> None:
    import platform

    told = machine(("Node", "gunicorn"))
    assert "cores" in told
    assert re.search(r"; \d+ GiB; .*; Node \d+\.\d+.*, gunicorn \d+\.\d+", told)
    assert platform.node() not in told


def test_commands_that_need_no_model_import_nothing_heavy() -> None:
    """The figures of the row vary; this does not."""
    from tests.benchmarks import commands

    for arguments in commands.COMMANDS.values():
        line = [sys.executable, "-m", "exporter", *arguments]
        assert commands.heavy_imports(line) == set()
    assert commands.heavy_imports([sys.executable, "-c", "import onnx"]) == {"onnx"}
