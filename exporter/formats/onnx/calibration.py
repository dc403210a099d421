"""Ranges of activations, measured by the oracle: so every machine measures the same.

May import `exporter.source`, `exporter.retype` and `exporter.graphs`; TensorFlow is imported on
use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from exporter.retype import BORROWED

if TYPE_CHECKING:
    from exporter.source import Source

_BATCH = 32
_DIGITS = 5
"""Of a range: the last bits of a float64 sum differ from machine to machine."""
# What moves values without changing them: ranges carry over.
MOVERS = frozenset({"Transpose", "Reshape", "Identity", "Squeeze", "Unsqueeze", "Flatten"})


def measure(source: Source, wanted: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of operations of the traced graph on `source.calibration`.

    In float64, by the oracle where there is one, so that every machine measures the same.

    Args:
        source: With calibration arrays, one for each input.
        wanted: Names of operations of the graph; unknown ones are left out.
    """
    import numpy as np
    import tensorflow as tf

    from exporter.graphs.rewrites import ONNX
    from exporter.graphs.trace import trace

    assert source.calibration is not None
    graph = trace(source.oracle or source.float32, ONNX)
    operations = {op.name for op in graph.graph.get_operations()}
    fetched, names = [], []
    with graph.graph.as_default():
        for name in wanted:
            if name in operations:
                tensor = graph.graph.get_tensor_by_name(f"{name}:0")
                if tensor.dtype.is_floating and not graph.weights.get(name):
                    names.append(name)
                    fetched.append((tf.reduce_min(tensor), tf.reduce_max(tensor)))
    beside = {
        graph.graph.get_tensor_by_name(f"{name}:0"): weight.read()
        for name, weight in graph.weights.items()
        if graph.graph.get_operation_by_name(name).type == "Placeholder"
    }
    _widen_in_turn(graph.graph)
    lows, highs = np.full(len(names), np.inf), np.full(len(names), -np.inf)
    count = len(source.calibration[0])
    fixed = source.inputs[0].shape[0] if source.inputs[0].shape else None
    with tf.compat.v1.Session(graph=graph.graph) as session:
        for start in range(0, count, fixed or _BATCH):
            stop = start + fixed if fixed else min(start + _BATCH, count)
            # A fixed batch is filled up by starting over.
            part = [array[np.arange(start, stop) % count] for array in source.calibration]
            feeds = {**beside, **dict(zip(graph.inputs, part, strict=True))}
            for index, (low, high) in enumerate(session.run(fetched, feeds)):
                lows[index] = min(lows[index], low)
                highs[index] = max(highs[index], high)
    pairs = zip(names, lows, highs, strict=True)
    return {name: (_rounded(low), _rounded(high)) for name, low, high in pairs}


def _widen_in_turn(graph: Any) -> None:
    """Have each borrowed weight widened only when the layers made before it have been computed.

    TensorFlow would start all these casts at once, because they wait for nothing, and hold every
    weight in float64. Operations stand in the order in which they were made, which no input may
    run against; so an order on top of it makes no circle, except where there is a loop.
    """
    operations = graph.get_operations()
    if any(op.type == "Enter" for op in operations):
        return
    places = {op.name: place for place, op in enumerate(operations)}
    before: list[Any] = []
    for op in operations:
        if op.type != "Cast" or op.inputs[0].op.type != "Placeholder" or BORROWED not in op.name:
            continue
        op._add_control_inputs([user for user in before if places[user.name] < places[op.name]])
        before = op.outputs[0].consumers()


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def carry_over(
    graph: Any, ranges: Mapping[str, tuple[float, float]]
) -> dict[str, tuple[float, float]]:
    """Ranges of values that are others in another shape or order, in both directions."""
    known = dict(ranges)
    nodes = [node for node in graph.node if node.op_type in MOVERS]
    for node in nodes:
        if node.input[0] in known:
            known.setdefault(node.output[0], known[node.input[0]])
    for node in reversed(nodes):
        if node.output[0] in known:
            known.setdefault(node.input[0], known[node.output[0]])
    return known
