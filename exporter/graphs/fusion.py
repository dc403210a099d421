"""Fusing a matrix product or convolution with its bias and activation, as TF.js runs fastest.

TensorFlow's own optimiser fuses for its own kernels, more than TF.js has; here only what TF.js'
`fused.matMul`, `fused.conv2d` and `fused.depthwiseConv2d` do on every backend. May import nothing
of the project.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

_FUSED = {
    "MatMul": "_FusedMatMul",
    "Conv2D": "_FusedConv2D",
    "DepthwiseConv2dNative": "FusedDepthwiseConv2dNative",
}
# tfjs-core 4.22, src/ops/fused_types.ts, without prelu: wasm misreads its alpha.
_ACTIVATIONS = frozenset({"Relu", "Relu6", "Elu", "LeakyRelu", "Sigmoid"})


def fuse(graph_def: Any, outputs: frozenset[str]) -> None:
    """Fuse contraction + bias + activation, in place; what is fused away stays, unused.

    Args:
        graph_def: Nodes in an order in which each follows what it needs.
        outputs: Names of nodes that must stay.
    """
    nodes = {node.name: node for node in graph_def.node}
    readers = Counter(_name(x) for node in graph_def.node for x in node.input)
    for name in outputs:
        readers[name] += 1
    for node in graph_def.node:
        if node.op in _ACTIVATIONS:
            before = nodes[_name(node.input[0])]
            if readers[before.name] == 1:
                _fuse_activation(node, before, nodes, readers)
        elif node.op in ("BiasAdd", "Add", "AddV2"):
            _fuse_bias(node, nodes, readers)


def _name(tensor: str) -> str:
    return tensor.removeprefix("^").partition(":")[0]


def _fuse_bias(node: Any, nodes: dict[str, Any], readers: Counter[str]) -> None:
    for place in (0, 1):
        contraction, bias = nodes[_name(node.input[place])], nodes[_name(node.input[1 - place])]
        if contraction.op in _FUSED and readers[contraction.name] == 1 and _is_bias(bias):
            break
        if node.op == "BiasAdd":
            return
    else:
        return
    if contraction.op != "MatMul" and contraction.attr["data_format"].s not in (b"", b"NHWC"):
        return
    kernel, extra = list(contraction.input[:2]), bias.name
    _become(node, contraction, [*kernel, extra], ["BiasAdd"])


def _is_bias(node: Any) -> bool:
    """A constant or weight of rank 1 (a fused bias of another rank fails on wasm)."""
    if node.op == "Const":
        return len(node.attr["value"].tensor.tensor_shape.dim) == 1
    shape = node.attr["shape"].shape
    return (
        node.op == "Placeholder"
        and len(shape.dim) == 1
        and not shape.unknown_rank
        and shape.dim[0].size > 0
    )


def _fuse_activation(node: Any, before: Any, nodes: dict[str, Any], readers: Counter[str]) -> None:
    if before.op not in _FUSED.values() or len(before.attr["fused_ops"].list.s) != 1:
        return
    alpha = node.attr["alpha"].f
    kind = node.op
    _become(node, before, list(before.input), ["BiasAdd", kind])
    if kind == "LeakyRelu":
        node.attr["leakyrelu_alpha"].f = alpha


def _become(node: Any, contraction: Any, inputs: list[str], fused: list[str]) -> None:
    """Turn `node`, which others read, into the fused operation."""
    name = node.name
    node.CopyFrom(contraction)
    node.name = name
    node.op = _FUSED.get(contraction.op, contraction.op)
    del node.input[:]
    node.input.extend(inputs)
    node.attr["fused_ops"].list.s[:] = [part.encode() for part in fused]
    node.attr["num_args"].i = 1
    node.attr["epsilon"].f = 0.0
