"""Layers that merge several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.formats.tfjs_layers.graph import Tensor
from exporter.formats.tfjs_layers.rules.masking import mask_as_numbers
from exporter.formats.tfjs_layers.writer import Writer

DOT_SCALE = 2.0**20
"""Applied before TF.js normalises: it takes norms below 3e-4 for 3e-4, Keras does not."""


def write_merge(w: Writer, layer: Any, inputs: Sequence[Tensor]) -> Tensor:
    """Add, Multiply, Average, Maximum, Minimum."""
    if len(inputs) == 1:
        return w.activate(inputs[0], "linear")
    name = type(layer).__name__
    masked = any(x.keras_mask is not None for x in inputs)
    alike = len({len(x.shape) for x in inputs}) == 1  # else Keras reshapes, and loses the masks
    if masked and alike and name in ("Multiply", "Maximum", "Minimum"):
        if len(inputs[0].shape) != 3:
            w.refuse(f"masks on inputs of shape {inputs[0].shape}")
        w.note("masked steps left out as Keras does, with the masks as numbers")
        return _multiply_masked(w, inputs) if name == "Multiply" else _extreme(w, name, inputs)
    return w.emit(name, list(inputs), {}, shape=w.shape)


def _multiply_masked(w: Writer, inputs: Sequence[Tensor]) -> Tensor:
    """Masked steps count as 1; where all are masked the product is 0."""
    factors = []
    for number, x in enumerate(inputs):
        if x.keras_mask is None:
            factors.append(x)
            continue
        steps = mask_as_numbers(w, x, x.keras_mask)
        ones = w.rescale(steps, -1.0, 1.0, f"mask/one_{number}")
        factors.append(_choose(w, steps, x, ones, f"mask/factor_{number}"))
    product = w.emit("Multiply", factors, {}, shape=w.shape)
    if any(x.keras_mask is None for x in inputs):
        return product
    either = [mask_as_numbers(w, x, x.keras_mask) for x in inputs]
    steps = w.emit("Maximum", either, {}, role="mask/any")
    return w.emit("Multiply", [product, steps], {}, shape=w.shape, role="mask/product")


def _extreme(w: Writer, name: str, inputs: Sequence[Tensor]) -> Tensor:
    """Masked steps of one input are taken from the others."""
    result, known = inputs[0], inputs[0].keras_mask
    for number, x in enumerate(inputs[1:], 1):
        mask, role = x.keras_mask, f"mask/{number}"
        if mask is not None:
            x = _mix(w, mask, x, result, f"{role}_from_others")
        if known is not None:
            result = _mix(w, known, result, x, f"{role}_others")
        known = w.tokens.either([known, mask])
        last = number == len(inputs) - 1
        result = w.emit(name, [result, x], {}, shape=w.shape, role="" if last else f"{role}_so_far")
    return result


def _mix(w: Writer, mask: object, kept: Tensor, other: Tensor, role: str) -> Tensor:
    """`kept` at the steps that count, `other` at the masked ones."""
    steps = mask_as_numbers(w, kept, mask)
    rest = w.rescale(steps, -1.0, 1.0, f"{role}/rest")
    return _choose(w, steps, kept, w.emit("Multiply", [other, rest], role=f"{role}/other"), role)


def _choose(w: Writer, steps: Tensor, kept: Tensor, rest: Tensor, role: str) -> Tensor:
    """Kept * steps + rest."""
    chosen = w.emit("Multiply", [kept, steps], role=f"{role}/kept")
    return w.emit("Add", [chosen, rest], shape=kept.shape, role=role)


def write_subtract(w: Writer, layer: Any, inputs: Sequence[Tensor]) -> Tensor:
    """Subtract, which TF.js lacks: a + (-b), which is the same number."""
    first, second = inputs
    w.note("written as an addition of the negative")
    return w.emit("Add", [first, w.rescale(second, -1.0, role="negative")], {}, shape=w.shape)


def write_concatenate(w: Writer, layer: Any, inputs: Sequence[Tensor]) -> Tensor:
    """Concatenate; the axis counts from the front, TF.js takes every negative one for the last."""
    if len({x.dtype for x in inputs}) > 1:
        inputs = [w.to_float(x) for x in inputs]
    if len(inputs) == 1:
        return w.emit("Activation", inputs[0], {"activation": "linear"}, dtype=inputs[0].dtype)
    axis = layer.axis % len(inputs[0].shape)
    if axis == 0:
        w.refuse("concatenation along the batch, which TF.js Layers cannot")
    config = {"axis": axis}
    return w.emit("Concatenate", list(inputs), config, shape=w.shape, dtype=inputs[0].dtype)


def write_dot(w: Writer, layer: Any, inputs: Sequence[Tensor]) -> Tensor:
    """Dot of two tensors of up to three axes."""
    ranks = [len(x.shape) for x in inputs]
    if max(ranks) > 3:
        w.refuse(f"inputs with {max(ranks)} axes, of which TF.js' Dot takes three")
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    axes = [axis % rank for axis, rank in zip(axes, ranks, strict=True)]
    scaled = list(inputs)
    if layer.normalize:
        names = ("first_scaled", "second_scaled")
        scaled = [w.rescale(x, DOT_SCALE, role=n) for x, n in zip(inputs, names, strict=True)]
    config = {"axes": axes, "normalize": layer.normalize}
    if ranks[0] == ranks[1]:
        return w.emit("Dot", scaled, config, shape=w.shape)
    # TF.js' own way with different ranks is wrong for some axes: make both three.
    raised = [
        x if len(x.shape) == 3 else w.reshape(x, (*x.shape, 1), f"{role}_as_matrix")
        for x, role in zip(scaled, ("first", "second"), strict=True)
    ]
    kept = [[n for i, n in enumerate(x.shape) if i not in (0, axis)]
            for x, axis in zip(raised, axes, strict=True)]  # fmt: skip
    shape = (raised[0].shape[0], *kept[0], *kept[1])
    return w.reshape(w.emit("Dot", raised, config, shape=shape), w.shape, "without_ones")
