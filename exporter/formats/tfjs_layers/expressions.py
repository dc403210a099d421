"""Masks as Keras writes them into a graph: operations on tensors, read back as tokens.

Keras records the computation of a mask as nodes of `keras.ops` and passes the result as the
argument `mask`. Owns the reading of the few shapes that these computations have (compute_mask of
Masking, Embedding and the merging layers). May import `masks` and `trace`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.masks import Garbled, Masked, Nonzero, Tokens
from exporter.formats.tfjs_layers.trace import Use

OPERATIONS = frozenset({
    "NotEqual", "Any", "LogicalOr", "ExpandDims", "Squeeze", "ZerosLike", "OnesLike", "Concatenate",
})  # fmt: skip


@dataclass(frozen=True, eq=False)
class Expression:
    """The result of an operation of `keras.ops`, not computed: good for a mask only."""

    use: Use

    @property
    def name(self) -> str:
        """The operation's class."""
        return type(self.use.operation).__name__

    @property
    def operands(self) -> list[Any]:
        """Its arguments in order."""
        return list(self.use.arguments.values())


def read_mask(tokens: Tokens, value: Any) -> Any:
    """The token of a value given as `mask`; None where every step counts."""
    if value is None or not isinstance(value, Expression):
        return value if value is None else Garbled()
    operands = value.operands
    if value.name == "NotEqual" and isinstance(operands[0], Tensor) and operands[1] == 0:
        key = ("nonzero", operands[0].key)
        return tokens.remember(key, Nonzero(operands[0], None))
    if value.name == "LogicalOr":
        return tokens.either([read_mask(tokens, operand) for operand in operands])
    if value.name == "Squeeze":
        return read_mask(tokens, operands[0])
    if value.name == "Any" and isinstance(operands[0], Expression):
        inner = operands[0]
        if inner.name == "NotEqual" and isinstance(inner.operands[0], Tensor):
            source, number = inner.operands[0], float(inner.operands[1])
            return tokens.remember(("masked", source.key, number), Masked(source))
        if inner.name == "Concatenate":
            return _read_concatenation(tokens, inner)
    return Garbled()


def _read_concatenation(tokens: Tokens, value: Expression) -> Any:
    """`Concatenate.compute_mask`: masks spread over their inputs, or ones, side by side."""
    masks: list[Any] = []
    tensors: list[Tensor] = []
    for part in value.operands[0]:
        if not isinstance(part, Expression):
            return Garbled()
        if part.name == "OnesLike":
            masks.append(None)
            tensors.append(part.operands[0])
        elif part.name == "LogicalOr" and part.operands[1].name == "ZerosLike":
            masks.append(read_mask(tokens, part.operands[0].operands[0]))
            tensors.append(part.operands[1].operands[0])
        else:
            return Garbled()
    axis = value.use.operation.axis % len(tensors[0].shape)
    if axis == len(tensors[0].shape) - 1:
        return tokens.either(masks)
    return tokens.joined(masks, tensors) if axis == 1 else Garbled()
