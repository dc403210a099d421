"""Shards and quantised weights, against tensorflowjs' own scheme and byte for byte."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from exporter.errors import BadBundle, BadUsage
from exporter.formats.tfjs_weights import Weight, quantize, read_shards, write_shards


@pytest.fixture(scope="module")
def tensorflowjs_quantization() -> ModuleType:
    """The module alone: importing the package would import half of TensorFlow's."""
    files = importlib.metadata.files("tensorflowjs") or []
    path = next(f for f in files if str(f) == "tensorflowjs/quantization.py").locate()
    spec = importlib.util.spec_from_file_location("tensorflowjs_quantization", str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FLOATS = st.floats(-1e4, 1e4, width=32).filter(lambda x: x == 0 or abs(x) > 1e-3)


@given(values=arrays(np.float32, array_shapes(max_dims=3, max_side=6), elements=FLOATS))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("precision", ["uint8", "uint16"])
def test_weights_are_quantised_as_tensorflowjs_does(
    precision: str, values: np.ndarray, tensorflowjs_quantization: ModuleType
) -> None:
    found, details = quantize(values, precision)
    expected, wanted = tensorflowjs_quantization.quantize_weights(values, np.dtype(precision).type)
    assert details["min"] == wanted["min"]
    assert details["scale"] == wanted["scale"]
    np.testing.assert_array_equal(found, expected)


@given(values=arrays(np.float32, array_shapes(max_dims=2, max_side=6), elements=FLOATS))
@settings(max_examples=60, deadline=None)
@pytest.mark.parametrize("precision", ["uint8", "uint16"])
def test_a_quantised_weight_is_within_half_a_step_and_zero_stays_zero(
    precision: str, values: np.ndarray
) -> None:
    found, details = quantize(values, precision)
    decoded = found * details["scale"] + details["min"]
    # The range is moved by up to half a step to hold zero, and values at its end are cut.
    assert np.abs(decoded - values).max() <= details["scale"] * 1.001
    np.testing.assert_array_equal(decoded[values == 0], 0)


def test_one_value_throughout_is_kept_exactly(tmp_path: Path) -> None:
    weight = Weight.of("w", np.full((3, 2), 0.7, np.float32))
    manifest, _ = write_shards([weight], "uint8", tmp_path)
    ((_, values, quantized),) = read_shards(manifest, tmp_path)
    assert quantized
    np.testing.assert_array_equal(values, np.full((3, 2), 0.7, np.float32))


def _weights() -> list[Weight]:
    return [
        Weight.of("a", np.arange(7, dtype=np.float32)),
        Weight.of("b", np.array([[-1, 2], [3, 2**31 - 1]], np.int32)),
        Weight.of("c", np.array([True, False, True])),
        Weight.of("d", np.array(["größe", "", "x"], dtype=object)),
        Weight.of("e", np.float32(2.5).reshape(())),
        Weight.of("f", np.zeros((0, 3), np.float32)),
    ]


@pytest.mark.parametrize("shard_size_bytes", [1, 5, 16, 4096])
def test_weights_come_back_whatever_the_size_of_shards(
    shard_size_bytes: int, tmp_path: Path
) -> None:
    manifest, files = write_shards(_weights(), "float32", tmp_path, shard_size_bytes)
    assert sorted(files) == sorted(path.name for path in tmp_path.iterdir())
    sizes = [(tmp_path / file).stat().st_size for file in files]
    assert set(sizes[:-1]) <= {shard_size_bytes}
    found = {name: values for name, values, _ in read_shards(manifest, tmp_path)}
    for weight in _weights()[:3] + _weights()[4:]:
        np.testing.assert_array_equal(found[weight.name], weight.values())
        assert found[weight.name].dtype == weight.dtype
    assert found["d"].tolist() == ["größe".encode(), b"", b"x"]


def test_values_are_little_endian_one_after_the_other(tmp_path: Path) -> None:
    write_shards([Weight.of("a", np.array([1, 256], ">i4").astype(np.int32))], "uint8", tmp_path)
    assert (tmp_path / "group1-shard1of1.bin").read_bytes() == b"\1\0\0\0\0\1\0\0"


def test_only_finite_floats_that_may_change_are_quantised(tmp_path: Path) -> None:
    weights = [
        Weight.of("plain", np.array([1.0, 2.0, -1.0], np.float32)),
        Weight.of("exact", np.array([1.0, 2.0, -1.0], np.float32), exact=True),
        Weight.of("nan", np.array([1.0, np.nan], np.float32)),
        Weight.of("integers", np.array([1, 2], np.int32)),
    ]
    manifest, _ = write_shards(weights, "uint8", tmp_path)
    quantized = {name: flag for name, _, flag in read_shards(manifest, tmp_path)}
    assert quantized == {"plain": True, "exact": False, "nan": False, "integers": False}


def test_what_float16_cannot_hold_stays_float32(tmp_path: Path) -> None:
    weights = [
        Weight.of("small", np.array([0.1, 65504.0], np.float32)),
        Weight.of("large", np.array([0.1, 65536.0], np.float32)),
    ]
    manifest, _ = write_shards(weights, "float16", tmp_path)
    found = {name: (values, flag) for name, values, flag in read_shards(manifest, tmp_path)}
    np.testing.assert_array_equal(found["small"][0], np.array([0.1, 65504], np.float16))
    np.testing.assert_array_equal(found["large"][0], np.array([0.1, 65536], np.float32))
    assert (found["small"][1], found["large"][1]) == (True, False)


def test_no_weights_give_no_shards(tmp_path: Path) -> None:
    manifest, files = write_shards([], "float32", tmp_path)
    assert files == ()
    assert manifest == [{"paths": [], "weights": []}]


def test_an_unknown_precision_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUsage, match=r"int4.*float32, float16, uint16, uint8"):
        write_shards([], "int4", tmp_path)


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\['a'\] found twice"):
        write_shards([Weight.of("a", np.zeros(1, np.float32))] * 2, "float32", tmp_path)


@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_damaged_shards_are_noticed(damage: str, tmp_path: Path) -> None:
    manifest, (file,) = write_shards(_weights(), "float32", tmp_path)
    data = (tmp_path / file).read_bytes()
    if damage == "missing":
        (tmp_path / file).unlink()
    else:
        (tmp_path / file).write_bytes(data[:5] if damage == "short" else data + b"\0")
    with pytest.raises(BadBundle):
        list(read_shards(manifest, tmp_path))
