"""Data sets: known by their arrays, refused clearly, split by a seed, fetched whole or not."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from exporter import data
from exporter.errors import BadData, DataMissing


def write_false_mnist(path: Path, **changes: np.ndarray) -> Path:
    arrays = {key: np.zeros(4, np.uint8) for key in data.MNIST_SHA256}
    np.savez(path, **{**arrays, **changes})
    return path


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(folder))
    ) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


def test_digits_are_28x28_pictures_of_every_class(digits: data.Dataset) -> None:
    assert (digits.x_train.shape, digits.x_test.shape) == ((1438, 28, 28), (359, 28, 28))
    assert digits.x_train.dtype == digits.y_train.dtype == np.uint8
    assert set(digits.y_train) == set(digits.y_test) == set(range(10))


def test_digits_lie_where_mnists_do(digits: data.Dataset) -> None:
    ink = digits.x_train.astype(float)
    index = np.arange(28)
    for axis in (1, 2):
        weights = ink.sum(axis=axis)
        centres = (weights * index).sum(axis=1) / weights.sum(axis=1)
        assert np.abs(centres - 14.0).max() <= 0.51
        extents = (weights > 0).sum(axis=1)
        assert extents.max() <= 20


def test_digits_are_the_same_every_time(digits: data.Dataset) -> None:
    assert np.array_equal(digits.x_test, data.load("digits").x_test)


def test_the_split_is_80_20_seeded_and_loses_nothing() -> None:
    x, y = np.arange(50), np.arange(50) % 10
    x_train, y_train, x_held, y_held = data.split(x, y)
    assert (len(x_train), len(x_held)) == (40, 10)
    assert sorted(np.concatenate([x_train, x_held])) == list(range(50))
    assert np.array_equal(x_held % 10, y_held)
    assert np.array_equal(x_train % 10, y_train)
    assert np.array_equal(data.split(x, y)[2], x_held)
    assert not np.array_equal(data.split(x, y, seed=1)[2], x_held)


def test_input_is_float32_between_0_and_1() -> None:
    found = data.as_input(np.array([[0, 128, 255]], np.uint8))
    assert found.dtype == np.float32
    assert found.tolist() == [[0.0, float(np.float32(128) / np.float32(255)), 1.0]]


@pytest.mark.mnist
def test_mnist_is_read_and_has_the_published_mean_and_deviation() -> None:
    try:
        mnist = data.load("mnist")
    except DataMissing as error:
        pytest.skip(str(error))
    assert (len(mnist.x_train), len(mnist.x_test)) == (60_000, 10_000)
    assert mnist.x_train.mean() / 255 == pytest.approx(0.1306604762738429, abs=1e-12)
    assert mnist.x_train.std() / 255 == pytest.approx(0.30810780385646264, abs=1e-12)


def test_a_missing_file_is_told_with_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"gone\.npz: no such file; .*--data.*MNIST_PATH"):
        data.load(tmp_path / "gone.npz")


def test_a_folder_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises((BadData, data.MachineFailed), match=str(tmp_path)):
        data.load(tmp_path)


def test_other_arrays_are_told_by_name_and_hash(tmp_path: Path) -> None:
    path = write_false_mnist(tmp_path / "mnist.npz")
    with pytest.raises(BadData, match=r"x_train has sha256 \w{12}…, 741c988805d0… expected"):
        data.load(path)


def test_a_missing_array_is_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", x_train=np.zeros(3))
    with pytest.raises(BadData, match=r"no array .*y_train"):
        data.load(tmp_path / "half.npz")


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    whole = write_false_mnist(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadData, match=r"cut\.npz: cut, or no \.npz file"):
        data.load(tmp_path / "cut.npz")


@pytest.mark.parametrize("content", [b"", b"<!doctype html>", b"\x93NUMPY\x01\x00v"])
def test_a_file_of_another_kind_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "page.npz"
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"page\.npz: cut, or no \.npz file"):
        data.load(path)


def test_a_plain_array_is_no_data_set(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(BadData, match=r"one\.npy: cut, or no \.npz file"):
        data.load(tmp_path / "one.npy")


def test_bytes_changed_inside_the_zip_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mnist.npz"
    noise = np.random.default_rng(0).integers(0, 9, 50_000).astype(np.uint8)
    np.savez_compressed(path, **dict.fromkeys(data.MNIST_SHA256, noise))
    content = bytearray(path.read_bytes())
    content[2000:2600] = b"\xff" * 600
    path.write_bytes(content)
    with pytest.raises(BadData, match=r"mnist\.npz: cut, or no \.npz file"):
        data.load(path)


def test_an_array_that_would_run_code_is_refused(tmp_path: Path) -> None:
    path = write_false_mnist(tmp_path / "objects.npz", x_train=np.array([object()], dtype=object))
    with pytest.raises(BadData, match=r"objects\.npz"):
        data.load(path)


def test_mnist_path_comes_first(tmp_path: Path) -> None:
    named = str(tmp_path / "named.npz")
    assert data.find_mnist(environment={"MNIST_PATH": named}) == Path(named)


def test_keras_cache_is_used_without_a_download(tmp_path: Path) -> None:
    cached = tmp_path / ".keras" / "datasets" / "mnist.npz"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"whatever")
    found = data.find_mnist(url="http://127.0.0.1:9/", environment={"HOME": str(tmp_path)})
    assert found == cached


def test_no_network_is_told_and_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"could not be fetched .*--data digits"):
        data.find_mnist(url="http://127.0.0.1:9/m.npz", environment={"HOME": str(tmp_path)})
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_download_that_is_not_mnist_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    write_false_mnist(served / "mnist.npz")
    target = tmp_path / "cache" / "mnist.npz"
    with serve(served) as url, pytest.raises(BadData, match=r"mnist\.npz \(downloaded\): x_train"):
        data.download_mnist(f"{url}/mnist.npz", target)
    assert list(target.parent.iterdir()) == []


@pytest.mark.mnist
def test_a_download_of_mnist_is_kept(tmp_path: Path) -> None:
    try:
        source = data.find_mnist(url="http://127.0.0.1:9/")
        data.read_mnist(source)
    except DataMissing as error:
        pytest.skip(str(error))
    target = tmp_path / "cache" / "mnist.npz"
    with serve(source.parent) as url:
        data.download_mnist(f"{url}/{source.name}", target)
    assert target.read_bytes() == source.read_bytes()
