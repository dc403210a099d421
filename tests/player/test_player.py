"""The player's JavaScript: its own tests under node --test, its types, what was built of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exporter.runtimes import node

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PLAYER = ROOT / "exporter" / "player"


def _run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {key: text for key, text in os.environ.items() if key != "NODE_OPTIONS"}
    return subprocess.run(
        [node.node_executable(), *arguments],
        cwd=cwd, env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*.test.js")))
def test_javascript(name: str) -> None:
    done = _run("--test", "--test-reporter=tap", str(HERE / name))
    assert done.returncode == 0, done.stdout + done.stderr
    (count,) = re.findall(r"^# pass (\d+)$", done.stdout, re.MULTILINE)
    assert int(count) > 0


def test_types_are_right() -> None:
    compiler = PLAYER / "node_modules" / "typescript" / "bin" / "tsc"
    done = _run(str(compiler), "--project", "tsconfig.json", cwd=PLAYER)
    assert done.returncode == 0, done.stdout


def test_what_is_built_is_built_from_these_sources() -> None:
    check = "import hatch_build as h; raise SystemExit(h._stamp_of(h.DIST) != h._wanted())"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT)
    assert done.returncode == 0, "run `python hatch_build.py`"


def test_nothing_built_needs_unsafe_eval() -> None:
    """But ONNX Runtime's WebGPU build, which is loaded only by who asks for that backend."""
    needing = [
        path.name
        for path in (PLAYER / "dist").rglob("*.js")
        if re.search(r"\bnew Function\b|(?<![\w.$])eval\(", path.read_text(encoding="utf-8"))
    ]
    assert [name for name in needing if not name.startswith("ort.webgpu.")] == []


def test_the_lock_holds_no_registry_addresses() -> None:
    text = (PLAYER / "package-lock.json").read_text(encoding="utf-8")
    assert '"integrity"' in text
    assert "resolved" not in text
    assert "registry" not in text
