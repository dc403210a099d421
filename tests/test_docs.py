"""The docs run: the notebook is executed, links lead somewhere, the README's Python works."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import nbclient
import nbformat
import numpy as np
import pytest

from exporter import formats, recipe, runtimes
from exporter.manifest import Manifest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_notebook_runs_from_top_to_bottom(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    notebook = nbformat.read(ROOT / "docs" / "quickstart.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", [])
    )
    assert "tfjs-layers/float32" in printed
    assert "left out" not in printed
    assert (tmp_path / "out" / "quickstart" / "digits" / "manifest.json").exists()


def test_the_notebook_is_kept_without_outputs() -> None:
    notebook = nbformat.read(ROOT / "docs" / "quickstart.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_one(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []


def test_the_readmes_python_runs(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (snippet,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    shutil.copy(tiny_bundle / "keras" / "model.keras", tmp_path / "my-model.keras")
    monkeypatch.chdir(tmp_path)
    exec(compile(snippet, "README.md", "exec"), {"x": np.zeros((2, 28, 28), np.float32)})
    assert (tmp_path / "models" / "mine" / "manifest.json").exists()


def test_every_path_of_the_bundle_in_the_readme_is_that_of_a_recipe() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (tree,) = re.findall(r"```\nmodels/<name>/\n(.*?)```", readme, re.DOTALL)
    said = {line.split()[0] for line in tree.splitlines()}
    there = {path for path in said if (ROOT / "models" / "mlp-128-64" / path).exists()}
    assert said - there <= {"report/"}, "not tracked: made by each comparison"
    manifest = Manifest.read(ROOT / "models" / "mlp-128-64")
    assert {artifact.path for artifact in manifest.artifacts} <= said


def test_architecture_names_every_module() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = {
        path.stem if path.is_file() else path.name
        for path in (ROOT / "exporter").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    unnamed = {name for name in modules if not name.startswith("__") and f"`{name}`" not in text}
    assert unnamed == set()


def test_the_tables_hold_what_they_name() -> None:
    for package in (formats, runtimes):
        for name in package.NAMES:
            assert package.get(name).name == name


@pytest.mark.parametrize("name", recipe.names())
def test_the_figures_of_the_recipes_are_those_of_the_shipped_models(name: str) -> None:
    record = json.loads((ROOT / "models" / name / "keras" / "training.json").read_text())
    figures = record["metrics"]["test"]
    page = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
    shipped, loss, f1 = (cell.strip() for cell in rows[0].split("|")[4:7])
    assert shipped == f"{figures['accuracy']:.2%}".replace("%", " %")
    assert (float(loss), float(f1)) == (figures["loss"], figures["f1"])


@pytest.mark.parametrize("name", recipe.names())
def test_every_shipped_model_reaches_its_recipes_minimum(name: str) -> None:
    found = recipe.load(name)
    record = json.loads((ROOT / "models" / name / "keras" / "training.json").read_text())
    metrics = record["metrics"]
    assert metrics["fingerprint"] == found.fingerprint
    assert metrics["test"]["accuracy"] >= (found.minimum.accuracy or 0)
    assert metrics["test"]["loss"] <= (found.minimum.loss or 1)
    assert metrics["test"]["f1"] >= (found.minimum.f1 or 0)
