"""Hostile files are refused: exit 2, one clear line, and nothing else happens."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from exporter import declared, json_text, picture
from exporter.errors import BadModel
from exporter.keras_file import import_keras, load
from tests.attacks import archives, bundles, cases, configs, sandbox
from tests.attacks.cases import Attack

CASES = cases.every()
MOST_BYTES = 200 << 20
MOST_CPU_S = 2.0
"""A tenth of it is usual; what grows with the square of a file's size takes far more."""


@pytest.fixture(scope="module", autouse=True)
def _imported() -> Iterator[None]:
    """What the commands import, so that only what they do is watched."""
    import h5py  # noqa: F401
    import onnxruntime  # noqa: F401
    import PIL.Image  # noqa: F401

    import exporter.evaluate
    import exporter.samples
    import exporter.trace.picture
    import exporter.trace.tracing  # noqa: F401
    import web.freeze
    import web.single  # noqa: F401

    import_keras()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_HOME", "/nonexistent")
        yield


def test_there_are_300_attacks_and_each_has_a_name_of_its_own() -> None:
    assert len(CASES) >= 300
    assert len({attack.name for attack in CASES}) == len(CASES)
    commands = {attack.name.split(":")[0].split()[0] for attack in CASES}
    assert commands == {
        "export",
        "trace",
        "evaluate",
        "verify",
        "parity",
        "predict",
        "site",
        "train",
    }
    advisories = set(re.findall(r"CVE-\d{4}-\d+", " ".join(attack.name for attack in CASES)))
    assert len(advisories) >= 6


@pytest.mark.parametrize("attack", CASES, ids=lambda attack: ascii(attack.name)[1:-1])
def test_a_hostile_file_is_refused(attack: Attack, tmp_path: Path) -> None:
    arguments = attack.make(tmp_path)
    watched = sandbox.run(arguments, tmp_path)
    assert watched.complaints == []
    assert watched.more_bytes < MOST_BYTES
    assert watched.seconds < MOST_CPU_S
    if "4,000 digits" in attack.name:
        assert len(watched.stderr) < 300


def test_what_nothing_is_wrong_with_is_taken(tmp_path: Path) -> None:
    bundles.good(tmp_path / "good")
    watched = sandbox.run(["verify", "good"], tmp_path)
    assert (watched.code, watched.deeds) == (0, [])
    path = tmp_path / "model.keras"
    path.write_bytes(archives.pack(archives.good_files()))
    assert load(path).count_params() == 23
    path.write_bytes(archives.pack(archives.good_files(), method=8))
    assert load(path).count_params() == 23


def test_the_sandbox_sees_what_it_is_to_see(tmp_path: Path) -> None:
    (tmp_path / "staging").mkdir()
    watched = sandbox.Watched()
    with sandbox._watched(watched, str(tmp_path / "staging")):  # type: ignore[arg-type]
        (tmp_path / "staging" / "may-be").touch()
        (tmp_path / "evil").touch()
        subprocess.run(["true"])
        with socket.socket() as opened, pytest.raises(ConnectionRefusedError):
            opened.connect(("127.0.0.1", 9))
    said = " ".join(watched.deeds)
    assert all(word in said for word in ("evil", "subprocess.Popen", "socket.connect"))
    assert "may-be" not in said


def test_the_canary_sings_where_code_is_run(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    document = configs.with_layer(
        "Lambda", {"function": configs.code(), "output_shape": None, "mask": None, "arguments": {}}
    )
    path.write_bytes(archives.with_config(document))
    watched = sandbox.run(["export", "model.keras", "-o", "out", "--unsafe"], tmp_path)
    assert any("canary" in deed for deed in watched.deeds)


def test_a_model_may_create_what_its_file_holds_and_little_more() -> None:
    keras = import_keras()
    with declared.at_most(1_000, keras.Variable):
        keras.Variable(np.zeros(1_000))
        keras.layers.Dense(2000).build((None, 2000))
        with pytest.raises(BadModel, match=r"shape \(4000, 4000\)"):
            keras.layers.Dense(4000).build((None, 4000))
    keras.layers.Dense(4000).build((None, 4000))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 300 + "]" * 300, "200 levels"), ("[" * 10_000, "200 levels"),
        ('{"a": "\\ud800"}', "Unicode"), (b"\xff", "UTF-8"), ("[NaN]", "NaN"),
        ("[" + "1," * 1_000_000 + "1]", "1,000,000 values"), (" " * (17 << 20), "bytes"),
    ],
    ids=["deep", "deeper", "surrogate", "no UTF-8", "NaN", "many", "large"],
)  # fmt: skip
def test_json_has_limits(text: str | bytes, message: str) -> None:
    with pytest.raises(json_text.BadText, match=message):
        json_text.parse(text)


def test_json_within_the_limits_is_read() -> None:
    assert json_text.parse('{"a": ["\\ud83d\\ude00", 1]}') == {"a": ["\U0001f600", 1]}
    assert np.isnan(json_text.parse("[NaN]", plain=False)[0])


@pytest.mark.parametrize("size", [(2000, 3100), (513, 1025), (3000, 40), (700, 5000)])
def test_a_large_picture_is_reduced_by_strips_to_the_same_numbers(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 4)).astype(np.uint8)
    pixels[..., 3] = 255
    monkeypatch.setattr(picture, "STRIP", 10_000)
    expected = picture.shrink(picture.flatten(pixels))
    assert np.array_equal(picture._reduced(pixels), expected)
