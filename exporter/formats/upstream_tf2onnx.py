"""tf2onnx 1.17, driven on a graph instead of on a Keras model.

Owns the only import of `tf2onnx`. Its `from_keras` raises KeyError for every Keras 3 Sequential
(github.com/onnx/tensorflow-onnx/issues/2319), so it is given the traced graph. Its optimiser copies
the whole graph before each of its passes to survive a failing one; here a failure is an error, and
nothing is copied. Its pass that moves transposes is left out: it takes any constant with one long
axis for a bias of the channels, fails for scalars, and loses axes where pictures have one pixel;
onnxruntime moves transposes itself when it opens a file. Seen with tf2onnx 1.17.0 on 2026-11-20.
May import `exporter.errors` only.
"""

from __future__ import annotations

import logging
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

# onnxruntime-web 1.30 reads opset 18 (IR version 8) in all of its builds.
OPSET = 18
_COUNTER = re.compile(r"__\d+")


def convert(graph: Any, inputs: Sequence[Any], outputs: Sequence[Any]) -> Any:
    """The ONNX ModelProto of a TensorFlow graph, under the graph's own names."""
    import tensorflow as tf
    from tf2onnx import optimizer, tfonnx

    with tf.device("/cpu:0"), graph.as_default(), _quiet(), _one_order():
        made = tfonnx.process_tf_graph(
            graph,
            opset=OPSET,
            input_names=[x.name for x in inputs],
            output_names=[x.name for x in outputs],
            custom_op_handlers={"ResizeBilinear": (_resize_bilinear, [])},
        )
        passes = OrderedDict(optimizer._get_optimizers())
        del passes["optimize_transpose"]
        made = optimizer.optimize_graph(made, catch_errors=False, optimizers=passes)
        return made.make_model("")


@contextmanager
def _one_order() -> Iterator[None]:
    """Of equal nodes keep the one whose name comes first, counters left out.

    tf2onnx keeps the first that a set of names happens to give, which differs from run to run and
    would give the survivor, and so the file, another name each time.
    """
    from tf2onnx.optimizer.merge_duplicated_nodes_optimizer import (
        MergeDuplicatedNodesOptimizer as Merger,
    )

    original = Merger._group_nodes_by_type_inputs

    def in_order(graph: Any) -> dict[Any, list[Any]]:
        groups = original(graph)
        return {
            key: sorted(nodes, key=lambda node: (_COUNTER.sub("", node.name), node.name))
            for key, nodes in groups.items()
        }

    Merger._group_nodes_by_type_inputs = staticmethod(in_order)
    try:
        yield
    finally:
        Merger._group_nodes_by_type_inputs = staticmethod(original)


def _resize_bilinear(ctx: Any, node: Any, name: str, args: Sequence[Any]) -> None:
    """A `Resize` to sizes. tf2onnx writes scales, which round down to one size too small.

    5 pixels to 7 is a scale of 1.4, and floor(5 * float32(1.4)) is 6:
    github.com/onnx/tensorflow-onnx/issues/1906.
    """
    import numpy as np
    from tf2onnx import constants

    mode = "asymmetric"
    if node.get_attr_value("half_pixel_centers"):
        mode = "half_pixel"
    elif node.get_attr_value("align_corners"):
        mode = "align_corners"
    shapes, dtypes, outputs = node.output_shapes, node.output_dtypes, list(node.output)
    picture, sizes = node.input
    if node.inputs[1].is_const():
        known = np.asarray(node.inputs[1].get_tensor_value()).astype(np.int64)
        sizes = ctx.make_const(f"{name}/sizes", known).output[0]
    else:
        sizes = ctx.make_node("Cast", [sizes], {"to": 7}).output[0]  # 7: int64
    first = ctx.make_node("Transpose", [picture], {"perm": constants.NHWC_TO_NCHW})
    # All four sizes: with the attribute `axes`, onnxruntime moves the transposes and loses them.
    kept = ctx.make_node("Shape", [first.output[0]], {"start": 0, "end": 2})
    sizes = ctx.make_node("Concat", [kept.output[0], sizes], {"axis": 0}).output[0]
    options = {"mode": "linear", "coordinate_transformation_mode": mode}
    ctx.remove_node(node.name)
    resized = ctx.make_node("Resize", [first.output[0], "", "", sizes], options)
    ctx.make_node(
        "Transpose", resized.output, {"perm": constants.NCHW_TO_NHWC},
        name=name, outputs=outputs, shapes=shapes, dtypes=dtypes,
    )  # fmt: skip


@contextmanager
def _quiet() -> Iterator[None]:
    """tf2onnx announces every version and pass as a warning, and as errors what is refused here."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
