"""What is mutated, and what reads it: each reads one mutation and raises what it raises.

Where a manifest stands, a file that is not the one it lists must be refused, whatever is in it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np

from exporter import contents, ink, manifest, recipe
from exporter.errors import BadUsage, VerificationFailed
from exporter.golden import Golden
from tests.attacks import archives, bundles, texts
from tests.fuzz.mutators import of_bytes, of_json


class Accepted(AssertionError):
    """An altered file passed where a manifest stands."""


@dataclass(frozen=True)
class Subject:
    """One kind of file.

    Attributes:
        share: Of a hundred mutations, how many are of this kind.
        mutate: (chance) -> the mutated file.
        read: (file, an empty folder that may be kept from call to call) -> nothing; or an error.
    """

    name: str
    share: int
    mutate: Callable[[Random], bytes]
    read: Callable[[bytes, Path], None]


def _keras(chance: Random) -> bytes:
    files = dict(archives.good_files())
    kind = chance.randrange(4)
    if kind == 0:
        return of_bytes(archives.pack(files), chance)
    name = archives.WEIGHTS if kind == 1 else archives.CONFIG
    mutator = of_bytes if kind == 1 else of_json
    return archives.pack(files | {name: mutator(files[name], chance)})


def _read_keras(data: bytes, folder: Path) -> None:
    from exporter.keras_file import import_keras, load

    path = folder / "model.keras"
    path.write_bytes(data)
    load(path)
    import_keras().utils.clear_session()


def _read_manifest(data: bytes, folder: Path) -> None:
    manifest.Manifest.from_json(data).to_json()


@cache
def _document() -> bytes:
    return json.dumps(bundles.manifest(bundles.files())).encode()


def _of_bundle(path: str, mutate: Callable[[bytes, Random], bytes]) -> Callable[[Random], bytes]:
    return lambda chance: mutate(bundles.files()[path], chance)


def _in_bundle(path: str, look: Callable[[Path], None]) -> Callable[[bytes, Path], None]:
    """Read the altered file by itself; then as a part of its bundle, which must be refused."""

    def read(data: bytes, folder: Path) -> None:
        bundle = folder / "bundle"
        if not bundle.exists():
            bundle.mkdir()
            bundles.good(bundle)
        original = bundles.files()[path]
        (bundle / path).write_bytes(data)
        try:
            look(bundle / path)
            if data != original:
                raise _refusal(bundle)
        finally:
            (bundle / path).write_bytes(original)

    return read


def _refusal(bundle: Path) -> VerificationFailed:
    """What verification says of an altered file, which it must not let pass."""
    try:
        manifest.examine(bundle)
    except VerificationFailed as error:
        return error
    raise Accepted(f"{bundle}: an altered file passed")


def _look_at_topology(path: Path) -> None:
    contents.check_tfjs(path, {"group1-shard1of1.bin": 784 * 40})


def _look_at_onnx(path: Path) -> None:
    contents.check_onnx(path)


def _read_recipe(data: bytes, folder: Path) -> None:
    path = folder / "evil.toml"
    path.write_bytes(data)
    recipe.load(path)


@cache
def _pictures() -> tuple[bytes, ...]:
    return tuple(texts._picture(kind) for kind in ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF"))


def _read_picture(data: bytes, folder: Path) -> None:
    path = folder / "picture"
    path.write_bytes(data)
    found = ink.from_picture(path)
    if found is not None:
        assert found.shape == (28, 28), found.shape
        assert np.isfinite(found).all()


_STROKES = json.dumps(
    [[[10.0 + i, 20.0 + i * i / 9] for i in range(12)], [[40, 50], [41.5, 52.25], [60, 12]]]
).encode()


def _read_strokes(data: bytes, folder: Path) -> None:
    try:
        strokes = json.loads(data)
    except (ValueError, RecursionError):
        raise BadUsage("no JSON") from None
    found = ink.from_strokes(strokes)
    if found is not None:
        assert found.shape == (28, 28), found.shape
        assert np.isfinite(found).all()


@cache
def _golden() -> bytes:
    root = Path(__file__).parent.parent.parent
    document = json.loads((root / "models" / "mlp-128" / "golden.json").read_bytes())
    document["rows"] = document["rows"][:3] + document["rows"][-4:]
    return json.dumps(document).encode()


SUBJECTS = (
    Subject("keras", 2, _keras, _read_keras),
    Subject("manifest", 24, lambda chance: of_json(_document(), chance), _read_manifest),
    Subject(
        "model.json", 16, _of_bundle(bundles.TFJS, of_json),
        _in_bundle(bundles.TFJS, _look_at_topology),
    ),
    Subject(
        "shard", 8, _of_bundle(bundles.SHARD, of_bytes),
        _in_bundle(bundles.SHARD, lambda path: None),
    ),
    Subject(
        "onnx", 16, _of_bundle(bundles.ONNX, of_bytes), _in_bundle(bundles.ONNX, _look_at_onnx)
    ),
    Subject(
        "recipe", 12, lambda chance: of_bytes(texts.GOOD_RECIPE.encode(), chance), _read_recipe
    ),
    Subject(
        "picture", 8, lambda chance: of_bytes(chance.choice(_pictures()), chance), _read_picture
    ),
    Subject("strokes", 10, lambda chance: of_json(_STROKES, chance), _read_strokes),
    Subject(
        "golden", 4, lambda chance: of_json(_golden(), chance),
        lambda data, folder: Golden.from_json(data.decode("utf-8", "replace")) and None,
    ),
)  # fmt: skip
