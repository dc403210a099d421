"""Recurrent layers as graphs that browsers' runtimes run.

TF.js computes no result at all from the loops over lists of tensors that Keras traces. Owns their
replacement while a model is traced: one copy of the cell for each time step, or a loop over plain
tensors where the sequence is long or of free length. May import nothing of the project but
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
    """While the block runs, Keras' recurrent layers are traced without lists of tensors.

    Step by step where the number of steps is known and at most `LONGEST_STEPS`, else as a loop.
    Layers that were built with `unroll=True` keep Keras' own way. `TimeDistributed` over a layer
    of Keras' own becomes that layer over a larger batch.
    """
    keras = import_keras()
    import tensorflow as tf

    # Private: layers reach it as backend.rnn, and nothing public stands between.
    from keras.src import backend

    original = backend.rnn

    def rnn(step: Callable[..., Any], inputs: Any, initial_states: Any, **options: Any) -> Any:
        steps = tf.nest.flatten(inputs)[0].shape[0 if options.get("time_major") else 1]
        if options.pop("unroll", False):
            return original(step, inputs, initial_states, unroll=True, **options)
        if not isinstance(options.pop("input_length", None), (int, type(None))):
            raise NotImplementedError("a recurrent layer with a tensor as its input_length")
        short = steps is not None and steps <= LONGEST_STEPS
        return (_unroll if short else _loop)(step, inputs, initial_states, **options)

    def distribute(self: Any, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        if not _is_per_sample(self.layer):
            return original_call(self, inputs, training=training, mask=mask)
        return _distribute(self.layer, inputs, training, mask)

    original_call = keras.layers.TimeDistributed.call
    backend.rnn = rnn
    keras.layers.TimeDistributed.call = distribute
    try:
        yield
    finally:
        backend.rnn = original
        keras.layers.TimeDistributed.call = original_call


def _is_per_sample(layer: Any) -> bool:
    """Whether a layer treats each sample of a batch alone, as all of Keras' own do in inference.

    Other people's layers, Lambda, and operations between layers may do otherwise.
    """
    keras = import_keras()
    for inner in layer._flatten_layers():
        if not type(inner).__module__.startswith("keras.") or getattr(inner, "stateful", False):
            return False
        if isinstance(inner, keras.layers.Lambda):
            return False
        operations = getattr(inner, "operations", ())
        if not all(isinstance(operation, keras.Layer) for operation in operations):
            return False
    return True


def _distribute(layer: Any, inputs: Any, training: Any, mask: Any) -> Any:
    """Time steps become samples, and samples time steps again."""
    import tensorflow as tf

    options = {}
    if layer._call_has_mask_arg and mask is not None:
        options["mask"] = tf.reshape(mask, tf.concat([[-1], tf.shape(mask)[2:]], 0))
    if layer._call_has_training_arg:
        options["training"] = training
    sizes = inputs.shape.as_list()
    flat = tf.reshape(inputs, tf.concat([[-1], tf.shape(inputs)[2:]], 0))
    flat.set_shape([None, *sizes[2:]])
    result = layer.call(flat, **options)
    steps = tf.shape(inputs)[1] if sizes[1] is None else sizes[1]
    made = tf.reshape(result, tf.concat([[-1, steps], tf.shape(result)[1:]], 0))
    made.set_shape([sizes[0], sizes[1], *result.shape[1:]])
    return made


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


def _loop(
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
    """The same as `_unroll` in a loop whose outputs are one growing tensor, axis 1 being time."""
    import tensorflow as tf

    axis = 0 if time_major else 1
    flat_inputs = tf.nest.flatten(inputs)
    steps = tf.shape(flat_inputs[0])[axis]
    batch = tf.shape(flat_inputs[0])[1 - axis]
    if mask is not None:
        mask = tf.cast(mask, tf.bool)
        mask = mask[..., tf.newaxis] if mask.shape.rank == 2 else mask
    if go_backwards:
        flat_inputs = [tf.reverse(x, [axis]) for x in flat_inputs]
        mask = None if mask is None else tf.reverse(mask, [axis])

    def at(x: Any, index: Any) -> Any:
        return tf.gather(x, index, axis=axis)

    def call(index: Any, states: Sequence[Any]) -> tuple[Any, Any]:
        now = tf.nest.pack_sequence_as(inputs, [at(x, index) for x in flat_inputs])
        return step(now, tuple(states) + tuple(constants or ()))

    def body(time: Any, previous: Any, states: Any, outputs: Any) -> tuple[Any, ...]:
        output, new_states = call(time, tf.nest.pack_sequence_as(list(initial_states), states))
        flat = tf.nest.flatten(new_states)
        if mask is not None:
            choose = _chooser(at(mask, time))
            held = tf.zeros_like(output) if zero_output_for_mask else previous
            output = choose(output, held)
            flat = [choose(n, o) for n, o in zip(flat, states, strict=True)]
        if return_all_outputs:
            outputs = tf.concat([outputs, tf.expand_dims(output, axis)], axis)
        return time + 1, output, flat, outputs

    # Only its shape and dtype are used: the operation itself is not needed by any output.
    template, _ = call(0, list(initial_states))
    sizes = template.shape.as_list()[1:]
    zero = tf.zeros([batch, *sizes], template.dtype)
    empty = [0, batch] if time_major else [batch, 0]
    states = tf.nest.flatten(list(initial_states))
    free = [None, None, *sizes]
    _, last, states, outputs = tf.while_loop(
        lambda time, *_: time < steps,
        body,
        [tf.constant(0), zero, states, tf.zeros([*empty, *sizes], template.dtype)],
        shape_invariants=[
            tf.TensorShape([]),
            tf.TensorShape([None, *sizes]),
            [tf.TensorShape([None, *state.shape[1:]]) for state in states],
            tf.TensorShape(free),
        ],
    )
    if not return_all_outputs:
        outputs = tf.expand_dims(last, axis)
    return last, outputs, tf.nest.pack_sequence_as(list(initial_states), states)


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
