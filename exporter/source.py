"""The Keras model to be exported: described, callable in one flat form.

Owns everything that is Keras' and not a format's: the names, order, shapes and dtypes of inputs
and outputs, the float32 form that a browser can run, the float64 oracle. Opening files is
`exporter.keras_file`'s, offered here as well. May import the modules about Keras below it
(`keras_file`, `retype`, `meaning`, `scopes`, `recurrence`), `exporter.manifest` and
`exporter.errors`. Keras and TensorFlow are imported inside the functions.
"""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from exporter.errors import BadModel
from exporter.keras_file import first_line, import_keras, load, save_keras
from exporter.manifest import TensorSpec
from exporter.meaning import input_range, output_meaning
from exporter.recurrence import unrolled
from exporter.retype import RetypeError, floats, is_purely, retype
from exporter.scopes import layer_scopes

if TYPE_CHECKING:
    import keras
    import numpy as np

__all__ = ["Source", "describe", "load", "save_keras", "wire_dtype"]

# What TF.js has, of what Keras has; one manifest speaks for all formats.
_WIRE = {
    "float16": "float32", "bfloat16": "float32", "float32": "float32", "float64": "float32",
    "int8": "int32", "int16": "int32", "int32": "int32", "int64": "int32",
    "uint8": "int32", "uint16": "int32", "uint32": "int32", "uint64": "int32",
    "bool": "bool",
}  # fmt: skip
BORROWING = 20_000_000
"""A model of more weights has an oracle that borrows them: two copies of it are much memory."""
# Tried in this order for free dimensions: powers of two divide well, pictures want more.
_SIZES = (16, 8, 32, 64, 12, 10, 7, 5, 4, 3, 2, 1, 96, 128, 224)


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
        custom_objects: Classes and functions that the model's config names.
        unsafe: The user agreed to run the code that the model's file brings.
        floatx: Keras' default float type while the model is called.
        notes: What differs between the model and what goes over the wire, for the manifest.
    """

    name: str
    model: keras.Model
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    labels: tuple[str, ...] | None = None
    preprocessing: Mapping[str, Any] | None = None
    calibration: tuple[np.ndarray, ...] | None = None
    custom_objects: Mapping[str, Any] = field(default_factory=dict)
    unsafe: bool = False
    floatx: str = "float32"
    notes: tuple[str, ...] = ()

    def call(self, inputs: Sequence[Any]) -> list[Any]:
        """Call the model in inference mode on a flat list of tensors, in the specs' order.

        Inputs and outputs have the dtypes of the specs; for the oracle, floats are float64.
        Returns a flat list of tensors in the order of `outputs`. Usable inside `tf.function`.
        """
        import tensorflow as tf

        keras = import_keras()
        own = [spec.dtype for spec in _model_inputs(self.model)]
        packed = _pack(self.model, [tf.cast(x, d) for x, d in zip(inputs, own, strict=True)])
        # Stateless: a recurrent layer with stateful=True answers the same every time.
        with keras.StatelessScope(), floats(self.floatx), layer_scopes():
            result = self.model(*packed, training=False)
        outputs = keras.tree.flatten(result)
        if any(isinstance(y, keras.KerasTensor) for y in outputs):
            raise BadModel(
                f"model {self.model.name!r}: its call gives a symbolic tensor instead of numbers: "
                "an operation (cond, scan, map) was given a function that uses tensors of the "
                "graph around it; make that a layer of its own"
            )
        return [tf.cast(y, self._wire(y.dtype.name)) for y in outputs]

    def _wire(self, dtype: str) -> str:
        dtype = wire_dtype(dtype, f"model {self.model.name!r}: an output")
        return self.floatx if dtype == "float32" else dtype

    def once(self, key: str, make: Callable[[], Any]) -> Any:
        """What `make` returns, made at the first call for `key` and kept with the source."""
        kept = self.__dict__.setdefault("_kept", {})
        if key not in kept:
            kept[key] = make()
        return kept[key]

    def calibrated(self, inputs: Sequence[np.ndarray]) -> Source:
        """The same with `calibration`; what was computed of the model is kept."""
        made = replace(self, calibration=tuple(inputs))
        kept = {key: value for key, value in self.__dict__.items() if key not in made.__dict__}
        made.__dict__.update(kept)
        return made

    @cached_property
    def concrete(self) -> tuple[Any, dict[str, tuple[str, str]]]:
        """The traced `call`, and the layers of its scopes (see `exporter.scopes`).

        Traced once for all that need it, because tracing a large model takes seconds.
        """
        import tensorflow as tf

        signature = [
            tf.TensorSpec(spec.shape, spec.dtype, name=f"input_{index}")
            for index, spec in enumerate(self.inputs)
        ]
        function = tf.function(lambda *inputs: self.call(inputs), autograph=False)
        with layer_scopes() as layers, unrolled():
            return function.get_concrete_function(*signature), layers

    @cached_property
    def _oracle(self) -> tuple[Source | None, str | None]:
        try:
            model = self._in_float64()
        except RetypeError as reason:
            return None, f"no float64 oracle: {reason}"
        oracle = replace(self, model=model, floatx="float64")
        try:
            oracle._probe(self.shapes)
        except Exception as error:  # some kernels exist in float32 only
            said = f"{type(error).__name__}: {first_line(error)}"
            return None, f"no float64 oracle: it does not run: {said}"
        return oracle, None

    def _in_float64(self) -> keras.Model:
        if self.is_big:
            try:
                return retype(self.model, "float64", self.custom_objects, borrow=True)
            except RetypeError:
                pass  # a layer that makes variables in its own way: whole copies do what it asks
        return retype(self.model, "float64", self.custom_objects)

    @property
    def oracle(self) -> Source | None:
        """The same model in float64, or None where it cannot be rewritten."""
        return self._oracle[0]

    @property
    def is_big(self) -> bool:
        """Whether two copies of it are too much memory."""
        return self.model is not None and self.model.count_params() > BORROWING

    def forget_model(self) -> None:
        """Free the model and all that was made of it; names, shapes and notes stay.

        For a big model that has been written, so that the runtimes have the room for it.
        """
        for key in self.__dict__.keys() - {known.name for known in fields(self)}:
            del self.__dict__[key]
        object.__setattr__(self, "model", None)
        gc.collect()  # layers and models hold each other

    def forget_oracle(self) -> None:
        """Free its memory, twice that of the model; it is made again when it is asked for."""
        if self.__dict__.pop("_oracle", None):
            gc.collect()  # layers and models hold each other

    @property
    def oracle_missing(self) -> str | None:
        """Why there is no oracle, for the manifest; None where there is one."""
        return self._oracle[1]

    @cached_property
    def float32(self) -> Source:
        """The same model with all floats in float32, which is what formats write.

        Raises:
            BadModel: The dtype policy is another one and cannot be rewritten.
        """
        if is_purely(self.model, "float32"):
            return self
        try:
            model = retype(self.model, "float32", self.custom_objects)
        except RetypeError as reason:
            raise BadModel(
                f"model {self.model.name!r}: float32 expected, dtype policy "
                f"{self.model.dtype_policy.name!r} found, which cannot be rewritten ({reason}); "
                "save the model with dtype='float32'"
            ) from None
        note = f"computed in float32 instead of {_policies(self.model)}"
        return replace(self, model=model, notes=(*self.notes, note))

    @cached_property
    def shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The inputs' shapes with free dimensions other than the batch made concrete.

        The sizes are the first that the model runs with; a fixed batch stays.

        Raises:
            BadModel: None of the sizes tried runs.
        """
        if not any(None in spec.shape[1:] for spec in self.inputs):
            return tuple(spec.shape for spec in self.inputs)
        last = ""
        for shapes in _candidates([spec.shape for spec in self.inputs]):
            try:
                self._probe(shapes)
            except Exception as error:  # whatever the layers raise, the next size may do
                last = first_line(error)
                continue
            return shapes
        raise BadModel(
            f"model {self.model.name!r}: no size for the free dimensions of its inputs runs "
            f"(tried {', '.join(map(str, _SIZES))}): {last}; give its Input fixed sizes"
        )

    def _probe(self, shapes: Sequence[tuple[int | None, ...]]) -> None:
        import numpy as np

        arrays = [
            np.full([1 if n is None else n for n in shape], spec.value_range[0], spec.dtype)
            if spec.value_range
            else np.zeros([1 if n is None else n for n in shape], spec.dtype)
            for spec, shape in zip(self.inputs, shapes, strict=True)
        ]
        self.call(arrays)


def describe(model: keras.Model, name: str, **details: Any) -> Source:
    """Name and measure inputs and outputs of a built model.

    `details` are further fields of `Source`: labels, preprocessing, calibration, custom_objects.

    Raises:
        BadModel: The model was never built, so its inputs are not known, or an input or output
            has a dtype that no browser format can carry.
    """
    import_keras()
    own_inputs = _model_inputs(model)
    notes = []
    inputs = []
    for index, tensor in enumerate(own_inputs):
        dtype = wire_dtype(tensor.dtype, f"model {model.name!r}: input {tensor.name!r}")
        if dtype != tensor.dtype:
            notes.append(f"input {tensor.name!r}: {dtype} instead of {tensor.dtype}")
        value_range = input_range(model, index, tensor.dtype)
        inputs.append(TensorSpec(tensor.name, _shape(tensor), dtype, value_range))
    outputs = []
    own_outputs = _model_outputs(model, own_inputs)
    names = _unique([n for n, _ in own_outputs], {spec.name for spec in inputs})
    for index, (output, (_, tensor)) in enumerate(zip(names, own_outputs, strict=True)):
        dtype = wire_dtype(tensor.dtype, f"model {model.name!r}: output {output!r}")
        if dtype != tensor.dtype:
            notes.append(f"output {output!r}: {dtype} instead of {tensor.dtype}")
        meaning = output_meaning(model, index)
        outputs.append(TensorSpec(output, _shape(tensor), dtype, meaning=meaning))
    details = {"notes": tuple(notes), **details}
    return _with_true_shapes(Source(name, model, tuple(inputs), tuple(outputs), **details))


def _with_true_shapes(source: Source) -> Source:
    """Shapes and dtypes as TensorFlow computes them: Keras' own inference is wrong for some.

    For instance it gives glu the width of its input, and RandomCrop the size of its output.
    """
    try:
        concrete, _ = source.concrete
    except Exception:  # untraceable, which the formats that trace will say; Keras' shapes stay
        return source
    outputs = tuple(
        replace(
            spec,
            shape=spec.shape if tensor.shape.rank is None else _shape(tensor),
            dtype=tensor.dtype.name,
        )
        for spec, tensor in zip(source.outputs, concrete.outputs, strict=True)
    )
    if outputs == source.outputs:
        return source
    true = replace(source, outputs=outputs)
    true.__dict__["concrete"] = source.__dict__["concrete"]
    return true


def wire_dtype(dtype: str, what: str = "tensor") -> str:
    """The nearest dtype that every runtime has: float32, int32 or bool.

    Raises:
        BadModel: There is none (strings, complex numbers).
    """
    if dtype not in _WIRE:
        raise BadModel(
            f"{what}: a number or boolean expected, {dtype} found; "
            "browsers' runtimes have no such tensors: do that part before the model"
        )
    return _WIRE[dtype]


def _policies(model: keras.Model) -> str:
    names = {layer.dtype_policy.name for layer in model._flatten_layers()} - {"float32"}
    return ", ".join(sorted(names))


def _shape(tensor: Any) -> tuple[int | None, ...]:
    return tuple(None if size is None else int(size) for size in tensor.shape)


def _candidates(shapes: Sequence[tuple[int | None, ...]]) -> Iterator[Any]:
    """One size for all free dimensions at once, the batch left alone."""
    for size in _SIZES:
        yield tuple(
            shape[:1] + tuple(size if n is None else n for n in shape[1:]) for shape in shapes
        )


@dataclass(frozen=True, slots=True)
class _Input:
    """What is known of one input of the model."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str


def _has_graph(model: keras.Model) -> bool:
    keras = import_keras()
    if isinstance(model, keras.Sequential):
        return model._functional is not None
    return getattr(model, "_inputs_struct", None) is not None


def _call_shapes(model: keras.Model) -> dict[str, Any]:
    """Of a subclassed model: shapes by argument of `call`, as Keras recorded them."""
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes:
        raise BadModel(
            f"model {model.name!r}: a built model expected, one without known inputs found; "
            "give it a keras.Input, or call it once on data, before saving"
        )
    return dict(shapes)


def _is_shape(node: Any) -> bool:
    return isinstance(node, (tuple, list)) and all(n is None or isinstance(n, int) for n in node)


def _flatten_shapes(node: Any, name: str) -> Iterator[tuple[str, tuple[int | None, ...]]]:
    """(name, shape) in the order in which Keras flattens the structure."""
    if _is_shape(node):
        yield name, (None, *node[1:])
    elif isinstance(node, Mapping):
        for key in sorted(node):
            yield from _flatten_shapes(node[key], str(key))
    else:
        for index, item in enumerate(node):
            yield from _flatten_shapes(item, f"{name}_{index}")


def _model_inputs(model: keras.Model) -> list[_Input]:
    """In the order in which Keras flattens them."""
    if _has_graph(model):
        # The layer's name is in the file; a tensor without one is numbered anew in each process.
        return [_Input(x._keras_history.operation.name, x.shape, x.dtype) for x in model.inputs]
    dtype = model.input_dtype
    found = []
    for argument, node in _call_shapes(model).items():
        # Keras calls the shape of a single argument `input_shape`, whatever the argument's name.
        name = next(iter(inspect.signature(model.call).parameters), "inputs")
        if argument != "input_shape":
            name = argument.removesuffix("_shape")
        found += [_Input(n, shape, dtype) for n, shape in _flatten_shapes(node, name)]
    return found


def _pack(model: keras.Model, flat: list[Any]) -> list[Any]:
    """The positional arguments of the model's call."""
    keras = import_keras()
    if _has_graph(model):
        graph = getattr(model, "_functional", None) or model
        return [keras.tree.pack_sequence_as(graph._inputs_struct, flat)]
    waiting = iter(flat)

    def fill(node: Any) -> Any:
        if _is_shape(node):
            return next(waiting)
        if isinstance(node, Mapping):
            return {key: fill(node[key]) for key in sorted(node)}
        return [fill(item) for item in node]

    return [fill(node) for node in _call_shapes(model).values()]


def _model_outputs(model: keras.Model, inputs: Sequence[Any]) -> list[tuple[str, Any]]:
    """(name, symbolic tensor) in flattened order; for dicts the keys are the names."""
    keras = import_keras()
    if _has_graph(model):
        graph = getattr(model, "_functional", None) or model
        struct = graph._outputs_struct
    else:
        symbols = [keras.KerasTensor(spec.shape, spec.dtype, name=spec.name) for spec in inputs]
        struct = model(*_pack(model, symbols), training=False)
    found = []
    for index, (path, tensor) in enumerate(keras.tree.flatten_with_path(struct)):
        keys = [str(step) for step in path if isinstance(step, str)]
        history = getattr(tensor, "_keras_history", None)
        fallback = history.operation.name if history else f"output_{index}"
        found.append(("/".join(keys) if keys else fallback, tensor))
    return found


def _unique(names: Sequence[str], taken: set[str]) -> list[str]:
    """A layer with several outputs gives one name to all: number the later ones."""
    result: list[str] = []
    reserved = taken | set(names)
    used = set(taken)
    for name in names:
        unique, number = name, 0
        while unique in used or (number and unique in reserved):
            number += 1
            unique = f"{name}_{number}"
        used.add(unique)
        result.append(unique)
    return result
