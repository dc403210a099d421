"""What the project stands on: locks, the lists of what is in them, signatures, the lowest versions.

`out/lowest` becomes an environment of the lowest versions that pyproject.toml allows, with the
project's own wheel; a model is exported, verified, signed, frozen and served in it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.test_supply_chain import LOCK, PLAYER, locked
from tests.torture.table import ROOT, Figure, Measured

LOWEST = ROOT / "out" / "lowest"
EXTRAS = ("sign", "serve", "tune")
MODEL = ROOT / "models" / "mlp-128" / "keras" / "model.keras"
TESTS = ("tests/test_supply_chain.py", "tests/test_signing.py", "tests/web/test_headers.py")
SERVED = (
    "import web; client = web.create_app().test_client(); "
    "print(client.get('/models/mine/manifest.json').status_code)"
)


def measure() -> Measured:
    """All of it; some three minutes, most of them installing."""
    found, faults = listed()
    lowest, wrong = lowest_versions()
    tampering, missed = tampered()
    return Measured({**tampering, **found, **lowest}, tuple(missed + faults + wrong))


def tampered() -> tuple[dict[str, Figure], list[str]]:
    """The quick tests that tamper with locks, packages, scripts and signatures, once more."""
    done = _run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "not browser",
            *TESTS,
        ]
    )
    counted = re.findall(r"(\d+) (passed|failed|error)", done.stdout)
    counts = {what: int(number) for number, what in counted}
    faults = [f"tests of tampering: {done.stdout.strip()[-200:]}"] if done.returncode else []
    return {"tests that tamper with them": counts.get("passed", 0)}, faults


def listed() -> tuple[dict[str, Figure], list[str]]:
    """`make sbom`, compared with the locks."""
    done = _run(["make", "--silent", "sbom"])
    if done.returncode:
        return {}, [f"make sbom: {done.stderr.strip()[-200:]}"]
    python = _components(ROOT / "out" / "sbom" / "python.cdx.json")
    player = _components(ROOT / "out" / "sbom" / "player.cdx.json")
    packages = json.loads((PLAYER / "package-lock.json").read_text())["packages"]
    npm = {
        f"{name.rpartition('node_modules/')[2]}=={package['version']}"
        for name, package in packages.items()
        if name
    }
    faults = [
        f"{what}: {sorted(missing)[:5]} not in the list"
        for what, missing in ((LOCK.name, set(locked()) - python), ("npm", npm - player))
        if missing
    ]
    return {"packages in the SBOM": f"{len(python)} of Python, {len(player)} of npm"}, faults


def _components(path: Path) -> set[str]:
    """ "name==version" of each package that a CycloneDX document lists."""
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    return {
        f"{'/'.join(filter(None, (one.get('group'), one['name'])))}=={one['version']}"
        for one in document["components"]
    }


def lowest_versions() -> tuple[dict[str, Figure], list[str]]:
    """Install what pyproject.toml allows at least, and use it."""
    LOWEST.mkdir(parents=True, exist_ok=True)
    pins, python = LOWEST / "requirements.txt", LOWEST / "bin" / "python"
    uv = str(Path(sys.executable).with_name("uv"))
    extras = [word for extra in EXTRAS for word in ("--extra", extra)]
    with tempfile.TemporaryDirectory() as folder:
        for command in (
            [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(LOWEST)],
            [uv, "pip", "compile", "pyproject.toml", *extras, "--resolution", "lowest-direct",
             "--python", str(python), "--no-emit-index-url", "--quiet", "-o", str(pins)],
            [uv, "pip", "sync", "--quiet", "--python", str(python), str(pins)],
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
             "--wheel-dir", folder, str(ROOT)],
        ):  # fmt: skip
            done = _run(command)
            if done.returncode:
                return {}, [f"{' '.join(command[:3])}: {done.stderr.strip()[-300:]}"]
        (wheel,) = Path(folder).glob("*.whl")
        installed = _run([uv, "pip", "install", "--quiet", "--no-deps", "--python", str(python),
                          str(wheel)])  # fmt: skip
        if installed.returncode:
            return {}, [f"the wheel: {installed.stderr.strip()[-300:]}"]
    faults = _smoke(python)
    direct = re.findall(r'^  "([a-z0-9-]+)>=', _dependencies(), re.MULTILINE)
    return {"lowest versions allowed": f"{len(direct)} floors, {len(faults)} faults"}, faults


def _dependencies() -> str:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return text.partition("\ndependencies = [")[2].partition("\n]")[0]


def _smoke(python: Path) -> list[str]:
    """Export, verify, sign, freeze and serve; what failed, a sentence each."""
    faults = []
    with tempfile.TemporaryDirectory() as folder:
        exporter = [str(python), "-m", "exporter"]
        for command in (
            [*exporter, "export", str(MODEL), "--formats", "tfjs-layers,onnx", "-o", "models/mine"],
            [*exporter, "verify", "models/mine"],
            ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "own.pem"],
            ["openssl", "ec", "-in", "own.pem", "-pubout", "-out", "public.pem"],
            [*exporter, "sign", "models/mine", "--key", "own.pem"],
            [*exporter, "verify", "models/mine", "--key", "public.pem"],
            [*exporter, "site", "models/mine", "-o", "site"],
            [*exporter, "tune", "--help"],
            [str(python), "-c", SERVED],
            [str(python), "-m", "gunicorn", "-c", "python:web.production", "--check-config"],
        ):
            done = _run(command, folder)
            served = command[-1] != SERVED or done.stdout.strip() == "200"
            if done.returncode or not served:
                said = (done.stderr or done.stdout).strip().splitlines() or [""]
                faults.append(f"lowest versions: {' '.join(command[2:5])}: {said[-1]}")
    return faults


def _run(command: Sequence[str], folder: str | Path = ROOT) -> subprocess.CompletedProcess[str]:
    # Of this checkout's own environment the other one must see nothing.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)
