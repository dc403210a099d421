"""tf2onnx 1.17, driven on a graph instead of on a Keras model.

Owns the only import of `tf2onnx`. Its `from_keras` raises KeyError for every Keras 3 Sequential
(github.com/onnx/tensorflow-onnx/issues/2319), so it is given the traced graph. Its optimiser copies
the whole graph before each of its passes to survive a failing one; here a failure is an error, and
nothing is copied. Seen with tf2onnx 1.17.0 on 2026-11-20. May import `exporter.errors` only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# onnxruntime-web 1.30 reads opset 18 (IR version 8) in all of its builds.
OPSET = 18


def convert(graph: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """The ONNX ModelProto of a TensorFlow graph, under the graph's own names."""
    import tensorflow as tf
    from tf2onnx import optimizer, tfonnx

    with tf.device("/cpu:0"), tf.Graph().as_default() as copy, _quiet():
        tf.import_graph_def(graph.as_graph_def(), name="")
        made = tfonnx.process_tf_graph(
            copy,
            opset=OPSET,
            input_names=[x.name for x in inputs],
            output_names=[x.name for x in outputs],
        )
        made = optimizer.optimize_graph(made, catch_errors=False)
        return made.make_model("")


@contextmanager
def _quiet() -> Iterator[None]:
    """tf2onnx announces every version and pass at the level of warnings."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
