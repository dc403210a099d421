"""Masks: what Keras means by them, and what TF.js makes of them.

Owns the comparison of both. In TF.js Layers 4.22 (`engine/executor.js`) a mask that was once seen
stays in `kwargs.mask` for every later layer that has none of its own, merging layers compute masks
of a wrong shape, and several layers drop a mask that Keras hands on. Masks are followed as tokens:
equal tokens, equal masks. May import nothing of the project but `graph`, for types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.formats.tfjs_layers.graph import Call, Tensor

HAND_ON = frozenset({
    "Activation", "AlphaDropout", "BatchNormalization", "Dense", "Dropout", "GaussianDropout",
    "GaussianNoise", "LayerNormalization", "PReLU", "ReLU", "SpatialDropout1D", "TimeDistributed",
})  # fmt: skip
"""TF.js classes with `supportsMasking` that leave the mask as it is."""

RECURRENT = frozenset({"SimpleRNN", "GRU", "LSTM", "RNN", "Bidirectional", "ConvLSTM2D"})
"""TF.js classes that skip masked steps."""

NEVER = 2.0**126
"""A mask value that no data take (8.5e37)."""

MERGING = frozenset({"Add", "Multiply", "Average", "Maximum", "Minimum", "Concatenate"})


@dataclass(frozen=True, eq=False)
class Nonzero:
    """Ids that are not zero: the mask of an Embedding of `size` words (None: not known)."""

    tensor: Tensor
    size: int | None


@dataclass(frozen=True, eq=False)
class Masked:
    """Steps with a value other than the mask value: the mask of a Masking layer's output."""

    output: Tensor


@dataclass(frozen=True, eq=False)
class Either:
    """Steps that count in one of several masks."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class Joined:
    """One mask after the other; a part is a token, or a tensor of which every step counts."""

    parts: tuple[Any, ...]


@dataclass(frozen=True, eq=False)
class AllPass:
    """A mask that lets every step pass, which is as good as none."""


@dataclass(frozen=True, eq=False)
class Garbled:
    """What TF.js makes of several masks; it is nobody's mask."""


class Tokens:
    """The tokens of one model: the same mask is always the same object."""

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def remember(self, key: Any, token: Any) -> Any:
        """The token known under `key`; `token` if there is none yet."""
        return self._known.setdefault(key, token)

    def either(self, tokens: Sequence[Any]) -> Any:
        """Steps that count in one of `tokens` (None: all steps count)."""
        if any(token is None for token in tokens):
            return None
        distinct = list({id(token): token for token in tokens}.values())
        if len(distinct) == 1:
            return distinct[0]
        key = ("either", frozenset(id(token) for token in distinct))
        return self.remember(key, Either(tuple(distinct)))

    def joined(self, tokens: Sequence[Any], tensors: Sequence[Tensor]) -> Any:
        """Masks along the time axis; where there is none, the steps of the tensor count."""
        if all(token is None for token in tokens):
            return None
        parts = tuple(
            tensor if token is None else token
            for token, tensor in zip(tokens, tensors, strict=True)
        )
        keys = [part.key if hasattr(part, "key") else id(part) for part in parts]
        return self.remember(("joined", *keys), Joined(parts))


def output_mask(class_name: str, config: Mapping[str, Any], call: Call) -> Any:
    """The token of the mask that TF.js attaches to the outputs of a call."""
    first = call.inputs[0].mask if call.inputs else None
    if class_name in HAND_ON:
        return first
    if class_name == "Masking":
        return Masked(call.outputs[0])
    if class_name == "Embedding" and config["mask_zero"]:
        return Nonzero(call.inputs[0], config["input_dim"])
    if class_name in RECURRENT:
        inner = config["layer"]["config"] if class_name == "Bidirectional" else config
        return first if inner.get("return_sequences") else None
    if class_name in MERGING and any(tensor.mask is not None for tensor in call.inputs):
        return Garbled()
    return None


def keras_output_masks(
    tokens: Tokens, layer: Any, inputs: Sequence[Tensor], count: int
) -> list[Any]:
    """The tokens of the masks that Keras attaches to `count` outputs of a layer.

    Of a layer that only hands masks on, or drops them. Masking and Embedding make their own.
    """
    name = type(layer).__name__
    masks = [tensor.keras_mask for tensor in inputs]
    first = masks[0] if masks else None
    if not layer.supports_masking or name in ("Dot", "GlobalAveragePooling1D"):
        return [None] * count
    if hasattr(layer, "return_sequences"):
        spread = 2 if name == "Bidirectional" and layer.merge_mode is None else 1
        kept = [first if layer.return_sequences else None] * spread
        return kept + [None] * (count - spread)
    if name == "Concatenate":
        if layer.axis % len(inputs[0].shape) == 1 and len(inputs[0].shape) > 2:
            return [tokens.joined(masks, inputs)] * count
        return [None if all(m is None for m in masks) else tokens.either(masks)] * count
    if name in (*MERGING, "Subtract"):
        return [tokens.either(masks)] * count
    return [first] * count
