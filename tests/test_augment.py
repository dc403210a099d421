"""Augmentation: each variation does what its name says, seeded, and nothing where it is off."""

from __future__ import annotations

import numpy as np
import pytest

from exporter import augment, ink
from exporter.recipe import Augmentation


def blob(count: int = 64) -> np.ndarray:
    """A plus sign of 3 pixels' width on pixel index 14, 14."""
    picture = np.zeros((28, 28), np.float32)
    picture[6:23, 13:16] = picture[13:16, 6:23] = 1.0
    return np.repeat(picture[None], count, axis=0)


def varied(amounts: Augmentation, pictures: np.ndarray, seed: int = 1) -> np.ndarray:
    draws = augment.Draws(amounts, 28, np.random.default_rng(seed)).draw(len(pictures))
    return np.asarray(augment.vary(pictures, *draws))


def centres(pictures: np.ndarray) -> np.ndarray:
    index = np.arange(28)
    mass = pictures.sum(axis=(1, 2))
    return np.stack(
        [(pictures.sum(axis=axis) * index).sum(axis=1) / mass for axis in (2, 1)], axis=1
    )


def test_no_amounts_change_nothing() -> None:
    pictures = np.random.default_rng(2).random((8, 28, 28)).astype(np.float32)
    assert np.abs(varied(Augmentation(), pictures) - pictures).max() < 1e-4


def test_one_seed_gives_the_same_pictures() -> None:
    amounts = Augmentation(shift=2, rotation=10, scale=0.1, shear=0.1, elastic=1, pen=0.5)
    assert np.array_equal(varied(amounts, blob()), varied(amounts, blob()))
    assert not np.array_equal(varied(amounts, blob()), varied(amounts, blob(), seed=2))


def test_a_shift_moves_every_picture_by_no_more_than_it() -> None:
    moved = centres(varied(Augmentation(shift=2.0), blob())) - 14.0
    assert np.abs(moved).max() <= 2.0 + 1e-3
    assert np.abs(moved).max(axis=0) == pytest.approx([2.0, 2.0], abs=0.3)


def test_rotation_scale_and_shear_keep_the_middle() -> None:
    found = varied(Augmentation(rotation=20, scale=0.2, shear=0.3), blob())
    assert np.abs(centres(found) - 14.0).max() < 0.05
    assert np.abs(found - blob()).mean() > 0.02


def test_scale_changes_the_mass_both_ways() -> None:
    mass = varied(Augmentation(scale=0.2), blob()).sum(axis=(1, 2)) / blob().sum(axis=(1, 2))
    assert mass.min() < 0.85
    assert mass.max() > 1.15


def test_the_pen_grows_and_shrinks() -> None:
    mass = varied(Augmentation(pen=1.0), blob()).sum(axis=(1, 2)) / blob().sum(axis=(1, 2))
    assert mass.min() < 0.6
    assert mass.max() > 1.4


def test_contrast_hardens_edges() -> None:
    soft = blob() * 0.6
    found = varied(Augmentation(contrast=3.0), soft)
    assert (found.max(axis=(1, 2)) >= 0.6 - 1e-6).all()
    assert found.max() > 0.85


def test_elastic_moves_ink_smoothly_and_no_further_than_its_amount() -> None:
    found = varied(Augmentation(elastic=1.5), blob())
    assert np.abs(centres(found) - 14.0).max() < 1.5
    assert np.abs(found - blob()).mean() > 0.01
    assert found[:, :4].max() == 0.0


def test_plain_pictures_stay_as_they_are() -> None:
    amounts = Augmentation(shift=3, rotation=30, elastic=1, pen=1, contrast=2, plain=1.0)
    assert np.abs(varied(amounts, blob()) - blob()).max() < 1e-4


@pytest.mark.parametrize("name", sorted(augment.STYLES))
def test_another_way_of_writing_looks_different_and_lies_like_mnist(name: str) -> None:
    digit, restyle = augment.STYLES[name]
    strokes = {
        0: [[[50 + 30 * np.cos(a), 50 + 45 * np.sin(a)] for a in np.linspace(0, 6.4, 40)]],
        1: [[[50, 0], [48, 100]]],
    }[digit]
    plain = ink.from_strokes(strokes)
    assert plain is not None
    found = restyle(plain, np.random.default_rng(4))
    assert found.dtype == np.float32
    assert np.abs(found - plain).sum() > 0.1 * plain.sum()
    rows, columns = np.nonzero(found)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
    assert np.abs(centres(found[None]) - 14.0).max() <= 0.51


def test_every_way_of_writing_is_an_amount_of_the_recipe() -> None:
    assert set(augment.STYLES) <= set(Augmentation.__dataclass_fields__)
