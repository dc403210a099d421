"""A wheel holds the built player, and nothing of what it is built from."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.player.test_player import PLAYER, ROOT

MOST_BYTES = 12_500_000
"""Nearly all of it is ONNX Runtime's WebAssembly, packed."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the build backend makes of this tree, without network."""
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    """Its files."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.mark.slow
def test_a_wheel_is_within_its_budget(wheel: Path) -> None:
    assert wheel.stat().st_size <= MOST_BYTES


@pytest.mark.slow
def test_a_wheel_holds_what_a_page_and_node_load(names: list[str]) -> None:
    held = {Path(name).relative_to("exporter/player/dist").as_posix()
            for name in names if name.startswith("exporter/player/dist/")}  # fmt: skip
    built = {
        path.relative_to(PLAYER / "dist").as_posix()
        for path in (PLAYER / "dist").rglob("*")
        if path.is_file() and path.name != ".stamp"
    }
    assert held == built
    assert {"index.js", "node/host.js", "ort-wasm-simd-threaded.wasm"} <= held


@pytest.mark.slow
def test_a_wheel_holds_no_node_modules_and_no_sources_of_the_player(names: list[str]) -> None:
    assert [name for name in names if "node_modules" in name] == []
    player = [name for name in names if name.startswith("exporter/player/")]
    others = [name for name in player if not name.startswith("exporter/player/dist/")]
    # It says which versions the player was built with.
    assert others == ["exporter/player/package.json"]


def test_the_lock_of_the_player_pins_what_it_is_built_from() -> None:
    packages = json.loads((PLAYER / "package.json").read_text(encoding="utf-8"))
    lock = json.loads((PLAYER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    wanted = packages["dependencies"] | packages["devDependencies"]
    assert lock[""]["dependencies"] | lock[""]["devDependencies"] == wanted
    for name, version in wanted.items():
        assert lock[f"node_modules/{name}"]["version"] == version
