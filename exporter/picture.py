"""Pictures: decoded safely, and their ink told from their background.

Owns decoding (Pillow) and the first half of the picture path of the contract "mnist-ink": pixels of
any colours to a map of ink, 0 background to 1 full ink. `docs/ink.md` says every step as a formula.
May import `exporter.errors`. Pillow and SciPy are imported where they are used.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from exporter.errors import BadPicture, MachineFailed

if TYPE_CHECKING:
    from PIL import Image

    Picture: TypeAlias = str | Path | bytes | Image.Image | np.ndarray

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""What is decoded: Pillow knows forty more, and starts Ghostscript for one of them."""
MOST_PIXELS = 24_000_000
STRIP = 1 << 20
"""Pixels that are numbers of 64 bits at a time."""
LARGEST_SIDE = 512
"""Larger pictures are averaged down to this first."""
FULL_CONTRAST = 0.9
"""Ink that reaches this needs no stretching: MNIST's own digits pass through unchanged."""
LEAST_INK = 1.0 / 512.0
"""Half a grey level: less is the rounding of the background's own arithmetic."""
RINGING = 0.06
"""In a large picture, fainter ink than this is what lossy files leave around a stroke."""
LARGE = 56
"""A larger side over this is large: a small picture's faint edges are a share of its strokes."""
LEAST_CONTRAST = 0.08
"""Below this nothing stands out from the background."""
NOISE_FACTOR = 4.0
THIN = 0.05
"""Strokes thinner than this share of the digit are widened; MNIST has none so thin."""
SPECK = 0.05
"""In a noisy picture, a blob smaller than this share of the largest one is dirt."""


def ink_of(picture: Picture) -> np.ndarray | None:
    """The ink of a picture, (h, w) float64 in 0..1; None where nothing was drawn.

    Raises:
        BadPicture: No picture, or one that cannot be decoded.
        MachineFailed: The file could not be read.
    """
    pixels = _reduced(decode(picture))
    raw = _contrast(pixels)
    noise = NOISE_FACTOR * float(np.median(raw[_border(raw.shape)]))
    peak = float(raw.max())
    if peak < LEAST_CONTRAST or peak <= noise:
        return None
    if noise > 0.0:
        return _clean(raw, noise)
    ink = raw if peak >= FULL_CONTRAST else np.minimum(1.0, raw / peak)
    return _crop(ink) if max(ink.shape) > LARGE else ink


def _crop(ink: np.ndarray) -> np.ndarray:
    """Cut off what reaches out beyond all ink of RINGING and more."""
    firm = ink >= RINGING
    rows, columns = np.flatnonzero(firm.any(axis=1)), np.flatnonzero(firm.any(axis=0))
    return ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def thicken(ink: np.ndarray, pen: float) -> np.ndarray:
    """Widen strokes too thin for a 28x28 input, as of a ballpoint, to `pen`; leave others alone.

    Args:
        ink: (h, w) float64 in 0..1, some above 0.
        pen: Width of a stroke as a share of the larger side of the lines that it follows.

    Returns:
        (h + 2m, w + 2m): a margin m for what has grown, or `ink` itself.
    """
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    side = float(max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1)
    width = stroke_width(ink)
    if width >= THIN * side:
        return ink
    from scipy.ndimage import distance_transform_edt

    radius = (pen * (side - width) - width) / 2.0
    padded = np.pad(ink, int(radius) + 2)
    distance = distance_transform_edt(padded < 0.5 * ink.max())
    return np.minimum(1.0, np.maximum(0.0, radius + 1.0 - distance))


def stroke_width(ink: np.ndarray) -> float:
    """Mean width of the strokes in pixels: twice the area over the length of the outline.

    The outline's length is the total variation: the sum of the gradient's length.
    """
    padded = np.pad(ink, 1)
    down = padded[1:, :-1] - padded[:-1, :-1]
    across = padded[:-1, 1:] - padded[:-1, :-1]
    outline = float(np.sqrt(down * down + across * across).sum())
    return 2.0 * float(ink.sum()) / outline


def decode(picture: Picture) -> np.ndarray:
    """Pixels (h, w, 4) uint8, upright as its EXIF data says.

    Raises:
        BadPicture: No picture, or one that cannot be decoded.
        MachineFailed: The file could not be read.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    name = str(picture) if isinstance(picture, str | Path) else "the picture"
    try:
        if isinstance(picture, str | Path):
            picture = Path(picture).read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = _opened(picture) if isinstance(picture, bytes) else picture
            image = ImageOps.exif_transpose(image)
            if image.mode.startswith("I;16") or image.mode == "I":
                image = Image.fromarray((np.asarray(image, np.float64) / 257.0).astype(np.uint8))
            return np.asarray(image.convert("RGBA"))
    except FileNotFoundError:
        raise BadPicture(f"{name}: no such file") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise BadPicture(f"{name}: too large a picture: {error}") from None
    except UnidentifiedImageError:  # its message is an address in memory
        raise BadPicture(f"{name}: a PNG, JPEG, WebP or GIF expected, no picture found") from None
    except (SyntaxError, ValueError, EOFError) as error:
        raise BadPicture(
            f"{name}: no picture that can be read ({error}); give a PNG, JPEG, WebP or GIF"
        ) from None
    except OSError as error:
        if error.errno is None:  # Pillow's own complaint about the contents
            raise BadPicture(f"{name}: a damaged picture ({error}); save it again") from None
        raise MachineFailed(f"{name}: {error.strerror}") from error


def _opened(data: bytes) -> Image.Image:
    """The picture, not decoded yet; a large photograph will be at half its size, or less."""
    from PIL import Image

    image = Image.open(io.BytesIO(data), formats=FORMATS)
    if image.width * image.height > MOST_PIXELS:
        # Of a JPEG the decoder gives a half, a quarter or an eighth; others stay as they are.
        half = 2
        while image.width * image.height > MOST_PIXELS * half * half:
            half *= 2
        image.draft(None, (image.width // half, image.height // half))
    if image.width * image.height > MOST_PIXELS:
        raise Image.DecompressionBombError(
            f"{image.width} x {image.height}; at most {MOST_PIXELS:,} pixels expected"
        )
    return image


def flatten(pixels: np.ndarray) -> np.ndarray:
    """(h, w, 4) uint8 to (h, w, 3) float64 in 0..1: transparency gets a background.

    A picture that is mostly transparent was drawn on nothing: its ground is white under dark
    ink and black under light ink. Otherwise the ground is the mean of what can be seen.
    """
    colour, alpha = pixels[..., :3] / 255.0, pixels[..., 3:] / 255.0
    if bool((alpha == 1.0).all()):
        return colour
    opaque = float(alpha.sum())
    mean = (colour * alpha).sum(axis=(0, 1)) / opaque if opaque else np.zeros(3)
    if opaque < 0.5 * alpha.size:
        mean = np.full(3, 1.0 if float(mean.mean()) < 0.5 else 0.0)
    return colour * alpha + mean * (1.0 - alpha)


def shrink(pixels: np.ndarray) -> np.ndarray:
    """Average blocks of k x k pixels until no side is over LARGEST_SIDE; cut what is left."""
    height, width = pixels.shape[:2]
    k = -(-max(height, width) // LARGEST_SIDE)
    if k == 1:
        return pixels
    height, width = max(1, height // k), max(1, width // k)
    k_high, k_wide = min(k, pixels.shape[0]), min(k, pixels.shape[1])
    cut = pixels[: height * k_high, : width * k_wide]
    return cut.reshape(height, k_high, width, k_wide, 3).mean(axis=(1, 3))


def _reduced(pixels: np.ndarray) -> np.ndarray:
    """`shrink(flatten(pixels))`; a large opaque picture a strip at a time."""
    height, width = pixels.shape[:2]
    k = -(-max(height, width) // LARGEST_SIDE)
    if k == 1 or min(height, width) < k or not bool((pixels[..., 3] == 255).all()):
        return shrink(flatten(pixels))
    rows = k * max(1, STRIP // (k * width))
    columns = width // k * k
    strips = (
        pixels[top : min(top + rows, height // k * k), :columns, :3] / 255.0
        for top in range(0, height // k * k, rows)
    )
    return np.concatenate(
        [s.reshape(len(s) // k, k, columns // k, k, 3).mean(axis=(1, 3)) for s in strips]
    )


def _from_array(array: np.ndarray) -> np.ndarray:
    shape = array.shape
    right = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if array.dtype != np.uint8 or not right or 0 in shape:
        raise BadPicture(
            "picture array: uint8 of shape (h, w), (h, w, 3) or (h, w, 4) expected, "
            f"{array.dtype} {shape} found"
        )
    if len(shape) == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.shape[2] == 3:
        array = np.concatenate([array, np.full((*shape[:2], 1), 255, np.uint8)], axis=2)
    return array


def _border(shape: tuple[int, ...]) -> np.ndarray:
    """True on four strips along the edges, 1/32 of the smaller side wide, at least a pixel."""
    strip = max(1, min(shape[0], shape[1]) // 32)
    mask = np.ones(shape[:2], dtype=bool)
    mask[strip:-strip, strip:-strip] = False
    return mask


def _contrast(pixels: np.ndarray) -> np.ndarray:
    """Distance from the background, (h, w): the largest over the channels.

    The background is a plane through the medians of the four border strips, so that light that
    falls off to one side does no harm.
    """
    height, width = pixels.shape[:2]
    strip = max(1, min(height, width) // 32)
    top = np.median(pixels[:strip], axis=(0, 1))
    bottom = np.median(pixels[-strip:], axis=(0, 1))
    left = np.median(pixels[:, :strip], axis=(0, 1))
    right = np.median(pixels[:, -strip:], axis=(0, 1))
    y = ((np.arange(height) + 0.5) / height - 0.5)[:, None, None]
    x = ((np.arange(width) + 0.5) / width - 0.5)[None, :, None]
    ground = (top + bottom + left + right) / 4.0 + y * (bottom - top) + x * (right - left)
    distance = np.abs(pixels - ground).max(axis=2)
    return np.where(distance < LEAST_INK, 0.0, distance)


def _clean(raw: np.ndarray, noise: float) -> np.ndarray | None:
    """Ink of a noisy picture: strokes made nearly black, specks and what is joined to none gone."""
    from scipy.ndimage import binary_dilation, label

    threshold = max(noise, _otsu(raw))
    mask = raw >= threshold
    blobs, count = label(mask, structure=np.ones((3, 3)))
    if count == 0:
        return None
    sizes = np.bincount(blobs.ravel())
    sizes[0] = 0
    kept = np.isin(blobs, np.flatnonzero(sizes >= SPECK * sizes.max()))
    near = binary_dilation(kept, structure=np.ones((3, 3)))
    ramp = np.minimum(1.0, np.maximum(0.0, raw / threshold - 0.5))
    return np.where(near, ramp, 0.0)


def _otsu(values: np.ndarray) -> float:
    """Otsu's threshold (1979) over 256 bins of 0..1."""
    counts = np.bincount(np.minimum(255, (values * 256.0).astype(int)).ravel(), minlength=256)
    total, weighted = counts.sum(), (counts * np.arange(256)).sum()
    below, below_weighted = counts.cumsum(), (counts * np.arange(256)).cumsum()
    above = total - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = below_weighted / below - (weighted - below_weighted) / above
        between = np.where((below > 0) & (above > 0), below * above * gap * gap, 0.0)
    return (int(between.argmax()) + 1) / 256.0
