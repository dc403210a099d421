"""What a rule writes with: TF.js layers in place of one call of a Keras layer.

Owns the meeting of both sides: which TF.js layer stands for which Keras layer, notes, refusals.
May import `exporter.formats.tfjs_layers.graph` and `masks`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from exporter.formats.tfjs_layers import masks
from exporter.formats.tfjs_layers.graph import (
    Graph,
    Layer,
    LayerWeight,
    Shape,
    Tensor,
    signature_of,
)

ZEROS = {"class_name": "Zeros", "config": {}}
"""The initializer to name in every config: TF.js' own ones cost time, weights follow anyway."""


class Refused(Exception):
    """TF.js Layers cannot do what this layer does; the text says why, and the way out."""


class Writer:
    """Writes TF.js layers for one call of one Keras layer."""

    def __init__(self, book: Book, keras_layer: Any, path: str) -> None:
        self._book = book
        self.keras_layer = keras_layer
        self.path = path
        self.shapes: tuple[Shape, ...] = ()
        """Of the outputs, as Keras says."""
        self.mask: Any = None
        """The mask that Keras passes to the layer (see `masks`); None for none."""

    @property
    def shape(self) -> Shape:
        """Of the first output."""
        return self.shapes[0]

    def emit(
        self,
        class_name: str,
        inputs: Tensor | Sequence[Tensor],
        config: Mapping[str, Any] | None = None,
        *,
        shape: Sequence[int | None] | None = None,
        weights: Sequence[LayerWeight] = (),
        role: str = "",
        dtype: str = "float32",
    ) -> Tensor:
        """Add one TF.js layer with one output.

        Args:
            class_name: TF.js' own.
            inputs: One or several.
            config: In snake case, without the name.
            shape: Of the output, batch first; that of the first input if left out.
            weights: All of the TF.js layer's.
            role: What this layer does for the Keras layer; "" for the one that bears its name.
            dtype: Of the output.
        """
        many = [inputs] if isinstance(inputs, Tensor) else list(inputs)
        shapes = [many[0].shape if shape is None else tuple(shape)]
        return self.emit_many(class_name, many, config or {}, shapes, weights, role, dtype)[0]

    def emit_many(
        self,
        class_name: str,
        inputs: Sequence[Tensor],
        config: Mapping[str, Any],
        shapes: Sequence[Shape],
        weights: Sequence[LayerWeight] = (),
        role: str = "",
        dtype: str = "float32",
    ) -> list[Tensor]:
        """Like `emit`, with one output per shape."""
        if class_name in masks.MERGING:
            inputs = self._without_masks(class_name, inputs, config)
        wish = f"{self.path}/{role}" if role else self.path
        key = (id(self.keras_layer), role, class_name, signature_of(config, weights))
        layer = self._book.layers.get(key)
        if layer is None:
            layer = Layer(class_name, dict(config), tuple(weights), wish)
            self._book.layers[key] = layer
        outputs = self._book.graph.add_call(layer, inputs, shapes, dtype)
        token = masks.output_mask(class_name, config, outputs[0].call)
        for tensor in outputs:
            tensor.mask = token
        return list(outputs)

    def _without_masks(
        self, class_name: str, inputs: Sequence[Tensor], config: Mapping[str, Any]
    ) -> Sequence[Tensor]:
        """Inputs whose masks TF.js' merging layers can bear; some make them throw."""
        last = class_name == "Concatenate" and config["axis"] == len(inputs[0].shape) - 1
        if last or all(x.mask is None for x in inputs):
            return inputs
        return [
            x if x.mask is None else self.rescale(x, 1.0, role=f"unmasked_{number}")
            for number, x in enumerate(inputs)
        ]

    @property
    def tokens(self) -> masks.Tokens:
        """The tokens of the model's masks."""
        return self._book.tokens

    def refuse(self, reason: str) -> NoReturn:
        """Say that this layer cannot be written."""
        raise Refused(reason)

    def note(self, text: str) -> None:
        """Say what was changed on the way."""
        self._book.note(f"layer {self.path!r}: {text}")

    def rescale(self, x: Tensor, scale: Any, offset: Any = 0.0, role: str = "rescale") -> Tensor:
        """Multiply and add; both numbers, or nested lists that broadcast with x."""
        if not np.isfinite(scale).all() or not np.isfinite(offset).all():
            self.refuse("a scale or offset that is not finite, which model.json cannot hold")
        return self.emit("Rescaling", x, {"scale": scale, "offset": offset}, role=role)

    def activate(self, x: Tensor, name: str, role: str = "") -> Tensor:
        """An activation that TF.js computes as Keras does."""
        return self.emit("Activation", x, {"activation": name}, role=role)

    def reshape(self, x: Tensor, shape: Sequence[int | None], role: str) -> Tensor:
        """Bring x to `shape` (batch first; at most one further None)."""
        if tuple(shape) == x.shape:
            return x
        if list(shape[1:]).count(None) > 1:
            self.refuse(f"TF.js cannot reshape {x.shape} to {tuple(shape)}; give Input fixed sizes")
        target = [-1 if size is None else size for size in shape[1:]]
        config = {"target_shape": target}
        return self.emit("Reshape", x, config, shape=shape, role=role, dtype=x.dtype)

    def permute(self, x: Tensor, order: Sequence[int], role: str) -> Tensor:
        """Transpose; `order` names all axes, 0 (the batch) first."""
        if list(order) == list(range(len(order))):
            return x
        shape = [x.shape[axis] for axis in order]
        config = {"dims": list(order[1:])}
        return self.emit("Permute", x, config, shape=shape, role=role, dtype=x.dtype)

    def along_last(
        self, x: Tensor, axes: Sequence[int], write: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """Bring `axes` to the end as one axis, write, and bring them back.

        `write` must keep the shape. Other axes than the batch become one as well where x has more
        than four.
        """
        rank = len(x.shape)
        order = [axis for axis in range(rank) if axis not in axes] + list(axes)
        y = self.permute(x, order, "axes_last")
        flat = y.shape
        if len(axes) > 1 or rank > 4:
            kept = flat[: rank - len(axes)]
            middle = kept[1:] if rank - len(axes) <= 3 and rank <= 4 else (_product(kept[1:]),)
            y = self.reshape(y, (kept[0], *middle, _product(flat[len(kept) :])), "axes_joined")
        y = write(y)
        y = self.reshape(y, flat, "axes_parted")
        return self.permute(y, [order.index(axis) for axis in range(rank)], "axes_back")

    def linear_map(self, x: Tensor, axis: int, matrix: np.ndarray, role: str) -> Tensor:
        """Multiply `matrix` (new size, old size) along one axis; written as a Dense layer."""
        rank = len(x.shape)
        order = [i for i in range(rank) if i != axis] + [axis]
        y = self.permute(x, order, f"{role}_last")
        units = int(matrix.shape[0])
        config = {"units": units, "activation": "linear", "use_bias": False,
                  "kernel_initializer": ZEROS}  # fmt: skip
        kernel = LayerWeight.constant("kernel", matrix.T)
        y = self.emit("Dense", y, config, shape=(*y.shape[:-1], units), weights=[kernel], role=role)
        return self.permute(y, [order.index(i) for i in range(rank)], f"{role}_back")

    def to_float(self, x: Tensor) -> Tensor:
        """Cast to float32; nothing where it is already."""
        return x if x.dtype == "float32" else self.rescale(x, 1.0, role="to_float32")

    def weight(
        self, name: str, variable: Any, change: Callable[[np.ndarray], np.ndarray] | None = None
    ) -> LayerWeight:
        """A weight from a Keras variable; `change` alters its values."""
        if change is None:
            shape = tuple(variable.shape)
            return LayerWeight(name, shape, lambda: values_of(variable), variable.path)
        example = change(values_of(variable))
        return LayerWeight(
            name, example.shape, lambda: np.ascontiguousarray(change(values_of(variable)))
        )

    def remember_mask(self, key: Any, y: Tensor) -> None:
        """Make the mask that y has in TF.js the one that it has in Keras."""
        y.mask = y.keras_mask = self._book.tokens.remember(key, y.mask)

    def part(self, keras_layer: Any, path: str) -> Writer:
        """A writer for another Keras layer, in the same place."""
        return Writer(self._book, keras_layer, path)

    def apply(self, layer: Any, x: Tensor) -> Tensor:
        """Write another Keras layer, as part of this one."""
        return self.write_layer(self.part(layer, f"{self.path}/{layer.name}"), x)

    def write_layer(self, writer: Writer, x: Tensor) -> Tensor:
        """Write the layer of `writer`, which takes one tensor and gives one."""
        return self._book.write(writer, x)


class Book:
    """What all writers of one export share."""

    def __init__(self, write: Callable[[Writer, Any], Any]) -> None:
        self.write = write
        """Writes one layer by its rule: a writer made for it, and its input."""
        self.graph = Graph()
        self.tokens = masks.Tokens()
        self.layers: dict[Any, Layer] = {}
        self._notes: dict[str, None] = {}

    def note(self, text: str) -> None:
        """Keep a note; the same one twice is kept once."""
        self._notes[text] = None

    @property
    def notes(self) -> tuple[str, ...]:
        """Each once, in the order in which they came up."""
        return tuple(self._notes)


def _product(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else math.prod(n for n in sizes if n is not None)


def values_of(variable: Any) -> np.ndarray:
    """The values of a Keras variable as float32; `keras.ops` would copy them twice."""
    return np.asarray(variable.value, dtype=np.float32)
