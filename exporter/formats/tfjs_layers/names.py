"""Names that TF.js accepts for layers and tensors.

Owns the rules of `common.js` of TF.js Layers 4.22: layers give their names to tensors and
weights, which must match `_VALID`. May import nothing of the project.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exporter.formats.tfjs_layers.graph import Graph

_VALID = re.compile(r"[A-Za-z0-9][-A-Za-z0-9._/]*")


def is_valid(name: str) -> bool:
    """Whether TF.js takes it as it is."""
    return _VALID.fullmatch(name) is not None


def sanitize(name: str) -> str:
    """The nearest name that TF.js takes: accents dropped, other foreign characters as `_`."""
    if is_valid(name):
        return name
    plain = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    plain = re.sub(r"[^-A-Za-z0-9._/]", "_", plain)
    return plain if plain[:1].isalnum() else f"x{plain}"


def assign_names(graph: Graph, input_names: Sequence[str], output_names: Sequence[str]) -> None:
    """Name all layers: inputs and outputs as asked, the others as they wish, where it is free."""
    taken: set[str] = set()
    for tensors, names in ((graph.inputs, input_names), (graph.outputs, output_names)):
        for tensor, name in zip(tensors, names, strict=True):
            tensor.call.layer.name = _free(sanitize(name), taken)
    for layer in graph.layers:
        if not layer.name:
            layer.name = _free(sanitize(layer.wish), taken)


def _free(name: str, taken: set[str]) -> str:
    unique, number = name, 1
    while unique in taken:
        number += 1
        unique = f"{name}-{number}"
    taken.add(unique)
    return unique
