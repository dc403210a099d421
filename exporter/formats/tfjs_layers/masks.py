"""Masks: what Keras means by them, and what TF.js makes of them.

Owns the comparison of both. In TF.js Layers 4.22 (`engine/executor.js`) a mask that was once seen
stays in `kwargs.mask` for every later layer that has none of its own, merging layers compute masks
of a wrong shape, and several layers drop a mask that Keras hands on. Masks are followed as tokens:
equal tokens, equal masks. May import nothing of the project but `graph`, for types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exporter.formats.tfjs_layers.graph import Call

_HANDS_ON = frozenset({
    "Activation", "AlphaDropout", "BatchNormalization", "Dense", "Dropout", "GaussianDropout",
    "GaussianNoise", "LayerNormalization", "PReLU", "ReLU", "SpatialDropout1D", "TimeDistributed",
})  # fmt: skip
"""TF.js classes with `supportsMasking` that leave the mask as it is."""


def output_mask(class_name: str, config: Mapping[str, Any], call: Call) -> Any:
    """The token of the mask that TF.js attaches to the outputs of a call."""
    first = call.inputs[0].mask if call.inputs else None
    if class_name in _HANDS_ON:
        return first
    return None
