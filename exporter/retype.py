"""The same Keras model in another floating-point type.

Owns the rewriting of a model's config: float64 for the oracle, float32 for models whose dtype
policy a browser does not have; and whether the copy holds its large weights or borrows them. May
import `exporter.errors`, `exporter.keras_file` and `exporter.sparing`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter.keras_file import first_line, import_keras
from exporter.sparing import waiting

if TYPE_CHECKING:
    import keras

_FLOATS = frozenset({"float16", "bfloat16", "float32", "float64", "half", "double"})
_POLICIES = _FLOATS | {"mixed_float16", "mixed_bfloat16"}
_POLICY_CLASSES = frozenset({"DTypePolicy", "FloatDTypePolicy"})


class RetypeError(Exception):
    """Internal to `exporter.source`: the reason, for the manifest; never reaches a caller."""


@contextmanager
def floats(dtype: str) -> Iterator[None]:
    """Keras' default float type and dtype policy, for as long as the block runs."""
    keras = import_keras()
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)


def is_purely(model: keras.Model, dtype: str) -> bool:
    """Whether every float that the model computes with or stores has that type."""
    keras = import_keras()
    for layer in model._flatten_layers():
        own = layer.dtype if isinstance(layer, keras.layers.InputLayer) else dtype
        if own in _FLOATS and own != dtype:
            return False
        if layer.compute_dtype in _FLOATS and layer.compute_dtype != dtype:
            return False
        if layer.variable_dtype in _FLOATS and layer.variable_dtype != dtype:
            return False
    return True


def retype(
    model: keras.Model,
    dtype: str,
    custom_objects: Mapping[str, Any] | None = None,
    *,
    borrow: bool = False,
) -> keras.Model:
    """A copy of `model` whose floats are all of `dtype`, with the same weights.

    Args:
        model: Built; it is not changed.
        dtype: A floating-point type.
        custom_objects: Classes and functions that the model's config names.
        borrow: The copy holds no large weight of its own: it reads the one of `model`, in
            `dtype`, each time that a layer uses it. The numbers are the same, of weights and of
            answers; memory takes the largest weight instead of all, and each call some time.

    Raises:
        RetypeError: The model cannot be made anew from its config, or comes out different.
    """
    keras = import_keras()
    # Without this scope a layer that two nested models share would become two layers.
    from keras.src.saving.serialization_lib import ObjectSharingScope

    known = {**_classes_of(model), **(custom_objects or {})}
    try:
        with ObjectSharingScope():
            config = _rewrite(keras.saving.serialize_keras_object(model), dtype)
        with ObjectSharingScope(), floats(dtype), keras.saving.custom_object_scope(known):
            with waiting() if borrow else nullcontext():
                # The model is already in memory, so its code has been trusted before.
                copy = keras.saving.deserialize_keras_object(config, safe_mode=False)
            _copy_weights(model, copy)
    except RetypeError:
        raise
    except Exception as error:  # custom classes may raise anything from from_config
        raise RetypeError(f"{type(error).__name__}: {first_line(error)}") from error
    return copy


def _classes_of(model: keras.Model) -> dict[str, Any]:
    """The custom classes among the model's layers, by every name Keras may look them up."""
    known = {}
    for layer in model._flatten_layers():
        cls = type(layer)
        if not cls.__module__.startswith("keras."):
            known[cls.__name__] = cls
    return known


_PART = 1 << 20
"""Numbers of a weight that are copied at a time; a weight of more is borrowed, where one may."""
BORROWED = "borrowed_weight"
"""The name, in a traced graph, of the cast of a weight that the model borrows."""
_ZEROS: dict[str, Any] = {
    "module": "keras.initializers", "class_name": "Zeros", "config": {}, "registered_name": None,
}  # fmt: skip


def _rewrite(node: Any, dtype: str, key: str = "") -> Any:
    if isinstance(node, dict):
        if node.get("class_name") in _POLICY_CLASSES:
            name = (node.get("config") or {}).get("name")
            if name not in _POLICIES:
                raise RetypeError(f"dtype policy {name!r} is not a floating-point one")
            return {**node, "config": {**node["config"], "name": dtype}}
        if node.get("class_name") == "QuantizedDTypePolicy":
            raise RetypeError("quantized dtype policy")
        if node.get("module") == "keras.initializers":
            return _ZEROS  # all weights are copied; random ones would need memory three times over
        node = {k: _rewrite(v, dtype, k) for k, v in node.items() if k != "compile_config"}
        if node.get("class_name") == "Cast":
            node = _rewrite_cast(node, dtype)
        return node
    if isinstance(node, (list, tuple)):
        return type(node)(_rewrite(item, dtype, key) for item in node)
    if isinstance(node, str) and "dtype" in key and node in _POLICIES:
        return dtype
    return node


def _rewrite_cast(node: dict[str, Any], dtype: str) -> dict[str, Any]:
    """keras.ops.cast holds its dtype as a positional argument."""

    def walk(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: walk(value) for key, value in item.items()}
        if isinstance(item, (list, tuple)):
            return type(item)(walk(value) for value in item)
        return dtype if isinstance(item, str) and item in _FLOATS else item

    return {key: walk(value) if key == "inbound_nodes" else value for key, value in node.items()}


def _copy(source: Any, target: Any) -> None:
    """Assign one variable to another of the same shape, a large one part by part.

    Assigned at once, it would for a moment be in memory four times.
    """
    import tensorflow as tf

    rows = int(source.shape[0]) if len(source.shape) else 0
    each = max(1, int(np.prod(source.shape[1:], dtype=np.int64)))
    if target.dtype not in _FLOATS or rows * each <= _PART:
        value = np.asarray(source.value)
        target.assign(value.astype(target.dtype) if target.dtype in _FLOATS else value)
        return
    step = max(1, _PART // each)
    for start in range(0, rows, step):
        part = tf.cast(source.value[start : start + step], target.dtype)
        target.value[start : start + step].assign(part)


def _borrow(source: Any, target: Any) -> None:
    """Let a variable without a value read another one, cast to its own type.

    A Keras variable that waits for its value answers with what its initializer makes, anew each
    time; so this one casts. The cast has a name of its own, lest other names in a graph change.
    """
    import tensorflow as tf

    held = source._value
    target._initializer = lambda shape, dtype: tf.cast(held, dtype, name=BORROWED)


def _is_borrowable(variable: Any) -> bool:
    return variable.dtype in _FLOATS and int(np.prod(variable.shape, dtype=np.int64)) > _PART


def _copy_weights(model: keras.Model, copy: keras.Model) -> None:
    keras = import_keras()
    old, new = model.variables, copy.variables
    if len(old) != len(new):
        raise RetypeError(f"{len(old)} variables became {len(new)}")
    for source, target in zip(old, new, strict=True):
        if tuple(source.shape) != tuple(target.shape):
            raise RetypeError(f"variable {source.path}: {source.shape} became {target.shape}")
        if target._value is None and _is_borrowable(target):
            _borrow(source, target)
            continue
        if target._value is None:
            target._deferred_initialize()
        _copy(source, target)
    for layer in copy._flatten_layers():
        # Normalization derives its mean and deviation from its variables.
        if isinstance(layer, keras.layers.Normalization) and layer.input_mean is None:
            layer.finalize_state()
