"""What has a row: each layer class that Keras exports, each topology, and what issues are made of.

A row is a model of the zoo. Owns the choice of models, and the reasons where there can be none.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import keras

from tests import zoo

NOT_IN_A_MODEL = {
    "Equalization": 'Keras 3.15.1 builds no model of it: its output "is part of a cycle"',
    "FlaxLayer": "a model of Flax, which runs on the JAX backend",
    "InputSpec": "no layer: what a layer asks of its input",
    "JaxLayer": "a function of JAX, which runs on the JAX backend",
    "Layer": "the base class: a layer of one's own, see `--custom-objects`",
    "MaxNumBoundingBoxes": "takes lists of boxes of different lengths, which are no tensor",
    "StringLookup": "takes text, and browsers' runtimes have no such tensors; refused as such",
    "TFSMLayer": "a SavedModel, of which Keras knows neither layers nor weights",
    "TextVectorization": "takes text, and browsers' runtimes have no such tensors; refused as such",
    "TorchModuleWrapper": "a module of PyTorch, which runs on the Torch backend",
    "Wrapper": "the base class of wrappers",
}
"""Classes of `keras.layers` without a row, and why."""

_STANDS_FOR = {
    "Activation": "activation/relu",
    "GroupedQueryAttention": "GroupQueryAttention/self",
    "GRUCell": "RNN/gru-cell",
    "InputLayer": "topology/identity",
    "LSTMCell": "RNN/lstm-cell",
    "SimpleRNNCell": "RNN/simple-cell-sequences",
    "StackedRNNCells": "RNN/stacked-mixed",
}
"""Classes whose model in the zoo stands under another name."""

_MORE = (
    "Bidirectional/masked", "Bidirectional/free-length-masked", "GRU/reset-after",
    "MultiHeadAttention/causal", "mask/encoder-decoder", "mask/concatenate-time",
    "activation/dense-hard_sigmoid", "activation/dense-gelu", "activation/dense-silu",
    "names/dots", "names/spaces", "names/colons", "names/non-ascii", "names/duplicate-weights",
    "dtype/mixed-float16", "dtype/bfloat16", "dtype/int64-in", "dtype/uint8-in", "ops/matmul",
    "ops/where", "ops/split", "ops/argmax", "application/MobileNetV2",
    "application/EfficientNetB0", "application/ResNet50",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the matrix.

    Attributes:
        section: Its table.
        label: The layer class, or what the model shows.
        model: In the zoo.
    """

    section: str
    label: str
    model: str


def classes() -> dict[str, list[str]]:
    """Name -> other names of each class that `keras.layers` exports."""
    found: dict[type, list[str]] = {}
    for name, value in inspect.getmembers(keras.layers, inspect.isclass):
        found.setdefault(value, []).append(name)
    return {
        value.__name__: [name for name in names if name != value.__name__]
        for value, names in sorted(found.items(), key=lambda item: item[0].__name__)
    }


def rows() -> list[Row]:
    """All rows, in the document's order.

    Raises:
        LookupError: A class of Keras has neither a model in the zoo nor a reason.
    """
    first: dict[str, str] = {}
    for model in zoo.MODELS:
        first.setdefault(model.split("/")[0], model)
    found = []
    for name, aliases in classes().items():
        model = _STANDS_FOR.get(name) or first.get(name)
        if name in NOT_IN_A_MODEL:
            continue
        if model is None:
            raise LookupError(f"keras.layers.{name}: no model in tests/zoo.py, and no reason why")
        label = f"{name} ({', '.join(aliases)})" if aliases else name
        found.append(Row("Layers", label, model))
    topologies = [name for name in zoo.MODELS if name.startswith("topology/")]
    found += [Row("Topologies", name.split("/")[1], name) for name in topologies]
    found += [Row("Configurations, names, dtypes, applications", name, name) for name in _MORE]
    return found
