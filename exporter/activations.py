"""What comes out of every layer of a Keras model while it answers.

Owns the watching of a model's layers and the ranges found that way. May import `exporter.source`,
`exporter.half_float` and `exporter.parity`; TensorFlow and Keras only through the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.half_float import HalfFloat, of_ranges
from exporter.keras_file import import_keras
from exporter.parity import Samples
from exporter.scopes import current_path

if TYPE_CHECKING:
    import keras

    from exporter.source import Source

Tell = Callable[[str, np.ndarray], None]

CHUNK = 32
BUDGET_SECONDS = 5.0
"""How long ranges may be measured; a big model is given fewer samples."""

# Functions of a layer whose inputs are tensors of their own wherever they are not fused into it.
_FUNCTIONS = ("activation", "recurrent_activation")


def half_float(
    source: Source, sample_sets: Sequence[Samples], budget_seconds: float = BUDGET_SECONDS
) -> HalfFloat:
    """Measure a model's ranges against what 16-bit floats hold.

    Args:
        source: The model.
        sample_sets: What it is run on, in this order; edge inputs of any magnitude are left out.
        budget_seconds: After this time no further samples are taken.
    """
    float32 = source.float32
    largest = {f"input {spec.name!r}": 0.0 for spec in float32.inputs}

    def note(place: str, array: np.ndarray) -> None:
        magnitude = float(np.abs(array, dtype=np.float64).max(initial=0.0))
        largest[place] = max(largest.get(place, 0.0), magnitude)

    begun = time.perf_counter()
    samples = 0
    with watched(float32.model, note):
        for inputs in _chunks(sample_sets, float32.inputs[0].shape[0]):
            for spec, array in zip(float32.inputs, inputs, strict=True):
                note(f"input {spec.name!r}", array)
            float32.call(inputs)
            samples += len(inputs[0])
            if time.perf_counter() - begun > budget_seconds:
                break
    for variable in float32.model.variables:
        if "seed_generator" not in variable.path:
            note(f"weight {variable.path!r}", np.asarray(variable))
    return of_ranges(largest, samples)


def _chunks(
    sample_sets: Sequence[Samples], fixed_batch: int | None
) -> Iterator[tuple[np.ndarray, ...]]:
    """Inputs in small batches, one set after another."""
    size = fixed_batch or CHUNK
    for samples in sample_sets:
        if samples.each_alone:
            continue
        for start in range(0, samples.count, size):
            stop = start + size if fixed_batch else min(start + size, samples.count)
            index = np.arange(start, stop) % samples.count
            yield tuple(array[index] for array in samples.inputs)


@contextmanager
def watched(model: keras.Model, tell: Tell) -> Iterator[None]:
    """Have every layer and operation of `model` tell its outputs while the block runs.

    What goes into a layer's own activation function is told too: where it is not fused, it is a
    tensor of the runtime. Only eager calls are told: a traced one has no values.

    Args:
        model: The model; as before when the block is left.
        tell: Called with "layer 'dense'" and each output, in the order of the computation.
    """
    with _Hooks() as hooks:
        for operation in _operations(model):
            place = f"layer {operation.name!r}"
            hooks.put(operation, "call", place, tell, after=True)
            for name in _FUNCTIONS:
                if callable(vars(operation).get(name)):
                    hooks.put(operation, name, place, tell, after=False)
        yield


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, or of an operation of a functional graph.

    Attributes:
        path: How the calls are nested, without the outermost model ("encoder/dense"): the scope
            that its nodes bear in a graph, too.
        operation: The layer or operation.
        inner: Called by another layer that is no model: no node of a functional graph.
        args, kwargs: As they were given.
        outputs: Flat; the tensors themselves, which tell who takes what from whom.
    """

    path: str
    operation: Any
    inner: bool
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Any, ...]

    @property
    def is_layer(self) -> bool:
        """Whether it is a layer, and no operation."""
        return isinstance(self.operation, import_keras().Layer)

    @property
    def inputs(self) -> tuple[Any, ...]:
        """The tensors that it was given, but for masks, which Keras makes anew."""
        kwargs = {name: value for name, value in self.kwargs.items() if name != "mask"}
        given = import_keras().tree.flatten((self.args, kwargs))
        return tuple(x for x in given if hasattr(x, "numpy"))

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """The outputs' values."""
        return tuple(np.asarray(x) for x in self.outputs)


@contextmanager
def recorded(model: keras.Model) -> Iterator[list[Call]]:
    """Record every call of a layer or operation of `model`, nested models' own calls left out.

    Yields:
        A list that is filled, in the order of the computation, while the model is called eagerly.
    """
    keras = import_keras()
    calls: list[Call] = []
    depth = 0

    def hooked(operation: Any) -> Callable[..., Any]:
        function = operation.call
        is_model = isinstance(operation, keras.Model)

        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal depth
            path = current_path()
            depth += not is_model
            try:
                result = function(*args, **kwargs)
            finally:
                depth -= not is_model
            if not is_model:
                below = path.partition("/")[2]
                outputs = tuple(keras.tree.flatten(result))
                calls.append(Call(below, operation, depth > 0, args, kwargs, outputs))
            return result

        return call

    with _Hooks() as hooks:
        for operation in _operations(model):
            hooks.replace(operation, "call", hooked(operation))
        yield calls


def _operations(model: keras.Model) -> Iterator[Any]:
    """Every layer at any depth and every plain operation of a functional graph, each once."""
    seen = set()
    for layer in model._flatten_layers():
        for operation in (layer, *getattr(layer, "operations", ())):
            if id(operation) not in seen and operation is not model:
                seen.add(id(operation))
                yield operation


class _Hooks:
    """Attributes of single layers replaced for a while, past Keras' own bookkeeping."""

    def __init__(self) -> None:
        self._undo: list[Callable[[], Any]] = []

    def __enter__(self) -> _Hooks:
        return self

    def __exit__(self, *_: object) -> None:
        for undo in reversed(self._undo):
            undo()

    def put(self, owner: Any, name: str, place: str, tell: Tell, *, after: bool) -> None:
        """Tell the outputs (after) or the inputs of `owner.name` at every call."""
        function = getattr(owner, name)

        def hooked(*args: Any, **kwargs: Any) -> Any:
            if not after:
                _tell_all(place, args, tell)
            result = function(*args, **kwargs)
            if after:
                _tell_all(place, result, tell)
            return result

        self.replace(owner, name, hooked)

    def replace(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        """Set an attribute until the end of the block."""
        before = vars(owner).get(name)
        if before is not None:
            self._undo.append(lambda: object.__setattr__(owner, name, before))
        else:
            self._undo.append(lambda: object.__delattr__(owner, name))
        object.__setattr__(owner, name, function)


def _tell_all(place: str, structure: Any, tell: Tell) -> None:
    for tensor in import_keras().tree.flatten(structure):
        # Tensors that are being traced have no values.
        if hasattr(tensor, "numpy") and (array := tensor.numpy()).dtype.kind in "fiu":
            tell(place, array)
