"""A built wheel is whole: recipes, schema and player are in it, and it exports on its own."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built by its build backend from what is here."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
            "--wheel-dir", folder, ROOT,
        ],
        check=True,
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel in it, and nothing of this checkout.

    It sees the packages of the test run, so that nothing is downloaded.
    """
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install",
            "--quiet", "--no-deps", "--no-index", wheel,
        ],
        check=True,
    )  # fmt: skip
    here = next(Path(p) for p in sys.path if p.endswith("site-packages"))
    own = next((folder / "lib").glob("python*/site-packages"))
    (own / "dependencies.pth").write_text(f"{here}\n")
    return folder / "bin" / "python"


def test_the_wheel_holds_recipes_schema_templates_and_player(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    recipes = {path.name for path in (ROOT / "exporter" / "recipes").glob("*.toml")}
    assert recipes
    for wanted in (
        *(f"exporter/recipes/{name}" for name in recipes),
        "exporter/manifest.schema.json", "exporter/templates/report.html.jinja",
        "exporter/player/package.json", "exporter/player/dist/index.js",
        "exporter/player/dist/node/host.js", "web/__init__.py",
    ):  # fmt: skip
        assert wanted in names
    strangers = [n for n in names if "node_modules" in n or n.startswith(("tests", "models"))]
    assert strangers == []


def test_the_installed_wheel_exports_layers_and_onnx_with_their_parity(
    installed: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    source = tiny_bundle / "keras" / "model.keras"
    where = subprocess.run(
        [installed, "-c", "import exporter; print(exporter.__file__)"],
        check=True, capture_output=True, text=True, cwd=tmp_path,
    ).stdout  # fmt: skip
    assert str(installed.parent.parent) in where
    ended = subprocess.run(
        [installed, "-m", "exporter", "export", source, "-o", "mine",
         "--formats", "tfjs-layers,onnx", "--json"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    (row,) = json.loads(ended.stdout)
    assert set(row["artifacts"]) == {"keras/float32", "tfjs-layers/float32", "onnx/float32"}
    manifest = json.loads((tmp_path / "mine" / "manifest.json").read_text())
    runtimes = {(row["artifact"], row["runtime"], row["backend"]) for row in manifest["parity"]}
    assert ("tfjs-layers/float32", "tfjs-node", "wasm") in runtimes
    assert ("onnx/float32", "onnxruntime-web-node", "wasm") in runtimes


def test_without_tensorflowjs_the_graph_format_names_its_one_line_remedy(
    installed: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    own = next((installed.parent.parent / "lib").glob("python*/site-packages"))
    here = Path((own / "dependencies.pth").read_text().strip())
    for entry in here.iterdir():
        hidden = entry.name.startswith("tensorflowjs") or "keras_web_exporter" in entry.name
        if not hidden and not (own / entry.name).exists():
            (own / entry.name).symlink_to(entry)
    (own / "dependencies.pth").unlink()
    ended = subprocess.run(
        [installed, "-m", "exporter", "export", tiny_bundle / "keras" / "model.keras",
         "-o", "mine", "--formats", "tfjs-graph"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    assert ended.returncode == 3, ended.stderr
    assert "pip install --no-deps tensorflowjs==4.22.0" in ended.stderr
    assert not (tmp_path / "mine").exists()
