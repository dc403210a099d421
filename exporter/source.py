"""The Keras model to be exported: loaded safely, described, callable in one flat form.

Owns everything that is Keras' and not a format's: opening `.keras` and `.h5` in safe mode, the
names, order, shapes and dtypes of inputs and outputs, the ranges that inputs may take, the
float64 oracle. May import `exporter.manifest` and `exporter.errors`. Keras and TensorFlow are
imported inside the functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter.manifest import TensorSpec

if TYPE_CHECKING:
    import keras
    import numpy as np


@dataclass(frozen=True)
class Source:
    """A Keras model and what a format needs to know of it.

    Attributes:
        name: The bundle's name.
        model: The built Keras model, without an optimizer.
        inputs: In the order of the model's flattened inputs, under Keras' own names.
        outputs: Likewise; for dict outputs the keys are the names.
        labels: The classes' names, or None.
        preprocessing: The contract's name, version and parameters, or None.
        calibration: Input arrays, one per input, on which activation ranges are measured.
    """

    name: str
    model: keras.Model
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...] | None = None
    preprocessing: Mapping[str, Any] | None = None
    calibration: tuple[np.ndarray, ...] | None = None

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Call the model in inference mode on a flat list of tensors, in the specs' order.

        Returns a flat list of tensors in the order of `outputs`. Usable inside `tf.function`.
        """
        raise NotImplementedError

    @cached_property
    def oracle(self) -> Source | None:
        """The same model in float64, or None where it cannot be rewritten."""
        raise NotImplementedError


def load(path: Path, *, custom_objects: Mapping[str, Any] | None = None, unsafe: bool = False) -> keras.Model:
    """Open a `.keras` or Keras `.h5` file, in safe mode unless `unsafe`.

    Raises:
        BadModel: The file is missing, no Keras model, or needs code to be run.
    """
    raise NotImplementedError


def describe(model: keras.Model, name: str, **details: Any) -> Source:
    """Name and measure inputs and outputs of a built model.

    Raises:
        BadModel: The model was never built, so its inputs are not known.
    """
    raise NotImplementedError
