"""Bundles as the web sees them: found in one folder, looked up by name, read whole.

A request names a bundle and a file; both are looked up in tables of what is there, and never
joined to a path before. A bundle is opened once per request, as a folder, so that manifest and
file belong together even while it is published anew.

May import `exporter.{manifest, recipe, report, errors}` and `web.kept`; nothing of Flask.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from exporter.errors import BadBundle, ExporterError
from exporter.manifest import MANIFEST_NAME, REPORT_FOLDER, SIGNATURE_NAME, Manifest
from exporter.report import wording
from web.kept import Seen, identify

CARD_NAME = "README.md"
REPORT_PAGE = f"{REPORT_FOLDER}/report.html"
REPORT_DOCUMENT = f"{REPORT_FOLDER}/parity.json"
EVALUATION = f"{REPORT_FOLDER}/evaluation.json"
# What a bundle may hold besides what its manifest lists.
_UNLISTED = frozenset({MANIFEST_NAME, SIGNATURE_NAME, REPORT_PAGE, REPORT_DOCUMENT, EVALUATION})
# What `exporter.contest.write_document` writes into an evaluation.
_EVALUATION = {
    "data": str, "samples": int, "pens": str, "pen_digits": int, "pens_are_real": bool,
    "artifacts": dict,
}  # fmt: skip
# No file, a folder in its place or in its way, a link.
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR)


class Changed(Exception):
    """A file of a bundle is not the one that its manifest lists."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of one file and their sha256, of which the tag for caches is made.

    Attributes:
        data: All of it.
        sha256: Of `data`.
        seen: The files and folders that it was made of, as they were before they were read.
    """

    data: bytes
    sha256: str
    seen: tuple[Seen, ...] = ()

    @classmethod
    def of(cls, data: bytes, *seen: Seen) -> Content:
        """Measure `data`."""
        return cls(data, hashlib.sha256(data).hexdigest(), seen)

    @classmethod
    def of_stream(cls, stream: BinaryIO, path: str) -> Content:
        """Read a file that is opened, of that path."""
        seen = Seen(path, identify(os.fstat(stream.fileno())))
        return cls.of(stream.read(), seen)

    def below(self, folder: int, path: Path) -> Content:
        """The same with paths below a folder, which is seen, too."""
        paths = [Seen(str(path / one.path), one.identity) for one in self.seen]
        return replace(self, seen=(Seen(str(path), identify(os.fstat(folder))), *paths))


@dataclass(frozen=True, slots=True)
class Entry:
    """One bundle in the list.

    Attributes:
        name: Its folder's name, and its name in addresses.
        manifest: None where it cannot be read.
        fault: Why it cannot be read; without any path of this machine.
        description: Of its recipe.
        report: What `report/parity.json` holds, or None where there is none.
        has_page: Whether there is a `report/report.html`.
        evaluation: What `report/evaluation.json` says that was measured with these very files.
    """

    name: str
    manifest: Manifest | None
    fault: str = ""
    description: str = ""
    report: dict[str, Any] | None = None
    has_page: bool = False
    evaluation: dict[str, Any] | None = None

    @property
    def has_card(self) -> bool:
        """Whether the manifest lists a model card."""
        return self.manifest is not None and any(f.path == CARD_NAME for f in self.manifest.files)

    @property
    def can_draw(self) -> bool:
        """Whether the page to draw on can use its model."""
        return self.manifest is not None and reads_drawings(self.manifest)

    @property
    def figures(self) -> tuple[tuple[str, str], ...]:
        """Accuracy and loss on the data that the model was tested on, where they are known."""
        metrics = self.manifest.metrics if self.manifest is not None else {}
        tested = metrics.get("test")
        if not isinstance(tested, dict):
            return ()
        wanted = (("accuracy", wording.share), ("loss", "{:.3f}".format))
        return tuple(
            (name, write(tested[name]))
            for name, write in wanted
            if isinstance(tested.get(name), float)
        )

    @property
    def verdict(self) -> tuple[str, str]:
        """Status and words: of the last report on this machine, else of the manifest."""
        if self.report is not None:
            counts = {key: self.report.get(key) for key in ("passed", "failed", "not_run")}
            if all(isinstance(count, int) for count in counts.values()):
                return _verdict(**counts)  # type: ignore[arg-type]
        listed = len(self.manifest.parity) if self.manifest is not None else 0
        if listed:
            return (
                "passed",
                f"parity passed in {wording.count(listed, 'comparison')} when published",
            )
        return "not_run", "parity is not known: `exporter parity` measures it"


def reads_drawings(manifest: Manifest) -> bool:
    """Whether the model takes 28x28 numbers and answers one per class, as the element wants it."""
    if len(manifest.inputs) != 1 or len(manifest.outputs) != 1:
        return False
    given, answered = manifest.inputs[0].shape, manifest.outputs[0].shape
    return math.prod(size or 0 for size in given[1:]) == 28 * 28 and (answered[-1] or 0) > 1


def _verdict(passed: int, failed: int, not_run: int) -> tuple[str, str]:
    rest = f", {not_run} not run" if not_run else ""
    if failed:
        return "failed", f"parity failed: {failed} of {passed + failed} rows{rest}"
    if not passed:
        return "failed", "parity proves nothing: no row was run"
    return "passed", f"parity passed: {passed} of {passed} rows{rest}"


def names(root: Path) -> tuple[str, ...]:
    """The bundles in `root`, sorted; a missing folder holds none. Links are not followed."""
    try:
        with os.scandir(root) as entries:
            found = [
                entry.name
                for entry in entries
                if not entry.name.startswith(".")
                and entry.is_dir(follow_symlinks=False)
                and Path(entry.path, MANIFEST_NAME).is_file()
            ]
    except (FileNotFoundError, NotADirectoryError):
        return ()
    return tuple(sorted(found))


def entries(root: Path) -> tuple[Entry, ...]:
    """All bundles in `root` with what the list shows of them."""
    return tuple(_entry(root, name) for name in names(root))


def read(root: Path, name: str, path: str) -> Content | None:
    """One file of one bundle; None where there is no such bundle, or it does not offer the file.

    Raises:
        BadBundle: The manifest is malformed.
        Changed: The file is not the one that the manifest lists.
    """
    while name in names(root):
        with _opened(root / name) as folder:
            if folder is None:
                continue  # taken away since it was listed
            try:
                content = _offered(folder, path)
            except Changed:
                if _stands(folder, root / name):
                    raise Changed(f"{name}/{path}: not the file that manifest.json lists") from None
                continue
            if content is not None:
                return content.below(folder, root / name)
            if _stands(folder, root / name):
                return None
    return None


def _offered(folder: int, path: str) -> Content | None:
    """A file that the bundle offers; None where it does not.

    Raises:
        BadBundle: The manifest is malformed.
        Changed: The file is missing, or not the one that the manifest lists.
    """
    if path in _UNLISTED:
        return _content(folder, path)
    raw = _content(folder, MANIFEST_NAME)
    listed = {} if raw is None else {file.path: file for file in _parse(raw).all_files()}
    if path not in listed:
        return None
    content = _content(folder, path)
    if content is None or content.sha256 != listed[path].sha256:
        raise Changed(path)
    assert raw is not None
    return replace(content, seen=raw.seen + content.seen)


def _stands(folder: int, path: Path) -> bool:
    """Whether `path` still is that folder: a bundle published anew takes the old one's place."""
    try:
        return os.path.samestat(os.fstat(folder), path.lstat())
    except FileNotFoundError:
        return False


def _entry(root: Path, name: str) -> Entry:
    while True:
        with _opened(root / name) as folder:
            entry = _described(folder, name)
            # One that is taken away while it is read lacks anything: its successor is asked.
            if folder is None or _stands(folder, root / name):
                return entry


def _described(folder: int | None, name: str) -> Entry:
    raw = _content(folder, MANIFEST_NAME) if folder is not None else None
    if folder is None or raw is None:
        return Entry(name, None, "its manifest cannot be read")
    try:
        manifest = _parse(raw)
    except BadBundle as error:
        return Entry(name, None, f"its manifest is malformed: {error}")
    return Entry(
        name,
        manifest,
        description=_description(manifest),
        report=_report(_content(folder, REPORT_DOCUMENT)),
        has_page=_content(folder, REPORT_PAGE) is not None,
        evaluation=_of(_report(_content(folder, EVALUATION)), raw),
    )


def _parse(raw: Content) -> Manifest:
    try:
        text = raw.data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadBundle("no UTF-8 text") from None
    return Manifest.from_json(text)


def _report(raw: Content | None) -> dict[str, Any] | None:
    """The report's document; None where there is none or it is no report."""
    if raw is None:
        return None
    try:
        document = json.loads(raw.data)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _of(document: dict[str, Any] | None, manifest: Content) -> dict[str, Any] | None:
    """An evaluation of this very manifest's bundle; None where it is another's, or no evaluation.

    The file may be anybody's: what is handed on has every key of `_EVALUATION` in its type.
    """
    if document is None or document.get("manifest_sha256") != manifest.sha256:
        return None
    well = all(type(document.get(key)) is kind for key, kind in _EVALUATION.items())
    return document if well else None


def _description(manifest: Manifest) -> str:
    from exporter import recipe as recipes

    name = manifest.source.get("recipe")
    if name not in recipes.names():
        return ""
    try:
        return recipes.load(name).description
    except ExporterError:
        return ""


@contextmanager
def _opened(path: Path) -> Iterator[int | None]:
    """A descriptor of the folder: what is published under its name meanwhile is another one."""
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        yield None
        return
    try:
        yield folder
    finally:
        os.close(folder)


def _content(folder: int, path: str) -> Content | None:
    """A regular file below `folder`, whole; None where there is none. Follows no link."""
    *parents, name = path.split("/")
    opened = [os.dup(folder)]
    try:
        for parent in parents:
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
            opened.append(os.open(parent, flags, dir_fd=opened[-1]))
        # Not to wait for whoever writes to a pipe that somebody put there.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(name, flags, dir_fd=opened[-1]), "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return None
            return Content.of_stream(stream, path)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None
    finally:
        for descriptor in opened:
            os.close(descriptor)
