"""The command line: exit codes, one clear line per fault, JSON, help with examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from exporter import formats, recipe
from exporter.cli import main

COMMANDS = sorted(main.commands)
EXPORTER = (sys.executable, "-m", "exporter")


def only_line(result: Any) -> str:
    """The one line on stderr."""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(run_exporter: Any, command: str) -> None:
    result = run_exporter(command, "--help")
    assert result.exit_code == 0
    assert f"exporter {command}" in result.stdout
    assert "Example" in result.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_stands_in_the_readme(command: str) -> None:
    readme = Path(__file__).parent.parent.joinpath("README.md").read_text(encoding="utf-8")
    assert f"`exporter {command}" in readme


def test_every_format_stands_in_the_help_of_export(run_exporter: Any) -> None:
    text = run_exporter("export", "--help").stdout
    assert all(name in text for name in formats.NAMES[1:])


@pytest.mark.parametrize(
    ("arguments", "code", "parts"),
    [
        (["export", "nothing.keras"], 2, ["nothing.keras", "no such file"]),
        (["export", "no-such-recipe"], 2, ["no-such-recipe", "mlp-128-64"]),
        (["export"], 2, ["RECIPE", "--all"]),
        (["export", "--all", "-o", "x"], 2, ["--all", "-o"]),
        (["export", "mlp-128", "--formats", "onnx"], 2, ["recipe", "--formats"]),
        (["train", "no-such-recipe"], 2, ["no-such-recipe"]),
        (["verify", "."], 2, ["manifest.json"]),
        (["parity", "no/such/folder"], 2, ["no/such/folder"]),
        (["predict", ".", "x.png"], 2, ["manifest.json"]),
        (["evaluate", "nothing.keras", "--data", "digits"], 2, ["nothing.keras"]),
        (["train", "mlp-128", "--data", "nowhere.npz"], 3, ["nowhere.npz"]),
    ],
)
def test_bad_input_is_one_line_and_the_right_code(
    run_exporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str],
    code: int, parts: list[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = run_exporter(*arguments)
    assert result.exit_code == code, result.output
    line = only_line(result)
    assert all(part in line for part in parts), line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["export", "--nonsense"], ["--nonsense", "exporter export --help"]),
        (["nonsense"], ["'nonsense'", "exporter --help"]),
        (["verify"], ["BUNDLE", "exporter verify --help"]),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(
    run_exporter: Any, arguments: list[str], parts: list[str]
) -> None:
    result = run_exporter(*arguments)
    assert result.exit_code == 2
    line = only_line(result)
    assert all(part in line for part in parts), line


def test_a_file_that_is_no_model_is_one_line(run_exporter: Any, tmp_path: Path) -> None:
    path = tmp_path / "text.keras"
    path.write_text("hello")
    result = run_exporter("export", path, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "text.keras" in only_line(result)
    assert not (tmp_path / "out").exists()


def test_a_file_of_another_kind_is_told_what_a_model_is(run_exporter: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_text("hello")
    result = run_exporter("export", path, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "ends in .keras or .h5 expected" in only_line(result)


@pytest.mark.parametrize(
    ("ships", "complaint"),
    [
        ('["onnx/float32"]', "'keras/float32' expected"),
        ('["keras/float32", "onnx/int4"]', "'onnx/int4': unknown"),
        ('["keras/float32", "tflite/float32"]', "no format 'tflite'"),
    ],
)
def test_what_no_format_writes_is_told_before_any_training(
    run_exporter: Any, tmp_path: Path, ships: str, complaint: str
) -> None:
    text = (recipe.RECIPES_FOLDER / "mlp-128.toml").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    text = re.sub(r"^ships = \[.*?^\]$", f"ships = {ships}", text, flags=re.MULTILINE | re.DOTALL)
    path.write_text(text)
    result = run_exporter("export", path, "-o", tmp_path / "out", "--data", "digits")
    assert result.exit_code == 2
    line = only_line(result)
    assert complaint in line
    assert "line " in line


def test_training_into_a_bundle_is_refused_before_any_work(
    run_exporter: Any, tiny_bundle: Path
) -> None:
    result = run_exporter("train", "mlp-128", "--data", "digits", "-o", tiny_bundle)
    assert result.exit_code == 2
    assert "holds a published bundle" in only_line(result)


def test_malformed_toml_names_key_and_line(run_exporter: Any, tmp_path: Path) -> None:
    text = (recipe.RECIPES_FOLDER / "mlp-128.toml").read_text(encoding="utf-8")
    lines = text.splitlines()
    number = next(i for i, line in enumerate(lines, 1) if line.startswith("batch_size"))
    lines[number - 1] = 'batch_size = "many"'
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(lines))
    result = run_exporter("train", path)
    assert result.exit_code == 2
    line = only_line(result)
    assert f"line {number}" in line
    assert "batch_size" in line


def test_an_output_folder_that_cannot_be_written_is_exit_4(
    run_exporter: Any, tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    source = tiny_bundle / "keras" / "model.keras"
    result = run_exporter("export", source, "-o", tmp_path / "file" / "bundle")
    assert result.exit_code == 4
    assert str(tmp_path / "file") in only_line(result)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_exit_4(tiny_bundle: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [*EXPORTER, "verify", tiny_bundle], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert ended.returncode == 4
    assert "No space left" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_verify_of_a_damaged_bundle_says_so_in_json_too(
    run_exporter: Any, own_bundle: Path
) -> None:
    (own_bundle / "stranger").write_text("")
    (own_bundle / "golden.json").unlink()
    result = run_exporter("verify", own_bundle, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {
        "name": "tiny",
        "verified": False,
        "findings": {"missing": ["golden.json"], "extra": ["stranger"], "changed": []},
    }


def test_parity_where_nobody_may_write_shows_the_table_and_says_so(
    run_exporter: Any, own_bundle: Path
) -> None:
    shutil.rmtree(own_bundle / "report")
    (own_bundle / "report").write_text("in the way: a folder cannot be made here")
    result = run_exporter("parity", own_bundle, "--runtimes", "onnxruntime")
    assert result.exit_code == 0, result.stderr
    assert "onnx/float32" in result.stdout
    assert "warning: " in result.stderr
    assert "the report cannot be written" in result.stderr
    answer = run_exporter("parity", own_bundle, "--runtimes", "onnxruntime", "--json")
    assert json.loads(answer.stdout)["verdict"] == "passed"


def test_verify_says_what_it_checked(run_exporter: Any, tiny_bundle: Path) -> None:
    result = run_exporter("verify", tiny_bundle)
    assert result.exit_code == 0
    assert "all as published" in result.stdout
    answer = json.loads(run_exporter("verify", tiny_bundle, "--json").stdout)
    assert answer["verified"] is True
    assert answer["files"] >= 8


def test_verify_of_a_damaged_bundle_is_exit_1_and_names_all_faults(
    run_exporter: Any, own_bundle: Path
) -> None:
    (own_bundle / "golden.json").unlink()
    (own_bundle / "README.md").write_text("changed")
    (own_bundle / "stray").write_text("")
    result = run_exporter("verify", own_bundle)
    assert result.exit_code == 1
    line = only_line(result)
    assert all(p in line for p in ("missing: golden.json", "changed: README.md", "extra: stray"))


def test_export_of_a_model_prints_its_table_and_json(
    run_exporter: Any, tiny_bundle: Path, tmp_path: Path
) -> None:
    source = tiny_bundle / "keras" / "model.keras"
    arguments = ("export", source, "-o", tmp_path / "mine", "--formats", "onnx,tfjs-layers")
    table = run_exporter(*arguments)
    assert table.exit_code == 0, table.output
    for text in ("onnx/float32", "tfjs-layers/float32", "passed", "report.html"):
        assert text in table.stdout
    (row,) = json.loads(run_exporter(*arguments, "--json").stdout)
    assert set(row["artifacts"]) == {"keras/float32", "onnx/float32", "tfjs-layers/float32"}
    assert row["parity"]["failed"] == 0
    assert row["parity"]["passed"] > 0


def test_parity_prints_a_verdict_per_backend(run_exporter: Any, own_bundle: Path) -> None:
    result = run_exporter("parity", own_bundle, "--runtimes", "onnxruntime,tfjs-node")
    assert result.exit_code == 0, result.output
    assert re.search(r"onnx/float32 +onnxruntime +cpu +\d+ passed", result.stdout)
    assert re.search(r"tfjs-graph/float32 +tfjs-node +wasm +\d+ passed", result.stdout)
    arguments = ("parity", own_bundle, "--runtimes", "onnxruntime", "--json")
    assert json.loads(run_exporter(*arguments).stdout)["failed"] == 0
    assert (own_bundle / "report" / "report.html").exists()


def test_parity_with_nothing_to_compare_is_no_pass(run_exporter: Any, own_bundle: Path) -> None:
    result = run_exporter("parity", own_bundle, "--runtimes", "abacus")
    assert result.exit_code == 2
    assert "abacus" in only_line(result)


def test_asking_only_for_runtimes_that_open_nothing_here_is_no_pass(
    run_exporter: Any, tiny_bundle: Path, tmp_path: Path
) -> None:
    source, bundle = tiny_bundle / "keras" / "model.keras", tmp_path / "mine"
    assert run_exporter("export", source, "-o", bundle, "--formats", "onnx,onnx").exit_code == 0
    result = run_exporter("parity", bundle, "--runtimes", "tfjs-node")
    assert result.exit_code == 1
    assert "holds nothing that tfjs-node runs" in only_line(result)


def test_asking_only_for_runtimes_that_are_not_here_is_exit_3(
    run_exporter: Any, own_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("EXPORTER_BROWSER", str(tmp_path / "no-such-browser"))
    monkeypatch.setenv("CI", "")
    code = "import sys; from exporter.cli import main; main(sys.argv[1:])"
    ended = subprocess.run(
        [sys.executable, "-c", code, "parity", own_bundle, "--runtimes", "tfjs-browser"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert ended.returncode == 3, ended.stderr
    assert "no-such-browser" in ended.stderr
    assert "not run" in ended.stdout


def test_a_model_with_its_own_code_needs_unsafe_both_ways(
    run_exporter: Any, tmp_path: Path
) -> None:
    import keras

    model = keras.Sequential([keras.Input((3,)), keras.layers.Lambda(lambda x: x * 2.0)])
    path = tmp_path / "mine.keras"
    model.save(path)
    bundle = tmp_path / "bundle"
    refused = run_exporter("export", path, "-o", bundle)
    assert refused.exit_code == 2
    assert "--unsafe" in only_line(refused)
    agreed = run_exporter("export", path, "-o", bundle, "--unsafe", "--formats", "onnx")
    assert agreed.exit_code == 0, agreed.output
    assert run_exporter("parity", bundle, "--runtimes", "onnxruntime").exit_code == 2
    again = run_exporter("parity", bundle, "--runtimes", "onnxruntime", "--unsafe")
    assert again.exit_code == 0, again.output


def test_train_writes_model_record_and_pictures_and_prints_figures(
    run_exporter: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ("train", "mlp-128", "--data", "digits", "--epochs", 1, "--held-out", "-o", "mine")
    result = run_exporter(*arguments)
    assert result.exit_code == 0, result.output
    assert "held out: accuracy" in result.stdout
    assert "mine/keras/model.keras" in result.stdout
    for path in ("keras/model.keras", "keras/training.json", "report/evaluation.html"):
        assert (tmp_path / "mine" / path).stat().st_size > 0
    record = json.loads((tmp_path / "mine" / "keras" / "training.json").read_text())
    assert record["metrics"]["data"] == "digits"
    assert set(record["metrics"]) >= {"test", "validation", "fingerprint", "seed"}


def test_evaluate_of_a_model_gives_figures_and_pictures(
    run_exporter: Any, tiny_bundle: Path, tmp_path: Path
) -> None:
    result = run_exporter("evaluate", tiny_bundle, "--data", "digits", "-o", tmp_path, "--json")
    assert result.exit_code == 0, result.output
    (found,) = json.loads(result.stdout).values()
    right = sum(found["confusion"][i][i] for i in range(10))
    assert found["accuracy"] == pytest.approx(right / found["samples"], abs=1e-4)
    assert (tmp_path / "evaluation.html").exists()


def test_two_models_of_one_name_are_both_evaluated(
    run_exporter: Any, tiny_bundle: Path, own_bundle: Path, tmp_path: Path
) -> None:
    manifest = own_bundle / "manifest.json"
    text = manifest.read_text().replace('"name": "tiny"', '"name": "../../tiny"', 1)
    manifest.write_text(text)
    files = [bundle / "keras" / "model.keras" for bundle in (tiny_bundle, own_bundle)]
    out = tmp_path / "a" / "b" / "c"
    arguments = ("evaluate", *files, own_bundle, "--data", "digits", "-o", out, "--json")
    result = run_exporter(*arguments)
    assert result.exit_code == 0, result.output
    assert set(json.loads(result.stdout)) == {"model", str(files[1]), "../../tiny"}
    assert len(list(out.glob("*/evaluation.html"))) == 3
    assert list(tmp_path.glob("a/*.html")) == []


def test_nothing_but_the_answer_goes_to_a_pipe(tiny_bundle: Path) -> None:
    ended = subprocess.run(
        [*EXPORTER, "parity", tiny_bundle, "--runtimes", "onnxruntime", "--json"],
        capture_output=True, text=True, env=os.environ | {"CI": ""},
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["name"] == "tiny"
    assert ended.stderr == ""


def test_an_unexpected_fault_is_one_line_and_a_traceback_only_with_debug(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    module = tmp_path / "broken_objects.py"
    module.write_text("raise RuntimeError('boom')")
    source = tiny_bundle / "keras" / "model.keras"
    command = [
        *EXPORTER, "export", source, "-o", tmp_path / "x", "--custom-objects",
        "broken_objects:Thing",
    ]  # fmt: skip
    plain = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert plain.returncode == 4
    assert "boom" in plain.stderr
    assert "Traceback" not in plain.stderr
    command.insert(3, "--debug")
    loud = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert loud.returncode == 4
    assert "Traceback" in loud.stderr
    assert not (tmp_path / "x").exists()


def test_recipes_lists_every_recipe(run_exporter: Any) -> None:
    rows = json.loads(run_exporter("recipes", "--json").stdout)
    assert {row["name"] for row in rows} == set(recipe.names())
    assert {"mlp-100-sigmoid", "mlp-128", "mlp-128-64", "mlp-256-128", "mlp-sigmoid"} <= {
        row["name"] for row in rows
    }
    assert all(row["published"] for row in rows)
    layers = {row["name"]: row["layers"] for row in rows}
    assert layers["mlp-128-64"] == "Flatten - 128 - 64 - 10"
    assert layers["resnet"].startswith("11 Conv2D, 11 BatchNormalization, 9 Activation, 4 Add")
