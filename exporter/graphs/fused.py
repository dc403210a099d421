"""Fused operations of TensorFlow's optimiser that TF.js does not run, taken apart again.

May import nothing of the project.
"""

from __future__ import annotations

from typing import Any

# tfjs-core 4.22, src/ops/fused_types.ts, and its kernels on cpu and wasm.
_ACTIVATIONS = frozenset({b"Relu", b"Relu6", b"Elu", b"LeakyRelu", b"Sigmoid", b"Prelu"})
_FUSED = frozenset({"_FusedMatMul", "_FusedConv2D", "FusedDepthwiseConv2dNative"})
# The optimiser's names of activations -> operations.
_OPERATIONS = {b"Tanh": "Tanh", b"Relu": "Relu", b"Relu6": "Relu6", b"Elu": "Elu",
               b"LeakyRelu": "LeakyRelu", b"Sigmoid": "Sigmoid"}  # fmt: skip


def split_fused(graph_def: Any) -> Any:
    """Change the graph in place: an activation that TF.js cannot fuse becomes a node of its own."""
    for node in list(graph_def.node):
        if node.op not in _FUSED:
            continue
        fused = list(node.attr["fused_ops"].list.s)
        foreign = [name for name in fused if name != b"BiasAdd" and name not in _ACTIVATIONS]
        if not foreign:
            continue
        activation = graph_def.node.add()
        activation.name = node.name
        activation.op = _OPERATIONS[foreign[0]]
        activation.attr["T"].CopyFrom(node.attr["T"])
        node.name = f"{node.name}/linear"
        activation.input.append(node.name)
        node.attr["fused_ops"].list.s[:] = [name for name in fused if name not in foreign]
    return graph_def
