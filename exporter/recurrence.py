"""Recurrent layers as straight graphs: one copy of the cell for each time step.

TF.js computes no result at all from the loops that Keras traces. Owns the replacement of Keras'
loop over time while a model is traced. May import nothing of the project but
`exporter.keras_file`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from exporter.keras_file import import_keras

# A cell is some 10 to 30 operations; longer sequences would make huge files: they stay loops.
LONGEST_STEPS = 128


@contextmanager
def unrolled() -> Iterator[None]:
    """While the block runs, Keras' recurrent layers are traced step by step.

    Only where the number of steps is known and at most `LONGEST_STEPS`. Layers that were built
    with `unroll=True` keep Keras' own way.
    """
    import_keras()
    import tensorflow as tf

    # Private: layers reach it as backend.rnn, and nothing public stands between.
    from keras.src import backend

    original = backend.rnn

    def rnn(step: Callable[..., Any], inputs: Any, initial_states: Any, **options: Any) -> Any:
        steps = tf.nest.flatten(inputs)[0].shape[0 if options.get("time_major") else 1]
        if options.get("unroll") or steps is None or steps > LONGEST_STEPS:
            return original(step, inputs, initial_states, **options)
        options.pop("unroll", None)
        options.pop("input_length", None)
        return _unroll(step, inputs, initial_states, **options)

    backend.rnn = rnn
    try:
        yield
    finally:
        backend.rnn = original


def _unroll(
    step: Callable[..., Any],
    inputs: Any,
    initial_states: Sequence[Any],
    *,
    go_backwards: bool = False,
    mask: Any = None,
    constants: Sequence[Any] | None = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, Any]:
    """As keras.src.backend.tensorflow.rnn.rnn with unroll=False, which it must equal.

    Its own unrolled branch does not: with go_backwards and zero_output_for_mask it applies the
    mask unreversed.
    """
    import tensorflow as tf

    axis = 0 if time_major else 1
    sequences = [tf.unstack(x, axis=axis) for x in tf.nest.flatten(inputs)]
    masks = None if mask is None else _mask_steps(mask, time_major)
    order = range(len(sequences[0]))
    states, previous, outputs = list(initial_states), None, []
    for index in reversed(order) if go_backwards else order:
        now = tf.nest.pack_sequence_as(inputs, [x[index] for x in sequences])
        output, new_states = step(now, tuple(states) + tuple(constants or ()))
        flat_states = tf.nest.flatten(new_states)
        if masks is not None:
            zero = tf.nest.map_structure(tf.zeros_like, output)
            held = zero if zero_output_for_mask or previous is None else previous
            choose = _chooser(masks[index])
            output = tf.nest.map_structure(choose, output, held)
            old = tf.nest.flatten(states)
            flat_states = [choose(n, o) for n, o in zip(flat_states, old, strict=True)]
        states = tf.nest.pack_sequence_as(list(initial_states), flat_states)
        previous = output
        outputs.append(output)
    kept = outputs if return_all_outputs else outputs[-1:]
    stacked = tf.nest.map_structure(lambda *steps: tf.stack(steps, axis=axis), *kept)
    return previous, stacked, states


def _mask_steps(mask: Any, time_major: bool) -> list[Any]:
    """One mask of shape (batch, 1) for each step."""
    import tensorflow as tf

    mask = tf.cast(mask, tf.bool)
    if mask.shape.rank == 2:
        mask = mask[..., tf.newaxis]
    return tf.unstack(mask, axis=0 if time_major else 1)


def _chooser(mask: Any) -> Callable[[Any, Any], Any]:
    import tensorflow as tf

    def choose(new: Any, old: Any) -> Any:
        shape = [-1, *mask.shape[1:].as_list()] + [1] * (new.shape.rank - mask.shape.rank)
        return tf.where(tf.reshape(mask, shape), new, old)

    return choose
