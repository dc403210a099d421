"""What a stranger's Keras file declares, judged before Keras opens it.

Owns the limits on zip archives, on the JSON inside and on HDF5 files, and counts the weights that
a model creates while it is built: nothing is unpacked, built or allocated on a file's word alone.
May import `exporter.{json_text, stored_member, errors}`; h5py is imported inside the functions.
"""

from __future__ import annotations

import io
import math
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import IO, Any

from exporter import json_text
from exporter.errors import BadModel
from exporter.stored_member import StoredMember

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
MOST_MEMBERS = 10_000
MOST_OBJECTS = 1_000_000
LARGEST_EXPANSION = 100
"""Declared over stored bytes. Keras stores its members as they are; deflate alone reaches 1,032."""
FREE_EXPANSION = 1 << 20
"""Below this many declared bytes, in the whole file, expansion does no harm."""
LARGEST_DEFLATED = 64 << 20
"""Weights that somebody has compressed are read whole; so are all members beside them together."""
SPARE_WEIGHTS = 8 << 20
"""A model may create this many more than its file holds: states of stateful layers, seeds."""
FEWEST_STORED = 4
"""A layer may keep as little as a quarter of its weights: packed integers."""
_COMPRESSING = {1, 4, 5, 6, 32000}
"""deflate, szip, N-bit, scale-offset, LZF: one expands a little into much, two beyond any bound."""
_BUILT_IN_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
"""deflate to scale-offset, and LZF of h5py: any other makes HDF5 look for a library to load."""
_NOT_FOR_MODELS = frozenset(
    (
        "applications", "callbacks", "config", "datasets", "distribution", "export",
        "preprocessing", "saving", "tree", "utils", "visualization", "wrappers",
    )
)  # fmt: skip
"""Parts of Keras that read files, fetch or change settings; no public layer is in them."""
_WITH_LAYERS = frozenset(("applications", "preprocessing"))
"""Those where Keras keeps layers without a public name, which it saves under `keras.src`."""
LARGEST_CONFIG = 40 << 20
MOST_VALUES = 2_200_000
"""A config may hold a matrix, word vectors for one, or a vocabulary."""
IsLayer = Callable[[str, str], bool]
"""Of a module of Keras and a name in it: whether that is a class of layers."""
_left: ContextVar[int | None] = ContextVar("left", default=None)


def judge(path: Path, is_layer: IsLayer) -> int:
    """Check what the file declares; the number of weights that it holds.

    Args:
        path: A `.keras` or a Keras HDF5 file.
        is_layer: Asked only of modules inside Keras where layers are beside what no model needs.

    Raises:
        BadModel: It declares what no model needs, names or links files outside of itself, or
            is damaged.
    """
    try:
        of = _of_archive if path.suffix.lower() == ".keras" else _of_hdf5
        return of(path, is_layer)
    except _Refused as refused:
        raise BadModel(f"{path}: {refused}") from None


class _Refused(Exception):
    """Why, without the file's name."""


def _of_archive(path: Path, is_layer: IsLayer) -> int:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, size)
            for name in (CONFIG, WEIGHTS):
                if name not in members:
                    raise _Refused(f"not a model that Keras can load: no {name} in it")
            config = members[CONFIG]
            if config.file_size > LARGEST_CONFIG:
                raise _Refused(
                    f"{CONFIG}: at most {LARGEST_CONFIG:,} bytes expected, "
                    f"{config.file_size:,} declared"
                )
            _check_config(archive.read(config), CONFIG, is_layer)
            weights = members[WEIGHTS]
            if weights.compress_type == zipfile.ZIP_STORED:
                with StoredMember(archive, WEIGHTS) as stream:
                    return _weights_in(stream)
            if weights.file_size > LARGEST_DEFLATED:
                raise _Refused(
                    f"{WEIGHTS}: {weights.file_size:,} bytes compressed; stored expected, as Keras "
                    "writes it"
                )
            return _weights_in(io.BytesIO(archive.read(weights)))
    # zlib.error, NotImplementedError and struct.error come from damaged and strange archives.
    except _Refused:
        raise
    except MemoryError:
        raise
    except Exception as error:
        raise _Refused(f"a damaged archive: {_line(error)}; save the model again") from error


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """By name; each is a plain file of its own, inside the archive and no larger than it may be."""
    infos = archive.infolist()
    if len(infos) > MOST_MEMBERS:
        raise _Refused(f"at most {MOST_MEMBERS:,} members expected, {len(infos):,} found")
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        _check_member(info, size)
        if info.filename in found:
            raise _Refused(f"member {info.filename!r} is there twice")
        found[info.filename] = info
    total = sum(info.file_size for info in infos)
    if total > max(FREE_EXPANSION, LARGEST_EXPANSION * size):
        raise _Refused(f"a bomb: {total:,} bytes declared in an archive of {size:,}")
    beside = [info for info in infos if info.compress_type and info.filename != WEIGHTS]
    unpacked = sum(info.file_size for info in beside)
    if unpacked > LARGEST_DEFLATED:
        raise _Refused(
            f"at most {LARGEST_DEFLATED:,} bytes compressed beside the weights expected, "
            f"{unpacked:,} declared"
        )
    end = 0
    for info in sorted(infos, key=lambda info: info.header_offset):
        if info.header_offset < end:
            raise _Refused(f"member {info.filename!r} overlaps another one")
        end = info.header_offset + info.compress_size
    return found


def _check_member(info: zipfile.ZipInfo, size: int) -> None:
    name = info.orig_filename
    what = f"member {name!r}"
    parts = PurePosixPath(name).parts
    plain = parts and not name.startswith("/") and ".." not in parts and name.isprintable()
    if not plain or set(name) & set("\\:\0"):
        raise _Refused(f"{what}: a plain path inside the archive expected")
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise _Refused(f"{what}: a regular file expected, a link or a device found")
    if info.flag_bits & 0x1:
        raise _Refused(f"{what} is encrypted; a model that can be read expected")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise _Refused(f"{what}: stored or deflated expected, method {info.compress_type} found")
    if info.header_offset + info.compress_size > size:
        raise _Refused(
            f"{what}: {info.compress_size:,} stored bytes declared in an archive of {size:,}"
        )
    stored = info.compress_type == zipfile.ZIP_STORED
    if stored and info.file_size != info.compress_size:
        raise _Refused(f"{what}: {info.compress_size:,} bytes stored, {info.file_size:,} declared")
    allowed = max(FREE_EXPANSION, LARGEST_EXPANSION * info.compress_size)
    if info.file_size > allowed:
        raise _Refused(
            f"{what}: a bomb: {info.file_size:,} bytes declared of {info.compress_size:,} stored"
        )


def _check_config(data: bytes | str, name: str, is_layer: IsLayer) -> None:
    """Refuse what is more than any model's, before anything is built of it."""
    try:
        document = json_text.parse(data, largest=LARGEST_CONFIG, values=MOST_VALUES, plain=False)
    except json_text.BadText as error:
        raise _Refused(f"{name}: {error}") from None
    if not isinstance(document, dict):
        raise _Refused(f"{name}: an object expected, {type(document).__name__} found")
    waiting: list[Any] = [document]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            _check_reference(value, name, is_layer)
            waiting += value.values()
        elif isinstance(value, list):
            waiting += [part for part in value if isinstance(part, (dict, list))]


def _check_reference(value: dict[str, Any], name: str, is_layer: IsLayer) -> None:
    """Refuse what Keras would look up outside of what models are made of."""
    module = value.get("module")
    if not isinstance(module, str) or "class_name" not in value:
        return
    parts = module.replace(".api.", ".").replace(".src.", ".").split(".")
    alien = _NOT_FOR_MODELS.intersection(parts)
    if parts[0] == "keras" and alien:
        wanted = value["config"] if isinstance(value.get("config"), str) else value["class_name"]
        inside = module.startswith("keras.src.") and alien <= _WITH_LAYERS
        if inside and isinstance(wanted, str) and is_layer(module, wanted):
            return
        raise _Refused(f"{name}: {module}.{wanted} is no part of a model; a layer expected")


def _of_hdf5(path: Path, is_layer: IsLayer) -> int:
    with open(path, "rb") as stream:
        return _weights_in(stream, is_layer)


def _weights_in(stream: IO[bytes] | io.RawIOBase, is_layer: IsLayer | None = None) -> int:
    """The numbers in all datasets of an HDF5 file that links nothing and declares no bomb.

    A dataset counts for no more numbers than bytes of it are stored.
    """
    h5py = _h5py()
    try:
        with h5py.File(stream, "r") as file:
            if is_layer and "model_config" in file.attrs:
                _check_attributes(file, "/")
                config = file.attrs["model_config"]
                config = config if isinstance(config, (str, bytes)) else bytes(config)
                _check_config(config, "model_config", is_layer)
            return _count(h5py, file)
    except (_Refused, MemoryError):
        raise
    except Exception as error:  # h5py raises a dozen classes at damaged files
        raise _Refused(f"damaged weights (HDF5): {_line(error)}; save the model again") from error


def _count(h5py: ModuleType, file: Any) -> int:
    held, declared, stored, objects = 0, 0, 0, 0
    size = file.id.get_filesize()
    waiting, seen = [("", file)], set()
    while waiting:
        place, group = waiting.pop()
        address = h5py.h5o.get_info(group.id).addr
        if address in seen:
            raise _Refused(f"weights: {place or '/'}: linked from two places")
        seen.add(address)
        _check_attributes(group, place or "/")
        for name in group:
            where = f"{place}/{name}"
            objects += 1
            if objects > MOST_OBJECTS:
                raise _Refused(f"weights: at most {MOST_OBJECTS:,} objects expected")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise _Refused(f"weights: {where}: a {type(link).__name__}; no links expected")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((where, item))
            elif isinstance(item, h5py.Dataset):
                count, asked, given = _numbers(item, where)
                held += min(count, given)
                declared += asked
                stored += given
                if stored > size:
                    raise _Refused(f"weights: {where}: more bytes stored than the file has")
            else:
                raise _Refused(f"weights: {where}: a dataset or a group expected")
    if declared > max(FREE_EXPANSION, LARGEST_EXPANSION * stored):
        raise _Refused(f"weights: a bomb: {declared:,} bytes declared of {stored:,} stored")
    return held


def _numbers(dataset: Any, where: str) -> tuple[int, int, int]:
    """The numbers of a dataset, the bytes that reading it takes, and those that are stored."""
    if dataset.external or dataset.is_virtual:
        kind = "external" if dataset.external else "virtual"
        raise _Refused(f"weights: {where}: an {kind} dataset reads other files; none expected")
    plan = dataset.id.get_create_plist()
    filters = [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]
    if len(_COMPRESSING.intersection(filters)) > 1 or len(set(filters)) < len(filters):
        raise _Refused(f"weights: {where}: compressed once expected, filters {filters} found")
    for number in filters:
        if number not in _BUILT_IN_FILTERS:
            raise _Refused(f"weights: {where}: a filter of HDF5 itself expected, {number} found")
    count = math.prod(dataset.shape) if dataset.shape is not None else 0
    # HDF5 unpacks whole chunks, however small the dataset is.
    unpacked = max(count, math.prod(dataset.chunks or ()))
    declared, stored = unpacked * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if declared > max(FREE_EXPANSION, LARGEST_EXPANSION * stored):
        raise _Refused(
            f"weights: {where}: a bomb: {declared:,} bytes declared of {stored:,} stored"
        )
    return int(count), int(declared), int(stored)


def _check_attributes(item: Any, where: str) -> None:
    h5py = _h5py()
    for name in item.attrs:
        size = h5py.h5a.get_info(item.id, name.encode()).data_size
        if size > LARGEST_CONFIG:
            raise _Refused(
                f"weights: {where}: attribute {name!r}: at most {LARGEST_CONFIG:,} bytes "
                f"expected, {size:,} declared"
            )


def _h5py() -> ModuleType:
    import h5py

    return h5py


@contextmanager
def at_most(held: int, variable: type) -> Iterator[None]:
    """While the block runs, a model whose weights are far more than `held` is not allocated.

    Keras creates each variable of a config with random numbers before it reads the file's. There
    is no seam for that in Keras 3.15, so the method that allocates is wrapped.

    Args:
        held: How many weights the file holds.
        variable: Keras' class of variables.

    Raises:
        BadModel: From inside the block.
    """
    allocate = variable._initialize_with_initializer  # type: ignore[attr-defined]

    def counted(self: Any, initializer: Any) -> Any:
        left = _left.get()
        if left is not None:
            count = math.prod(self._shape)
            if count > left:
                raise BadModel(
                    f"its config asks for a weight of shape {_short(self._shape)} where the file "
                    f"holds {held:,} numbers in all"
                )
            _left.set(left - count)
        return allocate(self, initializer)

    token = _left.set(FEWEST_STORED * held + SPARE_WEIGHTS)
    variable._initialize_with_initializer = counted  # type: ignore[attr-defined]
    try:
        yield
    finally:
        variable._initialize_with_initializer = allocate  # type: ignore[attr-defined]
        _left.reset(token)


def _short(shape: Any) -> str:
    """A shape in a line's room: a size may have thousands of digits."""
    text = str(tuple(shape))
    return text if len(text) <= 100 else f"{text[:99]}…"


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
