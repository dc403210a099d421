"""Why a model cannot become a graph.

May import nothing of the project.
"""

from __future__ import annotations

OPERATION = "operation"
"""Stands for the layer's class until the layer is known."""
RANDOM = "it draws random numbers, so no two answers could be compared"
_RANDOM = ("Multinomial", "Parameterized", "Random", "TruncatedNormal")


def is_random(operation: str) -> bool:
    """Whether operations of that type answer differently each time."""
    return operation.removeprefix("Stateless").startswith(_RANDOM)


class Refused(Exception):
    """A model that cannot become a graph; a format turns it into its own refusal."""

    def __init__(self, layer: str, layer_class: str, reason: str) -> None:
        super().__init__(f"{layer} ({layer_class}): {reason}")
        self.layer, self.layer_class, self.reason = layer, layer_class, reason
