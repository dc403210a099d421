"""Bundles signed and verified with a key of one's own, offline, in sigstore's model-signing format.

A signature, `manifest.json.sig`, lies in the bundle and covers the manifest and every file that it
lists; `report/` is of the machine it was made on and stands outside. Nothing is fetched and nothing
is sent: the keys are files (EC, on P-256, P-384 or P-521), no account and no log is asked. The
package `model-signing` (extra `sign`) reads and writes the format, so its own tool verifies our
bundles too. May import `exporter.{manifest, errors}` only.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exporter.errors import BadUsage, MachineFailed, PackageMissing, VerificationFailed
from exporter.manifest import MANIFEST_NAME, REPORT_FOLDER, SIGNATURE_NAME, File, Manifest, examine

PASSWORD_VARIABLE = "EXPORTER_KEY_PASSWORD"  # noqa: S105 (its name, not the password)
"""The environment's variable with the password of an encrypted private key."""

LARGEST_BYTES = 16 * 1024**2
"""A signature holds some 150 bytes per file of the bundle; what is larger is none."""


def is_signed(directory: Path) -> bool:
    """Whether a signature lies there, of whatever worth."""
    return os.path.lexists(Path(directory) / SIGNATURE_NAME)


def sign(directory: Path, key: Path, password: str | None = None) -> Path:
    """Sign a bundle that is whole; a signature that is there is replaced.

    Args:
        directory: The bundle; verified first.
        key: The private key, PEM.
        password: Of an encrypted key.

    Returns:
        The signature's path.

    Raises:
        BadBundle, VerificationFailed: No bundle, or not as published: nothing is signed.
        BadUsage: The key is none that can sign, or its password is missing or wrong.
        PackageMissing: `model-signing` is not installed.
        MachineFailed: The signature cannot be written.
    """
    directory = Path(directory)
    manifest = examine(directory)
    with _keys(key, "private"):
        # The package says text, and hands it on to what wants bytes.
        secret = password.encode() if password else None
        config = _package("signing").Config()
        config.use_elliptic_key_signer(private_key=key, password=secret)
    config.set_hashing_config(_hashing())
    target = directory / SIGNATURE_NAME
    try:
        # Beside the bundle: what a killed process leaves is no file of it.
        with tempfile.TemporaryDirectory(prefix=".signing-", dir=directory.absolute().parent) as at:
            made = Path(at) / SIGNATURE_NAME
            config.sign(directory, made)
            _cover(directory, manifest, _statement(directory, _document(directory, made)))
            with open(made, "rb") as stream:
                os.fsync(stream.fileno())
            made.replace(target)
    except OSError as error:
        raise MachineFailed(f"{target}: {error.strerror or error}; not signed") from error
    return target


def verify(directory: Path, key: Path) -> Manifest:
    """Compare a folder with its manifest, and the manifest with its signature.

    Args:
        directory: The bundle.
        key: The public key, PEM, of whoever is trusted to have signed it.

    Raises:
        BadBundle: No bundle, or a malformed manifest.
        BadUsage: The key is none that can verify.
        VerificationFailed: Files are not those of the manifest; no signature, or not one that this
            key made over these very files.
        PackageMissing: `model-signing` is not installed.
    """
    directory = Path(directory)
    manifest = examine(directory)
    with _keys(key, "public"):
        config = _package("verifying").Config().use_elliptic_key_verifier(public_key=key)
    document = _document(directory, directory / SIGNATURE_NAME)
    statement = _statement(directory, document)
    try:
        config.set_hashing_config(_hashing()).verify(directory, directory / SIGNATURE_NAME)
    except OSError as error:
        raise MachineFailed(f"{directory}: {error.strerror or error}") from error
    except Exception as error:  # whatever a stranger's signature makes it raise, it does not hold
        reason = str(error).strip() or "not made with this key, or altered since"
        raise VerificationFailed(
            f"{directory}: its signature does not hold for {key}: {reason}; get the bundle, or the "
            "key, again from whoever published it"
        ) from error
    _cover(directory, manifest, statement)
    return manifest


def _hashing() -> Any:
    """What is signed: every file but the signature and the report, no link, nothing of git's."""
    ignored = [Path(SIGNATURE_NAME), Path(REPORT_FOLDER)]
    return _package("hashing").Config().set_ignored_paths(paths=ignored, ignore_git_paths=False)


def _cover(directory: Path, manifest: Manifest, statement: Any) -> None:
    """What is signed must be the manifest and what it lists: a signer may have left files out.

    Raises:
        VerificationFailed: It is more, less or other.
    """
    files = (*manifest.all_files(), File.of(directory, MANIFEST_NAME))
    expected = {file.path: ("sha256", file.sha256) for file in files}
    try:
        resources = statement["predicate"]["resources"]
        found = {item["name"]: (item["algorithm"], item["digest"]) for item in resources}
    except (KeyError, TypeError):
        found = {}
    wrong = sorted(path for path in expected | found if expected.get(path) != found.get(path))
    if wrong:
        raise VerificationFailed(
            f"{directory}: the signature does not cover {', '.join(wrong)} as it is here; "
            "sign the bundle again"
        )


def _document(directory: Path, path: Path) -> dict[str, Any]:
    """The signature file, as far as JSON.

    Raises:
        VerificationFailed: There is none, or it is none.
    """
    if not os.path.lexists(path):
        raise VerificationFailed(
            f"{directory}: not signed: no {SIGNATURE_NAME} in it; `exporter sign` writes it"
        )
    malformed = f"{path}: a signature of at most {LARGEST_BYTES:,} bytes expected, "
    if path.is_symlink() or not path.is_file():
        raise VerificationFailed(malformed + "a link or no regular file found")
    if (size := path.stat().st_size) > LARGEST_BYTES:
        raise VerificationFailed(malformed + f"{size:,} found")
    try:
        document = json.loads(path.read_bytes())
        # Without this hint the package would only warn; every signer since its 1.0 writes it.
        hint = document["verificationMaterial"]["publicKey"]["hint"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise VerificationFailed(
            f"{path}: no signature: {error!r}; sign the bundle again"
        ) from None
    if not isinstance(hint, str) or not hint:
        raise VerificationFailed(f"{path}: does not say of which key it is; sign the bundle again")
    return dict(document)


def _statement(directory: Path, document: dict[str, Any]) -> Any:
    """What was signed: files and their digests. To be believed once the signature holds."""
    try:
        return json.loads(base64.b64decode(document["dsseEnvelope"]["payload"], validate=True))
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise VerificationFailed(
            f"{directory / SIGNATURE_NAME}: no statement in it: {error!r}; sign the bundle again"
        ) from None


def _package(module: str) -> Any:
    from importlib import import_module

    try:
        return import_module(f"model_signing.{module}")
    except ModuleNotFoundError as error:
        raise PackageMissing(
            f"signatures: the package {error.name} is not installed; "
            "pip install 'keras-web-exporter[sign]'"
        ) from error


@contextmanager
def _keys(key: Path, kind: str) -> Iterator[None]:
    """Say what is wrong with a key; the package raises whatever its own libraries do."""
    try:
        yield
    except FileNotFoundError:
        raise BadUsage(f"{key}: no such file; give a {kind} key in PEM") from None
    except (IsADirectoryError, PermissionError) as error:
        raise BadUsage(f"{key}: {error.strerror}; give a {kind} key in PEM") from None
    except OSError as error:
        raise MachineFailed(f"{key}: {error.strerror or error}") from error
    except PackageMissing:
        raise
    except Exception as error:
        if "encrypted" in str(error) or "decrypt" in str(error).lower():
            said = f"{PASSWORD_VARIABLE} must hold the password of this key, and only of one: "
        else:
            said = f"a {kind} EC key in PEM, on P-256, P-384 or P-521, expected: "
        raise BadUsage(f"{key}: {said}{str(error).strip()}") from error
