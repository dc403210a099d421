"""Training: a recipe and a data set in, a Keras model with its history and figures out.

Owns the schedule and the loop; the layers are `exporter.architecture`'s, the variations of the
pictures `exporter.augment`'s, the drawn ones `exporter.handwriting`'s. Prints nothing: progress
goes to the caller's `on_epoch`. May import those and `exporter.{data, evaluate, recipe, errors}`;
Keras is imported inside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter import architecture, augment, data, evaluate, handwriting
from exporter.data import Dataset
from exporter.errors import BadUsage
from exporter.recipe import Augmentation, Recipe

if TYPE_CHECKING:
    import keras

STEPS_PER_EXECUTION = 32
PREFETCHED_BATCHES = 64
BLOCK = 1000
"""About so many pictures are varied at once."""
DRAWN = 0.01
"""Digits of our own drawing, of each class, for each training picture."""

History = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Epoch:
    """Progress: epoch `number` (from 1) of `count` is done; `figures` as in the history."""

    number: int
    count: int
    figures: dict[str, float]


OnEpoch = Callable[[Epoch], None]


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained model.

    Attributes:
        model: Compiled no more: no optimizer and no loss in it.
        history: "loss" and "accuracy" on the varied training pictures, one value an epoch;
            "val_loss" and "val_accuracy" where a part was held out.
        metrics: JSON-able: recipe, fingerprint, data set, epochs, seed, figures on the test set.
    """

    model: keras.Model
    history: History
    metrics: dict[str, Any]


def fit(
    recipe: Recipe,
    dataset: Dataset,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    published: bool = False,
    held_out: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Trained:
    """Train on all training pictures and measure on the test set.

    The same recipe, data and seed give the same weights on one machine. Sets Keras' global seed.

    Args:
        recipe: What to train.
        dataset: Pictures of the recipe's input shape.
        epochs: Instead of the recipe's.
        batch_size: Instead of the recipe's.
        seed: Instead of the recipe's.
        published: The published schedule: its epochs and batch size, no augmentation, a constant
            learning rate, 80 % of the training pictures.
        held_out: Train on 80 % and report the figures of the other 20 % as "validation": that is
            how a schedule is chosen, without looking at the test set.
        on_epoch: Called after every epoch.

    Raises:
        BadRecipe: Keras refuses the recipe.
        BadUsage: A number is out of range, or the pictures do not fit the recipe.
    """
    recipe = adapt(recipe, epochs=epochs, batch_size=batch_size, seed=seed, published=published)
    check(recipe, dataset)
    import keras

    keras.utils.set_random_seed(recipe.training.seed)
    train, held = (dataset.x_train, dataset.y_train), None
    if held_out or published:
        x, y, x_held, y_held = data.split(*train)
        train, held = (x, y), (x_held, y_held)
    model = architecture.build(recipe)
    history = _run(recipe, model, train, held, on_epoch)
    metrics: dict[str, Any] = {
        "recipe": recipe.name,
        "fingerprint": recipe.fingerprint,
        "schedule": "published" if published else "ours",
        "data": dataset.name,
        "epochs": recipe.training.epochs,
        "batch_size": recipe.training.batch_size,
        "seed": recipe.training.seed,
        "trained_on": len(train[0]),
        "test": evaluate.figures(evaluate.predict(model, dataset.x_test), dataset.y_test),
    }
    if held is not None:
        metrics["validation"] = evaluate.figures(evaluate.predict(model, held[0]), held[1])
    return Trained(_bare(model), history, metrics)


def adapt(
    recipe: Recipe,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    seed: int | None = None,
    published: bool = False,
) -> Recipe:
    """The recipe with other numbers, or with the published schedule.

    Raises:
        BadUsage: A number is out of range.
    """
    training, augmentation = recipe.training, recipe.augmentation
    if published:
        if recipe.published is None:
            raise BadUsage(
                f"{recipe.path}: no table [published], so no schedule of a published text; leave "
                "--published out"
            )
        training = replace(
            training,
            epochs=recipe.published.epochs,
            batch_size=recipe.published.batch_size,
            schedule="constant",
            average_decay=0.0,
            optimizer_arguments={"learning_rate": 0.001},
        )
        augmentation = Augmentation()
    numbers = {"epochs": (epochs, 1), "batch_size": (batch_size, 1), "seed": (seed, 0)}
    given: dict[str, Any] = {}
    for name, (value, low) in numbers.items():
        if value is None:
            continue
        if not low <= value < 2**32:
            raise BadUsage(f"{name}: a whole number from {low} expected, {value} found")
        given[name] = value
    training = replace(training, **given)
    return replace(recipe, training=training, augmentation=augmentation)


def check(recipe: Recipe, dataset: Dataset) -> None:
    """Complain where a recipe cannot be trained on these data.

    Raises:
        BadUsage: Its pictures have another shape, or there are fewer than a batch.
    """
    if dataset.x_train.shape[1:] != recipe.input.shape:
        raise BadUsage(
            f"data set {dataset.name}: pictures of {recipe.input.shape} expected by recipe "
            f"{recipe.name}, {dataset.x_train.shape[1:]} found"
        )
    if recipe.training.batch_size > len(dataset.x_train) * (1 - data.VALIDATION_SHARE):
        raise BadUsage(
            f"batch_size: {recipe.training.batch_size} is more than data set {dataset.name} has "
            "to train on; give a smaller one"
        )


def _run(
    recipe: Recipe,
    model: keras.Model,
    train: tuple[np.ndarray, np.ndarray],
    held: tuple[np.ndarray, np.ndarray] | None,
    on_epoch: OnEpoch | None,
) -> History:
    import keras

    training = recipe.training
    steps = len(train[0]) // training.batch_size
    rate: Any = training.optimizer_arguments["learning_rate"]
    if training.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, steps * training.epochs)
    averaging: dict[str, Any] = {}
    if training.average_decay:
        averaging = {"use_ema": True, "ema_momentum": training.average_decay}
    model.compile(
        optimizer=architecture.optimizer(recipe, rate, **averaging),
        loss=architecture.loss(recipe),
        metrics=["accuracy"],
        jit_compile=training.jit_compile,
        steps_per_execution=min(steps, STEPS_PER_EXECUTION),
    )
    validation = None
    if held is not None:
        validation = (data.as_input(held[0]), _targets(recipe, held[1]))
    answer = model.fit(
        _batches(recipe, *train),
        epochs=training.epochs,
        steps_per_epoch=steps,
        shuffle=False,  # the stream is shuffled by the recipe's seed
        validation_data=validation,
        validation_batch_size=1000,
        callbacks=[_announcer(on_epoch, training.epochs)] if on_epoch else [],
        verbose=0,
    )
    return {key: [float(f"{v:.6g}") for v in values] for key, values in answer.history.items()}


def _batches(recipe: Recipe, x: np.ndarray, y: np.ndarray) -> Any:
    """An endless tf.data.Dataset of full batches; the next ones are varied while one trains."""
    import tensorflow as tf

    inputs, targets = data.as_input(x), _targets(recipe, y)
    first = next(_blocks(recipe, inputs, targets, y))
    signature = tf.nest.map_structure(lambda part: tf.TensorSpec(part.shape, part.dtype), first)
    blocks = tf.data.Dataset.from_generator(
        lambda: _blocks(recipe, inputs, targets, y), output_signature=signature
    )
    if recipe.augmentation != Augmentation():
        varied = tf.function(augment.vary, jit_compile=True, autograph=False)
        blocks = blocks.map(lambda block, answers, draws: (varied(block, *draws), answers))
    else:
        blocks = blocks.map(lambda block, answers, draws: (block, answers))
    size = recipe.training.batch_size
    return blocks.flat_map(
        lambda *block: tf.data.Dataset.from_tensor_slices(
            tuple(tf.reshape(part, (-1, size, *part.shape[1:])) for part in block)
        )
    ).prefetch(PREFETCHED_BATCHES)


def _blocks(
    recipe: Recipe, inputs: np.ndarray, targets: np.ndarray, labels: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[np.ndarray, ...]]]:
    """Blocks of some whole batches, always as many (XLA compiles for one shape), with draws.

    The pictures come in one random order after another; blocks run on from order to order.
    """
    rng = np.random.default_rng(recipe.training.seed)
    amounts, size = recipe.augmentation, recipe.training.batch_size
    draws = augment.Draws(amounts, inputs.shape[1], rng)
    restyle = _restyler(amounts, inputs, labels, rng)
    block_size = max(1, BLOCK // size) * size
    order = np.empty(0, int)
    while True:
        while len(order) < block_size:
            order = np.concatenate([order, rng.permutation(len(inputs))])
        block, order = order[:block_size], order[block_size:]
        yield restyle(block), targets[block], draws.draw(block_size)


def _restyler(
    amounts: Augmentation, inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> Callable[[np.ndarray], np.ndarray]:
    """From indices to pictures, some in the other ways of writing that `amounts` asks for."""
    drawn = _drawn(amounts, inputs, labels, rng)
    share = np.zeros(len(inputs), np.float32)
    restyled = np.zeros(len(inputs), int)
    others: list[np.ndarray] = []
    for key, (digit, restyle) in augment.STYLES.items():
        if getattr(amounts, key) > 0.0:
            for index in np.flatnonzero(labels == digit):
                share[index], restyled[index] = getattr(amounts, key), len(others)
                others.append(restyle(inputs[index], rng))
    pool = np.stack(others) if others else inputs[:1]

    def pick(block: np.ndarray) -> np.ndarray:
        pictures = inputs[block]
        chosen = rng.random(len(block)) < share[block]
        pictures[chosen] = pool[restyled[block[chosen]]]
        if drawn is not None:
            chosen = rng.random(len(block)) < amounts.drawn
            digits = labels[block[chosen]]
            pictures[chosen] = drawn[digits, rng.integers(drawn.shape[1], size=len(digits))]
        return pictures

    return pick


def _drawn(
    amounts: Augmentation, inputs: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray | None:
    """Digits of our own drawing, (10, n, 28, 28); None where none are asked for.

    Raises:
        BadUsage: What is trained on are no digits of 28 × 28.
    """
    if not amounts.drawn:
        return None
    if inputs.shape[1:] != (28, 28) or labels.max() > 9:
        raise BadUsage(
            f"augmentation.drawn: pictures of 28 × 28 of ten digits expected, "
            f"{inputs.shape[1:]} of {labels.max() + 1} classes found; leave it out"
        )
    count = max(1, int(DRAWN * len(inputs)))
    return np.stack([handwriting.pictures(digit, count, rng) for digit in range(10)])


def _targets(recipe: Recipe, labels: np.ndarray) -> np.ndarray:
    """Class numbers for a sparse loss, one-hot rows for any other."""
    if recipe.training.loss.lower().startswith("sparse"):
        return labels.astype(np.int32)
    return np.eye(len(recipe.labels), dtype=np.float32)[labels]


def _bare(model: keras.Model) -> keras.Model:
    """The same layers and weights without optimizer, loss and metrics."""
    import keras

    bare = keras.Model.from_config(model.get_config())
    bare.set_weights(model.get_weights())
    return bare


def _announcer(on_epoch: OnEpoch, count: int) -> keras.callbacks.Callback:
    import keras

    return keras.callbacks.LambdaCallback(
        on_epoch_end=lambda number, logs: on_epoch(
            Epoch(number + 1, count, {key: float(value) for key, value in logs.items()})
        )
    )
