"""Random valid Keras models: graphs of many layer types.

Owns `grow`. A model grows from a few inputs by steps; each step takes tensors that
are there, and puts one more beside them: a layer of a random configuration, a merge, a layer or
nested model that is called once more, an operation of `keras.ops`. What no step does is to decide
by a threshold or to grow without bounds: rounding would decide such models' answers. Imports
Keras, nothing of the project but the zoo.
"""

from __future__ import annotations

from random import Random
from typing import Any

import keras
from keras import layers as L  # noqa: N812  (as in the zoo)
from keras import ops

from tests import zoo

STEPS = (4, 12)
LARGEST = 600
"""Numbers per sample in a tensor: more steps on small tensors find more."""

ACTIVATIONS = (
    "relu", "tanh", "sigmoid", "linear", "elu", "selu", "softplus", "softsign", "hard_sigmoid",
    "gelu", "silu", "hard_swish", "mish", "relu6", "leaky_relu", "softmax", "log_softmax",
)  # fmt: skip
POLICIES = ("float32",) * 8 + ("mixed_float16", "mixed_bfloat16", "float64")
NAMES = (None,) * 6 + ("a layer", "block.1", "Schicht_ä", "x:0", "dense_1_kernel", "層")


class Growing:
    """A model on its way: its inputs, and every tensor that a step may take."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.inputs: list[Any] = []
        self.tensors: list[Any] = []
        self.shared: list[tuple[Any, tuple[int | None, ...]]] = []
        self.names: set[str] = set()
        self.log: list[str] = []

    def one_of(self, *choices: Any) -> Any:
        """One of the choices."""
        return self.random.choice(choices)

    def tensor(self) -> Any:
        """A tensor to go on from: mostly one of the latest, so that models become deep."""
        return self.one_of(*self.one_of(self.tensors, self.tensors[-2:], self.tensors[-1:]))

    def name(self) -> str | None:
        """A name for a layer, mostly Keras' own choice; never one that is taken."""
        name = self.one_of(*NAMES)
        if name is None or name in self.names:
            return None
        self.names.add(name)
        return name

    def add(self, tensor: Any, what: str) -> Any:
        """Take a tensor among those that a step may use, if it is small enough."""
        size = 1
        for length in tensor.shape[1:]:
            size *= length or 6
        if size <= LARGEST:
            self.tensors.append(tensor)
            self.log.append(f"{what} -> {tensor.shape} {tensor.dtype}")
        return tensor

    def apply(self, layer: Any, x: Any) -> None:
        """A layer's output, which may be called again where another tensor has that shape."""
        self.add(layer(x), f"{type(layer).__name__} {layer.name!r} of {x.shape}")
        self.shared.append((layer, tuple(x.shape)))


def _vector(grow: Growing, x: Any) -> Any:
    size = x.shape[-1]
    return grow.one_of(
        lambda: L.Dense(grow.one_of(1, 3, 5), activation=grow.one_of(*ACTIVATIONS)),
        lambda: L.RepeatVector(grow.one_of(2, 4)),
        lambda: L.Reshape((size, 1)),
        lambda: L.Reshape((1, 1, size)),
        lambda: L.Dense(4, use_bias=False, name=grow.name()),
    )


def _sequence(grow: Growing, x: Any) -> Any:
    steps = x.shape[1]
    padding = "same" if steps is None or steps < 4 else grow.one_of("same", "valid", "causal")
    pooling = "same" if padding == "causal" else padding
    one = grow.one_of
    many = one(True, False)

    def recurrent() -> Any:
        options = {"return_sequences": many, "activation": one("tanh", "relu", "softsign")}
        kind = one(L.LSTM, L.GRU, L.SimpleRNN)
        if kind is L.GRU:
            options["reset_after"] = one(True, False, False)
        return kind(one(2, 3), go_backwards=one(True, False, False), **options)

    choices = [
        lambda: L.Conv1D(one(2, 4), one(1, 3), padding=padding, name=grow.name(),
                         activation=one(*ACTIVATIONS)),
        lambda: L.SeparableConv1D(3, 2, padding=pooling),
        lambda: L.Conv1DTranspose(2, 3, strides=one(1, 2), padding=pooling),
        recurrent,
        lambda: L.Bidirectional(L.LSTM(2, return_sequences=many), merge_mode=one("concat", "sum")),
        lambda: L.TimeDistributed(L.Dense(3, activation=one("relu", "gelu"))),
        lambda: one(L.MaxPooling1D, L.AveragePooling1D)(2, padding=pooling),
        lambda: one(L.GlobalMaxPooling1D, L.GlobalAveragePooling1D)(keepdims=many),
        lambda: one(L.UpSampling1D, L.ZeroPadding1D)(2),
        lambda: L.EinsumDense("abc,cd->abd", (None, 3)),
        lambda: L.SpatialDropout1D(0.2),
    ]  # fmt: skip
    if steps is not None:
        choices += [
            lambda: L.Flatten(), lambda: L.Permute((2, 1)), lambda: L.Reshape((-1,)),
            lambda: L.Reshape((steps, x.shape[2], 1)), lambda: L.PReLU(shared_axes=[1]),
        ]  # fmt: skip
    return one(*choices)


def _picture(grow: Growing, x: Any) -> Any:
    small = min(x.shape[1], x.shape[2]) < 4
    padding = "same" if small else grow.one_of("same", "valid")
    one = grow.one_of
    return one(
        lambda: L.Conv2D(one(2, 4), one(1, 2, 3), padding=padding, strides=one(1, 2),
                         activation=one(*ACTIVATIONS), name=grow.name()),
        lambda: L.Conv2D(2, 3, padding="same", dilation_rate=2),
        lambda: L.DepthwiseConv2D(3, padding=padding, depth_multiplier=one(1, 2)),
        lambda: L.SeparableConv2D(3, 2, padding=padding, activation=one("relu", "tanh")),
        lambda: L.Conv2DTranspose(2, one(2, 3), strides=one(1, 2), padding=padding),
        lambda: one(L.MaxPooling2D, L.AveragePooling2D)(2, padding=padding, strides=one(1, 2)),
        lambda: one(L.GlobalMaxPooling2D, L.GlobalAveragePooling2D)(keepdims=one(True, False)),
        lambda: L.UpSampling2D(one(2, (1, 2)), interpolation=one("nearest", "bilinear")),
        lambda: L.ZeroPadding2D(one(1, ((0, 1), (2, 0)))),
        lambda: L.Cropping2D(((0, 1), (0, 0))) if x.shape[1] > 1 else L.Identity(),
        lambda: L.Flatten(),
        lambda: L.Reshape((x.shape[1], -1)),
        lambda: L.Permute(one((2, 1, 3), (3, 1, 2))),
        lambda: L.PReLU(shared_axes=one([1, 2], None)),
        lambda: L.SpatialDropout2D(0.2),
    )  # fmt: skip


def _of_any_rank(grow: Growing, x: Any) -> Any:
    one = grow.one_of
    return one(
        lambda: L.Activation(one(*ACTIVATIONS), name=grow.name()),
        lambda: L.BatchNormalization(scale=one(True, False), name=grow.name()),
        lambda: L.LayerNormalization(epsilon=0.1),
        lambda: L.GroupNormalization(groups=1, epsilon=0.1),
        lambda: L.RMSNormalization(epsilon=0.1),
        lambda: one(L.Dropout, L.GaussianNoise, L.GaussianDropout, L.AlphaDropout)(0.3),
        lambda: L.Rescaling(0.5, offset=one(0.0, -1.0)),
        lambda: one(L.LeakyReLU(negative_slope=0.2), L.ELU(alpha=0.5), L.ReLU(max_value=2.0)),
        lambda: L.Dense(one(2, 3), activation=one(*ACTIVATIONS), name=grow.name()),
        lambda: L.Softmax(),
    )


_BY_RANK = {2: _vector, 3: _sequence, 4: _picture}


def _layer(grow: Growing) -> None:
    x = grow.tensor()
    special = _BY_RANK[len(x.shape)]
    grow.apply(grow.one_of(special, special, _of_any_rank)(grow, x)(), x)


def _again(grow: Growing) -> None:
    """Call a layer once more, on another tensor of the shape it was built for, or the same."""
    fitting = [
        (layer, x) for layer, shape in grow.shared for x in grow.tensors if tuple(x.shape) == shape
    ]
    if fitting:
        layer, x = grow.one_of(*fitting)
        grow.add(layer(x), f"again {layer.name!r}")


def _merge(grow: Growing) -> None:
    x = grow.tensor()
    same = [y for y in grow.tensors if y.shape == x.shape and y is not x]
    beside = [
        y for y in grow.tensors if y.shape[:-1] == x.shape[:-1] and None not in (*y.shape[1:],)
    ]
    if same and grow.one_of(True, True, False):
        kind = grow.one_of(L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)
        grow.add(kind()([x, grow.one_of(*same)]), f"{kind.__name__} of {x.shape}")
    elif beside:
        y = grow.one_of(*beside)
        grow.add(L.Concatenate()([x, y]), f"Concatenate {x.shape} {y.shape}")


def _nested(grow: Growing) -> None:
    """A Sequential or functional model as a layer."""
    x = grow.tensor()
    shape = tuple(x.shape[1:])
    inner = keras.Input(shape, name=grow.one_of(None, None, "inner"))
    first = grow.one_of(_BY_RANK[len(x.shape)], _of_any_rank)(grow, x)()
    if grow.one_of(True, False):
        model = keras.Sequential([keras.Input(shape), first, L.Activation("tanh")])
    else:
        y = first(inner)
        model = keras.Model(inner, L.Add()([y, L.Activation("sigmoid")(y)]))
    grow.apply(model, x)


def _operation(grow: Growing) -> None:
    """Operations of `keras.ops` between layers, which TF.js Layers cannot have."""
    x = grow.tensor()
    name, function = grow.one_of(
        ("half", lambda: x * 0.5 + 1.0),
        ("last", lambda: x[:, -1:]),
        ("mean", lambda: ops.mean(x, axis=-1, keepdims=True)),
        ("tanh", lambda: ops.tanh(x)),
        ("flip", lambda: ops.flip(x, axis=1)),
        ("squares", lambda: ops.sqrt(ops.square(x) + 1.0)),
        ("maximum", lambda: ops.maximum(x, -x)),
        ("pairs", lambda: ops.concatenate([x, ops.negative(x)], axis=-1)),
    )
    grow.add(function(), f"ops {name}")


def _attention(grow: Growing) -> None:
    sequences = [x for x in grow.tensors if len(x.shape) == 3]
    if not sequences:
        return
    x = grow.one_of(*sequences)
    if grow.one_of(True, False):
        layer = L.MultiHeadAttention(2, 3)
        made = layer(x, x, use_causal_mask=grow.one_of(True, False))
    else:
        made = L.Attention(use_scale=grow.one_of(True, False))([x, x])
    grow.add(made, "attention")


def _add_input(grow: Growing, batch: int | None, name: str | None) -> None:
    kind = grow.one_of("vector", "sequence", "free sequence", "picture", "words", "free words")
    shapes = {"vector": (5,), "sequence": (6, 3), "free sequence": (None, 3), "picture": (6, 5, 2)}
    if kind in shapes:
        start = keras.Input(shapes[kind], batch_size=batch, name=name)
        grow.inputs.append(start)
        x = grow.add(start, kind)
        if len(x.shape) == 3 and grow.one_of(True, False):
            grow.apply(L.Masking(), x)
        return
    length = 6 if kind == "words" else None
    words = keras.Input((length,), batch_size=batch, dtype="int32", name=name)
    grow.inputs.append(words)
    grow.apply(L.Embedding(10, 3, mask_zero=grow.one_of(True, False)), words)


def _outputs(grow: Growing) -> Any:
    count = grow.one_of(1, 2, 3)
    chosen = [grow.tensors[-1], *(grow.one_of(*grow.tensors) for _ in range(count - 1))]
    if grow.one_of(True, False, False):
        return {f"{'zyx'[index]} out": x for index, x in enumerate(chosen)}
    return chosen if count > 1 else chosen[0]


def grow(seed: int) -> tuple[keras.Model, list[str]]:
    """The model of that number, with random weights, and how it came about, line by line."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    random = Random(seed)
    growing = Growing(random)
    policy = growing.one_of(*POLICIES)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        batch = growing.one_of(None, None, None, None, 3)
        growing.log.append(f"policy {policy}, batch {batch}")
        for index in range(growing.one_of(1, 1, 2, 3)):
            _add_input(growing, batch, growing.one_of(None, f"in.{index}", f"Eingabe {index}"))
        steps = (_layer, _layer, _layer, _layer, _merge, _again, _nested, _attention, _operation)
        for _ in range(random.randint(*STEPS)):
            growing.one_of(*steps)(growing)
        model = keras.Model(growing.inputs, _outputs(growing))
    finally:
        keras.config.set_dtype_policy(before)
    zoo.randomize(model, seed)
    return model, growing.log
