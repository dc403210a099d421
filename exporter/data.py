"""Data sets: found, fetched, verified, loaded as uint8 arrays.

Owns the two sources: `mnist` (known by the SHA-256 of its arrays, wherever the file came from) and
`digits` (the scans inside scikit-learn, brought to 28x28). May import `exporter.ink` and
`exporter.errors`. scikit-learn is imported where it is used.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import shutil
import tempfile
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from exporter import ink
from exporter.errors import BadData, DataMissing, MachineFailed

NAMES = ("mnist", "digits")
MNIST_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
DOWNLOAD_TIMEOUT_SECONDS = 30.0
VALIDATION_SHARE = 0.2
SPLIT_SEED = 20

# Of the arrays' bytes, C order: the zip around them differs from mirror to mirror.
MNIST_SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
_WAYS_OUT = "give the path of an mnist.npz with --data, set MNIST_PATH, or train on --data digits"


@dataclass(frozen=True, slots=True)
class Dataset:
    """Pictures (n, 28, 28) uint8, 255 is ink, and labels (n,) uint8."""

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def load(source: str | Path) -> Dataset:
    """The data set "mnist" or "digits", or MNIST from the `.npz` file at a path.

    Raises:
        DataMissing: It is not on this machine and could not be fetched.
        BadData: The file is not what it should be.
        MachineFailed: It could not be read or written.
    """
    if source == "digits":
        return _digits()
    if source == "mnist":
        return read_mnist(find_mnist())
    return read_mnist(Path(source))


def split(
    x: np.ndarray, y: np.ndarray, *, share: float = VALIDATION_SHARE, seed: int = SPLIT_SEED
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Shuffle by `seed`, split off the last `share`: x, y to train on, x, y to validate."""
    order = np.random.default_rng(seed).permutation(len(x))
    kept = len(x) - round(len(x) * share)
    train, held = order[:kept], order[kept:]
    return x[train], y[train], x[held], y[held]


def as_input(pictures: np.ndarray) -> np.ndarray:
    """uint8 pictures as model input: float32, divided by 255."""
    return pictures.astype(np.float32) / np.float32(255.0)


def find_mnist(*, url: str = MNIST_URL, environment: Mapping[str, str] = os.environ) -> Path:
    """The MNIST file: MNIST_PATH, else Keras' cache, else downloaded into Keras' cache.

    Raises:
        DataMissing: None of them has it; the message says what was tried.
    """
    named = environment.get("MNIST_PATH")
    if named:
        return Path(named)
    home = Path(environment.get("HOME", "~")).expanduser()
    cached = Path(environment.get("KERAS_HOME", home / ".keras")) / "datasets" / "mnist.npz"
    if not cached.is_file():
        download_mnist(url, cached)
    return cached


def download_mnist(url: str, path: Path) -> None:
    """Fetch `url`, check its arrays, and only then put it at `path`.

    Raises:
        DataMissing: No answer, or an error for an answer.
        BadData: What came is not MNIST.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(prefix=".mnist-", suffix=".npz", dir=path.parent)
    except OSError as error:
        raise MachineFailed(f"{path}: cannot be written: {error.strerror}") from error
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            _fetch(url, stream)
        read_mnist(temporary, called=f"{url} (downloaded)")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _fetch(url: str, stream: BinaryIO) -> None:
    try:
        # The address is the program's own; only a test gives another.
        with urllib.request.urlopen(url, timeout=DOWNLOAD_TIMEOUT_SECONDS) as answer:  # noqa: S310
            shutil.copyfileobj(answer, stream)
    except (
        urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException
    ) as error:  # fmt: skip
        reason = getattr(error, "reason", error)
        raise DataMissing(
            f"mnist: not in MNIST_PATH or Keras' cache, and {url} could not be fetched "
            f"({reason}); {_WAYS_OUT}"
        ) from error


def read_mnist(path: str | Path, *, called: str | None = None) -> Dataset:
    """Read and verify an `mnist.npz`; `called` stands in messages instead of the path.

    Raises:
        DataMissing: There is no such file.
        BadData: It is cut, holds other arrays, or other digits.
        MachineFailed: It could not be read.
    """
    name = called or str(path)
    try:
        # numpy leaves a file that it opened itself open when the zip is cut.
        with Path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in MNIST_SHA256}
    except FileNotFoundError:
        raise DataMissing(f"{name}: no such file; {_WAYS_OUT}") from None
    except KeyError as error:
        raise BadData(f"{name}: no array {error.args[0]} in it; {_expected()}") from None
    # TypeError: a plain .npy, which is no archive; zlib.error: bytes changed inside the zip.
    except (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise BadData(f"{name}: cut, or no .npz file ({error}); {_expected()}") from None
    except OSError as error:
        if error.errno is None:  # numpy's own complaint about the contents
            raise BadData(f"{name}: cut, or no .npz file ({error}); {_expected()}") from None
        raise MachineFailed(f"{name}: {error.strerror}") from error
    for key, expected in MNIST_SHA256.items():
        found = hashlib.sha256(np.ascontiguousarray(arrays[key]).tobytes()).hexdigest()
        if found != expected:
            raise BadData(
                f"{name}: {key} has sha256 {found[:12]}…, {expected[:12]}… expected; {_expected()}"
            )
    return Dataset(name="mnist", **arrays)


def _expected() -> str:
    return f"MNIST's 60,000 + 10,000 digits as x_train, y_train, … expected; {_WAYS_OUT}"


def _digits() -> Dataset:
    """scikit-learn's 1,797 scans, 8x8 in 0..16, smoothed up and fitted by the ink contract."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    pictures = np.zeros((len(pixels), 28, 28), np.uint8)
    for index, scan in enumerate(pixels.reshape(-1, 8, 8) / 16.0):
        large = np.clip(zoom(np.pad(scan, 1), 4, order=1, grid_mode=True, mode="nearest"), 0, 1)
        pictures[index] = np.rint(ink.fit(np.where(large < 0.2, 0.0, large)) * 255)
    x_train, y_train, x_test, y_test = split(pictures, labels.astype(np.uint8))
    return Dataset("digits", x_train, y_train, x_test, y_test)
