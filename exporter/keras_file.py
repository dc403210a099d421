"""Keras files: opened safely, written with the same bytes every time.

Owns reading `.keras` and Keras `.h5` from strangers and writing `.keras`. May import
`exporter.declared`, `exporter.sparing` and `exporter.errors`. Keras and TensorFlow are imported
inside the functions.
"""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import sys
import tempfile
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from exporter import declared, sparing, upstream_hdf5
from exporter.errors import BadModel, BadUsage, MachineFailed

if TYPE_CHECKING:
    import keras

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
LARGEST_ANSWER = 1 << 31
"""Numbers that one layer may answer for one sample: 8 GiB."""
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip entry can have
_UNSAFE_HINT = "give --unsafe (unsafe=True) if you trust where the file comes from"
# What Keras' safe mode says, of Lambda, TFSMLayer, TorchModuleWrapper and vocabulary files.
_REQUESTED = re.compile(
    r"Requested the (?:deserialization|loading) of (.+?)(?: whose| via| outside|, which|\. )"
    r".+safe_mode=False"
)
_UNKNOWN = re.compile(r"(?:Could not locate|Unknown) (\w+):? ['\"]?([\w>.:-]+)")
_trusted: ContextVar[tuple[Mapping[str, Any], bool]] = ContextVar("trusted", default=({}, False))
_CUSTOM_HINT = "give it with --custom-objects module:attribute"


def import_keras() -> ModuleType:
    """Keras on its TensorFlow backend.

    Raises:
        BadUsage: Keras is configured for another backend.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Memory that TensorFlow no longer needs goes back to the system: its own pool keeps a big model
    # twice. Read when TensorFlow is imported; the numbers are the same.
    os.environ.setdefault("TF_ONEDNN_USE_SYSTEM_ALLOCATOR", "1")
    with _quiet_stderr():
        import keras

    if keras.backend.backend() != "tensorflow":
        raise BadUsage(
            f"Keras backend: tensorflow expected, {keras.backend.backend()} found; "
            "set KERAS_BACKEND=tensorflow"
        )
    return keras


@contextmanager
def _quiet_stderr() -> Iterator[None]:
    """Keep what TensorFlow's C++ says of GPUs and oneDNN, before its log level is read, off stderr.

    It writes to the file descriptor itself. Shown with --debug, and where the import fails.
    """
    if "keras" in sys.modules or os.environ.get("EXPORTER_DEBUG"):
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            said.seek(0)
            os.write(2, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


@contextmanager
def trusting(custom_objects: Mapping[str, Any], unsafe: bool) -> Iterator[None]:
    """While the block runs, `load` knows these objects, and runs a file's code if `unsafe`.

    For what the user has already agreed to for this very model: a runtime that reopens the
    published file is not handed the user's arguments.
    """
    token = _trusted.set((custom_objects, unsafe))
    try:
        yield
    finally:
        _trusted.reset(token)


def load(
    path: Path, *, custom_objects: Mapping[str, Any] | None = None, unsafe: bool = False
) -> keras.Model:
    """Open a `.keras` or Keras `.h5` file, in safe mode unless `unsafe`.

    Raises:
        BadModel: The file is missing, no Keras model, or needs code to be run.
        MachineFailed: The file is there and cannot be read.
    """
    path = Path(path)
    _check_kind(path)
    held = declared.judge(path, _is_layer)
    keras = import_keras()
    known, agreed = _trusted.get()
    objects = {**known, **(custom_objects or {})}
    if path.suffix.lower() != ".keras":
        objects = {**_operations(), **objects}
    safe = not (unsafe or agreed)
    try:
        with declared.at_most(held, keras.Variable), _warnings_of_what_loads():
            model = sparing.load_model(path, custom_objects=objects, compile=False, safe_mode=safe)
    except BadModel as error:
        raise BadModel(f"{path}: {error}") from None
    except Exception as error:  # a stranger's file makes Keras raise nearly anything
        raise BadModel(f"{path}: {_explain(error)}") from error
    if not isinstance(model, keras.Model):
        raise BadModel(
            f"{path}: a Keras model expected, a {type(model).__name__} found; save a keras.Model"
        )
    _check_numbers(path, model)
    return model


def _is_layer(module: str, name: str) -> bool:
    """Whether a module inside Keras defines a class of layers by that name."""
    layer = import_keras().layers.Layer
    try:
        found = vars(import_module(module)).get(name)
    except ImportError:
        return False
    return isinstance(found, type) and issubclass(found, layer)


@contextmanager
def _warnings_of_what_loads() -> Iterator[None]:
    """Keep Keras' warnings until the file is loaded: one that is refused is told in one line."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        yield
    for warning in said:
        warnings.warn(warning.message, warning.category, stacklevel=4)


def _check_numbers(path: Path, model: keras.Model) -> None:
    """Refuse weights that are no numbers, and answers that no machine could hold."""
    import numpy as np

    for weight in model.weights:
        if "float" not in weight.dtype:
            continue
        values = np.asarray(weight.value)
        if values.dtype.kind == "V":  # bfloat16, float8: not NumPy's own
            values = values.astype(np.float32)
        if values.size and np.isnan(values.min()):  # a NaN is the least of all
            raise BadModel(
                f"{path}: weight {weight.path}: numbers expected, NaN found; train it again"
            )
    for operation in getattr(model, "operations", ()):
        for node in operation._inbound_nodes:
            for tensor in node.output_tensors:
                count = math.prod(size for size in tensor.shape if size is not None)
                if count > LARGEST_ANSWER:
                    raise BadModel(
                        f"{path}: layer {_shorten(repr(operation.name), 80)} answers one sample "
                        f"with more than the {LARGEST_ANSWER:,} numbers expected at most"
                    )


def _operations() -> dict[str, Any]:
    """Keras' own operations, which its reader of HDF5 files does not know by name.

    A functional model holds them where a mask or arithmetic stands between layers. Seen with
    Keras 3.15.1: "Unknown layer: 'NotEqual'".
    """
    keras = import_keras()
    found = {}
    waiting = [keras.Operation]
    while waiting:
        cls = waiting.pop()
        waiting += cls.__subclasses__()
        if cls.__module__.startswith("keras.src.ops.") and not hasattr(keras.layers, cls.__name__):
            found[cls.__name__] = cls
    return found


def _check_kind(path: Path) -> None:
    """Tell the suffix and the first bytes apart before Keras sees the file."""
    try:
        with open(path, "rb") as stream:
            magic = stream.read(8)
    except FileNotFoundError:
        raise BadModel(f"{path}: no such file; give a .keras or a Keras .h5 file") from None
    except IsADirectoryError:
        raise BadModel(f"{path}: a .keras or Keras .h5 file expected, a folder found") from None
    except OSError as error:
        raise MachineFailed(f"{path}: {error.strerror}") from error
    suffix = path.suffix.lower()
    if suffix not in (".keras", ".h5", ".hdf5"):
        raise BadModel(
            f"{path}: a name that ends in .keras or .h5 expected, {suffix or 'no ending'!r} found; "
            "save the model with model.save('name.keras')"
        )
    if suffix == ".keras" and not zipfile.is_zipfile(path):
        found = "an HDF5 file (rename it to .h5)" if magic == _HDF5_MAGIC else "something else"
        raise BadModel(f"{path}: a zip archive written by Keras 3 expected, {found} found")
    if suffix != ".keras" and magic != _HDF5_MAGIC:
        found = "a zip (rename it to .keras)" if magic[:2] == b"PK" else "something else"
        raise BadModel(f"{path}: an HDF5 file written by Keras expected, {found} found")


def _explain(error: Exception) -> str:
    """One line of what Keras said, and the way out where there is one."""
    text = str(error)
    line = first_line(error)
    requested = _REQUESTED.search(" ".join(text.split()))
    if requested:
        what = requested[1].replace("`", "")
        does = "reads another file" if "file" in what else "carries Python code that would be run"
        return f"it {does} on loading ({what}); {_UNSAFE_HINT}"
    if "No model config found" in text:
        return (
            "weights without a model found; a whole model expected, "
            "as model.save('name.keras') writes it"
        )
    unknown = _UNKNOWN.search(text)
    if unknown:
        return f"{unknown[1]} {unknown[2]!r} is not Keras' own; {_CUSTOM_HINT}"
    return f"not a model that Keras can load: {type(error).__name__}: {line}"


def first_line(error: Exception, longest: int = 200) -> str:
    """What an error says, in one line: Keras puts the message below a heading, in bold."""
    lines = [re.sub(r"\x1b\[\d*m", "", line).strip() for line in str(error).splitlines()]
    lines = [line for line in lines if line]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        lines[0] = f"{lines[0].removeprefix('Exception encountered when calling ')} {lines[1]}"
    return _shorten(lines[0], longest) if lines else ""


def _shorten(line: str, longest: int = 240) -> str:
    return line if len(line) <= longest else line[: longest - 1] + "…"


def save_keras(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file without optimizer, date or memory addresses in it.

    The same model gives the same bytes in every process.

    Raises:
        BadModel: Keras cannot save the model.
        MachineFailed: The disk is full or the folder cannot be written.
    """
    import_keras()
    path = Path(path)
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".keras-") as scratch:
            folder = Path(scratch, "model")
            folder.mkdir()
            try:
                with upstream_hdf5.files_that_last():
                    model.save(folder, zipped=False)
            except OSError:
                raise
            except Exception as error:
                # Keras closes at the end what it could not open (seen with 3.15.1), and hides why.
                if isinstance(error.__context__, OSError):
                    raise error.__context__ from None
                raise BadModel(
                    f"model {model.name!r}: Keras cannot save it: {type(error).__name__}: "
                    f"{first_line(error)}"
                ) from error
            _make_canonical(folder)
            _zip(folder, path)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        reason = "disk full; free some space and export again" if full else error.strerror or error
        raise MachineFailed(f"{path.name}: cannot be written: {reason}") from error


def _make_canonical(folder: Path) -> None:
    metadata = json.loads((folder / "metadata.json").read_text())
    metadata.pop("date_saved", None)
    (folder / "metadata.json").write_text(json.dumps(metadata))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(_canonical_config(config, {})))
    _rewrite_weights(folder / "model.weights.h5")


def _canonical_config(node: Any, numbers: dict[int, int]) -> Any:
    """Memory addresses become 1, 2, … in order of appearance; compile arguments go.

    Whether two layers share one dtype policy object is an accident of the process, and says
    nothing: those addresses go as well.
    """
    if isinstance(node, list):
        return [_canonical_config(item, numbers) for item in node]
    if not isinstance(node, dict):
        return node
    result = {}
    is_policy = node.get("class_name") in ("DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy")
    for key, value in node.items():
        if key == "shared_object_id" and is_policy:
            continue
        if key == "shared_object_id" and isinstance(value, int):
            value = numbers.setdefault(value, len(numbers) + 1)
        if key == "compile_config":
            continue
        result[key] = _canonical_config(value, numbers)
    return result


def _rewrite_weights(weights: Path) -> None:
    """Leave the optimizer out; a file made in one go has one layout, whoever wrote the first."""
    import h5py

    slim = weights.with_suffix(".slim")
    size = weights.stat().st_size
    with h5py.File(weights, "r") as old, upstream_hdf5.writing(slim, size) as new:
        for name in sorted(old):
            if name != "optimizer":
                old.copy(name, new)
        new.attrs.update(old.attrs)
    slim.replace(weights)


def _zip(folder: Path, path: Path) -> None:
    """Stored, not deflated: Keras refuses members that expand (a zip bomb)."""
    first = ["metadata.json", "config.json", "model.weights.h5"]
    names = [file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()]
    names.sort(key=lambda name: (first.index(name) if name in first else len(first), name))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            entry.file_size = (folder / name).stat().st_size  # lets zipfile choose zip64
            with open(folder / name, "rb") as stream, archive.open(entry, "w") as member:
                shutil.copyfileobj(stream, member, 1 << 20)
