"""Pictures: decoded safely, ink told from any background, thin strokes widened."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporter import ink, picture
from exporter.errors import BadPicture, MachineFailed

VECTORS = json.loads(
    (Path(__file__).parent / "vectors" / "ink.json").read_text(encoding="utf-8")
)  # fmt: skip


def seven(side: int = 200, pen: float = 0.135, ground: int = 255, colour: int = 0) -> Image.Image:
    """A seven on a square of one colour, L mode, drawn by the ink contract's own coverage."""
    lines = [np.array([[0.3, 0.2], [0.7, 0.2], [0.45, 0.8]]) * side]
    shape = ink.coverage(lines, pen * 0.6 * side / 2, side)
    return Image.fromarray(np.rint(ground + shape * (colour - ground)).astype(np.uint8))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def read(source: object) -> np.ndarray:
    found = ink.from_picture(source)  # type: ignore[arg-type]
    assert found is not None
    return found


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference where they lie best, at most a pixel apart: a lossy file may tip a tie."""
    moved = (np.roll(one, (dy, dx), (0, 1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1))
    return min(float(np.abs(picture - other).mean()) for picture in moved)


PLAIN = seven()


@pytest.mark.parametrize("case", VECTORS["pictures"], ids=lambda case: case["name"])
def test_pictures_give_the_numbers_of_the_vectors(case: dict) -> None:
    rgba = np.array(case["rgba"], np.uint8).reshape(case["height"], case["width"], 4)
    found = ink.from_picture(rgba)
    if case["expected"] is None:
        assert found is None
    else:
        assert found is not None
        assert np.abs(found.ravel() - case["expected"]).max() <= VECTORS["tolerance"]


def test_a_picture_of_strokes_gives_what_the_strokes_give() -> None:
    strokes = [[[0.3, 0.2], [0.7, 0.2], [0.45, 0.8]]]
    from_strokes = ink.from_strokes(strokes)
    assert np.abs(read(PLAIN) - from_strokes).mean() < 0.01


def test_dark_on_light_and_light_on_dark_are_the_same() -> None:
    assert np.abs(read(PLAIN) - read(seven(ground=0, colour=255))).max() <= 1 / 255


def test_a_faint_picture_is_stretched() -> None:
    assert np.abs(read(PLAIN) - read(seven(ground=240, colour=180))).max() <= 0.02


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("JPEG", {"quality": 90}), ("WEBP", {}), ("GIF", {})]
)
def test_every_kind_of_file_is_read(tmp_path: Path, kind: str, options: dict) -> None:
    content = encoded(PLAIN, kind, **options)
    path = tmp_path / "seven"
    path.write_bytes(content)
    assert distance(read(path), read(PLAIN)) < 0.01
    assert np.array_equal(read(path), read(content))


def test_black_on_nothing_and_white_on_nothing_are_read() -> None:
    alpha = 255 - np.asarray(PLAIN)
    for colour in (0, 255):
        rgba = np.full((*alpha.shape, 4), colour, np.uint8)
        rgba[..., 3] = alpha
        assert np.abs(read(rgba) - read(PLAIN)).max() <= 1 / 255


def test_a_16_bit_picture_is_read() -> None:
    deep = Image.fromarray(np.asarray(PLAIN).astype(np.uint16) * 257)
    assert np.abs(read(encoded(deep, "PNG")) - read(PLAIN)).max() <= 1 / 255


def test_a_photograph_turned_by_its_exif_data_is_read_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show
    turned = encoded(PLAIN.rotate(90), "JPEG", exif=exif, quality=95)
    assert distance(read(turned), read(PLAIN)) < 0.01


def test_noise_falling_light_and_dirt_do_no_harm() -> None:
    rng = np.random.default_rng(5)
    photo = 0.6 * np.asarray(PLAIN).astype(float) + 40
    photo += rng.normal(0, 5, photo.shape) - np.linspace(0, 40, 200)[:, None]
    photo[20:23, 180:183] = 30  # a speck of dirt
    found = read(np.clip(photo, 0, 255).astype(np.uint8))
    assert np.abs(found - read(PLAIN)).mean() < 0.03


@pytest.mark.parametrize("size", [(3000, 2000), (40, 700), (700, 40), (9, 9)])
def test_any_size_is_read(size: tuple[int, int]) -> None:
    found = read(PLAIN.resize(size))
    assert found.shape == (28, 28)
    assert 0.0 <= found.min() <= found.max() <= 1.0


def test_a_ballpoints_line_is_widened_to_mnists_pen() -> None:
    found = read(seven(side=400, pen=0.01))
    assert np.abs(found - read(seven(side=400))).mean() < 0.02


def test_a_normal_stroke_is_not_widened() -> None:
    drawing = picture.ink_of(PLAIN)
    assert drawing is not None
    assert picture.thicken(drawing, 0.135) is drawing


def test_the_width_of_a_stroke_is_measured() -> None:
    bar = np.zeros((60, 200))
    bar[20:32, 10:190] = 1.0
    assert picture.stroke_width(bar) == pytest.approx(12 * 180 / (180 + 12), rel=0.02)


@pytest.mark.parametrize("colour", [0, 77, 255])
def test_an_empty_picture_is_no_digit(colour: int) -> None:
    assert ink.from_picture(np.full((64, 48, 3), colour, np.uint8)) is None


def test_a_wholly_transparent_picture_is_no_digit() -> None:
    assert ink.from_picture(np.zeros((30, 30, 4), np.uint8)) is None


def test_a_background_of_any_colour_is_exactly_background() -> None:
    pixels = np.full((40, 40, 3), (77, 13, 201), np.uint8)
    pixels[15:30, 18:21] = (250, 250, 250)
    found = picture.ink_of(pixels)
    assert found is not None
    assert np.count_nonzero(found) == 15 * 3


@pytest.mark.parametrize("content", [b"", b"not a picture", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "note.png"
    path.write_bytes(content)
    with pytest.raises(BadPicture, match=r"note\.png: ") as refused:
        ink.from_picture(path)
    assert "0x" not in str(refused.value)  # an address in memory helps nobody


def test_a_cut_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    whole = encoded(
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (80, 80), np.uint8)), "PNG"
    )
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadPicture, match=r"cut\.png: "):
        ink.from_picture(path)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadPicture, match=r"gone\.png: no such file"):
        ink.from_picture(tmp_path / "gone.png")


def test_a_folder_is_no_picture(tmp_path: Path) -> None:
    with pytest.raises(MachineFailed, match="directory"):
        ink.from_picture(tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(BadPicture, match="too large a picture"):
        ink.from_picture(encoded(PLAIN, "PNG"))


@pytest.mark.parametrize(
    "array", [np.zeros((5, 5)), np.zeros((5, 5, 2), np.uint8), np.zeros((0, 5), np.uint8)]
)
def test_an_array_that_is_no_picture_is_refused(array: np.ndarray) -> None:
    with pytest.raises(BadPicture, match="uint8 of shape"):
        ink.from_picture(array)
