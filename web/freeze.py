"""The page, its models and the player as a folder of files for any static host.

Every page is asked of the app itself and written down; what browsers may do, which the app says
in headers, goes into the pages, since a static host sends no headers of ours. Addresses are
relative: the folder works below any path. All of it is published at once or not at all. May import
`exporter.{manifest, publish, errors}`.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from flask.testing import FlaskClient

from exporter.errors import BadUsage, PackageMissing, PublishFailed
from exporter.manifest import MANIFEST_NAME, SIGNATURE_NAME, File, Manifest, verify
from exporter.publish import staged
from web import create_app, headers
from web.assets import HASH_DIGITS, Assets
from web.bundles import EVALUATION, REPORT_DOCUMENT, REPORT_PAGE
from web.files import PLAYER, STATIC
from web.snippets import integrity_of

SITE_NAME = "site.json"
"""What makes a folder a site of ours: every other file of it with its sha256."""

SCHEMA_VERSION = 1
WORKER = "sw.js"
_KEPT = "kept-1"
# What pages name of the player, and what that loads later; the rest has a hash in its name.
_HASHED_PLAYER = (
    "player/digit-pad.js", "player/index.js", "player/inspector.js",
    "player/tfjs.js", "player/tfjs-trace.js", "player/onnx.js", "player/picture.js",
)  # fmt: skip
# For parity runs; and 27 MB for WebGPU, more than Cloudflare's 25 MiB and GitHub's patience allow.
_LEFT_OUT = re.compile(
    r"^static/single\.js$|^player/(node/|browser/|ort\.webgpu|.*\.asyncify\.wasm$|.*\.d\.ts$)"
)
_CORP = "Cross-Origin-Resource-Policy"
_DOCTYPE = re.compile(rb"\s*<!doctype html>", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Site:
    """What was written."""

    directory: Path
    bundles: tuple[str, ...]
    files: int
    size_bytes: int


def freeze(folders: Sequence[Path], target: Path) -> Site:
    """Write a site with these bundles into `target`.

    Raises:
        BadBundle: One is no bundle.
        VerificationFailed: One is damaged.
        BadUsage: Two have the same name.
        PackageMissing: The player is not built.
        PublishFailed: `target` is not empty and no site of ours, or cannot be written.
    """
    bundles = named(folders)
    assets = player_and_page()
    with staged(target, _refuse_what_is_no_site) as staging:
        named_anew = _publish_assets(assets, staging)
        addresses = _publish_bundles(bundles, staging) | named_anew
        _publish_worker(assets, addresses, staging)
        hashes = {path: integrity_of(assets.hashed(path)[1]) for path in named_anew}
        _publish_pages(list(bundles), addresses, hashes, staging)
        _write(staging, "_headers", _headers(list(bundles)).encode("utf-8"))
        _write(staging, ".nojekyll", b"")
        files = _publish_list(staging)
    return Site(target, tuple(bundles), len(files), sum(file.size_bytes for file in files))


def named(folders: Sequence[Path]) -> dict[str, tuple[Path, Manifest]]:
    """The bundles by the names that they will have in addresses, each verified.

    Raises:
        BadUsage: None is given, or two have one name.
        BadBundle, VerificationFailed: One is none, or damaged.
    """
    if not folders:
        raise BadUsage("site: no bundle given; name the folders that `exporter export` wrote")
    found: dict[str, tuple[Path, Manifest]] = {}
    for folder in folders:
        path = folder.resolve()
        if path.name.startswith(".") or path.name in ("", "index.html"):
            raise BadUsage(
                f"{folder}: {path.name!r} cannot be a bundle's address; rename the folder"
            )
        if path.name in found:
            raise BadUsage(
                f"{folder}: a second bundle named {path.name!r} beside {found[path.name][0]}; "
                "rename one of the two folders"
            )
        found[path.name] = (path, verify(path))
    return dict(sorted(found.items()))


def player_and_page() -> Assets:
    """Everything that is no bundle.

    Raises:
        PackageMissing: The player is not built.
    """
    if not (PLAYER / "digit-pad.js").is_file():
        raise PackageMissing("the player: not built; run `make player` or install the wheel")
    runtimes = json.loads((PLAYER / "runtimes.json").read_bytes())
    runtimes.get("onnx", {}).pop("webgpu", None)
    told = json.dumps(runtimes, indent=2).encode("utf-8") + b"\n"
    return Assets({"static": STATIC, "player": PLAYER}, {"player/runtimes.json": told})


def _publish_bundles(bundles: dict[str, tuple[Path, Manifest]], staging: Path) -> dict[str, str]:
    """Copy the bundles; returns their manifests' addresses, which change with the bundle."""
    addresses = {}
    for name, (folder, manifest) in bundles.items():
        root = staging / "models" / name
        paths = [MANIFEST_NAME, *(file.path for file in manifest.all_files())]
        optional = [SIGNATURE_NAME, REPORT_PAGE, REPORT_DOCUMENT, EVALUATION]
        for path in paths + [one for one in optional if _is_plain(folder / one)]:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / path, root / path, follow_symlinks=False)
        verify(root)  # what was copied is what was verified
        if (page := root / REPORT_PAGE).is_file():
            page.write_bytes(_fenced(page.read_bytes()))
        digest = hashlib.sha256((root / MANIFEST_NAME).read_bytes()).hexdigest()[:HASH_DIGITS]
        path = f"models/{name}/{MANIFEST_NAME}"
        addresses[path] = f"{quote(path)}?{digest}"
    return addresses


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _publish_assets(assets: Assets, staging: Path) -> dict[str, str]:
    """Write the page's files and the player; returns the new names of what pages name."""
    addresses = {}
    for path in assets:
        if path == f"static/{WORKER}" or _LEFT_OUT.match(path):
            continue
        if path.startswith("static/") or path in _HASHED_PLAYER:
            name, data = assets.hashed(path)
            addresses[path] = name
            _write(staging, name, data)
        if path.startswith("player/"):
            # Under its own name too: other sites have it in their pages.
            _write(staging, path, assets.contents(path))
    return addresses


def _publish_worker(assets: Assets, addresses: dict[str, str], staging: Path) -> None:
    """The service worker of this release; it forgets what the last one kept."""
    worker = assets.contents(f"static/{WORKER}").decode("utf-8")
    assert worker.count(_KEPT) == 1
    release = hashlib.sha256("\n".join(sorted(addresses.values())).encode()).hexdigest()
    _write(staging, WORKER, worker.replace(_KEPT, f"kept-{release[:HASH_DIGITS]}").encode())


def _publish_pages(
    names: list[str], addresses: dict[str, str], hashes: dict[str, str], staging: Path
) -> None:
    app = create_app(
        {
            "BUNDLES": staging / "models", "PLAYER": staging / "player", "ADDRESSES": addresses,
            "INTEGRITY": hashes,
        }
    )  # fmt: skip
    client = app.test_client()
    pages = {"/": "index.html", "/models/": "models/index.html", "/embed/": "embed/index.html",
             "/ship/": "ship/index.html"}  # fmt: skip
    pages |= {f"/embed/{quote(name)}/": f"embed/{name}/index.html" for name in names}
    for address, path in pages.items():
        _write(staging, path, _page(client, address))


def _page(client: FlaskClient, address: str) -> bytes:
    response = client.get(address)
    assert response.status_code == 200, f"{address}: {response.status}"
    return with_policy(response.text, response.headers["Content-Security-Policy"]).encode("utf-8")


def with_policy(page: str, policy: str) -> str:
    """The page with its policy in itself, but for what only a header can say."""
    parts = [part.strip() for part in policy.split(";")]
    kept = "; ".join(p for p in parts if not p.startswith(("frame-ancestors", "sandbox")))
    mark = '<meta charset="utf-8">'
    assert page.count(mark) == 1
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(kept)}">'
    return page.replace(mark, f"{mark}\n{meta}")


def _fenced(report: bytes) -> bytes:
    """A report may come from strangers: before anything of it, a policy that runs nothing."""
    policy = headers.REPORT["Content-Security-Policy"]
    kept = "; ".join(
        part for part in policy.split("; ") if not part.startswith(("frame-ancestors", "sandbox"))
    )
    meta = f'<meta http-equiv="Content-Security-Policy" content="{html.escape(kept)}">'
    start = _DOCTYPE.match(report)
    rest = report[start.end() :] if start else report
    return b'<!doctype html>\n<meta charset="utf-8">\n' + meta.encode("ascii") + rest


def _headers(names: Sequence[str]) -> str:
    """For the hosts that read `_headers` (Netlify, Cloudflare): what the app would have sent."""
    rules = {
        "/*": headers.EVERYWHERE | headers.OVER_TLS,
        "/": headers.DRAW,
        "/models/": _without_corp(headers.PAGE),
        "/embed/": headers.DRAW,
        "/ship/": headers.DRAW,
        **{f"/embed/{quote(name)}/": headers.EMBED for name in names},
        "/models/*": headers.SHARED,
        **{f"/models/{quote(name)}/{REPORT_PAGE}": _without_corp(headers.REPORT) for name in names},
        "/player/*": headers.SHARED,
        "/static/*": {
            "Cache-Control": "public, max-age=31536000, immutable",
            _CORP: "same-origin",
        },
    }
    return (
        "\n".join(
            "\n".join([path, *(f"  {name}: {value}" for name, value in rule.items())])
            for path, rule in rules.items()
        )
        + "\n"
    )


def _without_corp(rule: Mapping[str, str]) -> dict[str, str]:
    """Hosts join what several rules say of one header, and `/models/*` says it already."""
    return {name: value for name, value in rule.items() if name != _CORP}


def _publish_list(staging: Path) -> tuple[File, ...]:
    paths = sorted(
        path.relative_to(staging).as_posix() for path in staging.rglob("*") if path.is_file()
    )
    files = tuple(File.of(staging, path) for path in paths)
    document = {
        "schema": SCHEMA_VERSION,
        "generator": "keras-web-exporter",
        "files": {file.path: file.sha256 for file in files},
    }
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    _write(staging, SITE_NAME, text.encode("utf-8"))
    return files


def _refuse_what_is_no_site(target: Path) -> None:
    """Only a site of ours is replaced, and only if nobody put anything else into it."""
    found = {p.relative_to(target).as_posix() for p in target.rglob("*") if not p.is_dir()}
    if not found:
        return
    try:
        document = json.loads((target / SITE_NAME).read_bytes())
        ours = {SITE_NAME, *document["files"]}
    except FileNotFoundError:
        raise PublishFailed(
            f"{target}: holds files but no {SITE_NAME}, so it is no site of ours and is not "
            "replaced; name a new or empty folder"
        ) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise PublishFailed(
            f"{target / SITE_NAME}: not one that `exporter site` wrote, so {target} is not "
            "replaced; name a new or empty folder"
        ) from None
    if strangers := sorted(found - ours):
        raise PublishFailed(
            f"{target}: holds {', '.join(strangers[:5])}{' …' if strangers[5:] else ''}, which is "
            "not of the site and would be lost; move it away or name another folder"
        )


def _write(root: Path, path: str, data: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)
