"""Pooling, padding, cropping, upsampling, resizing: layers over one to three axes of space.

TF.js has padding, cropping and upsampling of pictures only; sequences and volumes are seen as
pictures by reshaping, which moves no value. Its resizing takes other sampling points than Keras'
(no half-pixel centres) and its Resizing loses the batch from its shape, so resizing is written as
what it is: one matrix per axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.writer import Writer

PROBE_LIMIT = 4_000_000
"""Values of the pictures that are resized at once to find the matrices."""

Pairs = Sequence[tuple[int, int]]


def channels_last(w: Writer, layer: Any, x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """X with its channels last, and what brings an output back."""
    if layer.data_format != "channels_first":
        return x, lambda y: y
    rank = len(x.shape)
    w.note("channels first written as channels last between permutations")
    x = w.permute(x, (0, *range(2, rank), 1), "channels_last")
    return x, lambda y: w.permute(y, (0, rank - 1, *range(1, rank - 1)), "channels_first")


def write_pooling(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """MaxPooling and AveragePooling in one to three dimensions."""
    x, back = channels_last(w, layer, x)
    steps = list(zip(layer.pool_size, layer.strides, strict=True))
    if len(steps) == 3:
        return back(_pool_volume(w, layer, x, steps))
    return back(_pool(w, layer, x, type(layer).__name__, steps, ""))


def _pool(
    w: Writer, layer: Any, x: Tensor, class_name: str, steps: Sequence[Any], role: str
) -> Tensor:
    config: dict[str, Any] = {
        "pool_size": [int(size) for size, _ in steps],
        "strides": [int(stride) for _, stride in steps],
        "padding": layer.padding,
    }
    if len(steps) > 1:
        config["data_format"] = "channels_last"
    sizes = [
        None if n is None else -(-(n if layer.padding == "same" else n - k + 1) // s)
        for n, (k, s) in zip(x.shape[1:-1], steps, strict=True)
    ]
    shape = (x.shape[0], *sizes, x.shape[-1])
    return w.emit(class_name, x, config, shape=shape, role=role)


def _pool_volume(w: Writer, layer: Any, x: Tensor, steps: list[Any]) -> Tensor:
    """Depth and height as a picture, then the width: the same maximum, the same mean.

    TF.js' own takes a window of negative values for zero on wasm (MaxPooling3D), and shifts
    windows that are smaller than their stride.
    """
    if None in x.shape[1:]:
        w.refuse(f"volumes of free size {x.shape}, which TF.js cannot; give Input fixed sizes")
    w.note("pooling of volumes written as two poolings of pictures: TF.js' own is wrong on wasm")
    name = type(layer).__name__.replace("3D", "2D")
    batch, depth, height, width, channels = x.shape
    y = w.reshape(x, (batch, depth, height, (width or 0) * (channels or 0)), "in_front")
    y = _pool(w, layer, y, name, steps[:2], "")
    depth, height = y.shape[1:3]
    y = w.reshape(y, (batch, (depth or 0) * (height or 0), width, channels), "in_rows")
    y = _pool(w, layer, y, name, [(1, 1), steps[2]], "width")
    return w.reshape(y, (batch, depth, height, y.shape[2], channels), "as_volume")


def without_overhang(
    w: Writer, x: Tensor, kernel_size: Sequence[int], strides: Sequence[int], padding: str
) -> tuple[Tensor, str]:
    """An input and a padding for which TF.js puts windows where Keras does.

    With padding "same" and a window smaller than its stride, the last values may belong to no
    window. TF.js then counts negative padding: in three dimensions always, in two on wasm.
    """
    small = [k < s for k, s in zip(kernel_size, strides, strict=True)]
    if padding != "same" or not any(small):
        return x, padding
    if all(k == 1 for k in kernel_size):
        return x, "valid"
    cuts = []
    for n, k, s in zip(x.shape[1:-1], kernel_size, strides, strict=True):
        if n is None:
            w.refuse("a window smaller than its stride over a free size; give Input a fixed size")
        cuts.append((0, max(n - ((-(-n // s) - 1) * s + k), 0)))
    return crop(w, x, cuts, "overhang"), padding


def write_global_pooling(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """GlobalMaxPooling and GlobalAveragePooling in one to three dimensions."""
    name = type(layer).__name__
    mask = w.mask if name == "GlobalAveragePooling1D" else None
    x, _ = channels_last(w, layer, x)
    batch, channels = x.shape[0], x.shape[-1]
    if mask is not None:
        from exporter.formats.tfjs_layers.rules.masking import masked_mean

        if layer.data_format == "channels_first":
            w.refuse("a mask with channels first")
        y = masked_mean(w, x, mask)
    else:
        if name.endswith("3D"):
            rows = None if None in x.shape[2:4] else math.prod(n or 0 for n in x.shape[2:4])
            x = w.reshape(x, (batch, x.shape[1], rows, channels), "as_picture")
            name = name.replace("3D", "2D")
        config = {} if name.endswith("1D") else {"data_format": "channels_last"}
        y = w.emit(name, x, config, shape=(batch, channels))
    return w.reshape(y, w.shape, "keepdims") if layer.keepdims else y


def pad(w: Writer, x: Tensor, pairs: Pairs, role: str) -> Tensor:
    """Zeros before and after, for each axis between batch and channels."""
    return _in_pictures(w, x, [(b, a) for b, a in pairs], role, "ZeroPadding2D", "padding",
                        lambda size, pair: size + sum(pair), (0, 0))  # fmt: skip


def crop(w: Writer, x: Tensor, pairs: Pairs, role: str) -> Tensor:
    """Cut off before and after, for each axis between batch and channels."""
    return _in_pictures(w, x, [(b, a) for b, a in pairs], role, "Cropping2D", "cropping",
                        lambda size, pair: size - sum(pair), (0, 0))  # fmt: skip


def repeat(w: Writer, x: Tensor, factors: Sequence[int], role: str) -> Tensor:
    """Nearest neighbours, for each axis between batch and channels."""
    return _in_pictures(w, x, list(factors), role, "UpSampling2D", "size",
                        lambda size, factor: size * factor, 1)  # fmt: skip


def _in_pictures(
    w: Writer,
    x: Tensor,
    steps: list[Any],
    role: str,
    class_name: str,
    key: str,
    grow: Callable[[int, Any], int],
    nothing: Any,
) -> Tensor:
    """Apply a layer of pictures to one, two or three axes of space."""
    if all(step == nothing for step in steps) and role:
        return x

    def emit(x: Tensor, pair: list[Any], role: str) -> Tensor:
        rows, columns = (
            None if n is None else grow(n, step) for n, step in zip(x.shape[1:3], pair, strict=True)
        )
        value = [list(p) if isinstance(p, tuple) else p for p in pair]
        config = {key: value, "data_format": "channels_last"}
        shape = (x.shape[0], rows, columns, x.shape[3])
        return w.emit(class_name, x, config, shape=shape, role=role)

    sub = f"{role}_" if role else ""
    batch, *space, channels = x.shape
    if len(steps) == 2:
        return emit(x, steps, role)
    if len(steps) == 1:
        y = w.reshape(x, (batch, space[0], 1, channels), f"{sub}as_picture")
        y = emit(y, [steps[0], nothing], role)
        return w.reshape(y, (batch, y.shape[1], channels), f"{sub}as_sequence")
    if None in x.shape[1:]:
        w.refuse(f"volumes of free size {x.shape}, which TF.js cannot; give Input fixed sizes")
    depth, height, width = (n or 0 for n in space)
    y = w.reshape(x, (batch, depth, height, width * (channels or 0)), f"{sub}in_front")
    y = emit(y, steps[:2], role)
    depth, height = y.shape[1] or 0, y.shape[2] or 0
    y = w.reshape(y, (batch, depth * height, width, channels), f"{sub}in_rows")
    y = emit(y, [nothing, steps[2]], f"{sub}width")
    return w.reshape(y, (batch, depth, height, y.shape[2], channels), f"{sub}as_volume")


def _pairs(value: Any) -> list[tuple[int, int]]:
    """Keras keeps (before, after) for one axis, a tuple of such for more."""
    if isinstance(value[0], int):
        return [(int(value[0]), int(value[1]))]
    return [(int(before), int(after)) for before, after in value]


def write_zero_padding(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """ZeroPadding in one to three dimensions."""
    x, back = _channels_last_if_any(w, layer, x)
    return back(pad(w, x, _pairs(layer.padding), ""))


def write_cropping(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Cropping in one to three dimensions."""
    x, back = _channels_last_if_any(w, layer, x)
    return back(crop(w, x, _pairs(layer.cropping), ""))


def write_upsampling(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """UpSampling in one to three dimensions."""
    if getattr(layer, "interpolation", "nearest") != "nearest":
        return write_resizing(w, layer, x)
    x, back = _channels_last_if_any(w, layer, x)
    size = layer.size if isinstance(layer.size, (tuple, list)) else (layer.size,)
    return back(repeat(w, x, [int(n) for n in size], ""))


def _channels_last_if_any(
    w: Writer, layer: Any, x: Tensor
) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    if getattr(layer, "data_format", None) is None:
        return x, lambda y: y
    return channels_last(w, layer, x)


def write_center_crop(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """CenterCrop; TF.js' own cuts one column off where it should cut none."""
    last, back = channels_last(w, layer, x)
    height, width = last.shape[1:3]
    if height is None or width is None or len(x.shape) != 4:
        w.refuse(f"CenterCrop of {x.shape}: pictures of fixed size expected; give Input its size")
    if height < layer.height or width < layer.width:
        return write_resizing(w, layer, x)
    down, right = height - layer.height, width - layer.width
    pairs = [(down // 2, down - down // 2), (right // 2, right - right // 2)]
    return back(crop(w, last, pairs, ""))


def write_resizing(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """Resize by any interpolation that Keras has: a matrix along the rows, one along the columns.

    The matrices are read off the layer itself, and the product is compared with it.
    """
    x, back = channels_last(w, layer, x)
    height, width = x.shape[1:3] if len(x.shape) == 4 else (None, None)
    if height is None or width is None:
        w.refuse(f"resizing {x.shape}: pictures of fixed size expected; give Input its size")
    first = layer.data_format == "channels_first"

    def resize(pictures: np.ndarray) -> np.ndarray:
        given = pictures.transpose(0, 3, 1, 2) if first else pictures
        result = np.asarray(layer(given, training=False), dtype=np.float32)
        return result.transpose(0, 2, 3, 1) if first else result

    rows = _probe(resize, height, width, 0)
    columns = _probe(resize, height, width, 1)
    sample = np.random.default_rng(0).normal(size=(1, height, width, 1)).astype(np.float32)
    found = np.einsum("ah,nhwc,bw->nabc", rows, sample, columns)
    if found.shape != resize(sample).shape or np.abs(found - resize(sample)).max() > 1e-4:
        w.refuse("a resizing that is no product of one along rows and one along columns")
    w.note("resizing written as one matrix per axis: TF.js samples other points than Keras")
    y = w.linear_map(x, 1, rows, "rows")
    return back(w.linear_map(y, 2, columns, "columns"))


def _probe(
    resize: Callable[[np.ndarray], np.ndarray], height: int, width: int, axis: int
) -> np.ndarray:
    """The matrix along one axis: what becomes of stripes of ones, read in the middle."""
    size = (height, width)[axis]
    at_once = max(1, PROBE_LIMIT // (height * width))
    columns = []
    for start in range(0, size, at_once):
        stripes = np.zeros((min(at_once, size - start), height, width, 1), np.float32)
        for index in range(len(stripes)):
            stripes[index].swapaxes(0, axis)[start + index] = 1.0
        found = resize(stripes)[..., 0]
        found = found if axis == 0 else found.swapaxes(1, 2)
        columns.append(found[:, :, found.shape[2] // 2])
    return np.concatenate(columns).T
