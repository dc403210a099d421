"""Addresses that want out of what is offered: 500 and more, made from how people spell them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

_PLACES = ("/models/tiny/", "/models/", "/models/tiny/tfjs/layers/", "/player/", "/static/")
_UP = (
    "..",
    "%2e%2e",
    ".%2e",
    "%2E.",
    "%252e%252e",
    "%25252e%25252e",
    "%c0%ae%c0%ae",
    "%e0%80%ae%e0%80%ae",
    "%uff0e%uff0e",
    "．．",
    "..;",
    "..%00",
    "...",
    "..%09",
)
_SLASH = ("/", "%2f", "%252f", "\\", "%5c", "%255c", "%c0%af", "//", "/./", "%2f%2f")
_WANTED = ("secret.txt", "etc/passwd")
_WHOLE = (
    "/etc/passwd",
    "//etc/passwd",
    "///etc/passwd",
    "/%2fetc/passwd",
    "/models//etc/passwd",
    "/models/%2fetc%2fpasswd",
    "/models/tiny/%00",
    "/models/tiny/manifest.json%00",
    "/models/tiny/manifest.json%00.txt",
    "/models/tiny/manifest.json/",
    "/models/tiny/.",
    "/models/tiny/./manifest.json",
    "/models/tiny/tfjs/../manifest.json",
    "/models/%2e/manifest.json",
    "/models/TINY/manifest.json",
    "/models/tiny/MANIFEST.JSON",
    "/models/tiny/manifest.json::$DATA",
    "/models/tiny/C:\\secret.txt",
    "/models/tiny/file:///etc/passwd",
    "/models/tiny/manifest.json%0a",
    "/models/tiny/manifest.json%20",
    "/models/tiny/manifest.json.",
    "/models/tiny/*",
    "/models/*",
    "/models/tiny/%",
    "/models/tiny/%zz",
    "/models/tiny/%f0%28%8c%28",
    "/models/~root/.bashrc",
    "/models/tiny/linked.txt",
    "/models/tiny/linked/secret.txt",
    "/models/linked/secret.txt",
    "/models/linked/manifest.json",
    "/models/tiny/report/linked.html",
    "/models/.hidden/manifest.json",
    "/models/no-bundle/secret.txt",
    "/models/tiny/pipe",
    "/player/node_modules/../../package.json",
    "/static/.hidden",
    "/sw.js/../../files.py",
    "/embed/../../secret.txt",
    "/embed/%2e%2e%2fsecret.txt",
    "/embed/..%2f..%2fsecret.txt/",
    "/web/__init__.py",
    "/.git/config",
    "/models/.git/config",
    "/models/tiny/" + "../" * 200 + "etc/passwd",
    "/models/tiny/" + "a/" * 500 + "x",
    "/models/tiny/" + "%2e%2e%2f" * 100 + "etc%2fpasswd",
    "/" + "%00" * 100,
)


def targets() -> Iterator[str]:
    """Every one, as it stands in a request line; none of them is there."""
    yield from _WHOLE
    for place, up, slash in product(_PLACES, _UP, _SLASH):
        steps = 1 + place.strip("/").count("/")
        wanted = _WANTED[len(up + slash) % 2]
        yield place + (up + slash) * (steps + (wanted == "etc/passwd") * 12) + wanted


SECRETS = (b"top secret", b"root:x:0:0", b"from __future__")
"""What would be in an answer that gave something away."""
