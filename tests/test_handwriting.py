"""Digits of our own drawing: every way is a digit, seeded, varied, and read by a model of MNIST."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exporter import handwriting

ROOT = Path(__file__).parent.parent


def test_every_digit_has_several_ways_within_the_box() -> None:
    known = handwriting.ways()
    assert len(known) == 10
    for ways in known:
        assert len(ways) >= 5
        points = np.concatenate([points for way in ways for _, points in way])
        assert points.min() >= -10.0
        assert points.max() <= 110.0


def test_one_seed_writes_the_same_digits_and_another_others() -> None:
    def write(seed: int) -> np.ndarray:
        return handwriting.pictures(3, 4, np.random.default_rng(seed))

    assert np.array_equal(write(1), write(1))
    assert not np.array_equal(write(1), write(2))


def test_pictures_are_model_input_and_no_two_are_the_same() -> None:
    found = handwriting.pictures(8, 12, np.random.default_rng(5))
    assert found.shape == (12, 28, 28)
    assert found.dtype == np.float32
    assert found.min() >= 0.0
    assert found.max() <= 1.0
    assert len({picture.tobytes() for picture in found}) == 12


def test_strokes_that_meet_still_meet_when_the_hand_wavers() -> None:
    # A way of writing 2 whose arc ends where its base begins.
    way = next(way for way in handwriting.ways()[2] if len(way) == 2)
    assert np.array_equal(way[0][1][-1], way[1][1][0])
    rng = np.random.default_rng(0)
    met = 0
    for _ in range(60):
        strokes = handwriting.strokes(2, rng)
        if len(strokes) == 2:
            assert np.allclose(strokes[0][-1], strokes[1][0])
            met += 1
    assert met > 3


@pytest.mark.parametrize("digit", range(10))
def test_a_model_that_never_saw_them_reads_most(digit: int) -> None:
    """A drawing filed under another digit would be misread: mlp-128 is trained on MNIST alone."""
    import keras

    model = keras.saving.load_model(ROOT / "models" / "mlp-128" / "keras" / "model.keras")
    pictures = handwriting.pictures(digit, 150, np.random.default_rng(digit))
    answers = model.predict(pictures, verbose=0).argmax(axis=1)
    assert np.bincount(answers, minlength=10).argmax() == digit
    assert (answers == digit).mean() > 0.75
