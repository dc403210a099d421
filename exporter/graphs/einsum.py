"""Einstein sums as transposes, reshapes and one matrix product, which every runtime has.

May import nothing of the project but `exporter.graphs.shapes`.
"""

from __future__ import annotations

import string
from typing import Any

import tensorflow as tf

from exporter.graphs import shapes


def einsum(op: Any, inputs: list[Any]) -> Any:
    """Rewrite `Einsum` of one or two operands; None for what it cannot (a repeated label)."""
    equation = op.get_attr("equation").decode()
    terms, result = _parse(equation, [x.shape.rank for x in inputs])
    if any(len(set(term)) != len(term) for term in (*terms, result)):
        return None
    pairs = list(zip(inputs, terms, strict=True))
    sums = [_sum_out(x, t, result, terms, i) for i, (x, t) in enumerate(pairs)]
    if len(sums) == 1:
        x, term = sums[0]
        return _transpose(x, term, result)
    (a, a_term), (b, b_term) = sums
    return _multiply(a, a_term, b, b_term, result)


def _parse(equation: str, ranks: list[int]) -> tuple[list[str], str]:
    """The labels of each operand and of the result; an ellipsis becomes labels of its own."""
    left, _, result = equation.replace(" ", "").partition("->")
    terms = left.split(",")
    spare = [c for c in string.ascii_letters if c not in equation]
    most = max((r - len(t) + 3 for t, r in zip(terms, ranks, strict=True) if "..." in t), default=0)
    dots = "".join(spare[:most])
    full = []
    for term, rank in zip(terms, ranks, strict=True):
        count = rank - len(term.replace("...", ""))
        full.append(term.replace("...", dots[len(dots) - count :] if count else ""))
    return full, result.replace("...", dots)


def _sum_out(x: Any, term: str, result: str, terms: list[str], index: int) -> tuple[Any, str]:
    """Sum over labels that neither the result nor the other operand has."""
    others = result + "".join(t for i, t in enumerate(terms) if i != index)
    axes = [i for i, label in enumerate(term) if label not in others]
    if not axes:
        return x, term
    kept = "".join(label for label in term if label in others)
    return tf.reduce_sum(x, axes), kept


def _transpose(x: Any, term: str, wanted: str) -> Any:
    order = [term.index(label) for label in wanted]
    return x if order == sorted(order) else tf.transpose(x, order)


def _multiply(a: Any, a_term: str, b: Any, b_term: str, result: str) -> Any:
    """[batch, rows, inner] x [batch, inner, columns]."""
    batch = [c for c in result if c in a_term and c in b_term]
    inner = [c for c in a_term if c in b_term and c not in result]
    rows = [c for c in result if c in a_term and c not in b_term]
    columns = [c for c in result if c in b_term and c not in a_term]
    size: dict[str, Any] = dict(zip(b_term, shapes.sizes(b), strict=True))
    for label, n in zip(a_term, shapes.sizes(a), strict=True):
        # A size of 1 is broadcast; a known size is better than a running one.
        if label not in size or not isinstance(size[label], int) or size[label] == 1:
            size[label] = n
    a = _transpose(a, a_term, "".join(batch + rows + inner))
    b = _transpose(b, b_term, "".join(batch + inner + columns))
    group = {n: [size[c] for c in g] for n, g in
             (("b", batch), ("r", rows), ("i", inner), ("c", columns))}  # fmt: skip
    one = {n: shapes.product(g) for n, g in group.items()}
    if batch:
        a = _reshape(a, [one["b"], one["r"], one["i"]])
        b = _reshape(b, [one["b"], one["i"], one["c"]])
    else:
        a, b = _reshape(a, [one["r"], one["i"]]), _reshape(b, [one["i"], one["c"]])
    made = shapes.reshape(tf.matmul(a, b), [*group["b"], *group["r"], *group["c"]])
    return _transpose(made, "".join(batch + rows + columns), result)


def _reshape(x: Any, shape: list[Any]) -> Any:
    return x if x.shape.as_list() == shape else shapes.reshape(x, shape)
