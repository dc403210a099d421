"""Resizing of pictures as two matrix products.

May import nothing of the project but `exporter.graphs.shapes`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from exporter.graphs import shapes


def resize_by_matrices(op: Any, inputs: list[Any]) -> Any:
    """A separable resize with known sizes: weights of rows times picture times weights of columns.

    The weights are what TensorFlow itself answers for unit vectors.
    """
    x = inputs[0]
    _, height, width, channels = x.shape.as_list()
    wanted = tf.get_static_value(inputs[1])
    if None in (height, width, channels) or wanted is None:
        return None
    rows = _weights(op, height, int(wanted[0]))
    columns = _weights(op, width, int(wanted[1]))
    x = tf.cast(x, tf.float32)
    batch = shapes.sizes(x)[0]
    x = shapes.reshape(x, [batch, height, width * channels])
    x = tf.matmul(rows, x)
    x = shapes.reshape(x, [shapes.product([batch, int(wanted[0])]), width, channels])
    x = tf.matmul(columns, x)
    return shapes.reshape(x, [batch, int(wanted[0]), int(wanted[1]), channels])


def nearest_by_places(op: Any, inputs: list[Any]) -> Any:
    """A nearest-neighbour resize with known sizes: which old line each new one is.

    Runtimes round ties differently; the places are what TensorFlow itself answers.
    """
    x = inputs[0]
    _, height, width, _ = x.shape.as_list()
    wanted = tf.get_static_value(inputs[1])
    if None in (height, width) or wanted is None:
        return None
    for axis, size, new in ((1, height, int(wanted[0])), (2, width, int(wanted[1]))):
        places = _weights(op, size, new).argmax(axis=1).astype(np.int32)
        if not np.array_equal(places, np.arange(size)):
            x = tf.gather(x, places, axis=axis)
    return x


def _weights(op: Any, size: int, wanted: int) -> np.ndarray:
    """(wanted, size): how much each old line counts in each new one."""
    attributes = {
        "align_corners": op.get_attr("align_corners"),
        "half_pixel_centers": op.get_attr("half_pixel_centers"),
    }
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        units = np.eye(size, dtype=np.float32)[:, :, None, None]
        made = getattr(tf.raw_ops, op.type)(images=units, size=[wanted, 1], **attributes)
        return np.asarray(session.run(made))[:, :, 0, 0].T
