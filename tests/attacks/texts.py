"""Hostile recipes, pictures and arguments."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Iterator

from exporter.recipe import RECIPES_FOLDER

GOOD_RECIPE = (RECIPES_FOLDER / "mlp-128.toml").read_text(encoding="utf-8")


def recipes() -> Iterator[tuple[str, bytes]]:
    """(what is wrong, the file)."""
    texts = {
        "a key of 30,000 parts": ".".join(["a"] * 30_000) + " = 1",
        "a header of 30,000 parts": "[" + ".".join(["a"] * 30_000) + "]",
        "30,000 lists": "a = " + "[" * 30_000 + "]" * 30_000,
        "10,000 tables": "a = " + "{a=" * 10_000 + "1" + "}" * 10_000,
        "a number of 60,000 digits": "a = " + "1" * 60_000,
        "a float of 60,000 digits": "a = 1e" + "9" * 60_000,
        "8,000 keys": "\n".join(f"a{i} = 1" for i in range(8000)),
        "10,000 tables in an array": "[[a]]\n" * 10_000,
        "65 KiB": "# " + "x" * 70_000,
        "30,000 quotes": 'a = "' + '\\"' * 30_000 + '"',
        "a text without end": 'a = """' + "\\" * 30_000,
        "a date that is none": "a = 2020-13-45",
        "a control character": 'title = "\x1b[2J"',
        "itself twice": GOOD_RECIPE + GOOD_RECIPE,
        "a terabyte of epochs": GOOD_RECIPE.replace("epochs = ", "epochs = 99999999999"),
        "a NaN rate": GOOD_RECIPE.replace("learning_rate = ", "learning_rate = nan # "),
        "a shape of 10^18": GOOD_RECIPE.replace("shape = [28, 28]", f"shape = [{10**18}]"),
        "a shape below 0": GOOD_RECIPE.replace("shape = [28, 28]", "shape = [-1, 28]"),
        "nothing": "",
    }
    for what, text in texts.items():
        yield what, text.encode()
    yield "no UTF-8", b'title = "\xff"'
    yield "UTF-16", GOOD_RECIPE.encode("utf-16")
    yield "NUL", b"\0" * 100


def png(width: int, height: int, data: bytes = b"", depth: int = 8) -> bytes:
    """A PNG that declares this size, whatever its data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def pictures() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """(what is wrong, the file's name, what makes it)."""
    for side in (9_000, 20_000, 65_000, 2**31 - 1):
        yield f"a PNG of {side} x {side}", "x.png", lambda s=side: png(s, s)
    yield "a PNG of black, 9,000 x 9,000", "x.png", lambda: png(9000, 9000, bytes(9001 * 9000))
    yield "a PNG of no size", "x.png", lambda: png(0, 0)
    yield "a PNG without data", "x.png", lambda: png(28, 28)
    yield "a TIFF of 30,000 x 30,000", "x.tif", lambda: _tiff(30_000)
    yield (
        "PostScript",
        "x.eps",
        lambda: (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n%%EndComments\n(evil) run\n%%EOF\n"
        ),
    )
    yield "SVG", "x.svg", lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>'
    yield "an empty file", "x.png", lambda: b""
    yield "noise", "x.png", lambda: bytes(range(256)) * 4
    for name in ("PNG", "JPEG", "GIF", "WEBP"):
        for percent in (10, 60):
            yield (
                f"a {name} cut at {percent} %",
                "x.png",
                lambda n=name, p=percent: (data := _picture(n))[: len(data) * p // 100],
            )


def _picture(kind: str) -> bytes:
    from PIL import Image

    stream = io.BytesIO()
    Image.effect_noise((64, 64), 90).save(stream, kind)
    return stream.getvalue()


def _tiff(side: int) -> bytes:
    tags = [(256, side), (257, side), (258, 8), (259, 1), (262, 1), (273, 8), (277, 1),
            (278, side), (279, 100)]  # fmt: skip
    body = struct.pack("<H", len(tags))
    body += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 0) + bytes(100)


CUSTOM_OBJECTS = (
    "", ":", "module", "module:", ":attribute", "no_such_module:Thing", "json:no_such_attribute",
    "..:evil", "os.path:no.such", "a\0b:c", "/etc/passwd:x",
)  # fmt: skip
