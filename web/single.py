"""One HTML file with the page, the player's tiny runner and models in it; it works from a disk.

From `file:` a page can neither import modules nor fetch files. So each module is a `data:` address
in an import map, and `static/single.js` answers what would be fetched from base64 in the page. The
policy in the page allows its own scripts by their hashes and no connection at all. May import
`exporter.{manifest, publish, errors}`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from flask import render_template

from exporter.errors import PublishFailed, UnsupportedModel
from exporter.manifest import MANIFEST_NAME, Manifest
from exporter.publish import staged
from web import create_app, pages
from web.assets import Assets
from web.bundles import Entry, reads_drawings
from web.freeze import Site, named, player_and_page, with_policy

GENERATOR = "keras-web-exporter, exporter site --single-file"
FORMAT = "tfjs-layers"
RUNNER = "tiny"
# In this order: the first one answers what the others fetch.
_STARTED = ("static/single.js", "player/digit-pad.js", "static/draw.js")
# Runtimes that are loaded when they are first wanted; the tiny one is inside the player.
_LEFT_OUT = ("player/tfjs.js", "player/tfjs-trace.js", "player/onnx.js")
_STYLES = ("static/page.css", "static/draw.css")
_GOLDEN = "golden.json"


def write(folders: Sequence[Path], target: Path) -> Site:
    """Write the file: `target` itself where it ends in .html, else `target/index.html`.

    Raises:
        BadBundle, VerificationFailed, BadUsage: As `freeze` does.
        UnsupportedModel: The tiny runner cannot run a bundle's model.
        PackageMissing: The player is not built.
        PublishFailed: What is there is no file of ours, or it cannot be written.
    """
    bundles = named(folders)
    for name, (_, manifest) in bundles.items():
        _want_tiny(name, manifest)
    data = _page(bundles, player_and_page()).encode("utf-8")
    if target.suffix.lower() in (".html", ".htm"):
        _replace(target, data)
    else:
        with staged(target, _refuse_strangers) as staging:
            (staging / "index.html").write_bytes(data)
    return Site(target, tuple(bundles), 1, len(data))


def _want_tiny(name: str, manifest: Manifest) -> None:
    """The only runtime that fits into a page must have proven itself on the model."""
    if not reads_drawings(manifest):
        raise UnsupportedModel(
            f"{name}: a model that takes 28x28 numbers and answers one per class expected, another "
            "found: the page in a single file only draws; leave the bundle out"
        )
    proven = {
        row.get("artifact") for row in manifest.parity if str(row.get("runtime")).startswith(RUNNER)
    }
    held = {artifact.id for artifact in manifest.artifacts if artifact.format == FORMAT}
    if not proven & held:
        raise UnsupportedModel(
            f"{name}: a single file holds the {RUNNER} runner alone, and the manifest's parity has "
            f"no row of it for a {FORMAT} artefact; leave out --single-file, or export the bundle "
            "again if its model is a chain of plain layers"
        )


def _page(bundles: Mapping[str, tuple[Path, Manifest]], assets: Assets) -> str:
    app = create_app()
    style = "\n".join(assets.contents(path).decode("utf-8") for path in _STYLES)
    imports = json.dumps({"imports": _modules(assets)}, indent=1)
    start = "\n" + "".join(f'import "{path}";\n' for path in _STARTED)
    runtimes = json.loads(assets.contents("player/runtimes.json"))
    with app.test_request_context("/"):
        entries = [Entry(name, manifest) for name, (_, manifest) in bundles.items()]
        described = {entry.name: pages.describe(entry) for entry in entries}
        for one in described.values():
            # No file of it is fetched, so none need be asked for early.
            one["artifacts"] = [
                a | {"files": []} for a in one["artifacts"] if a["format"] == FORMAT
            ]
        page = render_template(
            "single.html", entries=entries, bundles=described, default=pages.DEFAULT,
            player={RUNNER: runtimes[RUNNER]}, generator=GENERATOR, style=style, imports=imports,
            start=start, files=_files(bundles),
            icon=_data_address("image/svg+xml", assets.contents("static/icon.svg")),
        )  # fmt: skip
    return with_policy(page, _policy(page))


def _modules(assets: Assets) -> dict[str, str]:
    """Every module that the page may import, by its path in the site, as an address."""
    found: dict[str, str] = {}
    waiting = list(_STARTED)
    while waiting:
        path = waiting.pop(0)
        if path in found or path in _LEFT_OUT:
            continue
        text, named = assets.with_bare_names(path)
        found[path] = _data_address("text/javascript", text.encode("utf-8"))
        waiting += named
    return found


def _files(bundles: Mapping[str, tuple[Path, Manifest]]) -> dict[str, str]:
    """What the tiny runner and the self-test read of each bundle, in base64."""
    found = {}
    for name, (folder, manifest) in bundles.items():
        artifacts = [a for a in manifest.artifacts if a.format == FORMAT]
        paths = [MANIFEST_NAME, _GOLDEN, *(f.path for a in artifacts for f in a.files)]
        for path in paths:
            data = (folder / path).read_bytes()
            found[f"models/{name}/{path}"] = base64.b64encode(data).decode("ascii")
    return found


def _policy(page: str) -> str:
    """Scripts and styles are those of the page as it stands, and it connects to nothing."""
    scripts = re.findall(r'<script type="(?:module|importmap)">(.*?)</script>', page, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    return "; ".join(
        [
            "default-src 'none'",
            # The modules of the import map; no page of strangers can add one.
            f"script-src data: {_hashes(scripts)}",
            f"style-src {_hashes(styles)}",
            "img-src data: blob:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types 'none'",
        ]
    )


def _hashes(texts: Iterable[str]) -> str:
    digests = (hashlib.sha256(text.encode("utf-8")).digest() for text in texts)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode('ascii')}'" for digest in digests)


def _data_address(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def _is_ours(path: Path) -> bool:
    return GENERATOR.encode("utf-8") in path.read_bytes()[:4096]


def _refuse_strangers(target: Path) -> None:
    """Only a folder that holds nothing, or one file of ours, is replaced."""
    found = list(target.iterdir())
    if found and not (
        [path.name for path in found] == ["index.html"] and _is_ours(target / "index.html")
    ):
        raise PublishFailed(
            f"{target}: holds other files than a single page of ours, so it is not replaced; name "
            "a new or empty folder, or a file that ends in .html"
        )


def _replace(target: Path, data: bytes) -> None:
    """Put the file in its place whole, or leave what is there."""
    try:
        if os.path.lexists(target) and not (target.is_file() and _is_ours(target)):
            raise PublishFailed(
                f"{target}: there, and no single page of ours, so it is not replaced; name another"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=target.parent, prefix=".", delete=False) as stream:
            staging = Path(stream.name)
            try:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
                staging.chmod(0o644)
                staging.replace(target)
            except BaseException:
                staging.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise PublishFailed(f"{target}: {error.strerror}; nothing was published") from error
