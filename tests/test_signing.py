"""Signatures: what a key signed is what it verifies, and nothing else ever passes."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

import exporter
from exporter import manifest, signing
from exporter.errors import BadBundle, PackageMissing, VerificationFailed
from exporter.manifest import measure

PEM = serialization.Encoding.PEM
PKCS8 = serialization.PrivateFormat.PKCS8


def write_pair(
    folder: Path, name: str, key: Any = None, password: bytes | None = None
) -> tuple[Path, Path]:
    """A private and a public key in PEM, as openssl writes them."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    hidden = serialization.BestAvailableEncryption(password) if password else None
    private, public = folder / f"{name}.pem", folder / f"{name}.public.pem"
    private.write_bytes(key.private_bytes(PEM, PKCS8, hidden or serialization.NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    return write_pair(tmp_path, "mine")


@pytest.fixture
def signed(own_bundle: Path, keys: tuple[Path, Path]) -> Path:
    """A bundle that the key signed."""
    signing.sign(own_bundle, keys[0])
    return own_bundle


def test_what_was_signed_verifies_wherever_it_lies_and_without_its_report(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    elsewhere = signed.rename(tmp_path / "another-name")
    (elsewhere / "report" / "report.html").write_text("measured elsewhere")
    assert exporter.verify(elsewhere, key=keys[1]).name == "tiny"
    assert exporter.verify(elsewhere).name == "tiny"
    assert list(tmp_path.glob(".signing-*")) == []


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()], ids=lambda c: c.name)
def test_the_larger_curves_sign_too(own_bundle: Path, tmp_path: Path, curve: Any) -> None:
    private, public = write_pair(tmp_path, "large", ec.generate_private_key(curve))
    signing.sign(own_bundle, private)
    signing.verify(own_bundle, public)


def test_the_documented_commands_make_a_pair_that_works(own_bundle: Path, tmp_path: Path) -> None:
    from exporter.cli.sign import sign

    made = (sign.epilog or "").partition("a pair of keys: ")[2]
    subprocess.run(made, shell=True, check=True, cwd=tmp_path, capture_output=True)
    signing.sign(own_bundle, tmp_path / "private.pem")
    signing.verify(own_bundle, tmp_path / "public.pem")


def test_the_own_tool_of_the_format_verifies_it_too(signed: Path, keys: tuple[Path, Path]) -> None:
    asked = [
        sys.executable, "-m", "model_signing", "verify", "key", signed,
        "--signature", signed / "manifest.json.sig", "--public_key", keys[1],
    ]  # fmt: skip
    subprocess.run(asked, check=True, capture_output=True)
    (signed / "golden.json").write_text("{}")
    assert subprocess.run(asked, capture_output=True).returncode != 0


def change(path: str) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        data = (bundle / path).read_bytes()
        (bundle / path).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    return damage


def rewrite_manifest(bundle: Path) -> None:
    """A stranger changes a file and the manifest with it, so that all hashes are right."""
    (bundle / "golden.json").write_text("{}")
    manifest = json.loads((bundle / "manifest.json").read_text())
    (item,) = (one for one in manifest["files"] if one["path"] == "golden.json")
    (measured,) = measure(bundle, ["golden.json"])
    item |= {"sha256": measured.sha256, "size_bytes": measured.size_bytes}
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    assert exporter.verify(bundle)


def rename(bundle: Path) -> None:
    text = (bundle / "manifest.json").read_text()
    (bundle / "manifest.json").write_text(text.replace('"name": "tiny"', '"name": "fake"', 1))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a weight": change("onnx/model.onnx"),
    "the golden vectors": change("golden.json"),
    "the manifest and what it lists": rewrite_manifest,
    "the bundle's name": rename,
    "a file more": lambda bundle: (bundle / "extra.js").write_text("1"),
    "a git file more": lambda bundle: (bundle / ".gitattributes").write_text("1"),
    "a file less": lambda bundle: (bundle / "README.md").unlink(),
    "no signature": lambda bundle: (bundle / "manifest.json.sig").unlink(),
    "an empty signature": lambda bundle: (bundle / "manifest.json.sig").write_text(""),
    "deep nonsense": lambda bundle: (bundle / "manifest.json.sig").write_text("[" * 100_000),
    "a folder": lambda bundle: (
        (bundle / "manifest.json.sig").unlink(), (bundle / "manifest.json.sig").mkdir(),
    ),
    "a link to a signature": lambda bundle: (
        (bundle / "manifest.json.sig").rename(bundle.parent / "away.sig"),
        (bundle / "manifest.json.sig").symlink_to(bundle.parent / "away.sig"),
    ),
    "a pipe": lambda bundle: (
        (bundle / "manifest.json.sig").unlink(), os.mkfifo(bundle / "manifest.json.sig"),
    ),
    "too large": lambda bundle: os.truncate(bundle / "manifest.json.sig", 2**30),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_tampered_bundle_never_passes(
    run_exporter: Any, signed: Path, keys: tuple[Path, Path], damage: Callable[[Path], None]
) -> None:
    damage(signed)
    result = run_exporter("verify", signed, "--key", keys[1])
    assert result.exit_code == 1, result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert "signed" not in result.stdout


def test_the_signature_of_another_bundle_or_of_another_key_does_not_pass(
    signed: Path, keys: tuple[Path, Path], tmp_path: Path
) -> None:
    other = write_pair(tmp_path, "other")
    with pytest.raises(VerificationFailed, match="does not hold"):
        signing.verify(signed, other[1])
    original = (signed / "manifest.json.sig").read_bytes()
    rewrite_manifest(signed)
    signing.sign(signed, other[0])
    with pytest.raises(VerificationFailed, match="does not hold"):
        signing.verify(signed, keys[1])
    (signed / "manifest.json.sig").write_bytes(original)
    for public in (keys[1], other[1]):
        with pytest.raises(VerificationFailed, match="does not"):
            signing.verify(signed, public)


def statement(document: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(document["dsseEnvelope"]["payload"]))


def test_no_flipped_byte_of_a_signature_makes_it_say_anything_else(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    path = signed / "manifest.json.sig"
    data = path.read_bytes()
    said = statement(json.loads(data))
    passed = 0
    for place in range(3, len(data), len(data) // 60):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            signing.verify(signed, keys[1])
        except VerificationFailed:
            continue
        # The envelope may be spelled otherwise (a key nobody reads, unused bits of base64).
        assert statement(json.loads(path.read_bytes())) == said
        passed += 1
    assert passed < 6


def forged(bundle: Path, private: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """A signature that the key's owner made with another tool, over something else."""
    from model_signing._signing import sign_sigstore_pb

    path = bundle / "manifest.json.sig"
    document = json.loads(path.read_text())
    said = statement(document)
    edit(said)
    raw = json.dumps(said).encode()
    key: Any = serialization.load_pem_private_key(private.read_bytes(), None)
    from cryptography.hazmat.primitives import hashes

    mark = key.sign(sign_sigstore_pb.pae(raw), ec.ECDSA(hashes.SHA256()))
    document["dsseEnvelope"]["payload"] = base64.b64encode(raw).decode()
    document["dsseEnvelope"]["signatures"][0]["sig"] = base64.b64encode(mark).decode()
    path.write_text(json.dumps(document))


def test_a_signature_that_leaves_files_out_does_not_pass(
    signed: Path, keys: tuple[Path, Path]
) -> None:
    import hashlib

    def leave_out(said: dict[str, Any]) -> None:
        left = "onnx/model.onnx"
        predicate = said["predicate"]
        predicate["serialization"]["ignore_paths"].append(left)
        predicate["resources"] = [one for one in predicate["resources"] if one["name"] != left]
        digests = b"".join(bytes.fromhex(one["digest"]) for one in predicate["resources"])
        said["subject"][0]["digest"]["sha256"] = hashlib.sha256(digests).hexdigest()

    forged(signed, keys[0], leave_out)
    with pytest.raises(VerificationFailed, match=r"does not cover onnx/model\.onnx"):
        signing.verify(signed, keys[1])


def test_a_signature_without_the_hint_of_its_key_does_not_pass(
    capsys: pytest.CaptureFixture[str], signed: Path, keys: tuple[Path, Path]
) -> None:
    path = signed / "manifest.json.sig"
    document = json.loads(path.read_text())
    document["verificationMaterial"]["publicKey"]["hint"] = ""
    path.write_text(json.dumps(document))
    with pytest.raises(VerificationFailed, match="of which key"):
        signing.verify(signed, keys[1])
    assert capsys.readouterr().out == ""


def test_a_signed_artefact_that_reads_other_files_does_not_pass(
    monkeypatch: pytest.MonkeyPatch, own_bundle: Path, keys: tuple[Path, Path]
) -> None:
    """With a key no less is checked than without: a release that looked less closely signed it."""
    path = "onnx/model.onnx"
    elsewhere = b"\x0a\x08location\x12\x04evil"
    external = bytes([13 << 3 | 2, len(elsewhere) + 2, 1 << 3 | 2, len(elsewhere)]) + elsewhere
    graph = bytes([5 << 3 | 2, len(external)]) + external
    with open(own_bundle / path, "ab") as stream:
        stream.write(bytes([7 << 3 | 2, len(graph)]) + graph)
    document = json.loads((own_bundle / "manifest.json").read_text())
    (measured,) = measure(own_bundle, [path])
    for artifact in document["artifacts"]:
        for file in artifact["files"]:
            if file["path"] == path:
                file |= {"sha256": measured.sha256, "size_bytes": measured.size_bytes}
    (own_bundle / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(BadBundle, match="external data"):
        signing.sign(own_bundle, keys[0])
    with monkeypatch.context() as earlier:
        earlier.setattr(signing, "examine", manifest.verify)
        signing.sign(own_bundle, keys[0])
    with pytest.raises(BadBundle, match="external data"):
        signing.verify(own_bundle, keys[1])


def test_a_damaged_bundle_is_not_signed(own_bundle: Path, keys: tuple[Path, Path]) -> None:
    change("golden.json")(own_bundle)
    with pytest.raises(VerificationFailed, match=r"golden\.json"):
        signing.sign(own_bundle, keys[0])
    assert not signing.is_signed(own_bundle)


def test_an_encrypted_key_signs_with_its_password_alone(
    run_exporter: Any, own_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, public = write_pair(tmp_path, "hidden", password=b"open sesame")
    for wrong in (None, "wrong"):
        if wrong:
            monkeypatch.setenv("EXPORTER_KEY_PASSWORD", wrong)
        result = run_exporter("sign", own_bundle, "--key", private)
        assert result.exit_code == 2, result.output
        assert "EXPORTER_KEY_PASSWORD" in result.stderr
        assert not signing.is_signed(own_bundle)
    monkeypatch.setenv("EXPORTER_KEY_PASSWORD", "open sesame")
    assert run_exporter("sign", own_bundle, "--key", private).exit_code == 0
    signing.verify(own_bundle, public)


@pytest.mark.parametrize("what", ["missing", "text", "folder", "rsa", "swapped", "another curve"])
def test_what_is_no_key_is_told_before_anything_is_written(
    run_exporter: Any, signed: Path, keys: tuple[Path, Path], tmp_path: Path, what: str
) -> None:
    (tmp_path / "text").write_text("hello")
    (tmp_path / "folder").mkdir()
    other = tmp_path / what, tmp_path / what
    if what == "rsa":
        other = write_pair(tmp_path, "rsa", rsa.generate_private_key(65537, 2048))
    elif what == "another curve":
        other = write_pair(tmp_path, "k1", ec.generate_private_key(ec.SECP256K1()))
    elif what == "swapped":
        other = keys[1], keys[0]
    before = (signed / "manifest.json.sig").read_bytes()
    for command, key in (("sign", other[0]), ("verify", other[1])):
        result = run_exporter(command, signed, "--key", key)
        assert result.exit_code == 2, result.output
        assert f"{key}: " in result.stderr
    assert (signed / "manifest.json.sig").read_bytes() == before


def test_the_command_line_says_whether_a_signature_was_checked(
    run_exporter: Any, own_bundle: Path, keys: tuple[Path, Path]
) -> None:
    def told(*more: object) -> tuple[str, str]:
        text = run_exporter("verify", own_bundle, *more).stdout
        return text, json.loads(run_exporter("verify", own_bundle, *more, "--json").stdout)[
            "signature"
        ]

    assert told()[1] == "none"
    result = run_exporter("sign", own_bundle, "--key", keys[0], "--json")
    assert json.loads(result.stdout) == {"name": "tiny", "signature": "manifest.json.sig"}
    text, signature = told()
    assert signature == "not checked"
    assert "not checked" in text
    text, signature = told("--key", keys[1])
    assert signature == "verified"
    assert "signed with" in text


def test_a_bundle_that_is_exported_again_is_signed_again(
    own_bundle: Path, keys: tuple[Path, Path]
) -> None:
    signing.sign(own_bundle, keys[0])
    first = (own_bundle / "manifest.json.sig").read_bytes()
    signing.sign(own_bundle, keys[0])
    assert (own_bundle / "manifest.json.sig").read_bytes() != first
    signing.verify(own_bundle, keys[1])


OFFLINE = """
import sys
def refuse(event, args):
    if event.startswith("socket."):
        raise RuntimeError(f"network: {event} {args}")
sys.addaudithook(refuse)
from pathlib import Path
from exporter import manifest, signing
bundle, private, public = map(Path, sys.argv[1:])
signing.sign(bundle, private)
print(signing.verify(bundle, public).name)
print(*{"tensorflow", "keras", "onnx", "onnxruntime"} & set(sys.modules))
"""


def test_signing_and_verifying_ask_no_network_and_load_nothing_heavy(
    own_bundle: Path, keys: tuple[Path, Path]
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", OFFLINE, own_bundle, *keys], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "tiny\n\n"


def test_without_the_package_the_extra_is_named(
    own_bundle: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing.signing", None)
    with pytest.raises(PackageMissing, match=r"keras-web-exporter\[sign\]"):
        signing.sign(own_bundle, keys[0])


def test_a_bundle_that_cannot_be_read_is_none(keys: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(BadBundle):
        signing.verify(tmp_path, keys[1])
