"""Finding a Chromium, and getting one where there is none.

`find` looks, in this order, at `EXPORTER_BROWSER`, at the browsers on the PATH, and at the one
that Playwright fetched. `python -m exporter.browser --install` also tries Playwright's download
and, on Debian as root, the package `chromium`. May import `exporter.errors` only.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from exporter.errors import BrowserMissing, ExporterError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
)
"""How every Chromium of this project is started: quiet, and with software WebGL and WebGPU."""

_REMEDY = (
    "install one (Debian: apt-get install chromium; elsewhere: playwright install chromium) "
    "or name it in EXPORTER_BROWSER"
)


def find() -> Path | None:
    """The executable of a Chromium on this machine, or None.

    Raises:
        BrowserMissing: EXPORTER_BROWSER names a file that is not there.
    """
    named = os.environ.get("EXPORTER_BROWSER")
    if named:
        if not shutil.which(named):
            raise BrowserMissing(f"EXPORTER_BROWSER={named}: no such program; {_REMEDY}")
        return Path(named)
    for name in NAMES:
        if path := shutil.which(name):
            return Path(path)
    return _playwrights_own()


def require() -> Path:
    """Like `find`.

    Raises:
        BrowserMissing: There is none; the message says what to install.
    """
    path = find()
    if path is None:
        raise BrowserMissing(f"no Chromium found on this machine; {_REMEDY}")
    return path


def install() -> Path:
    """Find a Chromium, else fetch Playwright's, else install Debian's.

    Raises:
        BrowserMissing: None of it worked; the message says what each answered.
    """
    answers = []
    for attempt in (None, _fetch_playwrights, _install_debians):
        if attempt is not None:
            answers.append(attempt())
        if path := find():
            return path
    raise BrowserMissing(f"no Chromium: {'; '.join(answers)}; {_REMEDY}")


@cache
def _playwrights_own() -> Path | None:
    """Where Playwright keeps its Chromium, if the package and the browser are there.

    Asked once: Playwright starts a Node process of its own to answer.
    """
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    with sync_playwright() as playwright:
        path = Path(playwright.chromium.executable_path)
    return path if path.exists() else None


def _fetch_playwrights() -> str:
    _playwrights_own.cache_clear()
    try:
        return _run(sys.executable, "-m", "playwright", "install", "chromium")
    except FileNotFoundError as error:
        return f"Playwright is not installed ({error})"


def _install_debians() -> str:
    if not shutil.which("apt-get"):
        return "no apt-get here"
    if os.geteuid() != 0:
        return "apt-get needs root: sudo apt-get install chromium"
    first = _run("apt-get", "update", "--quiet")
    second = _run("apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "chromium")
    return f"{first}; {second}"


def _run(*command: str) -> str:
    """Run, and say in one line how it ended."""
    print(f"no Chromium yet; trying: {' '.join(command)}", file=sys.stderr, flush=True)
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)
    lines = (ended.stderr or ended.stdout).strip().splitlines() or ["no message"]
    name = Path(command[0]).name + " " + command[-1]
    return f"{name}: {'ok' if ended.returncode == 0 else lines[-1]}"


def main(arguments: list[str] | None = None) -> int:
    """Print the browser's path; with --install, get one first."""
    parser = argparse.ArgumentParser(prog="python -m exporter.browser", description=main.__doc__)
    parser.add_argument("--install", action="store_true", help="fetch or install one if needed")
    wanted = parser.parse_args(arguments)
    try:
        print(install() if wanted.install else require())
    except ExporterError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
