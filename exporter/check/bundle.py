"""A deployed bundle: its manifest, every file that it lists, and what those files ask of a runtime.

May import `exporter.{manifest, errors}`; onnx only where a model is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from exporter.check import http, rules
from exporter.check.finding import Finding, Report
from exporter.errors import BadBundle
from exporter.manifest import MANIFEST_NAME, Artifact, File, Manifest

MAX_MANIFEST_BYTES = 5_000_000
MAX_FILE_BYTES = 2_000_000_000
MAX_FILES = 2_000
# What no page fetches: that it is there and whole is enough.
_FOR_PEOPLE = re.compile(r"keras/|.*\.(md|keras|h5)$")

ORT_WEB = "onnxruntime-web 1.30.0"
MAX_IR_VERSION = 13
MAX_OPSET = 26
"""What `ORT_WEB` loads; tests ask it. Of the domain "ai.onnx"."""

Tell = Callable[[str], None]


def check_bundle(report: Report, url: str, page: str, tell: Tell) -> Manifest | None:
    """Fetch and judge a bundle; returns its manifest where there is one.

    Args:
        report: Grows.
        url: The manifest's address.
        page: Of the page that loads it; empty where none is known.
        tell: Hears of every file.
    """
    manifest = _manifest(report, url, page, tell)
    if manifest is None:
        return None
    files = manifest.all_files()
    if len(files) > MAX_FILES:
        message = f"at most {MAX_FILES} files expected, {len(files)} found"
        report.add([Finding("manifest", url, message)])
        return manifest
    bodies = {}
    for file in files:
        tell(file.path)
        bodies[file.path] = _file(report, address_of(url, file.path), file, page)
    for artifact in manifest.artifacts:
        body = bodies.get(artifact.path)
        if body is not None:
            report.add(_artifact(address_of(url, artifact.path), artifact, body))
    return manifest


def address_of(manifest_url: str, path: str) -> str:
    """A file's address; what follows a ? after the manifest's is handed on, as the player does."""
    query = urlsplit(manifest_url).query
    address = urlsplit(urljoin(manifest_url, quote(path)))
    return urlunsplit(address._replace(query=query))


def _manifest(report: Report, url: str, page: str, tell: Tell) -> Manifest | None:
    tell(MANIFEST_NAME)
    answer = http.get(url, MAX_MANIFEST_BYTES, origin=report.origin)
    report.fetched.append(url)
    faults = _faults(report, answer, url, page, is_fetched_by_pages=True)
    report.add(faults)
    if answer.status != 200 or answer.is_html or answer.fault:
        return None
    if answer.cut:
        report.add([Finding("truncated", url, f"a whole manifest expected: {answer.cut}")])
        return None
    report.add(_unchanged(answer, url, report.origin))
    fresh = http.get(_past_caches(url), MAX_MANIFEST_BYTES, origin=report.origin, fresh=True)
    if fresh.status == 200 and not fresh.is_html and fresh.body != answer.body:
        report.add([_stale(url, answer)])
    try:
        return Manifest.from_json(answer.body.decode("utf-8"))
    except UnicodeDecodeError:
        report.add([Finding("manifest", url, "UTF-8 text expected, other bytes found")])
    except BadBundle as error:
        code = "path" if "path:" in str(error) else "manifest"
        report.add([Finding(code, url, f"a bundle's manifest expected: {error}")])
    return None


def _file(report: Report, url: str, file: File, page: str) -> bytes | None:
    """Its bytes where they are those of the manifest."""
    origin = report.origin
    answer = http.get(url, min(file.size_bytes, MAX_FILE_BYTES), origin=origin)
    report.fetched.append(url)
    for_people = bool(_FOR_PEOPLE.match(file.path))
    report.add(_faults(report, answer, url, page, is_fetched_by_pages=not for_people))
    if answer.status != 200 or answer.is_html or answer.fault:
        return None
    report.add(_unchanged(answer, url, origin))
    if not answer.cut and _matches(answer.body, file):
        return answer.body
    fresh = http.get(_past_caches(url), file.size_bytes, origin=origin, fresh=True)
    if (fresh.status == 200 and _matches(fresh.body, file)) or _came_from_cache(answer):
        report.add([_stale(url, answer)])
    elif answer.cut or len(answer.body) != file.size_bytes:
        found = answer.cut or f"{len(answer.body)} found"
        report.add([Finding("truncated", url, f"{file.size_bytes} bytes expected: {found}")])
    else:
        digest = hashlib.sha256(answer.body).hexdigest()
        message = f"sha256 {file.sha256[:12]}… expected, {digest[:12]}… found (size as expected)"
        report.add([Finding("altered", url, message)])
    return None


def _faults(
    report: Report, answer: http.Answer, url: str, page: str, *, is_fetched_by_pages: bool
) -> list[Finding]:
    found = [*rules.arrival(answer, url), *rules.not_html(answer, url)]
    if is_fetched_by_pages:
        found += rules.mixed(url, page or report.origin)
    if answer.status == 200 and not answer.is_html and is_fetched_by_pages:
        found += rules.sharing(answer, url, report.origin)
        found += [*rules.media_type(answer, url), *rules.caching(answer, url)]
    return found


def _unchanged(answer: http.Answer, url: str, origin: str) -> list[Finding]:
    """A server that says "not modified" to every tag gives yesterday's file for ever."""
    if answer.header("ETag") and http.answers_unchanged(url, '"no-tag-of-this-file"', origin):
        message = "the file expected for another's If-None-Match, 304 (not modified) found"
        return [Finding("stale-cache", url, message)]
    return []


def _stale(url: str, answer: http.Answer) -> Finding:
    age = answer.header("Age")
    since = f", {age} s old" if age else ""
    message = f"the file of this manifest expected, another{since} from a cache found"
    return Finding("stale-cache", url, message)


def _came_from_cache(answer: http.Answer) -> bool:
    """By what caches say of themselves (RFC 9111 Age; CDNs' own words)."""
    age = answer.header("Age")
    said = [answer.header(name).lower() for name in ("X-Cache", "CF-Cache-Status", "Cache-Status")]
    return (age.isdigit() and int(age[:9]) > 0) or any("hit" in one for one in said)


def _past_caches(url: str) -> str:
    """The same file under an address that no cache has seen."""
    parts = urlsplit(url)
    query = f"{parts.query}&" if parts.query else ""
    return urlunsplit(parts._replace(query=f"{query}exporter-check=1"))


def _matches(body: bytes, file: File) -> bool:
    return len(body) == file.size_bytes and hashlib.sha256(body).hexdigest() == file.sha256


def _artifact(url: str, artifact: Artifact, body: bytes) -> list[Finding]:
    if artifact.format.startswith("tfjs"):
        return _shards(url, artifact, body)
    if artifact.format == "onnx":
        return onnx_versions(url, body)
    return []


def _shards(url: str, artifact: Artifact, body: bytes) -> list[Finding]:
    """TensorFlow.js fetches what model.json names, whatever the manifest lists."""
    try:
        groups = json.loads(body)["weightsManifest"]
        paths = [path for group in groups for path in group["paths"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [Finding("manifest", url, "a TensorFlow.js model.json expected, another found")]
    listed = {file.path for file in artifact.files}
    folder = PurePosixPath(artifact.path).parent
    return [
        Finding("path", url, f"names the shard {path!r}, which manifest.json does not list")
        for path in paths
        if not isinstance(path, str) or str(folder / path) not in listed
    ]


def onnx_versions(url: str, body: bytes) -> list[Finding]:
    """An IR or an opset newer than the runtime's own does not load."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model: Any = onnx.load_model_from_string(body)
    except (DecodeError, ValueError) as error:
        return [Finding("altered", url, f"an ONNX model expected: {error}")]
    found = []
    if model.ir_version > MAX_IR_VERSION:
        found.append(f"IR version {MAX_IR_VERSION} or older expected, {model.ir_version} found")
    opsets: Iterable[Any] = model.opset_import
    for opset in opsets:
        if opset.domain in ("", "ai.onnx") and opset.version > MAX_OPSET:
            found.append(f"opset {MAX_OPSET} or older expected, {opset.version} found")
    return [Finding("runtime", url, f"{message}: {ORT_WEB} refuses it") for message in found]
