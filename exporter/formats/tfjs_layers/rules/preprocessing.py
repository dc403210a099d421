"""Preprocessing of categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.formats.tfjs_layers.graph import LayerWeight, Tensor
from exporter.formats.tfjs_layers.writer import ZEROS, Writer


def write_category_encoding(w: Writer, layer: Any, x: Tensor) -> Tensor:
    """CategoryEncoding: rows of the identity matrix, their maximum or their sum.

    TF.js' own spoils the shape of the tensor before it, so that the model refuses its input.
    """
    if layer.sparse:
        w.refuse("sparse=True, which TF.js Layers does not have")
    size = layer.num_tokens
    config = {"input_dim": size, "output_dim": size, "mask_zero": False,
              "embeddings_initializer": ZEROS}  # fmt: skip
    eye = LayerWeight.constant("embeddings", np.eye(size))
    w.note("written as a look-up of unit vectors")
    y = w.emit("Embedding", x, config, shape=(*x.shape, size), weights=[eye], role="")
    if layer.output_mode == "one_hot":
        return w.reshape(y, w.shape, "without_ones")
    if len(x.shape) == 1:
        return y
    if len(x.shape) > 2:
        w.refuse(f"{layer.output_mode} of shape {x.shape}: TF.js Layers takes rows of categories")
    if layer.output_mode == "multi_hot":
        return w.emit("GlobalMaxPooling1D", y, {}, shape=w.shape, role="any")
    if x.shape[1] is None:
        w.refuse("count over a free length; give Input a fixed one")
    total = w.linear_map(y, 1, np.ones((1, x.shape[1]), np.float32), "count")
    return w.reshape(total, w.shape, "counts")
