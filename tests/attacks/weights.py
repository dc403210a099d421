"""Hostile HDF5: links out of the file, bombs, filters, NaN, damage; in `.keras` and `.h5`."""

from __future__ import annotations

import io
import json
import math
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from tests.attacks.archives import WEIGHTS, good_files

Change = Callable[[Any], None]
"""Of an open h5py file."""
MIB = 1 << 20


@cache
def good_hdf5() -> bytes:
    """A Keras `.h5` file of a tiny model, which loads."""
    import tempfile

    import keras

    keras.utils.set_random_seed(3)
    layers = [keras.Input((4,)), keras.layers.Dense(3, name="hidden")]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.h5"
        keras.Sequential(layers, name="good").save(path)
        return path.read_bytes()


def changed(data: bytes, change: Change) -> bytes:
    """The file after `change`."""
    import h5py

    stream = io.BytesIO(data)
    with h5py.File(stream, "r+") as file:
        change(file)
    return stream.getvalue()


def kernel(file: Any) -> str:
    """Where a weight lies: the first dataset of two axes."""
    import h5py

    found: list[str] = []
    file.visititems(
        lambda name, item: (
            found.append(name) if isinstance(item, h5py.Dataset) and item.ndim == 2 else None
        )
    )
    return found[0]


def _replaced(make: Callable[[Any, str], Any]) -> Change:
    def change(file: Any) -> None:
        place = kernel(file)
        del file[place]
        made = make(file, place)
        if made is not None:
            file[place] = made

    return change


def _external(name: str) -> Callable[[Any, str], Any]:
    def make(file: Any, place: str) -> None:
        file.create_dataset(place, (4, 3), "f4", external=[(name, 0, 48)])

    return make


def _virtual(file: Any, place: str) -> None:
    import h5py

    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4, 3))
    file.create_virtual_dataset(place, layout)


def _bomb(size: int, chunked: bool) -> Callable[[Any, str], Any]:
    def make(file: Any, place: str) -> None:
        options = {"chunks": (1, 65536), "compression": "gzip"} if chunked else {}
        file.create_dataset(place, (4, size // 16), "f4", fillvalue=0, **options)

    return make


def _many(count: int, *, chunked: bool) -> Change:
    """Each declares no more than does no harm."""

    def change(file: Any) -> None:
        options = {"chunks": (1 << 20,), "compression": "gzip"} if chunked else {}
        for i in range(count):
            file.create_dataset(f"spare{i}", (1 << 20,), "i1", **options)

    return change


def _one_chunk(chunks: tuple[int, int]) -> Callable[[Any, str], Any]:
    """A small dataset in one large chunk; where it is not too large, that is written."""

    def make(file: Any, place: str) -> None:
        options = {"chunks": chunks, "compression": "gzip", "maxshape": (None, None)}
        made = file.create_dataset(place, (4, 3), "f4", **options)
        if math.prod(chunks) <= 1 << 24:
            made[:] = 1.0

    return make


def _overlapping(data: bytes) -> bytes:
    """40 datasets whose headers name the same stored bytes."""
    places = list[int]()

    def change(file: Any) -> None:
        file["spare"] = np.ones(1 << 16, "i1")
        file.flush()
        places.append(file["spare"].id.get_offset())
        for i in range(40):
            file.create_dataset(f"spare{i}", (1 << 16,), "i1")

    made = changed(data, change)
    # Version 3, contiguous, an address, a size.
    layout = b"\x03\x01%s" + struct.pack("<Q", 1 << 16)
    return made.replace(layout % (b"\xff" * 8), layout % struct.pack("<Q", places[0]))


def _filtered(*numbers: int) -> Callable[[Any, str], Any]:
    """A dataset of filters; of one that no HDF5 has, it would look for a library to load."""

    def make(file: Any, place: str) -> None:
        import h5py

        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((4, 3))
        for number in numbers:
            plan.set_filter(number, h5py.h5z.FLAG_OPTIONAL, ())
        group, _, name = place.rpartition("/")
        space = h5py.h5s.create_simple((4, 3))
        h5py.h5d.create(file[group].id, name.encode(), h5py.h5t.IEEE_F32LE, space, plan)

    return make


def _linked_in_a_circle(file: Any) -> None:
    place = kernel(file).rpartition("/")[0]
    file[f"{place}/again"] = file["/"]


def _array(value: Any, dtype: str = "f4", shape: tuple[int, ...] = (4, 3)) -> Change:
    return _replaced(lambda file, place: np.full(shape, value, dtype))


def _one_nan(file: Any) -> None:
    file[kernel(file)][1, 1] = math.nan


def _group(file: Any, place: str) -> None:
    file.create_group(place)


def _changes() -> Iterator[tuple[str, Change]]:
    import h5py

    for target in ("/etc/passwd", "other.h5", "../../secret.h5"):
        yield (
            f"an external link to {target}",
            _replaced(lambda f, p, t=target: h5py.ExternalLink(t, "/x")),
        )
        yield f"CVE-2026-1669: an external dataset of {target}", _replaced(_external(target))
    for target in ("/", "/nowhere", "/layers"):
        yield f"a soft link to {target}", _replaced(lambda f, p, t=target: h5py.SoftLink(t))
    yield "a virtual dataset", _replaced(_virtual)
    yield "a circle of hard links", _linked_in_a_circle
    for size in (10 * MIB, 100 * MIB, 5 << 30, 1 << 40, 1 << 50):
        for chunked in (True, False):
            kind = "compressed" if chunked else "never written"
            yield f"CVE-2026-0897: {size:,} bytes, {kind}", _replaced(_bomb(size, chunked))
    yield "300 datasets of 1 MiB, never written", _many(300, chunked=False)
    yield "300 datasets of 1 MiB, compressed", _many(300, chunked=True)
    yield "a chunk of 64 MiB for 12 numbers", _replaced(_one_chunk((4, 1 << 22)))
    yield "a chunk of 1 TiB for 12 numbers, never written", _replaced(_one_chunk((1 << 19, 511)))
    yield "compressed twice", _replaced(_filtered(32000, 1))
    for number in (307, 32001, 32004, 32015, 40000):
        yield f"filter {number}", _replaced(_filtered(number))
    yield "NaN everywhere", _array(math.nan)
    yield "NaN in one weight", _one_nan
    yield "NaN in float64", _array(math.nan, "f8")
    yield "a weight of another shape", _array(1.0, shape=(5, 7))
    yield "a weight of no numbers", _array(1.0, shape=(0,))
    yield "a weight of texts", _replaced(lambda f, p: np.array([b"a", b"b"]))
    yield "no weight", _replaced(lambda f, p: None)
    yield "a group for a weight", _replaced(_group)


def attacks() -> Iterator[tuple[str, str, Callable[[], bytes]]]:
    """(what is wrong, the file's name, what makes its contents)."""
    from tests.attacks.archives import with_weights

    for what, change in _changes():
        yield (
            f"{what}, .keras",
            "model.keras",
            lambda c=change: with_weights(changed(good_files()[WEIGHTS], c)),
        )
        yield f"{what}, .h5", "model.h5", lambda c=change: changed(good_hdf5(), c)
    yield (
        "41 datasets of the same bytes, .keras",
        "model.keras",
        lambda: with_weights(_overlapping(good_files()[WEIGHTS])),
    )
    yield "41 datasets of the same bytes, .h5", "model.h5", lambda: _overlapping(good_hdf5())
    for percent in (1, 10, 25, 50, 75, 99):
        yield (
            f"weights cut at {percent} %",
            "model.keras",
            lambda p=percent: with_weights((data := good_files()[WEIGHTS])[: len(data) * p // 100]),
        )
        yield (
            f"cut at {percent} %, .h5",
            "model.h5",
            lambda p=percent: (data := good_hdf5())[: len(data) * p // 100],
        )
    yield (
        "weights that are noise",
        "model.keras",
        lambda: with_weights(np.random.default_rng(1).bytes(5000)),
    )
    for what, text in _configs():
        yield (
            f"{what}, .h5",
            "model.h5",
            lambda t=text: changed(
                good_hdf5(), lambda file: _set_config(file, t() if callable(t) else t)
            ),
        )
    yield (
        "no config, .h5",
        "model.h5",
        lambda: changed(good_hdf5(), lambda file: file.attrs.__delitem__("model_config")),
    )
    yield "an empty file, .h5", "model.h5", lambda: b""


def _set_config(file: Any, text: str) -> None:
    file.attrs.__delitem__("model_config")
    file.create_dataset("spare", (1,))  # attributes beyond 64 KiB need the newer layout
    try:
        file.attrs["model_config"] = text
    except OSError:
        file.attrs["model_config"] = np.void(text[:60_000].encode())


def _configs() -> Iterator[tuple[str, Any]]:
    from tests.attacks.configs import _code

    def with_layer(layer: dict[str, Any]) -> str:
        first = {"class_name": "InputLayer", "config": {"batch_shape": [None, 4], "name": "x"}}
        layers = {"name": "good", "layers": [first, layer]}
        return json.dumps({"class_name": "Sequential", "config": layers})

    def of_code() -> str:
        config = {"name": "hidden", "function": [_code(), None, None], "function_type": "lambda"}
        return with_layer({"class_name": "Lambda", "config": config})

    def of_dense(units: Any) -> str:
        return with_layer({"class_name": "Dense", "config": {"name": "hidden", "units": units}})

    yield "CVE-2025-9905: code in a Lambda", of_code
    for power in (9, 12, 15):
        yield f"Dense of 10^{power} units", lambda p=power: of_dense(10**p)
    yield "units -1", lambda: of_dense(-1)
    yield "a list of 30,000 levels", "[" * 30_000
    yield "no JSON", "model"
    yield "an unknown layer", lambda: with_layer({"class_name": "Nothing", "config": {}})
    yield (
        "a TFSMLayer",
        lambda: with_layer({"class_name": "TFSMLayer", "config": {"filepath": "/tmp/model"}}),
    )
