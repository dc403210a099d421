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
    known = [tf.get_static_value(value) for value in inputs[1:]]
    if x.shape.rank is None or None in x.shape.as_list()[1:]:
        return None
    if any(value is None for value in known):
        return None
    _, height, width, channels = x.shape.as_list()
    wanted = [int(size) for size in known[0]]
    x = tf.cast(x, tf.float32)
    batch = shapes.sizes(x)[0]
    x = shapes.reshape(x, [batch, height, width * channels])
    x = tf.matmul(_weights(op, height, known, 0), x)
    x = shapes.reshape(x, [shapes.product([batch, wanted[0]]), width, channels])
    x = tf.matmul(_weights(op, width, known, 1), x)
    return shapes.reshape(x, [batch, *wanted, channels])


def nearest_by_places(op: Any, inputs: list[Any]) -> Any:
    """A nearest-neighbour resize with known sizes: which old line each new one is.

    Runtimes round ties differently; the places are what TensorFlow itself answers.
    """
    x = inputs[0]
    _, height, width, _ = x.shape.as_list()
    wanted = tf.get_static_value(inputs[1])
    if None in (height, width) or wanted is None:
        return None
    for axis, size in ((1, height), (2, width)):
        places = _weights(op, size, [wanted], axis - 1).argmax(axis=1).astype(np.int32)
        if not np.array_equal(places, np.arange(size)):
            x = tf.gather(x, places, axis=axis)
    return x


def _weights(op: Any, size: int, known: list[Any], axis: int) -> np.ndarray:
    """(wanted, size): how much each old line counts in each new one.

    Args:
        op: The resizing operation.
        size: How many lines there are.
        known: Its arguments after the picture: for rows and columns the new size and, of
            `ScaleAndTranslate`, the scale and the translation.
        axis: 0 for rows, 1 for columns.
    """
    others = {"size": 1, "scale": 1.0, "translation": 0.0}
    names = [arg.name for arg in op.op_def.input_arg][1:]
    arguments = {
        name: np.array([value[axis], others[name]], value.dtype)
        for name, value in zip(names, known, strict=True)
    }
    # What says of which type the operation is follows from the picture.
    attributes = {a.name: op.get_attr(a.name) for a in op.op_def.attr if a.type != "type"}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        units = np.eye(size, dtype=np.float32)[:, :, None, None]
        made = getattr(tf.raw_ops, op.type)(images=units, **arguments, **attributes)
        return np.asarray(session.run(made))[:, :, 0, 0].T
