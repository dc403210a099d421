"""From a recipe's layers to a Keras model, with the place of every mistake that Keras finds.

Owns what needs Keras to be checked: classes, arguments, shapes, loss, optimizer. Knows no recipe by
name. May import `exporter.recipe` and `exporter.errors`; Keras is imported inside the functions.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from exporter.recipe import Layer, Recipe

if TYPE_CHECKING:
    import keras

_OF_EVERY_LAYER = frozenset({"trainable", "dtype"})


def build(recipe: Recipe) -> keras.Model:
    """A freshly initialised, uncompiled functional model named after the recipe.

    The initial weights come from Keras' global generator: seed it before.

    Raises:
        BadRecipe: Keras refuses a layer; the message names file, line and key.
    """
    import keras

    entrance = keras.Input(recipe.input.shape, dtype=recipe.input.dtype, name=recipe.input.name)
    tensors = {recipe.input.name: entrance}
    previous = recipe.input.name
    for index, layer in enumerate(recipe.layers):
        feeds = [tensors[name] for name in layer.inputs or (previous,)]
        built = _construct(recipe, index, layer)
        try:
            tensors[layer.name] = built(feeds[0] if len(feeds) == 1 else feeds)
        except (TypeError, ValueError) as error:
            message = f"{layer.class_name} cannot be called: {_line(error)}"
            recipe.complain(("layers", index), message)
        previous = layer.name
    exit_ = tensors[previous]
    if exit_.shape != (None, len(recipe.labels)):
        recipe.complain(
            ("layers", len(recipe.layers) - 1),
            f"one output for each of {len(recipe.labels)} labels expected, shape "
            f"{exit_.shape[1:]} found",
        )
    return keras.Model(entrance, exit_, name=recipe.name.replace("-", "_"))


def optimizer(recipe: Recipe, learning_rate: Any, **extra: Any) -> keras.optimizers.Optimizer:
    """The recipe's optimizer with this learning rate or schedule.

    Raises:
        BadRecipe: Keras has no such optimizer, or refuses an argument.
    """
    import keras

    name = recipe.training.optimizer
    place = ("training", "optimizer")
    kind = getattr(keras.optimizers, name, None)
    if not (inspect.isclass(kind) and issubclass(kind, keras.optimizers.Optimizer)):
        recipe.complain(place, f"a class of keras.optimizers expected, {name!r} found")
    arguments = {**recipe.training.optimizer_arguments, "learning_rate": learning_rate, **extra}
    try:
        return kind(**arguments)
    except (TypeError, ValueError) as error:
        recipe.complain(place, _line(error))


def loss(recipe: Recipe) -> Any:
    """The recipe's loss function.

    Raises:
        BadRecipe: Keras has no such loss.
    """
    import keras

    try:
        function: Any = keras.losses.get(recipe.training.loss)
    except (TypeError, ValueError) as error:
        recipe.complain(("training", "loss"), _line(error))
    if recipe.layers[-1].arguments.get("activation") != "sigmoid":
        return function
    # Keras hangs the logits on a sigmoid's tensor, and its crossentropies then take them as a
    # softmax's: the outputs themselves would saturate. A new tensor has none.
    return lambda truth, outputs: function(truth, keras.ops.multiply(outputs, 1.0))


def _construct(recipe: Recipe, index: int, layer: Layer) -> keras.layers.Layer:
    import keras

    kind: Any = getattr(keras.layers, layer.class_name, None)
    if not (inspect.isclass(kind) and issubclass(kind, keras.layers.Layer)):
        recipe.complain(
            ("layers", index, "class"),
            f"a class of keras.layers expected, {layer.class_name!r} found",
        )
    constructor: Any = kind  # to mypy, a class checked by issubclass takes no arguments
    known = _arguments(kind)
    for key in layer.arguments:
        if key not in known:
            recipe.complain(
                ("layers", index, key),
                f"{layer.class_name} has no such argument; it has {', '.join(sorted(known))}",
            )
    arguments = {key: _keras_value(value) for key, value in layer.arguments.items()}
    try:
        built: keras.layers.Layer = constructor(name=layer.name, **arguments)
    except (TypeError, ValueError) as error:
        recipe.complain(_blame(index, layer, kind, error), f"{layer.class_name}: {_line(error)}")
    return built


def _arguments(kind: Any) -> frozenset[str]:
    parameters = inspect.signature(kind.__init__).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {p.name for p in parameters if p.kind in plain}
    return frozenset(named - {"self", "name"} | _OF_EVERY_LAYER)


def _keras_value(value: Any) -> Any:
    """`{class = "L2", l2 = 0.01}` as Keras spells an object in a config."""
    if isinstance(value, Mapping) and "class" in value:
        config = {key: _keras_value(v) for key, v in value.items() if key != "class"}
        return {"class_name": value["class"], "config": config}
    return value


def _blame(index: int, layer: Layer, kind: Any, error: Exception) -> tuple[str | int, ...]:
    """The argument that Keras names, or without which the layer can be made; or else the layer."""
    for key in layer.arguments:
        if f"`{key}`" in str(error):
            return ("layers", index, key)
    for key in layer.arguments:
        rest = {k: _keras_value(v) for k, v in layer.arguments.items() if k != key}
        try:
            kind(**rest)
        except (TypeError, ValueError):
            continue
        return ("layers", index, key)
    return ("layers", index)


def _line(error: Exception) -> str:
    """The first line of Keras' message."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
