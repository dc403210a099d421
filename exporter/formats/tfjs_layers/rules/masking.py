"""Masks made into numbers, and numbers made into masks.

TF.js attaches masks with Masking and Embedding only. Where Keras' mask would be lost or mixed up
on the way, it is computed as numbers (1 for steps that count) and attached again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import LayerWeight, Shape, Tensor
from exporter.formats.tfjs_layers.masks import NEVER, AllPass, Either, Joined, Masked, Nonzero
from exporter.formats.tfjs_layers.writer import ZEROS, Writer


def with_mask(w: Writer, x: Tensor, mask: object | None) -> Tensor:
    """x, carrying in TF.js the mask that Keras gives it (None: no mask)."""
    if mask is x.mask or (mask is None and isinstance(x.mask, AllPass)):
        return x
    if mask is None:
        return without_mask(w, x)
    w.note("mask attached again, which TF.js loses or changes on the way")
    steps = mask_as_numbers(w, x, mask)
    kept = w.emit("Multiply", [x, steps], role="mask/kept")
    rest = w.rescale(steps, -NEVER, NEVER, "mask/rest")
    marked = w.emit("Add", [kept, rest], role="mask/marked")
    y = w.emit("Masking", marked, {"mask_value": NEVER}, role="mask/again")
    y.mask = mask
    return y


def without_mask(w: Writer, x: Tensor) -> Tensor:
    """X with a mask that lets every step pass: TF.js would keep an earlier layer's."""
    w.note("a mask that lets everything pass, for TF.js keeps the masks of other layers")
    y = w.emit("Masking", x, {"mask_value": NEVER}, role="mask/all")
    y.mask = AllPass()
    return y


def mask_as_numbers(w: Writer, x: Tensor, mask: object) -> Tensor:
    """The mask of shape (batch, steps, 1): 1 where a step counts, else 0."""
    if isinstance(mask, Either):
        parts = [mask_as_numbers(w, x, part) for part in mask.parts]
        return w.emit("Maximum", parts, {}, role="mask/either")
    if isinstance(mask, Joined):
        parts = [_ones(w, p) if isinstance(p, Tensor) else mask_as_numbers(w, x, p)
                 for p in mask.parts]  # fmt: skip
        sizes = [part.shape[1] for part in parts]
        steps = None if None in sizes else sum(n or 0 for n in sizes)
        shape: Shape = (x.shape[0], steps, 1)
        return w.emit("Concatenate", parts, {"axis": 1}, shape=shape, role="mask/joined")
    if isinstance(mask, Nonzero) and mask.size is not None:
        ids, size = mask.tensor, mask.size
        table = np.ones((size, 1), np.float32)
        table[0] = 0
        config = {"input_dim": size, "output_dim": 1, "mask_zero": False,
                  "embeddings_initializer": ZEROS}  # fmt: skip
        weight = LayerWeight.constant("embeddings", table)
        return w.emit(
            "Embedding", ids, config, shape=(*ids.shape, 1), weights=[weight], role="mask/steps"
        )
    if isinstance(mask, Masked):
        return _differences(w, _count(w, mask.output))
    w.refuse("a mask that is neither Masking's nor Embedding's, which TF.js Layers cannot attach")


def _ones(w: Writer, x: Tensor) -> Tensor:
    """1 for every step of x."""
    config = {"units": 1, "activation": "linear", "use_bias": True,
              "kernel_initializer": ZEROS, "bias_initializer": ZEROS}  # fmt: skip
    weights = [
        LayerWeight.constant("kernel", np.zeros((x.shape[-1] or 0, 1))),
        LayerWeight.constant("bias", np.ones(1)),
    ]
    shape = (*x.shape[:-1], 1)
    return w.emit("Dense", x, config, shape=shape, weights=weights, role="mask/ones")


def _count(w: Writer, x: Tensor) -> Tensor:
    """How many steps counted so far: a recurrence that adds 1 at each step that is not masked."""
    config = {
        "units": 1, "activation": "linear", "use_bias": True, "return_sequences": True,
        "kernel_initializer": ZEROS, "recurrent_initializer": ZEROS, "bias_initializer": ZEROS,
    }  # fmt: skip
    weights = [
        LayerWeight.constant("kernel", np.zeros((x.shape[-1] or 0, 1))),
        LayerWeight.constant("recurrent_kernel", np.ones((1, 1))),
        LayerWeight.constant("bias", np.ones(1)),
    ]
    shape = (*x.shape[:2], 1)
    return w.emit("SimpleRNN", x, config, shape=shape, weights=weights, role="mask/count")


def _differences(w: Writer, count: Tensor) -> Tensor:
    """count[t] - count[t - 1]."""
    batch, steps, _ = count.shape
    longer = None if steps is None else steps + 1
    y = w.reshape(count, (batch, steps, 1, 1), "mask/as_picture")
    config: dict[str, Any] = {"padding": [[1, 0], [0, 0]], "data_format": "channels_last"}
    shape = (batch, longer, 1, 1)
    y = w.emit("ZeroPadding2D", y, config, shape=shape, role="mask/before")
    y = w.reshape(y, (batch, longer, 1), "mask/as_sequence")
    config = {"filters": 1, "kernel_size": [2], "use_bias": False, "activation": "linear",
              "kernel_initializer": ZEROS}  # fmt: skip
    kernel = LayerWeight.constant("kernel", np.array([-1.0, 1.0]).reshape(2, 1, 1))
    shape3 = (batch, steps, 1)
    return w.emit("Conv1D", y, config, shape=shape3, weights=[kernel], role="mask/steps")


def masked_mean(w: Writer, x: Tensor, mask: object) -> Tensor:
    """The mean over the steps that count: their weights are softmax(0 or -1e9)."""
    w.note("masked mean written as a weighted sum: TF.js' GlobalAveragePooling1D ignores masks")
    steps = mask_as_numbers(w, x, mask)
    row = w.permute(steps, (0, 2, 1), "mask/row")
    shares = w.activate(w.rescale(row, 1e9, -1e9, "mask/scores"), "softmax", "mask/shares")
    config = {"axes": [2, 1], "normalize": False}
    shape = (x.shape[0], 1, x.shape[2])
    mean = w.emit("Dot", [shares, x], config, shape=shape, role="")
    return w.reshape(mean, (x.shape[0], x.shape[2]), "mean")
