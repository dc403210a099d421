"""The bundle's manifest: what is here, and how it was made and measured.

Owns the classes that mirror `manifest.json`, reading and writing it, and comparing a folder with
it. Imports the standard library, `exporter.{contents, json_text, errors}` only, so that
`exporter verify` costs nothing. The JSON Schema lies beside this module (`manifest.schema.json`).
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from exporter import contents, json_text
from exporter.errors import BadBundle, MachineFailed, VerificationFailed

MANIFEST_NAME = "manifest.json"
SIGNATURE_NAME = "manifest.json.sig"
REPORT_FOLDER = "report"
SCHEMA_VERSION = 1
LARGEST = 8 << 20
"""Bytes of a manifest; the recipes' have 12,000."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of the model.

    Attributes:
        name: The Keras model's own name.
        shape: With the batch first; None is a free dimension.
        dtype: NumPy's name of the dtype that goes over the wire ("float32", "int32", …).
        value_range: Inputs: smallest and largest value that the numbers take.
        layout: Inputs: the meaning of the axes, as letters ("NHW").
        polarity: Inputs of pictures: which value is ink.
        meaning: Outputs: "probabilities" (softmax or sigmoid) or "values".
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    value_range: tuple[float, float] | None = None
    layout: str | None = None
    polarity: str | None = None
    meaning: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """One file of the bundle; `path` is POSIX and relative to the manifest."""

    path: str
    size_bytes: int
    sha256: str

    @classmethod
    def of(cls, root: Path, path: str) -> File:
        """Measure `root / path`."""
        with open(root / path, "rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return cls(path, stream.tell(), digest)


@dataclass(frozen=True, slots=True)
class Artifact:
    """One exported model: `path` is the file that a runtime opens, `files` all that it needs.

    `notes` say what the format changed on the way (a layer rewritten, a dtype made nearest).
    """

    format: str
    precision: str
    path: str
    files: tuple[File, ...]
    notes: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """ "tfjs-layers/float32": unique within a bundle."""
        return f"{self.format}/{self.precision}"

    @property
    def size_bytes(self) -> int:
        """The sum over its files."""
        return sum(file.size_bytes for file in self.files)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A format and precision that was not published, and why."""

    format: str
    precision: str
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The whole of `manifest.json`; see the bundle's format in README.md."""

    name: str
    created_by: Mapping[str, str]
    source: Mapping[str, Any]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    artifacts: tuple[Artifact, ...]
    files: tuple[File, ...]
    labels: tuple[str, ...] | None = None
    preprocessing: Mapping[str, Any] | None = None
    skipped: tuple[Skipped, ...] = ()
    metrics: Mapping[str, Any] = field(default_factory=dict)
    parity: tuple[Mapping[str, Any], ...] = ()
    schema: int = SCHEMA_VERSION

    def artifact(self, format: str, precision: str = "float32") -> Artifact:
        """The artefact of that format and precision.

        Raises:
            BadBundle: The bundle has none.
        """
        for artifact in self.artifacts:
            if (artifact.format, artifact.precision) == (format, precision):
                return artifact
        here = ", ".join(a.id for a in self.artifacts)
        raise BadBundle(f"{self.name}: no {format}/{precision} in this bundle; it has {here}")

    def all_files(self) -> tuple[File, ...]:
        """Every file that the manifest answers for."""
        return tuple(f for a in self.artifacts for f in a.files) + self.files

    def to_json(self) -> str:
        """The text of `manifest.json`: sorted by meaning, two spaces, one final newline."""
        order = (
            "schema", "name", "created_by", "source", "inputs", "outputs", "labels",
            "preprocessing", "artifacts", "files", "skipped", "metrics", "parity",
        )  # fmt: skip
        document = {key: _plain(getattr(self, key)) for key in order}
        return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def read(cls, directory: Path) -> Manifest:
        """Read and check `directory/manifest.json`.

        Raises:
            BadBundle: There is none, or it is malformed: the message names the key.
        """
        path = Path(directory) / MANIFEST_NAME
        try:
            with open(path, "rb") as stream:
                text = stream.read(LARGEST + 1)
        except FileNotFoundError:
            raise BadBundle(
                f"{directory}: no {MANIFEST_NAME} here, so this is no bundle; "
                "give a folder that `exporter export` wrote"
            ) from None
        except (NotADirectoryError, IsADirectoryError) as error:
            raise BadBundle(f"{path}: cannot be read as a manifest: {error}") from None
        except OSError as error:
            raise MachineFailed(f"{path}: {error.strerror}") from error
        try:
            return cls.from_json(text)
        except BadBundle as error:
            raise BadBundle(f"{path}: {error}") from None

    @classmethod
    def from_json(cls, text: bytes | str) -> Manifest:
        """Parse a manifest; hostile until checked: paths stay inside the bundle.

        Raises:
            BadBundle: Malformed; the message names the key.
        """
        try:
            document = json_text.parse(text, largest=LARGEST)
        except json_text.BadText as error:
            raise BadBundle(str(error)) from None
        return _Reader().manifest(document)


def verify(directory: Path) -> Manifest:
    """Compare a folder with its manifest; returns the manifest when all of it holds.

    Raises:
        BadBundle: No bundle, or a malformed manifest.
        VerificationFailed: One error that names every missing, extra and changed file.
    """
    directory = Path(directory)
    manifest = Manifest.read(directory)
    expected = {file.path: file for file in manifest.all_files()}
    found, strange = _walk(directory)
    missing = sorted(set(expected) - found - strange)
    extra = sorted((found | strange) - set(expected))
    changed = []
    for path in sorted(set(expected) & (found | strange)):
        if path in strange:
            changed.append(f"{path} (a link or no regular file)")
            continue
        try:
            actual = File.of(directory, path)
        except OSError as error:
            raise MachineFailed(f"{directory / path}: {error.strerror}") from error
        if actual.size_bytes != expected[path].size_bytes:
            sizes = f"{expected[path].size_bytes} bytes expected, {actual.size_bytes} found"
            changed.append(f"{path} ({sizes})")
        elif actual != expected[path]:
            changed.append(f"{path} (sha256 {actual.sha256[:12]}…)")
    findings = {"missing": missing, "extra": extra, "changed": changed}
    if any(findings.values()):
        faults = [f"{kind}: {', '.join(paths)}" for kind, paths in findings.items() if paths]
        raise VerificationFailed(f"{directory}: {'; '.join(faults)}; export it again", findings)
    return manifest


def examine(directory: Path) -> Manifest:
    """`verify`, and look into the artefacts: before anything of a stranger's bundle is opened.

    Raises:
        BadBundle: As `verify`; or an artefact's own files name others, or are damaged.
        VerificationFailed: As `verify`.
    """
    manifest = verify(directory)
    for artifact in manifest.artifacts:
        _check_contents(Path(directory), artifact)
    return manifest


def _check_contents(directory: Path, artifact: Artifact) -> None:
    """Refuse an artefact whose own files name others, or hold less or more than they say."""
    path = directory / artifact.path
    if artifact.format.startswith("tfjs"):
        folder = artifact.path.rpartition("/")[0] + "/"
        beside = {
            file.path.removeprefix(folder.lstrip("/")): file.size_bytes
            for file in artifact.files
            if file.path != artifact.path
        }
        contents.check_tfjs(path, beside)
    elif artifact.format == "onnx":
        contents.check_onnx(path)


def _walk(directory: Path) -> tuple[set[str], set[str]]:
    """Regular files, and everything else that is no folder, but for manifest and report."""
    regular, strange = set(), set()
    for path in directory.rglob("*"):
        relative = path.relative_to(directory).as_posix()
        if relative in (MANIFEST_NAME, SIGNATURE_NAME):
            continue
        if relative.split("/")[0] == REPORT_FOLDER:
            continue
        if path.is_symlink():
            strange.add(relative)
        elif path.is_file():
            regular.add(relative)
        elif not path.is_dir():
            strange.add(relative)
    return regular, strange


def _plain(value: Any) -> Any:
    """Dataclasses to dicts (without empty optionals), tuples to lists."""
    if isinstance(value, (TensorSpec, File, Artifact, Skipped)):
        pairs = ((f.name, getattr(value, f.name)) for f in fields(value))
        names = {"value_range": "range"}
        return {
            names.get(key, key): _plain(item)
            for key, item in pairs
            if not (item is None or (key == "notes" and not item))
        }
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return value


class _Reader:
    """Checks while it reads, and knows the place of the mistake."""

    def manifest(self, document: Any) -> Manifest:
        self._want(document, dict, "the manifest")
        if document.get("schema") != SCHEMA_VERSION:
            found = document.get("schema")
            raise BadBundle(f"schema: {SCHEMA_VERSION} expected, {found!r} found")
        manifest = Manifest(
            name=self._text(document, "name"),
            created_by=self._get(document, "created_by", dict),
            source=self._get(document, "source", dict),
            inputs=self._tensors(document, "inputs"),
            outputs=self._tensors(document, "outputs"),
            artifacts=tuple(
                self._artifact(item, f"artifacts[{i}]")
                for i, item in enumerate(self._get(document, "artifacts", list))
            ),
            files=self._files(document, "files"),
            labels=self._labels(document),
            preprocessing=self._optional(document, "preprocessing", dict),
            skipped=tuple(
                self._skipped(item, f"skipped[{i}]")
                for i, item in enumerate(self._optional(document, "skipped", list) or [])
            ),
            metrics=self._optional(document, "metrics", dict) or {},
            parity=tuple(
                self._want(item, dict, f"parity[{i}]")
                for i, item in enumerate(self._optional(document, "parity", list) or [])
            ),
        )
        counts = Counter(file.path for file in manifest.all_files())
        for path, count in counts.items():
            if count > 1:
                raise BadBundle(f"files: {path!r} is listed {count} times")
        for artifact, count in Counter(artifact.id for artifact in manifest.artifacts).items():
            if count > 1:
                raise BadBundle(f"artifacts: {artifact} is listed {count} times")
        return manifest

    def _skipped(self, item: Any, place: str) -> Skipped:
        self._want(item, dict, place)
        return Skipped(
            self._text(item, "format", place + "."),
            self._text(item, "precision", place + "."),
            self._text(item, "reason", place + "."),
        )

    def _labels(self, document: dict[str, Any]) -> tuple[str, ...] | None:
        labels = document.get("labels")
        if labels is None:
            return None
        self._want(labels, list, "labels")
        return tuple(self._want(label, str, f"labels[{i}]") for i, label in enumerate(labels))

    def _tensors(self, document: dict[str, Any], key: str) -> tuple[TensorSpec, ...]:
        return tuple(
            self._tensor(item, f"{key}[{i}].")
            for i, item in enumerate(self._get(document, key, list))
        )

    def _tensor(self, item: Any, place: str) -> TensorSpec:
        self._want(item, dict, place)
        shape = self._get(item, "shape", list, place)
        for size in shape:
            if size is not None and (type(size) is not int or size < 0):
                raise BadBundle(f"{place}shape: sizes or null expected, {size!r} found")
        return TensorSpec(
            name=self._text(item, "name", place),
            shape=tuple(shape),
            dtype=self._text(item, "dtype", place),
            value_range=self._range(item, place),
            layout=self._optional(item, "layout", str, place),
            polarity=self._optional(item, "polarity", str, place),
            meaning=self._optional(item, "meaning", str, place),
        )

    def _range(self, item: dict[str, Any], place: str) -> tuple[float, float] | None:
        limits = self._optional(item, "range", list, place)
        if limits is None:
            return None
        numbers = [v for v in limits if isinstance(v, (int, float)) and not isinstance(v, bool)]
        if len(limits) != 2 or len(numbers) != 2 or not numbers[0] <= numbers[1]:
            raise BadBundle(f"{place}range: two numbers, low and high, expected, {limits!r} found")
        return numbers[0], numbers[1]

    def _artifact(self, item: Any, place: str) -> Artifact:
        self._want(item, dict, place)
        path = self._path(item, place + ".")
        files = self._files(item, "files", place + ".")
        if path not in {file.path for file in files}:
            raise BadBundle(f"{place}.path: one of its files expected, {path!r} found")
        return Artifact(
            format=self._text(item, "format", place + "."),
            precision=self._text(item, "precision", place + "."),
            path=path,
            files=files,
            notes=tuple(
                self._want(note, str, f"{place}.notes[{i}]")
                for i, note in enumerate(self._optional(item, "notes", list, place + ".") or [])
            ),
        )

    def _files(self, document: dict[str, Any], key: str, place: str = "") -> tuple[File, ...]:
        return tuple(
            self._file(item, f"{place}{key}[{i}].")
            for i, item in enumerate(self._get(document, key, list, place))
        )

    def _file(self, item: Any, place: str) -> File:
        self._want(item, dict, place)
        size_bytes = self._get(item, "size_bytes", int, place)
        if size_bytes < 0:
            raise BadBundle(f"{place}size_bytes: a size expected, {size_bytes} found")
        sha256 = self._text(item, "sha256", place)
        if len(sha256) != 64 or set(sha256) - set("0123456789abcdef"):
            raise BadBundle(f"{place}sha256: 64 lower-case hex digits expected, {sha256!r} found")
        return File(self._path(item, place), size_bytes, sha256)

    def _path(self, item: dict[str, Any], place: str) -> str:
        path = self._text(item, "path", place)
        parts = path.split("/")
        inside = not {"", ".", ".."} & set(parts)
        if not inside or set(path) & set("\\:%?#") or not path.isprintable():
            raise BadBundle(f"{place}path: a plain path inside the bundle expected, {path!r} found")
        return path

    def _text(self, item: dict[str, Any], key: str, place: str = "") -> str:
        text: str = self._get(item, key, str, place)
        if not all(letter.isprintable() or letter in "\n\t" for letter in text):
            raise BadBundle(f"{place}{key}: printable text expected, {text[:80]!a} found")
        return text

    def _get(self, item: dict[str, Any], key: str, kind: type, place: str = "") -> Any:
        if key not in item:
            raise BadBundle(f"{place}{key}: missing")
        return self._want(item[key], kind, place + key)

    def _optional(self, item: dict[str, Any], key: str, kind: type, place: str = "") -> Any:
        """None where the key is missing or null."""
        value = item.get(key)
        return None if value is None else self._want(value, kind, place + key)

    def _want(self, value: Any, kind: type, place: str) -> Any:
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            names = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}
            raise BadBundle(f"{place}: {names[kind]} expected, {type(value).__name__} found")
        return value


def measure(root: Path, paths: Iterable[str]) -> tuple[File, ...]:
    """`File.of` for each path, sorted by path."""
    return tuple(File.of(root, path) for path in sorted(paths))
