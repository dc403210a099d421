"""A user's own data: an `.npz` file of the model's inputs, with labels or without.

Owns the keys of such a file. NumPy and `exporter.errors`, `exporter.manifest` only.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from exporter.errors import BadData, DataMissing
from exporter.manifest import TensorSpec

MNIST_KEYS = frozenset({"x_train", "y_train", "x_test", "y_test"})
_INPUTS, _LABELS = ("x_test", "x"), ("y_test", "y")
_KEYS = "x (or x_test) or one array for each input under its name; labels as y (or y_test), if any"


def is_mnist(path: str) -> bool:
    """Whether the file has the keys, shape and dtype of `mnist.npz`: its numbers are pixels."""
    arrays = _open(Path(path))
    pictures = arrays.get("x_test")
    return (
        set(arrays) == MNIST_KEYS
        and pictures is not None
        and pictures.dtype == np.uint8
        and pictures.shape[1:] == (28, 28)
    )


def read(path: Path, specs: Sequence[TensorSpec]) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The inputs, one array for each spec as the model takes them, and the labels.

    Args:
        path: An `.npz` with `x` or `x_test`, or with an array under each input's name; `y` or
            `y_test` are whole numbers (n,), or (n, classes) with the largest at the right class.
        specs: The model's inputs.

    Raises:
        DataMissing: There is no such file.
        BadData: It holds something else.
    """
    arrays = _open(path)
    names = [spec.name for spec in specs]
    if all(name in arrays for name in names):
        inputs = [arrays[name] for name in names]
    else:
        key = next((key for key in _INPUTS if key in arrays), None)
        if key is None or len(names) != 1:
            wanted = f"arrays {', '.join(names)}" if len(names) > 1 else _KEYS
            raise BadData(f"{path}: {wanted} expected, {', '.join(sorted(arrays))} found")
        inputs = [arrays[key]]
    for name, array in zip(names, inputs, strict=True):
        if array.dtype.kind not in "fiub" or not array.ndim:
            raise BadData(
                f"{path}: input {name!r}: an array of numbers expected, {array.dtype} found"
            )
    labels = next((arrays[key] for key in _LABELS if key in arrays), None)
    return inputs, None if labels is None else _classes(path, labels, len(inputs[0]))


def _classes(path: Path, labels: np.ndarray, count: int) -> np.ndarray | None:
    """Whole numbers, (n,); None where the answers are no classes (a regression's values)."""
    if len(labels) != count:
        raise BadData(f"{path}: {count} labels expected, {len(labels)} found")
    if labels.ndim == 2 and labels.shape[1] > 1:
        return labels.argmax(axis=1)
    flat = labels.reshape(count, -1)
    if flat.shape[1] != 1 or not np.array_equal(flat, np.rint(flat)):
        return None
    return flat[:, 0].astype(np.int64)


def _open(path: Path) -> Mapping[str, np.ndarray]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files}
    except FileNotFoundError:
        raise DataMissing(f"{path}: no such file; give mnist, digits or an .npz file") from None
    except (AttributeError, TypeError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BadData(f"{path}: an .npz file of plain arrays expected ({error}); {_KEYS}") from None
