"""A user's own data: which files are taken, and what is wrong with the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter import given, samples, source
from exporter.errors import BadData, DataMissing
from exporter.manifest import TensorSpec

ONE = (TensorSpec("pixels", (None, 3), "float32"),)
TWO = (*ONE, TensorSpec("age", (None, 1), "int32"))
X = np.arange(12, dtype=np.float32).reshape(4, 3)


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path / "data.npz", **arrays)
    return path / "data.npz"


@pytest.mark.parametrize("key", ["x", "x_test", "pixels"])
def test_one_input_is_found_under_its_name_or_as_x(tmp_path: Path, key: str) -> None:
    (found,), labels = given.read(saved(tmp_path, **{key: X}), ONE)
    np.testing.assert_array_equal(found, X)
    assert labels is None


def test_several_inputs_are_found_by_name_in_the_models_order(tmp_path: Path) -> None:
    age = np.ones((4, 1), np.int32)
    inputs, _ = given.read(saved(tmp_path, age=age, pixels=X, y=np.zeros(4, int)), TWO)
    assert [array.shape for array in inputs] == [(4, 3), (4, 1)]
    with pytest.raises(BadData, match="arrays pixels, age expected, x found"):
        given.read(saved(tmp_path, x=X), TWO)


@pytest.mark.parametrize(
    ("y", "expected"),
    [
        (np.array([0, 2, 1, 0]), [0, 2, 1, 0]),
        (np.array([[0.0], [2.0], [1.0], [0.0]]), [0, 2, 1, 0]),
        (np.eye(3)[[0, 2, 1, 0]], [0, 2, 1, 0]),
        (np.array([0.5, 2.0, 1.0, 0.0]), None),
    ],
)
def test_labels_are_classes_or_none(tmp_path: Path, y: np.ndarray, expected: list[int]) -> None:
    _, labels = given.read(saved(tmp_path, x=X, y=y), ONE)
    assert (None if labels is None else labels.tolist()) == expected


def test_what_is_no_such_file_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="no such file; give mnist"):
        given.read(tmp_path / "none.npz", ONE)
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    with pytest.raises(BadData, match="npz file of plain arrays expected"):
        given.read(tmp_path / "bad.npz", ONE)
    np.save(tmp_path / "one.npy", X)
    with pytest.raises(BadData, match="npz file of plain arrays expected"):
        given.read(tmp_path / "one.npy", ONE)
    with pytest.raises(BadData, match="npz file of plain arrays expected"):
        given.read(saved(tmp_path, x=np.array([{}], object)), ONE)
    with pytest.raises(BadData, match=r"x \(or x_test\).* expected, z found"):
        given.read(saved(tmp_path, z=X), ONE)
    with pytest.raises(BadData, match="an array of numbers expected"):
        given.read(saved(tmp_path, x=np.array(["a", "b"])), ONE)
    with pytest.raises(BadData, match="4 labels expected, 3 found"):
        given.read(saved(tmp_path, x=X, y=np.arange(3)), ONE)


def test_only_pixels_of_mnists_shape_are_taken_for_mnist(tmp_path: Path) -> None:
    labels = np.zeros(2, np.uint8)
    like = {"x_train": X, "y_train": labels, "y_test": labels}
    pixels = np.zeros((2, 28, 28), np.uint8)
    assert given.is_mnist(str(saved(tmp_path, **like, x_test=pixels)))
    assert not given.is_mnist(str(saved(tmp_path, **like, x_test=pixels / 255)))
    assert not given.is_mnist(str(saved(tmp_path, x_test=pixels)))


@pytest.mark.parametrize(("rescaling", "largest"), [(True, 255), (False, 1)])
def test_known_digits_come_in_the_shape_and_range_that_the_model_takes(
    rescaling: bool, largest: float
) -> None:
    import keras

    first = [keras.layers.Rescaling(1 / 255)] if rescaling else []
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), *first, keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    found = samples.of_data("digits", source.describe(model, "m"))
    assert found.inputs[0].shape[1:] == (28, 28, 1)
    assert (found.inputs[0].min(), found.inputs[0].max()) == (0, largest)
    assert found.labels is not None
