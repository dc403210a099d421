"""Hostile `.keras` archives: bombs, lies in headers, names that lead out, damage.

A good archive is made once, of a tiny model; each attack changes it. Bombs are declared in headers:
nothing of their size is ever written.
"""

from __future__ import annotations

import io
import json
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

CONFIG, WEIGHTS, METADATA = "config.json", "model.weights.h5", "metadata.json"
ASSET = "assets/vocabulary.txt"
Bytes = Callable[[], bytes]
MIB = 1 << 20


@cache
def good_files() -> dict[str, bytes]:
    """The members of a `.keras` file of two layers, which loads."""
    import tempfile

    import keras

    keras.utils.set_random_seed(3)
    x = keras.Input((4,), name="x")
    y = keras.layers.Dense(3, activation="relu", name="hidden")(x)
    y = keras.layers.Dense(2, name="answer")(y)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        keras.Model(x, y, name="good").save(path)
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}


def good_config() -> dict[str, Any]:
    """Its config, to be changed."""
    return json.loads(good_files()[CONFIG])


def pack(files: dict[str, bytes] | list[tuple[Any, bytes]], method: int = 0) -> bytes:
    """An archive; a list may hold a name twice, or `ZipInfo`s."""
    pairs = list(files.items()) if isinstance(files, dict) else files
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that is there twice
        for name, data in pairs:
            archive.writestr(name, data)
    return stream.getvalue()


def with_config(document: Any) -> bytes:
    """The good archive with another config: an object, or text as it is."""
    text = document if isinstance(document, (str, bytes)) else json.dumps(document)
    return pack(good_files() | {CONFIG: text.encode() if isinstance(text, str) else text})


def with_weights(data: bytes) -> bytes:
    """The good archive with other weights."""
    return pack(good_files() | {WEIGHTS: data})


def patched(archive: bytes, name: str, **fields: int) -> bytes:
    """The archive with other numbers in both headers of a member."""
    central = {"flags": (8, "<H"), "method": (10, "<H"), "compressed": (20, "<I"),
               "size": (24, "<I"), "attributes": (38, "<I"), "offset": (42, "<I")}  # fmt: skip
    local = {"flags": (6, "<H"), "method": (8, "<H"), "compressed": (18, "<I"), "size": (22, "<I")}
    data = bytearray(archive)
    encoded = name.encode()
    place = data.index(b"PK\x01\x02")
    while data[place + 46 : place + 46 + len(encoded)] != encoded:
        place = data.index(b"PK\x01\x02", place + 4)
    (header,) = struct.unpack_from("<I", data, place + 42)
    for field, value in fields.items():
        offset, form = central[field]
        struct.pack_into(form, data, place + offset, value)
        if field in local:
            offset, form = local[field]
            struct.pack_into(form, data, header + offset, value)
    return bytes(data)


def declaring(name: str, size: int) -> bytes:
    """A deflated member that declares `size` bytes; of more than 4 GiB in a zip64 field."""
    files = good_files() | ({ASSET: b"word\n"} if name == ASSET else {})
    if size < 2**32 - 1:
        return patched(pack(files, zipfile.ZIP_DEFLATED), name, size=size)
    data = bytearray(patched(pack(files, zipfile.ZIP_DEFLATED), name, size=2**32 - 1))
    end = data.index(b"PK\x05\x06")
    place = data.index(b"PK\x01\x02")
    encoded = name.encode()
    while data[place + 46 : place + 46 + len(encoded)] != encoded:
        place = data.index(b"PK\x01\x02", place + 4)
    extra = struct.pack("<HHQ", 1, 8, size)
    struct.pack_into("<H", data, place + 30, len(extra))
    data[place + 46 + len(encoded) : place + 46 + len(encoded)] = extra
    end += len(extra)
    (directory,) = struct.unpack_from("<I", data, end + 12)
    struct.pack_into("<I", data, end + 12, directory + len(extra))
    return bytes(data)


OUTSIDE = (
    "../evil.txt", "..", "/etc/evil", "assets/../../evil", "a/../../../evil", "C:/evil",
    "C:\\evil", "..\\evil", "assets\\..\\..\\evil", "//host/share", "./../evil",
    "assets/evil\x1b[2J", "assets/e\u202evil", "a:b", "assets/../config.json", "\\\\host\\share",
)  # fmt: skip


def attacks() -> Iterator[tuple[str, Bytes]]:
    """(what is wrong, what makes the file)."""
    for megabytes in (10, 100, 1000, 4000, 5 * 1024):
        for name in (CONFIG, WEIGHTS, METADATA, ASSET):
            size = megabytes * MIB
            yield f"bomb of {megabytes} MiB in {name}", lambda n=name, s=size: declaring(n, s)
    for megabytes in (10, 40):
        for name in (CONFIG, WEIGHTS):
            yield (
                f"real bomb of {megabytes} MiB in {name}",
                lambda n=name, m=megabytes: pack(
                    good_files() | {n: bytes(m * MIB)}, zipfile.ZIP_DEFLATED
                ),
            )
    for name in (CONFIG, WEIGHTS, METADATA):
        for size in (1, 2**31):
            yield (
                f"{name} stored as something of {size} bytes",
                lambda n=name, s=size: patched(pack(good_files()), n, size=s),
            )
        yield (
            f"{name} longer than the archive",
            lambda n=name: patched(pack(good_files()), n, size=2**31, compressed=2**31),
        )
        yield f"{name} twice", lambda n=name: pack([*good_files().items(), (n, b"{}")])
        yield f"{name} encrypted", lambda n=name: patched(pack(good_files()), n, flags=1)
        for method in (12, 14, 93, 99):
            yield (
                f"{name} by method {method}",
                lambda n=name, m=method: patched(pack(good_files()), n, method=m),
            )
        yield f"{name} overlaps the first", lambda n=name: _overlapping(n)
        yield f"{name} missing", lambda n=name: pack(
            {key: data for key, data in good_files().items() if key != n}
            if n != METADATA else {}
        )  # fmt: skip
        yield (
            f"{name} empty",
            lambda n=name: pack(good_files() | {n: b""} if n != METADATA else {"x": b""}),
        )
    for path in OUTSIDE:
        yield f"member {path!a}", lambda p=path: pack([*good_files().items(), (p, b"evil")])
    yield (
        "member with NUL",
        lambda: pack(good_files() | {"assets/aXb": b"x"}).replace(b"assets/aXb", b"assets/a\0b"),
    )
    kinds = {"link": 0o120777, "device": 0o060666, "pipe": 0o010666, "socket": 0o140666}
    for kind, mode in kinds.items():
        yield (
            f"asset is a {kind}",
            lambda m=mode: patched(
                pack(good_files() | {ASSET: b"/etc/passwd"}), ASSET, attributes=m << 16
            ),
        )
    for noise in (0, 11_000):
        what = f"80 members of 1 MiB, {noise:,} bytes of noise in each"
        yield what, lambda n=noise: _many_members(80, n)
    yield "10,001 members", lambda: pack([(f"assets/{i}", b"") for i in range(10_001)])
    yield (
        "weights as NumPy archive",
        lambda: pack(
            {k: v for k, v in good_files().items() if k != WEIGHTS} | {"model.weights.npz": b"PK"}
        ),
    )
    for percent in (1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 99):
        yield (
            f"cut at {percent} %",
            lambda p=percent: (whole := pack(good_files()))[: len(whole) * p // 100],
        )
    for text, data in CONFIGS.items():
        yield f"config {text}", lambda d=data: with_config(d() if callable(d) else d)


def _many_members(count: int, noise: int) -> bytes:
    """None of them alone is too much."""
    part = random.Random(1).randbytes(noise).ljust(MIB, b"\0")
    files = [(f"assets/{i}", part) for i in range(count)]
    return pack([*good_files().items(), *files], zipfile.ZIP_DEFLATED)


def _overlapping(name: str) -> bytes:
    first = next(iter(good_files()))
    other = name if name != first else METADATA if first != METADATA else CONFIG
    archive = pack(good_files())
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        offset = opened.getinfo(first).header_offset
    return patched(archive, other, offset=offset)


CONFIGS: dict[str, Any] = {
    "of 100,000 lists": "[" * 100_000 + "]" * 100_000,
    "of 100,000 objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "of 100,000 lists, never closed": "[" * 100_000,
    "of 900 lists": '{"a":' + "[" * 900 + "]" * 900 + "}",
    "of 300 objects": '{"a":' * 300 + "1" + "}" * 300,
    "list": "[]", "number": "1", "text": '"model"', "null": "null", "NaN": "NaN",
    "no UTF-8": b'{"class_name": "\xff"}',
    "UTF-16": '{"class_name": "Functional"}'.encode("utf-16"),
    "with a byte order mark": b"\xef\xbb\xbf{}",
    "with half a pair": '{"class_name": "\\ud800", "config": {}}',
    "of 41 MiB": lambda: b"{" + b" " * (41 * MIB) + b"}",
    "of three million values": lambda: b'{"a":[' + b"1," * 3_000_000 + b"1]}",
    "cut": '{"class_name": "Functional", "config": {"layers": [',
    "of a number of 5,000 digits": '{"a": ' + "9" * 5000 + "}",
    "without a class": "{}",
    "of an unknown class": '{"class_name": "Nothing", "config": {}, "module": "keras"}',
}  # fmt: skip
