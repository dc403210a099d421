"""The house's rules: imports point one way, and importing the package costs next to nothing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# From the top down: a module imports from its own floor's packages or from floors below it.
FLOORS = (
    ("web",),
    ("exporter.__main__",),
    ("exporter.cli",),
    ("exporter.tuning_tables",),
    ("exporter.tables",),
    ("exporter",),  # its __init__: the public names, imported on use
    ("exporter.api",),
    ("exporter.jobs", "exporter.tune"),
    ("exporter.pipeline", "exporter.trained"),
    ("exporter.trace",),
    ("exporter.comparison",),
    ("exporter.bench",),
    ("exporter.check",),
    (
        "exporter.samples",
        "exporter.predictor",
        "exporter.report",
        "exporter.contest_page",
        "exporter.train",
    ),
    ("exporter.architecture", "exporter.augment", "exporter.handwriting"),
    ("exporter.evaluate", "exporter.evaluation_page", "exporter.measuring"),
    (
        "exporter.data",
        "exporter.formats",
        "exporter.runtimes",
        "exporter.golden",
        "exporter.given",
        "exporter.pens",
    ),
    ("exporter.ink",),
    ("exporter.picture",),
    ("exporter.graphs", "exporter.activations"),
    ("exporter.source",),
    (
        "exporter.keras_file",
        "exporter.upstream_hdf5",
        "exporter.retype",
        "exporter.meaning",
        "exporter.scopes",
        "exporter.recurrence",
    ),
    ("exporter.sparing",),
    ("exporter.contest_chart",),
    ("exporter.schedule", "exporter.judgement", "exporter.shipping", "exporter.contest"),
    ("exporter.parity", "exporter.publish", "exporter.signing"),
    ("exporter.browser", "exporter.versions"),
    ("exporter.gates", "exporter.half_float", "exporter.manifest"),
    ("exporter.contents", "exporter.declared"),
    ("exporter.recipe",),
    ("exporter.ranges",),
    (
        "exporter.toml_lines",
        "exporter.json_text",
        "exporter.stored_member",
        "exporter.errors",
        "exporter.sizes",
    ),
)
HEAVY = {"tensorflow", "keras", "onnx", "onnxruntime", "tf2onnx", "tensorflowjs", "sklearn"}


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    for package in ("exporter", "web"):
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    """(module, line) of every import of the project, wherever it stands in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [
                name if (ROOT / f"{name.replace('.', '/')}.py").exists()
                or (ROOT / name.replace(".", "/") / "__init__.py").exists() else node.module
                for name in below
            ]  # fmt: skip
        else:
            continue
        for name in names:
            if name.split(".")[0] in ("exporter", "web"):
                yield name, node.lineno


def _floor(module: str) -> int | None:
    """The index of the floor that holds `module` or the package that it is in."""
    while module:
        for index, floor in enumerate(FLOORS):
            if module in floor:
                return index
        package = module.rpartition(".")[0]
        # The package itself is its own floor; its modules must be listed.
        if package in ("exporter", ""):
            return None
        module = package
    return None


def violations(root: Path) -> list[str]:
    """Every import that points up, sideways between formats or runtimes, or from nowhere."""
    found = []
    for module, path in _modules(root):
        own = _floor(module)
        where = path.relative_to(root).as_posix()
        if own is None:
            found.append(f"{where}: {module} is on no floor of the house")
            continue
        for name, line in _imports(path):
            other = _floor(name)
            # The package's public names are re-exported from below on use.
            if other is None or (name == "exporter" and module != "exporter"):
                if name != "exporter":
                    found.append(f"{where}:{line}: {name} is on no floor of the house")
                continue
            if other < own:
                found.append(f"{where}:{line}: {module} imports {name}, which is above it")
            for family in ("exporter.formats", "exporter.runtimes"):
                mine, theirs = _member(family, module), _member(family, name)
                if mine and theirs and mine != theirs and theirs not in SHARED:
                    found.append(f"{where}:{line}: {module} imports {name}, a sibling")
            if module.startswith("exporter.formats") and name.startswith("exporter.runtimes"):
                found.append(f"{where}:{line}: a format imports a runtime")
            if module.startswith("exporter.runtimes") and name.startswith("exporter.formats"):
                found.append(f"{where}:{line}: a runtime imports a format")
    return found


# What several formats are written with; no formats themselves.
SHARED = {"tfjs_weights", "tfjs_operations", "upstream_tensorflowjs", "upstream_tf2onnx"}


def _member(family: str, module: str) -> str | None:
    """ "onnx" for "exporter.formats.onnx.names"."""
    if not module.startswith(family + "."):
        return None
    return module.removeprefix(family + ".").split(".")[0]


def test_imports_point_one_way() -> None:
    assert violations(ROOT) == []


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("exporter/manifest.py", "from exporter.pipeline import run", "above it"),
        ("exporter/formats/keras.py", "import exporter.formats.onnx", "sibling"),
        ("exporter/runtimes/keras.py", "from exporter.formats import get", "imports a format"),
        ("exporter/errors.py", "import web", "above it"),
        ("exporter/stranger.py", "", "no floor"),
    ],
)
def test_an_import_turned_round_is_found(
    tmp_path: Path, module: str, line: str, complaint: str
) -> None:
    for package in ("exporter", "web"):
        for path in (ROOT / package).rglob("*.py"):
            if "node_modules" in path.parts:
                continue
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    with open(tmp_path / module, "a", encoding="utf-8") as stream:
        stream.write(f"\n{line}\n")
    found = violations(tmp_path)
    assert any(module in item and complaint in item for item in found), found


@pytest.mark.parametrize("package", ["exporter", "exporter.cli", "exporter.manifest", "web"])
def test_importing_loads_no_heavy_package(package: str) -> None:
    code = f"import sys, {package}; print(*{{m.split('.')[0] for m in sys.modules}})"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert HEAVY & set(loaded) == set()
    assert "exporter" in loaded


def test_every_public_name_is_there() -> None:
    code = (
        "import exporter; print(*(type(getattr(exporter, n)).__name__ for n in exporter.__all__))"
    )
    kinds = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert sorted(kinds) == ["function"] * 4 + ["str", "type"]
