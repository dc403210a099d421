"""Big Keras files: opened with less memory, and with the same weights and answers."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from exporter import sparing
from exporter.source import describe
from tests import zoo

# Layers with state of their own: statistics, seeds, nested models, masks, shared layers.
NAMES = (
    "Dense/plain", "BatchNormalization/plain", "Normalization/adapted", "LSTM/sequences",
    "Bidirectional/masked", "MultiHeadAttention/causal", "Dropout/plain", "topology/shared-layer",
    "topology/sequential-in-functional",
)  # fmt: skip


def _opened(path: Path) -> keras.Model:
    """In the sparing way alone: no way back to Keras' own."""
    return sparing._load_sparingly(path, {"compile": False, "safe_mode": True})


@pytest.mark.parametrize("name", [name for name in NAMES if name in zoo.MODELS])
def test_a_file_opened_sparingly_has_the_same_weights_and_answers(
    name: str, tmp_path: Path
) -> None:
    model = zoo.build(name)
    model.save(tmp_path / "m.keras")
    own = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    found = _opened(tmp_path / "m.keras")
    for mine, other in zip(own.weights, found.weights, strict=True):
        assert mine.path == other.path
        np.testing.assert_array_equal(np.asarray(mine.value), np.asarray(other.value))
    given = zoo.inputs(own)
    answers = zip(describe(own, "m").call(given), describe(found, "m").call(given), strict=True)
    for mine, other in answers:
        np.testing.assert_array_equal(mine, other)
    assert keras.layers.Dense(2)(np.ones((1, 2))).shape == (1, 2)  # later variables have values


def test_keras_own_way_is_left_for_what_cannot_be_opened_so(tmp_path: Path) -> None:
    """A small file, a compressed one, and one that is no archive."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    with (
        zipfile.ZipFile(tmp_path / "m.keras") as stored,
        zipfile.ZipFile(tmp_path / "deflated.keras", "w", zipfile.ZIP_DEFLATED) as deflated,
    ):
        for name in stored.namelist():
            deflated.writestr(name, stored.read(name))
    model.save(tmp_path / "m.h5")
    for name in ("m.keras", "deflated.keras", "m.h5"):
        found = sparing.load_model(tmp_path / name, large_bytes=1, compile=False)
        np.testing.assert_array_equal(found.get_weights()[0], model.get_weights()[0])
    assert sparing._is_stored(sparing._weights(tmp_path / "m.keras"))
    assert not sparing._is_stored(sparing._weights(tmp_path / "deflated.keras"))
    assert not sparing._is_stored(sparing._weights(tmp_path / "m.h5"))


@pytest.mark.parametrize("large_bytes", [1, 1 << 40])
def test_a_weight_that_is_not_what_was_written_is_no_weight(
    large_bytes: int, tmp_path: Path
) -> None:
    """One bit of it differs; HDF5 has no sum of its own, and the archive's is at its end."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    content = bytearray((tmp_path / "m.keras").read_bytes())
    kernel = np.asarray(model.get_weights()[0]).tobytes()
    assert content.count(kernel) == 1
    content[content.index(kernel)] ^= 1
    (tmp_path / "m.keras").write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match=r"CRC-32.*model\.weights\.h5"):
        sparing.load_model(tmp_path / "m.keras", large_bytes=large_bytes, compile=False)


class _MakesItsOwn(keras.layers.Layer):
    """A layer that makes a variable of an array, which no variable can wait for."""

    def build(self, shape: tuple[int | None, ...]) -> None:
        self.own = keras.Variable(np.ones(3, np.float32), name="own")

    def call(self, x: object) -> object:
        return x * self.own


def test_a_layer_that_makes_variables_in_its_own_way_is_opened_all_the_same(
    tmp_path: Path,
) -> None:
    model = keras.Sequential([keras.Input((3,)), _MakesItsOwn()])
    model.layers[-1].own.assign([1.0, 2.0, 3.0])
    model.save(tmp_path / "m.keras")
    known = {"_MakesItsOwn": _MakesItsOwn}
    with pytest.raises(Exception, match="stateless scope"):
        sparing._load_sparingly(tmp_path / "m.keras", {"custom_objects": known})
    told = r"^m\.keras: opened in Keras' own way, .*3\.5 times.*stateless scope"
    with pytest.warns(UserWarning, match=told):
        found = sparing.load_model(tmp_path / "m.keras", large_bytes=1, custom_objects=known)
    np.testing.assert_array_equal(found.layers[-1].own.numpy(), [1.0, 2.0, 3.0])


@pytest.mark.parametrize("fault", [MemoryError("no more"), OSError(5, "no disk")])
def test_a_fault_of_the_machine_is_not_tried_again_with_more_memory(
    fault: Exception, tmp_path: Path
) -> None:
    class Fails(keras.layers.Layer):
        def build(self, shape: tuple[int | None, ...]) -> None:
            built.append(shape)
            raise fault

    built: list[tuple[int | None, ...]] = []
    start = keras.Input((3,))  # a Sequential would build its layers once more
    keras.Model(start, _MakesItsOwn()(start)).save(tmp_path / "m.keras")
    known = {"_MakesItsOwn": Fails}
    with pytest.raises(type(fault), match=r"no more|no disk"):
        sparing.load_model(tmp_path / "m.keras", large_bytes=1, custom_objects=known)
    assert len(built) == 1
