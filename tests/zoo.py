"""Tiny seeded Keras models: one per layer class and configuration, and one per topology.

Owns the table that every format is measured on. `MODELS` maps a name ("Conv2D/causal") to a
function without arguments that returns a fresh model; what stands before the slash is the layer
class, or a family ("topology", "activation", "ops", "names", "dtype", "application"). `build`
makes a model with reproducible names and random, non-trivial weights; `inputs` makes what goes in.
A table of data, so longer than a module of code may be. Imports Keras, nothing of the project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import Input, Model, Sequential, ops
from keras import layers as L  # noqa: N812  (two hundred lines of table say it)

Builder = Callable[[], keras.Model]
MODELS: dict[str, Builder] = {}


def build(name: str, seed: int = 0) -> keras.Model:
    """The model of that name, with weights drawn from `seed`.

    Its names do not depend on what was built before in this process.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    model = MODELS[name]()
    randomize(model, seed)
    return model


def randomize(model: keras.Model, seed: int) -> None:
    """Give every float variable random values, statistics of normalisation included.

    The variables of Normalization are left: what it computes from them is fixed by `adapt`.
    """
    generator = np.random.default_rng(seed)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, L.Normalization) or layer._layers:
            continue
        for variable in layer.weights:
            _randomize_variable(variable, generator)
    for layer in model._flatten_layers():
        if layer._layers and not isinstance(layer, L.Normalization):
            for variable in layer._trainable_variables + layer._non_trainable_variables:
                _randomize_variable(variable, generator)


def _randomize_variable(variable: Any, generator: np.random.Generator) -> None:
    shape = tuple(variable.shape)
    if "float" not in str(variable.dtype):
        return
    if "variance" in variable.name:
        value = generator.uniform(0.5, 2.0, shape)
    elif variable.name == "gamma" or variable.name == "scale":
        value = generator.uniform(0.5, 1.5, shape)
    elif len(shape) < 2:
        value = generator.normal(0, 0.3, shape)
    else:
        value = generator.normal(0, 1, shape) / np.sqrt(np.prod(shape[:-1]))
    variable.assign(value.astype("float32"))


def inputs(model: keras.Model, batch_size: int = 3, seed: int = 1) -> list[np.ndarray]:
    """One array per flattened input: normal values or small integers.

    Some samples end, and one begins, with zeros along axis 1, so that masks have work to do.
    A model with a fixed batch size gets that one.
    """
    generator = np.random.default_rng(seed)
    arrays = []
    for tensor in keras.tree.flatten(model.inputs):
        batch = tensor.shape[0] or batch_size
        shape = (batch, *(size or 6 for size in tensor.shape[1:]))
        if "float" in tensor.dtype:
            array = generator.normal(0, 1.5, shape)
        elif tensor.dtype == "bool":
            array = generator.integers(0, 2, shape)
        else:
            array = generator.integers(0, INTEGERS_BELOW, shape)
        if len(shape) > 1 and shape[1] > 2:
            array[batch // 2 :, -(shape[1] // 3) :] = 0
            array[-1, 0] = 0
        # What float16 cannot hold would be rounded by Keras, and not by others.
        array = array.astype("float32" if tensor.dtype == "bfloat16" else tensor.dtype)
        arrays.append(array.astype("float32") if "float" in tensor.dtype else array)
    return arrays


INTEGERS_BELOW = 10


def _chain(shape: tuple[int | None, ...], *makers: Callable[[], Any], **options: Any) -> Builder:
    """A functional model of layers one after the other; each maker returns a layer."""

    def make() -> keras.Model:
        x = start = Input(shape, **options)
        for maker in makers:
            x = maker()(x)
        return Model(start, x)

    return make


def _merge(layer: Callable[[], Any], *shapes: tuple[int | None, ...]) -> Builder:
    """A model of one layer over several inputs."""

    def make() -> keras.Model:
        starts = [Input(shape) for shape in shapes]
        return Model(starts, layer()(starts))

    return make


def _each(table: dict[str, Builder]) -> None:
    taken = MODELS.keys() & table.keys()
    assert not taken, taken
    MODELS.update(table)


# Dense and activations ----------------------------------------------------------------------

ACTIVATIONS = (
    "celu", "elu", "exponential", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_swish",
    "hard_tanh", "leaky_relu", "linear", "log_sigmoid", "log_softmax", "mish", "relu", "relu6",
    "selu", "sigmoid", "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus",
    "sparse_sigmoid", "sparsemax", "squareplus", "swish", "tanh", "tanh_shrink",
)  # fmt: skip

_each({f"activation/{a}": _chain((8,), lambda a=a: L.Activation(a)) for a in ACTIVATIONS})
_each({
    f"activation/dense-{a}": _chain((8,), lambda a=a: L.Dense(6, activation=a), lambda: L.Dense(2))
    for a in ("relu", "hard_sigmoid", "gelu", "silu", "hard_swish", "leaky_relu", "exponential",
              "softmax", "log_softmax", "mish", "selu", "hard_tanh", "relu6", "tanh", "celu")
})  # fmt: skip
_each({
    "activation/conv-silu": _chain((6, 6, 2), lambda: L.Conv2D(4, 3, activation="silu")),
    "activation/conv-softmax": _chain((6, 6, 2), lambda: L.Conv2D(4, 3, activation="softmax")),
    "activation/conv-hard-sigmoid": _chain(
        (6, 6, 2), lambda: L.Conv2D(4, 3, activation="hard_sigmoid")),
    "activation/function-object": _chain(
        (8,), lambda: L.Dense(4, activation=keras.activations.tanh)),
    "activation/layer-as-activation": _chain((8,), lambda: L.Dense(4, activation=L.LeakyReLU(0.1))),
    "activation/gelu-tanh": _chain(
        (8,), lambda: L.Dense(4), lambda: L.Activation(_gelu_tanh)),
    "Dense/plain": _chain((8,), lambda: L.Dense(4)),
    "Dense/no-bias": _chain((8,), lambda: L.Dense(4, use_bias=False)),
    "Dense/rank-3": _chain((5, 8), lambda: L.Dense(4, activation="relu")),
    "Dense/rank-4": _chain((2, 5, 8), lambda: L.Dense(4, activation="relu")),
    "Dense/free-length": _chain((None, 8), lambda: L.Dense(4)),
    "Dense/constraint-regularizer": _chain((8,), lambda: L.Dense(
        4, kernel_constraint="max_norm", kernel_regularizer="l2", activity_regularizer="l1",
        kernel_initializer="orthogonal", bias_initializer=keras.initializers.Constant(0.1))),
    "Dense/lora": _chain((8,), lambda: L.Dense(4, lora_rank=2)),
    "Dense/units-1-sigmoid": _chain((8,), lambda: L.Dense(1, activation="sigmoid")),
    "EinsumDense/plain": _chain((5, 8), lambda: L.EinsumDense("abc,cd->abd", (None, 4))),
    "Identity/plain": _chain((8,), lambda: L.Identity(), lambda: L.Dense(2)),
    "ReLU/plain": _chain((8,), lambda: L.ReLU()),
    "ReLU/max": _chain((8,), lambda: L.ReLU(max_value=1.5)),
    "ReLU/slope": _chain((8,), lambda: L.ReLU(negative_slope=0.2)),
    "ReLU/threshold": _chain((8,), lambda: L.ReLU(threshold=0.5)),
    "ReLU/all": _chain((8,), lambda: L.ReLU(max_value=1.5, negative_slope=0.2, threshold=0.5)),
    "LeakyReLU/plain": _chain((8,), lambda: L.LeakyReLU()),
    "LeakyReLU/slope": _chain((8,), lambda: L.LeakyReLU(negative_slope=0.05)),
    "ELU/plain": _chain((8,), lambda: L.ELU()),
    "ELU/alpha": _chain((8,), lambda: L.ELU(alpha=0.4)),
    "PReLU/plain": _chain((5, 8), lambda: L.PReLU()),
    "PReLU/shared": _chain((5, 4, 8), lambda: L.PReLU(shared_axes=[1, 2])),
    "PReLU/shared-last": _chain((5, 4), lambda: L.PReLU(shared_axes=[2])),
    "Softmax/plain": _chain((8,), lambda: L.Softmax()),
    "Softmax/axis": _chain((5, 8), lambda: L.Softmax(axis=1)),
    "Softmax/axes": _chain((5, 8), lambda: L.Softmax(axis=(1, 2))),
})  # fmt: skip


@keras.saving.register_keras_serializable("zoo")
def _gelu_tanh(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=True)


# Convolutions -------------------------------------------------------------------------------

_each({
    "Conv1D/plain": _chain((9, 3), lambda: L.Conv1D(4, 3)),
    "Conv1D/same-strided": _chain((9, 3), lambda: L.Conv1D(4, 4, strides=2, padding="same")),
    "Conv1D/causal": _chain((9, 3), lambda: L.Conv1D(4, 3, padding="causal")),
    "Conv1D/causal-dilated": _chain(
        (9, 3), lambda: L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu")),
    "Conv1D/causal-strided": _chain((9, 3), lambda: L.Conv1D(4, 3, padding="causal", strides=2)),
    "Conv1D/dilated": _chain((9, 3), lambda: L.Conv1D(4, 3, dilation_rate=2)),
    "Conv1D/groups": _chain((9, 4), lambda: L.Conv1D(4, 3, groups=2)),
    "Conv1D/free-length": _chain((None, 3), lambda: L.Conv1D(4, 3, padding="same")),
    "Conv1D/channels-first": _chain((3, 9), lambda: L.Conv1D(4, 3, data_format="channels_first")),
    "Conv2D/plain": _chain((7, 6, 3), lambda: L.Conv2D(4, 3, activation="relu")),
    "Conv2D/same": _chain((7, 6, 3), lambda: L.Conv2D(4, (3, 2), padding="same")),
    "Conv2D/same-strided": _chain((7, 6, 3), lambda: L.Conv2D(4, 3, strides=2, padding="same")),
    "Conv2D/strides-unequal": _chain((7, 6, 3), lambda: L.Conv2D(4, 3, strides=(2, 1))),
    "Conv2D/dilated": _chain((7, 8, 3), lambda: L.Conv2D(4, 3, dilation_rate=2)),
    "Conv2D/dilated-unequal": _chain((7, 8, 3), lambda: L.Conv2D(4, 2, dilation_rate=(1, 2))),
    "Conv2D/no-bias": _chain((7, 6, 3), lambda: L.Conv2D(4, 3, use_bias=False)),
    "Conv2D/groups": _chain((7, 6, 4), lambda: L.Conv2D(4, 3, groups=2)),
    "Conv2D/pointwise": _chain((7, 6, 3), lambda: L.Conv2D(4, 1)),
    "Conv2D/elu": _chain((7, 6, 3), lambda: L.Conv2D(4, 3, activation="elu")),
    "Conv2D/free-size": _chain((None, None, 3), lambda: L.Conv2D(4, 3, padding="same")),
    "Conv3D/plain": _chain((5, 6, 4, 2), lambda: L.Conv3D(3, 3)),
    "Conv3D/same-strided": _chain((5, 6, 4, 2), lambda: L.Conv3D(3, 2, strides=2, padding="same")),
    "Conv3D/dilated": _chain((6, 6, 6, 2), lambda: L.Conv3D(3, 2, dilation_rate=2)),
    "Conv3D/groups": _chain((5, 6, 4, 2), lambda: L.Conv3D(4, 2, groups=2)),
    "Conv1DTranspose/plain": _chain((6, 3), lambda: L.Conv1DTranspose(4, 3)),
    "Conv1DTranspose/same-strided": _chain(
        (6, 3), lambda: L.Conv1DTranspose(4, 3, strides=2, padding="same")),
    "Conv2DTranspose/plain": _chain((4, 5, 3), lambda: L.Conv2DTranspose(4, 3)),
    "Conv2DTranspose/same-strided": _chain(
        (4, 5, 3), lambda: L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")),
    "Conv2DTranspose/valid-strided": _chain((4, 5, 3), lambda: L.Conv2DTranspose(4, 2, strides=3)),
    "Conv2DTranspose/output-padding": _chain((4, 5, 3), lambda: L.Conv2DTranspose(
        4, 3, strides=2, padding="same", output_padding=0)),
    "Conv1DTranspose/output-padding": _chain((6, 3), lambda: L.Conv1DTranspose(
        4, 3, strides=2, padding="same", output_padding=1)),
    "Conv2DTranspose/output-padding-1": _chain((4, 5, 3), lambda: L.Conv2DTranspose(
        4, 3, strides=2, padding="same", output_padding=1, activation="hard_sigmoid")),
    "Conv2DTranspose/output-padding-valid": _chain((4, 5, 3), lambda: L.Conv2DTranspose(
        4, 3, strides=2, output_padding=1)),
    "Conv2DTranspose/dilated-same": _chain((4, 5, 3), lambda: L.Conv2DTranspose(
        4, 3, dilation_rate=2, padding="same")),
    "Conv2DTranspose/free-size": _chain((None, None, 3), lambda: L.Conv2DTranspose(
        4, 3, strides=2, padding="same")),
    "Conv2DTranspose/channels-first": _chain((3, 4, 5), lambda: L.Conv2DTranspose(
        4, 3, strides=2, data_format="channels_first")),
    "Conv3DTranspose/valid-strided": _chain(
        (3, 4, 3, 2), lambda: L.Conv3DTranspose(3, 2, strides=3)),
    "Conv3DTranspose/unequal": _chain((3, 4, 3, 2), lambda: L.Conv3DTranspose(
        3, (4, 2, 3), strides=(2, 1, 2), padding="same", use_bias=False)),
    "Conv2DTranspose/no-bias": _chain((4, 5, 3), lambda: L.Conv2DTranspose(4, 3, use_bias=False)),
    "Conv2DTranspose/dilated": _chain((4, 5, 3), lambda: L.Conv2DTranspose(4, 3, dilation_rate=2)),
    "Conv3DTranspose/plain": _chain((3, 4, 3, 2), lambda: L.Conv3DTranspose(3, 3)),
    "Conv3DTranspose/same-strided": _chain(
        (3, 4, 3, 2), lambda: L.Conv3DTranspose(3, 3, strides=2, padding="same")),
    "DepthwiseConv1D/plain": _chain((9, 3), lambda: L.DepthwiseConv1D(3)),
    "DepthwiseConv1D/multiplier": _chain(
        (9, 3), lambda: L.DepthwiseConv1D(3, depth_multiplier=2, padding="same", strides=2)),
    "DepthwiseConv2D/plain": _chain((7, 6, 3), lambda: L.DepthwiseConv2D(3)),
    "DepthwiseConv2D/multiplier": _chain((7, 6, 3), lambda: L.DepthwiseConv2D(
        3, depth_multiplier=2, padding="same", strides=2, activation="relu6")),
    "DepthwiseConv2D/dilated": _chain((8, 8, 3), lambda: L.DepthwiseConv2D(3, dilation_rate=2)),
    "SeparableConv1D/plain": _chain((9, 3), lambda: L.SeparableConv1D(4, 3)),
    "SeparableConv1D/same-strided": _chain((9, 3), lambda: L.SeparableConv1D(
        4, 3, strides=2, padding="same", depth_multiplier=2, activation="relu")),
    "SeparableConv2D/plain": _chain((7, 6, 3), lambda: L.SeparableConv2D(4, 3)),
    "SeparableConv2D/multiplier": _chain((7, 6, 3), lambda: L.SeparableConv2D(
        4, 3, depth_multiplier=2, padding="same", strides=2, activation="tanh")),
    "SeparableConv2D/no-bias": _chain((7, 6, 3), lambda: L.SeparableConv2D(4, 3, use_bias=False)),
    "SeparableConv2D/dilated": _chain((8, 8, 3), lambda: L.SeparableConv2D(4, 3, dilation_rate=2)),
    "ConvLSTM1D/plain": _chain((4, 6, 2), lambda: L.ConvLSTM1D(3, 3)),
    "ConvLSTM3D/plain": _chain((3, 4, 4, 4, 2), lambda: L.ConvLSTM3D(2, 2)),
    "ConvLSTM2D/plain": _chain((3, 6, 6, 2), lambda: L.ConvLSTM2D(3, 3)),
    "ConvLSTM2D/sequences": _chain((3, 6, 6, 2), lambda: L.ConvLSTM2D(
        3, 3, return_sequences=True, padding="same", recurrent_activation="sigmoid")),
})  # fmt: skip

_each({
    "Conv1D/overhang": _chain((8, 3), lambda: L.Conv1D(4, 2, strides=3, padding="same")),
    "Conv1D/pointwise-strided": _chain((8, 3), lambda: L.Conv1D(4, 1, strides=2, padding="same")),
    "Conv2D/overhang": _chain((4, 4, 3), lambda: L.Conv2D(4, (1, 3), strides=2, padding="same")),
    "Conv2D/pointwise-strided": _chain(
        (None, None, 3), lambda: L.Conv2D(4, 1, strides=2, padding="same")),
    "Conv3D/overhang": _chain((6, 4, 4, 2), lambda: L.Conv3D(4, 1, strides=2, padding="same")),
    "Conv3D/overhang-unequal": _chain(
        (6, 4, 5, 2), lambda: L.Conv3D(4, (1, 2, 3), strides=(2, 3, 1), padding="same")),
    "DepthwiseConv2D/overhang": _chain(
        (4, 3, 5), lambda: L.DepthwiseConv2D((1, 3), strides=2, padding="same")),
    "SeparableConv2D/overhang": _chain(
        (4, 3, 5), lambda: L.SeparableConv2D(2, (1, 3), strides=2, padding="same")),
    "SeparableConv1D/overhang": _chain(
        (8, 5), lambda: L.SeparableConv1D(2, 2, strides=3, padding="same")),
    "MaxPooling2D/overhang": _chain(
        (4, 4, 3), lambda: L.MaxPooling2D(1, strides=2, padding="same")),
    "MaxPooling3D/negative": _chain(
        (4, 4, 4, 2), lambda: L.Rescaling(1.0, -9.0), lambda: L.MaxPooling3D(2)),
    "MaxPooling3D/overhang": _chain(
        (4, 7, 4, 3), lambda: L.MaxPooling3D((1, 2, 3), strides=(2, 3, 1), padding="same")),
    "AveragePooling3D/overhang": _chain(
        (4, 7, 4, 3), lambda: L.AveragePooling3D((1, 2, 3), strides=(2, 3, 1), padding="same")),
    "ConvLSTM1D/state": _chain((4, 6, 2), lambda: L.ConvLSTM1D(3, 3, return_state=True)),
    "ConvLSTM2D/hard-sigmoid": _chain((3, 6, 6, 2), lambda: L.ConvLSTM2D(
        3, 3, recurrent_activation="hard_sigmoid", use_bias=False)),
    "ConvLSTM2D/sequences-state": _chain((3, 6, 6, 2), lambda: L.ConvLSTM2D(
        3, 3, return_sequences=True, return_state=True, strides=2)),
    "ConvLSTM2D/backwards": _chain((3, 6, 6, 2), lambda: L.ConvLSTM2D(
        3, (3, 2), go_backwards=True, padding="same")),
})  # fmt: skip

# Pooling, padding, cropping, upsampling -----------------------------------------------------

_SIZES = {1: (9,), 2: (7, 6), 3: (5, 6, 4)}
for _rank, _size in _SIZES.items():
    for _kind in ("Max", "Average"):
        _pool = getattr(L, f"{_kind}Pooling{_rank}D")
        _global = getattr(L, f"Global{_kind}Pooling{_rank}D")
        _each({
            f"{_pool.__name__}/plain": _chain((*_size, 3), lambda c=_pool: c(2)),
            f"{_pool.__name__}/same": _chain(
                (*_size, 3), lambda c=_pool: c(3, strides=2, padding="same")),
            f"{_pool.__name__}/overlapping": _chain((*_size, 3), lambda c=_pool: c(3, strides=1)),
            f"{_global.__name__}/plain": _chain((*_size, 3), lambda c=_global: c()),
            f"{_global.__name__}/keepdims": _chain((*_size, 3), lambda c=_global: c(keepdims=True)),
        })  # fmt: skip
_each({
    "MaxPooling2D/unequal": _chain((7, 6, 3), lambda: L.MaxPooling2D((3, 2), strides=(2, 1))),
    "MaxPooling2D/channels-first": _chain(
        (3, 7, 6), lambda: L.MaxPooling2D(2, data_format="channels_first")),
    "GlobalAveragePooling1D/channels-first": _chain(
        (3, 7), lambda: L.GlobalAveragePooling1D(data_format="channels_first")),
    "GlobalAveragePooling1D/masked": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.GlobalAveragePooling1D()),
    "GlobalAveragePooling2D/channels-first": _chain(
        (3, 7, 6), lambda: L.GlobalAveragePooling2D(data_format="channels_first")),
    "GlobalMaxPooling2D/free-size": _chain((None, None, 3), lambda: L.GlobalMaxPooling2D()),
    "AdaptiveAveragePooling1D/plain": _chain((9, 3), lambda: L.AdaptiveAveragePooling1D(4)),
    "AdaptiveAveragePooling3D/plain": _chain(
        (5, 6, 4, 2), lambda: L.AdaptiveAveragePooling3D(3)),
    "AdaptiveMaxPooling1D/plain": _chain((9, 3), lambda: L.AdaptiveMaxPooling1D(4)),
    "AdaptiveMaxPooling2D/plain": _chain((7, 6, 3), lambda: L.AdaptiveMaxPooling2D((3, 2))),
    "AdaptiveMaxPooling3D/plain": _chain((5, 6, 4, 2), lambda: L.AdaptiveMaxPooling3D(3)),
    "AdaptiveAveragePooling2D/plain": _chain((7, 6, 3), lambda: L.AdaptiveAveragePooling2D((3, 2))),
    "ZeroPadding1D/plain": _chain((5, 3), lambda: L.ZeroPadding1D(2)),
    "ZeroPadding1D/unequal": _chain((5, 3), lambda: L.ZeroPadding1D((1, 2))),
    "ZeroPadding2D/plain": _chain((5, 4, 3), lambda: L.ZeroPadding2D(1)),
    "ZeroPadding2D/unequal": _chain((5, 4, 3), lambda: L.ZeroPadding2D(((1, 2), (0, 3)))),
    "ZeroPadding2D/channels-first": _chain(
        (3, 5, 4), lambda: L.ZeroPadding2D((1, 2), data_format="channels_first")),
    "ZeroPadding3D/plain": _chain((3, 4, 3, 2), lambda: L.ZeroPadding3D(1)),
    "Cropping1D/plain": _chain((8, 3), lambda: L.Cropping1D((1, 2))),
    "Cropping2D/plain": _chain((8, 7, 3), lambda: L.Cropping2D(1)),
    "Cropping2D/unequal": _chain((8, 7, 3), lambda: L.Cropping2D(((1, 2), (0, 3)))),
    "Cropping2D/channels-first": _chain(
        (3, 8, 7), lambda: L.Cropping2D(((1, 2), (0, 3)), data_format="channels_first")),
    "Cropping3D/plain": _chain((5, 6, 5, 2), lambda: L.Cropping3D(1)),
    "UpSampling1D/plain": _chain((5, 3), lambda: L.UpSampling1D(2)),
    "UpSampling2D/nearest": _chain((4, 5, 3), lambda: L.UpSampling2D(2)),
    "UpSampling2D/nearest-unequal": _chain((4, 5, 3), lambda: L.UpSampling2D((2, 3))),
    "UpSampling2D/bilinear": _chain((4, 5, 3), lambda: L.UpSampling2D(2, interpolation="bilinear")),
    "UpSampling2D/bicubic": _chain((4, 5, 3), lambda: L.UpSampling2D(2, interpolation="bicubic")),
    "UpSampling2D/channels-first": _chain(
        (3, 4, 5), lambda: L.UpSampling2D(2, data_format="channels_first")),
    "UpSampling3D/plain": _chain((3, 4, 3, 2), lambda: L.UpSampling3D(2)),
})  # fmt: skip

# Shapes -------------------------------------------------------------------------------------

_each({
    "Flatten/plain": _chain((4, 3, 2), lambda: L.Flatten(), lambda: L.Dense(2)),
    "Flatten/rank-1": _chain((), lambda: L.Flatten()),
    "Flatten/channels-first": _chain((4, 3, 2), lambda: L.Flatten(data_format="channels_first")),
    "Reshape/plain": _chain((4, 6), lambda: L.Reshape((3, 8))),
    "Reshape/minus-one": _chain((4, 6), lambda: L.Reshape((-1, 2, 3))),
    "Reshape/free-length": _chain((None, 6), lambda: L.Reshape((-1, 3))),
    "Reshape/scalar": _chain((1,), lambda: L.Reshape(())),
    "Permute/plain": _chain((4, 6, 2), lambda: L.Permute((3, 1, 2))),
    "RepeatVector/plain": _chain((4,), lambda: L.RepeatVector(3)),
    "Embedding/plain": _chain((6,), lambda: L.Embedding(10, 4), dtype="int32"),
    "Embedding/float-input": _chain(
            (6,), lambda: L.ReLU(), lambda: L.Embedding(10, 4), lambda: L.Flatten()
        ),
    "Embedding/mask-zero-lstm": _chain(
        (6,), lambda: L.Embedding(10, 4, mask_zero=True), lambda: L.LSTM(3), dtype="int32"),
    "Embedding/mask-zero-pool": _chain(
        (6,), lambda: L.Embedding(10, 4, mask_zero=True), lambda: L.GlobalAveragePooling1D(),
        dtype="int32"),
    "Embedding/rank-2": _chain((6, 2), lambda: L.Embedding(10, 4), dtype="int32"),
    "Embedding/free-length": _chain((None,), lambda: L.Embedding(10, 4), dtype="int32"),
    "Embedding/rank-0": _chain((), lambda: L.Embedding(10, 4), dtype="int32"),
    "ReversibleEmbedding/plain": _chain((6,), lambda: L.ReversibleEmbedding(10, 4), dtype="int32"),
})  # fmt: skip

# Recurrent ----------------------------------------------------------------------------------

_OLD_GRU: dict[str, Any] = {"reset_after": False}
for _name, _make in {
    "SimpleRNN": lambda **o: L.SimpleRNN(4, **o),
    "GRU": lambda **o: L.GRU(4, **(_OLD_GRU | o)),
    "LSTM": lambda **o: L.LSTM(4, **o),
}.items():
    _each({
        f"{_name}/plain": _chain((6, 3), lambda m=_make: m()),
        f"{_name}/sequences": _chain((6, 3), lambda m=_make: m(return_sequences=True)),
        f"{_name}/state": _chain((6, 3), lambda m=_make: m(return_state=True)),
        f"{_name}/sequences-state": _chain(
            (6, 3), lambda m=_make: m(return_sequences=True, return_state=True)),
        f"{_name}/backwards": _chain((6, 3), lambda m=_make: m(go_backwards=True)),
        f"{_name}/backwards-sequences": _chain(
            (6, 3), lambda m=_make: m(go_backwards=True, return_sequences=True)),
        f"{_name}/no-bias": _chain((6, 3), lambda m=_make: m(use_bias=False)),
        f"{_name}/unroll": _chain((6, 3), lambda m=_make: m(unroll=True)),
        f"{_name}/dropout": _chain((6, 3), lambda m=_make: m(dropout=0.3, recurrent_dropout=0.2)),
        f"{_name}/relu": _chain((6, 3), lambda m=_make: m(activation="relu")),
        f"{_name}/free-length": _chain((None, 3), lambda m=_make: m(return_sequences=True)),
        f"{_name}/stateful": _chain((6, 3), lambda m=_make: m(stateful=True), batch_size=2),
        f"{_name}/masked": _chain((6, 3), lambda: L.Masking(), lambda m=_make: m()),
        f"{_name}/masked-sequences": _chain(
            (6, 3), lambda: L.Masking(), lambda m=_make: m(return_sequences=True)),
        f"{_name}/masked-backwards": _chain(
            (6, 3), lambda: L.Masking(), lambda m=_make: m(go_backwards=True)),
        f"{_name}/stacked": _chain(
            (6, 3), lambda m=_make: m(return_sequences=True), lambda m=_make: m()),
    })  # fmt: skip
    for _mode in ("concat", "sum", "mul", "ave", None):
        _each({f"Bidirectional/{_name}-{_mode}": _chain((6, 3), lambda m=_make, k=_mode:
            L.Bidirectional(m(return_sequences=True), merge_mode=k))})  # fmt: skip


def _initial_state(make: Callable[[], Any], count: int) -> Builder:
    def model() -> keras.Model:
        sequence = Input((6, 3))
        states = [Input((4,)) for _ in range(count)]
        return Model([sequence, *states], make()(sequence, initial_state=states))

    return model


def _encoder_decoder() -> keras.Model:
    source, target = Input((6, 3), name="source"), Input((5, 2), name="target")
    _, h, c = L.LSTM(4, return_state=True)(source)
    y = L.LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    return Model([source, target], L.TimeDistributed(L.Dense(3, activation="softmax"))(y))


_each({
    "LSTM/free-length-backwards": _chain(
        (None, 3), lambda: L.LSTM(4, go_backwards=True, return_sequences=True)),
    "GRU/free-length-masked-backwards": _chain(
        (None, 3), lambda: L.Masking(), lambda: L.GRU(4, go_backwards=True, **_OLD_GRU)),
    "GRU/long": _chain((140, 3), lambda: L.Masking(), lambda: L.GRU(4, reset_after=False)),
    "Bidirectional/free-length": _chain(
        (None, 3), lambda: L.Bidirectional(L.LSTM(4, return_sequences=True))),
    "Bidirectional/free-length-masked": _chain(
        (None,), lambda: L.Embedding(10, 4, mask_zero=True),
        lambda: L.Bidirectional(L.LSTM(4)), lambda: L.Dense(1, activation="sigmoid"),
        dtype="int32"),
    "TimeDistributed/free-length": _chain((None, 8), lambda: L.TimeDistributed(L.Dense(4))),
    "TimeDistributed/free-length-conv": _chain(
        (None, 6, 6, 2), lambda: L.TimeDistributed(L.Conv2D(3, 3)),
        lambda: L.TimeDistributed(L.Flatten()), lambda: L.LSTM(3)),
    "TimeDistributed/free-length-lstm": _chain(
        (None, 5, 2), lambda: L.TimeDistributed(L.LSTM(4))),
    "TimeDistributed/free-length-model": _chain((None, 8), lambda: L.TimeDistributed(Sequential(
        [Input((8,)), L.Dense(4, activation="relu"), L.BatchNormalization()]))),
    "GRU/reset-after": _chain((6, 3), lambda: L.GRU(4)),
    "GRU/hard-sigmoid": _chain(
        (6, 3), lambda: L.GRU(4, reset_after=False, recurrent_activation="hard_sigmoid")),
    "GRU/initial-state": _initial_state(lambda: L.GRU(4, reset_after=False), 1),
    "LSTM/hard-sigmoid": _chain((6, 3), lambda: L.LSTM(4, recurrent_activation="hard_sigmoid")),
    "LSTM/no-unit-forget": _chain((6, 3), lambda: L.LSTM(4, unit_forget_bias=False)),
    "LSTM/initial-state": _initial_state(lambda: L.LSTM(4), 2),
    "LSTM/initial-state-sequences": _initial_state(lambda: L.LSTM(4, return_sequences=True), 2),
    "LSTM/encoder-decoder": _encoder_decoder,
    "SimpleRNN/initial-state": _initial_state(lambda: L.SimpleRNN(4), 1),
    "RNN/lstm-cell": _chain((6, 3), lambda: L.RNN(L.LSTMCell(4))),
    "RNN/gru-cell": _chain((6, 3), lambda: L.RNN(L.GRUCell(4, reset_after=False))),
    "RNN/simple-cell-sequences": _chain(
        (6, 3), lambda: L.RNN(L.SimpleRNNCell(4), return_sequences=True)),
    "RNN/stacked-cells": _chain(
        (6, 3), lambda: L.RNN([L.LSTMCell(4), L.LSTMCell(5)], return_sequences=True)),
    "RNN/stacked-mixed": _chain(
        (6, 3), lambda: L.RNN(L.StackedRNNCells([L.SimpleRNNCell(4), L.LSTMCell(5)]))),
    "RNN/stacked-state": _chain(
        (6, 3), lambda: L.RNN([L.SimpleRNNCell(4), L.LSTMCell(5)], return_state=True)),
    "Bidirectional/last": _chain((6, 3), lambda: L.Bidirectional(L.LSTM(4))),
    "Bidirectional/state": _chain((6, 3), lambda: L.Bidirectional(L.LSTM(4, return_state=True))),
    "Bidirectional/masked": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.Bidirectional(L.LSTM(4))),
    "Bidirectional/masked-sequences": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.Bidirectional(L.LSTM(4, return_sequences=True))),
    "Bidirectional/backward-layer": _chain((6, 3), lambda: L.Bidirectional(
        L.LSTM(4), backward_layer=L.LSTM(4, go_backwards=True, activation="relu"))),
    "Bidirectional/backward-class": _chain((6, 3), lambda: L.Bidirectional(
        L.LSTM(4), backward_layer=L.GRU(4, go_backwards=True, reset_after=False))),
    "Bidirectional/rnn-cell": _chain((6, 3), lambda: L.Bidirectional(L.RNN(L.LSTMCell(4)))),
    "Bidirectional/rnn-cell-sequences": _chain((6, 3), lambda: L.Masking(), lambda: L.Bidirectional(
        L.RNN([L.LSTMCell(4), L.SimpleRNNCell(3)], return_sequences=True))),
    "Bidirectional/rnn-cell-state": _chain((6, 3), lambda: L.Bidirectional(
        L.RNN([L.LSTMCell(4), L.SimpleRNNCell(3)], return_state=True))),
    "Bidirectional/state-sequences": _chain((6, 3), lambda: L.Masking(), lambda: L.Bidirectional(
        L.GRU(4, return_state=True, return_sequences=True, reset_after=False), merge_mode="sum")),
    "Bidirectional/state-apart": _chain((6, 3), lambda: L.Bidirectional(
        L.LSTM(4, return_state=True), merge_mode=None)),
    "Bidirectional/reset-after": _chain((6, 3), lambda: L.Bidirectional(L.GRU(4))),
    "TimeDistributed/dense": _chain((5, 8), lambda: L.TimeDistributed(L.Dense(4))),
    "TimeDistributed/conv": _chain((3, 6, 6, 2), lambda: L.TimeDistributed(L.Conv2D(3, 3))),
    "TimeDistributed/lstm": _chain((3, 5, 2), lambda: L.TimeDistributed(L.LSTM(4))),
    "TimeDistributed/flatten": _chain((3, 5, 2), lambda: L.TimeDistributed(L.Flatten())),
    "TimeDistributed/batchnorm": _chain(
        (3, 5, 2), lambda: L.TimeDistributed(L.BatchNormalization())),
    "TimeDistributed/model": _chain((3, 8), lambda: L.TimeDistributed(Sequential(
        [Input((8,)), L.Dense(4, activation="relu"), L.Dense(2)]))),
    "TimeDistributed/dropout": _chain((3, 8), lambda: L.TimeDistributed(L.Dropout(0.5))),
    "TimeDistributed/masked": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.TimeDistributed(L.Dense(4)), lambda: L.LSTM(3)),
    "TimeDistributed/nested": _chain(
        (2, 3, 8), lambda: L.TimeDistributed(L.TimeDistributed(L.Dense(4)))),
    "Masking/value": _chain((6, 3), lambda: L.Masking(mask_value=-1.0), lambda: L.LSTM(4)),
    "Masking/dense-between": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.Dense(4), lambda: L.Dropout(0.1),
        lambda: L.SimpleRNN(3)),
    "Masking/output": _chain((6, 3), lambda: L.Masking()),
})  # fmt: skip

# Normalisation, noise and dropout, preprocessing ----------------------------------------------


def _normalization(shape: tuple[int | None, ...], **options: Any) -> Builder:
    def make() -> keras.Model:
        layer = L.Normalization(**options)
        if "mean" not in options:
            data = np.random.default_rng(5).normal(3, 2, (64, *(s or 5 for s in shape)))
            layer.adapt(data.astype("float32"))
        start = Input(shape)
        return Model(start, L.Dense(2)(layer(start)))

    return make


def _crossed() -> keras.Model:
    a, b = Input((1,), dtype="int32"), Input((1,), dtype="int32")
    return Model([a, b], L.HashedCrossing(5)((a, b)))


_each({
    "BatchNormalization/plain": _chain((8,), lambda: L.BatchNormalization()),
    "BatchNormalization/rank-4": _chain((5, 4, 3), lambda: L.BatchNormalization()),
    "BatchNormalization/rank-3": _chain((5, 3), lambda: L.BatchNormalization()),
    "BatchNormalization/rank-5": _chain((5, 4, 3, 2), lambda: L.BatchNormalization()),
    "BatchNormalization/axis-1": _chain((3, 5, 4), lambda: L.BatchNormalization(axis=1)),
    "BatchNormalization/axis-1-rank-3": _chain((3, 5), lambda: L.BatchNormalization(axis=1)),
    "BatchNormalization/no-scale": _chain((8,), lambda: L.BatchNormalization(scale=False)),
    "BatchNormalization/no-center": _chain((8,), lambda: L.BatchNormalization(center=False)),
    "BatchNormalization/bare": _chain(
        (8,), lambda: L.BatchNormalization(scale=False, center=False, epsilon=0.01, momentum=0.5)),
    "BatchNormalization/masked": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.BatchNormalization(), lambda: L.LSTM(3)),
    "BatchNormalization/renorm": _chain((8,), lambda: L.BatchNormalization(renorm=True)),
    "LayerNormalization/plain": _chain((5, 8), lambda: L.LayerNormalization()),
    "LayerNormalization/axis-1": _chain((5, 8), lambda: L.LayerNormalization(axis=1)),
    "LayerNormalization/axes": _chain((5, 4, 3), lambda: L.LayerNormalization(axis=(2, 3))),
    "LayerNormalization/axes-negative": _chain((5, 4, 3), lambda: L.LayerNormalization((-2, -1))),
    "LayerNormalization/no-scale": _chain((5, 8), lambda: L.LayerNormalization(scale=False)),
    "LayerNormalization/no-center": _chain((8,), lambda: L.LayerNormalization(center=False)),
    "LayerNormalization/epsilon": _chain((8,), lambda: L.LayerNormalization(epsilon=0.1)),
    "LayerNormalization/bare": _chain(
            (8,), lambda: L.LayerNormalization(scale=False, center=False)
        ),
    "GroupNormalization/plain": _chain((5, 4, 6), lambda: L.GroupNormalization(groups=3)),
    "RMSNormalization/plain": _chain((5, 8), lambda: L.RMSNormalization()),
    "UnitNormalization/plain": _chain((5, 8), lambda: L.UnitNormalization()),
    "SpectralNormalization/dense": _chain((8,), lambda: L.SpectralNormalization(L.Dense(4))),
    "Normalization/adapted": _normalization((8,)),
    "Normalization/given": _normalization((8,), mean=1.5, variance=4.0),
    "Normalization/scalar": _normalization((5, 3), axis=None),
    "Normalization/invert": _normalization((8,), invert=True),
    "Normalization/picture": _normalization((5, 4, 3)),
    "Normalization/axes": _normalization((4, 3), axis=(1, 2)),
    "Normalization/axis-1": _normalization((4, 3), axis=1),
    "Dropout/plain": _chain((8,), lambda: L.Dropout(0.5), lambda: L.Dense(2)),
    "Dropout/noise-shape": _chain((5, 8), lambda: L.Dropout(0.5, noise_shape=(None, 1, 8), seed=3)),
    "AlphaDropout/plain": _chain((8,), lambda: L.AlphaDropout(0.3)),
    "GaussianDropout/plain": _chain((8,), lambda: L.GaussianDropout(0.3)),
    "GaussianNoise/plain": _chain((8,), lambda: L.GaussianNoise(0.3)),
    "SpatialDropout1D/plain": _chain((5, 8), lambda: L.SpatialDropout1D(0.3)),
    "SpatialDropout2D/plain": _chain((5, 4, 8), lambda: L.SpatialDropout2D(0.3)),
    "SpatialDropout3D/plain": _chain((3, 4, 5, 2), lambda: L.SpatialDropout3D(0.3)),
    "ActivityRegularization/plain": _chain((8,), lambda: L.ActivityRegularization(0.1)),
    "RandomFlip/plain": _chain((6, 5, 3), lambda: L.RandomFlip(), lambda: L.Conv2D(2, 3)),
    "RandomRotation/plain": _chain((6, 5, 3), lambda: L.RandomRotation(0.1)),
    "RandomZoom/plain": _chain((6, 5, 3), lambda: L.RandomZoom(0.1)),
    "RandomContrast/plain": _chain((6, 5, 3), lambda: L.RandomContrast(0.1)),
    "RandomTranslation/plain": _chain((6, 5, 3), lambda: L.RandomTranslation(0.1, 0.1)),
    "RandomBrightness/plain": _chain((6, 5, 3), lambda: L.RandomBrightness(0.1)),
    "RandomErasing/plain": _chain((6, 5, 3), lambda: L.RandomErasing()),
    "RandomHue/plain": _chain((6, 5, 3), lambda: L.RandomHue(0.1)),
    "RandomInvert/plain": _chain((6, 5, 3), lambda: L.RandomInvert()),
    "RandomColorJitter/plain": _chain((6, 5, 3), lambda: L.RandomColorJitter(
        brightness_factor=0.1, contrast_factor=0.1)),
    "RandomColorDegeneration/plain": _chain((6, 5, 3), lambda: L.RandomColorDegeneration(0.5)),
    "RandomElasticTransform/plain": _chain((6, 5, 3), lambda: L.RandomElasticTransform()),
    "RandomGaussianBlur/plain": _chain((6, 5, 3), lambda: L.RandomGaussianBlur()),
    "RandomGrayscale/plain": _chain((6, 5, 3), lambda: L.RandomGrayscale(0.5)),
    "RandomPerspective/plain": _chain((6, 5, 3), lambda: L.RandomPerspective()),
    "RandomPosterization/plain": _chain((6, 5, 3), lambda: L.RandomPosterization(4)),
    "RandomSaturation/plain": _chain((6, 5, 3), lambda: L.RandomSaturation(0.5)),
    "RandomSharpness/plain": _chain((6, 5, 3), lambda: L.RandomSharpness(0.5)),
    "RandomShear/plain": _chain((6, 5, 3), lambda: L.RandomShear(0.1, 0.1)),
    "RandomCrop/plain": _chain((6, 5, 3), lambda: L.RandomCrop(4, 3)),
    "AugMix/plain": _chain((6, 5, 3), lambda: L.AugMix()),
    "AutoContrast/plain": _chain((6, 5, 3), lambda: L.AutoContrast()),
    "ContrastLimitedAdaptiveHistogramEqualization/plain": _chain(
        (16, 16, 3), lambda: L.ContrastLimitedAdaptiveHistogramEqualization()),
    "CutMix/plain": _chain((6, 5, 3), lambda: L.CutMix()),
    "MixUp/plain": _chain((6, 5, 3), lambda: L.MixUp()),
    "RandAugment/plain": _chain((6, 5, 3), lambda: L.RandAugment()),
    "Solarization/plain": _chain((6, 5, 3), lambda: L.Solarization()),
    "Pipeline/plain": _chain(
        (6, 5, 3), lambda: L.Pipeline([L.Rescaling(0.5), L.CenterCrop(4, 4)])),
    "HashedCrossing/plain": _crossed,
    "MelSpectrogram/plain": _chain((400,), lambda: L.MelSpectrogram(
        fft_length=64, sequence_stride=32, num_mel_bins=8, sampling_rate=8000)),
    "STFTSpectrogram/plain": _chain((200, 1), lambda: L.STFTSpectrogram(
        frame_length=32, frame_step=16, fft_length=32)),
    "STFTSpectrogram/angle": _chain((200, 1), lambda: L.STFTSpectrogram(
        mode="angle", frame_length=32, frame_step=16, fft_length=32)),
    "Rescaling/plain": _chain((6, 5, 3), lambda: L.Rescaling(1 / 255)),
    "Rescaling/offset": _chain((8,), lambda: L.Rescaling(1 / 127.5, offset=-1)),
    "Rescaling/vector": _chain(
        (5, 4, 3), lambda: L.Rescaling([0.1, 0.2, 0.3], offset=[-1.0, 0.5, 2.0])),
    "Rescaling/int-input": _chain((8,), lambda: L.Rescaling(0.1), dtype="int32"),
    "Resizing/bilinear": _chain((6, 5, 3), lambda: L.Resizing(4, 7)),
    "Resizing/nearest": _chain((6, 5, 3), lambda: L.Resizing(3, 10, interpolation="nearest")),
    "Resizing/bicubic": _chain((6, 5, 3), lambda: L.Resizing(4, 7, interpolation="bicubic")),
    "Resizing/area": _chain((6, 5, 3), lambda: L.Resizing(3, 5, interpolation="area")),
    "Resizing/lanczos": _chain((6, 5, 3), lambda: L.Resizing(4, 7, interpolation="lanczos3")),
    "Resizing/crop": _chain((6, 5, 3), lambda: L.Resizing(4, 4, crop_to_aspect_ratio=True)),
    "CenterCrop/plain": _chain((8, 6, 3), lambda: L.CenterCrop(4, 3)),
    "CenterCrop/odd": _chain((7, 6, 3), lambda: L.CenterCrop(4, 3)),
    "CenterCrop/larger": _chain((4, 4, 3), lambda: L.CenterCrop(6, 5)),
    "CategoryEncoding/one-hot": _chain(
        (1,), lambda: L.CategoryEncoding(10, output_mode="one_hot"), dtype="int32"),
    "CategoryEncoding/multi-hot": _chain(
        (4,), lambda: L.CategoryEncoding(10, output_mode="multi_hot"), dtype="int32"),
    "CategoryEncoding/count": _chain(
        (4,), lambda: L.CategoryEncoding(10, output_mode="count"), dtype="int32"),
    "Discretization/plain": _chain((4,), lambda: L.Discretization([-1.0, 0.0, 0.5, 2.0])),
    "Hashing/plain": _chain((4,), lambda: L.Hashing(5), dtype="int32"),
    "IntegerLookup/plain": _chain(
        (4,), lambda: L.IntegerLookup(vocabulary=[3, 5, 7]), dtype="int32"),
})  # fmt: skip

# Merging and attention ------------------------------------------------------------------------

for _name in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
    _class = getattr(L, _name)
    _each({
        f"{_name}/plain": _merge(lambda c=_class: c(), (4, 3), (4, 3)),
        f"{_name}/broadcast": _merge(lambda c=_class: c(), (4, 3), (1, 3)),
        f"{_name}/ranks": _merge(lambda c=_class: c(), (4, 3), (3,)),
    })  # fmt: skip
    if _name != "Subtract":
        _each({f"{_name}/three": _merge(lambda c=_class: c(), (4, 3), (4, 3), (4, 3))})
_each({
    "Concatenate/plain": _merge(lambda: L.Concatenate(), (4, 3), (4, 2)),
    "Concatenate/axis-1": _merge(lambda: L.Concatenate(axis=1), (4, 3), (2, 3)),
    "Concatenate/axis-2": _merge(lambda: L.Concatenate(axis=-2), (4, 3, 2), (4, 1, 2)),
    "Concatenate/three": _merge(lambda: L.Concatenate(), (3,), (2,), (4,)),
    "Dot/vectors": _merge(lambda: L.Dot(axes=1), (4,), (4,)),
    "Dot/normalize": _merge(lambda: L.Dot(axes=1, normalize=True), (4,), (4,)),
    "Dot/matrices": _merge(lambda: L.Dot(axes=(2, 1)), (4, 3), (3, 5)),
    "Dot/same-axis": _merge(lambda: L.Dot(axes=2), (4, 3), (5, 3)),
    "Dot/axis-1": _merge(lambda: L.Dot(axes=1), (4, 3), (4, 5)),
    "Dot/mixed-ranks": _merge(lambda: L.Dot(axes=(2, 1)), (4, 3), (3,)),
    "Dot/negative": _merge(lambda: L.Dot(axes=-1), (4, 3), (5, 3)),
    "Dot/normalize-matrices": _merge(lambda: L.Dot(axes=(2, 2), normalize=True), (4, 3), (5, 3)),
    "Attention/plain": _merge(lambda: L.Attention(), (4, 3), (5, 3)),
    "AdditiveAttention/plain": _merge(lambda: L.AdditiveAttention(), (4, 3), (5, 3)),
})  # fmt: skip


def _self_attention(**options: Any) -> Builder:
    def make() -> keras.Model:
        start = Input((5, 8))
        call = {"use_causal_mask": True} if options.get("causal") else {}
        layer = L.MultiHeadAttention(num_heads=2, key_dim=4)
        return Model(start, layer(start, start, **call))

    return make


def _attention_before_a_loop() -> keras.Model:
    """What a rewrite emits is to be rewritten itself, in a graph that is copied only once."""
    start = Input((None, 3))
    x = L.MultiHeadAttention(2, 3)(start, start, use_causal_mask=True)
    return Model(start, L.SimpleRNN(2)(x))


def _grouped_query() -> keras.Model:
    start = Input((5, 8))
    layer = L.GroupQueryAttention(head_dim=4, num_query_heads=4, num_key_value_heads=2)
    return Model(start, layer(start, start))


def _masked_merge(layer: Callable[[], Any]) -> Builder:
    """Two masked sequences merged, then read by a layer that uses the mask."""

    def make() -> keras.Model:
        a, b = Input((6, 3)), Input((6, 3))
        return Model([a, b], L.LSTM(4)(layer()([L.Masking()(a), L.Masking()(b)])))

    return make


_each({
    "MultiHeadAttention/self": _self_attention(),
    "MultiHeadAttention/causal": _self_attention(causal=True),
    "MultiHeadAttention/before-a-loop": _attention_before_a_loop,
    "GroupQueryAttention/self": _grouped_query,
    "Add/masked": _masked_merge(lambda: L.Add()),
    "Concatenate/masked": _masked_merge(lambda: L.Concatenate()),
    "Concatenate/masked-time": _masked_merge(lambda: L.Concatenate(axis=1)),
})  # fmt: skip

# keras.ops in functional graphs ---------------------------------------------------------------


def _op(function: Callable[[Any], Any], shape: tuple[int, ...] = (4, 3)) -> Builder:
    def make() -> keras.Model:
        start = Input(shape)
        return Model(start, function(start))

    return make


def _leaky_relu_of_integers() -> keras.Model:
    """Keras says int32 of what TensorFlow computes in float32."""
    start = Input((4,), dtype="int32")
    return Model(start, ops.leaky_relu(start - 4))


_each(
    {
        "ops/add-scalar": _op(lambda x: x + 1.5),
        "ops/multiply-tensors": _op(lambda x: x * L.Dense(3)(x)),
        "ops/subtract": _op(lambda x: L.Dense(3)(x) - x),
        "ops/matmul": _op(lambda x: ops.matmul(x, ops.transpose(x, (0, 2, 1)))),
        "ops/mean": _op(lambda x: ops.mean(x, axis=1)),
        "ops/reshape": _op(lambda x: ops.reshape(x, (-1, 12))),
        "ops/concatenate": _op(lambda x: ops.concatenate([x, x], axis=-1)),
        "ops/slice": _op(lambda x: x[:, 1:3]),
        "ops/relu": _op(lambda x: ops.relu(x)),
        "ops/softmax": _op(lambda x: ops.softmax(x)),
        "ops/cast": _op(lambda x: ops.cast(x > 0, "float32")),
        "ops/where": _op(lambda x: ops.where(x > 0, x, 0.1 * x)),
        "ops/erf": _op(lambda x: ops.erf(x)),
        "ops/argmax": _op(lambda x: ops.argmax(x, axis=-1)),
        "ops/fft": _op(lambda x: list(ops.fft((x, 0.5 * x)))),
        "ops/istft": _op(lambda x: ops.istft(ops.stft(x, 32, 16, 32), 32, 16, 32), shape=(200,)),
        "ops/leaky-relu-of-integers": _leaky_relu_of_integers,
        "ops/split": _op(lambda x: ops.split(x, 2, axis=1)),
        "Lambda/plain": _op(lambda x: L.Lambda(lambda t: t * 2)(x)),
    }
)

# Topologies -----------------------------------------------------------------------------------


def _sequential_input_shape() -> keras.Model:
    return Sequential([L.Dense(4, input_shape=(8,), activation="relu"), L.Dense(2)])


def _built_later() -> keras.Model:
    model = Sequential([L.Dense(4), L.Dense(2)])
    model.build((None, 8))
    return model


def _encoder(name: str = "encoder") -> keras.Model:
    return Sequential(
        [Input((8,)), L.Dense(5, activation="relu"), L.BatchNormalization(), L.Dense(4)], name=name
    )


def _functional_part(name: str = "part") -> keras.Model:
    start = Input((4,))
    return Model(start, L.Add()([L.Dense(4)(start), start]), name=name)


def _sequential_in_functional() -> keras.Model:
    start = Input((8,))
    return Model(start, L.Dense(2)(_encoder()(start)))


def _functional_in_sequential() -> keras.Model:
    return Sequential([Input((8,)), L.Dense(4), _functional_part(), L.Dense(2)])


def _sequential_in_sequential() -> keras.Model:
    return Sequential([Input((8,)), _encoder(), Sequential([Input((4,)), L.Dense(2)], name="head")])


def _sequential_starting_with_model() -> keras.Model:
    return Sequential([_encoder(), L.Dense(2)])


def _deeply_nested() -> keras.Model:
    inner = Model(inner_in := Input((4,)), _functional_part("deepest")(L.Dense(4)(inner_in)))
    outer = Model(outer_in := Input((4,)), inner(outer_in), name="outer")
    start = Input((8,))
    return Model(start, L.Dense(2)(outer(L.Dense(4)(start))))


def _siamese() -> keras.Model:
    left, right = Input((8,), name="left"), Input((8,), name="right")
    encoder = _encoder()
    return Model([left, right], L.Dot(axes=1)([encoder(left), encoder(right)]))


def _shared_layer() -> keras.Model:
    a, b = Input((8,)), Input((8,))
    dense = L.Dense(4, activation="tanh")
    return Model([a, b], L.Concatenate()([dense(a), dense(b)]))


def _shared_in_chain() -> keras.Model:
    x = start = Input((4,))
    dense = L.Dense(4, activation="tanh")
    for _ in range(3):
        x = dense(x)
    return Model(start, x)


def _multi_io_nested() -> keras.Model:
    a, b = Input((3,), name="a"), Input((4,), name="b")
    joined = L.Concatenate()([a, b])
    inner = Model([a, b], [L.Dense(2)(joined), L.Dense(3)(joined)], name="inner")
    p, q = Input((3,), name="p"), Input((4,), name="q")
    y, z = inner([p, q])
    return Model([q, p], [z, L.Dense(2)(y)])


def _outputs() -> keras.Model:
    start = Input((8,))
    x = L.Dense(4, activation="relu")(start)
    return Model(start, [L.Dense(2, name="first")(x), L.Dense(3, name="second")(x), x])


def _dict_outputs() -> keras.Model:
    start = Input((8,))
    x = L.Dense(4, activation="relu")(start)
    return Model(start, {"zeta": L.Dense(2)(x), "alpha": L.Dense(3)(x)})


def _dict_inputs() -> keras.Model:
    ends = {"zeta": Input((3,), name="zeta"), "alpha": Input((4,), name="alpha")}
    return Model(ends, L.Dense(2)(L.Concatenate()([ends["zeta"], ends["alpha"]])))


def _nested_outputs() -> keras.Model:
    start = Input((8,))
    x = L.Dense(4)(start)
    return Model(start, [{"a": L.Dense(2)(x)}, (L.Dense(3)(x), x)])


def _same_output_twice() -> keras.Model:
    start = Input((8,))
    x = L.Dense(4)(start)
    return Model(start, [x, x])


def _input_as_output() -> keras.Model:
    start = Input((8,))
    return Model(start, [start, L.Dense(2)(start)])


def _single_list() -> keras.Model:
    start = Input((8,))
    return Model([start], [L.Dense(2)(start)])


def _unused_input() -> keras.Model:
    a, b = Input((8,), name="used"), Input((3,), name="unused")
    return Model([a, b], L.Dense(2)(a))


def _int_and_float() -> keras.Model:
    tokens, numbers = Input((6,), dtype="int32", name="tokens"), Input((3,), name="numbers")
    x = L.Flatten()(L.Embedding(10, 4)(tokens))
    return Model([tokens, numbers], L.Dense(2)(L.Concatenate()([x, numbers])))


def _residual() -> keras.Model:
    x = start = Input((8, 8, 3))
    for filters in (4, 4, 6):
        y = L.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        y = L.ReLU()(L.BatchNormalization()(y))
        x = L.Add()([y, L.Conv2D(filters, 1)(x)])
    return Model(start, L.Dense(3, activation="softmax")(L.GlobalAveragePooling2D()(x)))


def _inception() -> keras.Model:
    start = Input((8, 8, 3))
    towers = [L.Conv2D(2, k, padding="same", activation="relu")(start) for k in (1, 3, 5)]
    towers.append(L.MaxPooling2D(3, strides=1, padding="same")(start))
    return Model(start, L.Concatenate()(towers))


def _autoencoder() -> keras.Model:
    return Sequential([
        Input((8, 8, 1)), L.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        L.Flatten(), L.Dense(6), L.Dense(64, activation="relu"), L.Reshape((4, 4, 4)),
        L.Conv2DTranspose(3, 3, strides=2, padding="same"), L.Conv2D(1, 3, padding="same"),
    ])  # fmt: skip


def _squeeze_excite() -> keras.Model:
    start = Input((6, 6, 4))
    x = L.Dense(2, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(start))
    return Model(start, L.Multiply()([start, L.Dense(4, activation="sigmoid")(x)]))


def _shared_recurrent() -> keras.Model:
    a, b = Input((6, 3)), Input((6, 3))
    lstm = L.LSTM(4)
    return Model([a, b], L.Add()([lstm(a), lstm(b)]))


def _part_of_model() -> keras.Model:
    whole = _functional_in_sequential()
    return Model(whole.inputs, whole.layers[0].output)


def _branch_outputs_shared() -> keras.Model:
    start = Input((8,))
    encoder = _encoder()
    x = encoder(start)
    return Model(start, [x, L.Dense(2)(encoder(L.Dense(8)(x)))])


def _late_first_call() -> keras.Model:
    """A shared layer whose first call waits for a layer that its second call does not need."""
    start = Input((4,))
    shared, reader = L.Dense(4, activation="tanh"), L.Dense(4)
    x = shared(start)
    deep = shared(L.Dense(4)(x))
    return Model(start, [reader(deep), reader(x), deep])


def _unused_nested_output() -> keras.Model:
    a = Input((4,))
    inner = Model(a, [L.Dense(2)(a), L.Dense(3)(a)], name="inner")
    start = Input((4,))
    return Model(start, inner(start)[1])


def _shared_everywhere() -> keras.Model:
    """One layer inside a nested model and outside of it."""
    shared = L.Dense(4)
    inner = Sequential([Input((4,)), shared, L.ReLU()])
    start = Input((4,))
    return Model(start, L.Add()([inner(start), shared(start)]))


def _key_named_like_a_layer() -> keras.Model:
    start = Input((4,))
    x = L.Dense(4, name="answer")(start)
    return Model(start, {"answer": L.Dense(2, name="other")(x), "other": L.ReLU()(x)})


def _nested_as_output() -> keras.Model:
    start = Input((8,))
    return Model(start, [_encoder()(start), _functional_part()(L.Dense(4)(start))])


def _same_tensor_under_two_names() -> keras.Model:
    start = Input((4,))
    x = L.Dense(3)(start)
    return Model(start, [L.Flatten()(x), x, L.Reshape((3,))(x), L.Permute((1,))(x)])


def _same_tensor_twice_and_again() -> keras.Model:
    start = Input((4,))
    x = L.Dense(3)(start)
    return Model(start, [L.Concatenate()([x, x]), L.Add()([x, x]), L.ReLU()(x)])


def _rank_one_inputs() -> keras.Model:
    a, b = Input((), name="a"), Input((), dtype="int32", name="b")
    x = L.Reshape((1,))(a)
    return Model([a, b], L.Concatenate()([x, L.Embedding(10, 3)(b)]))


def _squeezed_into_nested() -> keras.Model:
    """A nested model that is given one axis more than its input has."""
    start = Input((4, 1))
    return Model(start, _functional_part()(start))


@keras.saving.register_keras_serializable("zoo")
class Sampling(L.Layer):
    """What a variational autoencoder draws its code with."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, mean: Any) -> Any:
        return mean + keras.random.normal(ops.shape(mean), seed=self.seeds)


def _random() -> keras.Model:
    start = Input((4,))
    return Model(start, L.Dense(2)(Sampling(name="code")(start)))


def _many_layers(count: int) -> Builder:
    return _chain((8,), *[lambda: L.Dense(8, activation="tanh") for _ in range(count)])


class Subclassed(Model):
    """A model whose graph stands in code."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(4)

    def call(self, x: Any) -> Any:
        return self.dense(x)


def _subclassed() -> keras.Model:
    model = Subclassed()
    model(np.zeros((1, 8), "float32"))
    return model


_each({
    "topology/sequential": lambda: Sequential(
        [Input((8,)), L.Dense(4, activation="relu"), L.Dense(2, activation="softmax")]),
    "topology/sequential-input-shape": _sequential_input_shape,
    "topology/sequential-built-later": _built_later,
    "topology/sequential-in-functional": _sequential_in_functional,
    "topology/functional-in-sequential": _functional_in_sequential,
    "topology/sequential-in-sequential": _sequential_in_sequential,
    "topology/sequential-starting-with-model": _sequential_starting_with_model,
    "topology/deeply-nested": _deeply_nested,
    "topology/siamese": _siamese,
    "topology/shared-layer": _shared_layer,
    "topology/shared-in-chain": _shared_in_chain,
    "topology/shared-recurrent": _shared_recurrent,
    "topology/multi-io-nested": _multi_io_nested,
    "topology/outputs": _outputs,
    "topology/dict-outputs": _dict_outputs,
    "topology/dict-inputs": _dict_inputs,
    "topology/nested-outputs": _nested_outputs,
    "topology/same-output-twice": _same_output_twice,
    "topology/input-as-output": _input_as_output,
    "topology/single-list": _single_list,
    "topology/unused-input": _unused_input,
    "topology/int-and-float": _int_and_float,
    "topology/residual": _residual,
    "topology/inception": _inception,
    "topology/autoencoder": _autoencoder,
    "topology/squeeze-excite": _squeeze_excite,
    "topology/part-of-model": _part_of_model,
    "topology/branch-outputs-shared": _branch_outputs_shared,
    "topology/late-first-call": _late_first_call,
    "topology/unused-nested-output": _unused_nested_output,
    "topology/shared-everywhere": _shared_everywhere,
    "topology/key-named-like-a-layer": _key_named_like_a_layer,
    "topology/nested-as-output": _nested_as_output,
    "topology/rank-one-inputs": _rank_one_inputs,
    "topology/seven-axes": _chain((2, 2, 2, 2, 2, 3), lambda: L.Dense(2)),
    "topology/random": _random,
    "topology/squeezed-into-nested": _squeezed_into_nested,
    "topology/same-tensor-under-two-names": _same_tensor_under_two_names,
    "topology/same-tensor-twice": _op(lambda x: L.Add()([x, x])),
    "topology/same-tensor-twice-and-again": _same_tensor_twice_and_again,
    "topology/fixed-batch": _chain((8,), lambda: L.Dense(4), batch_size=5),
    "topology/identity": _op(lambda x: x),
    "topology/500-layers": _many_layers(500),
    "topology/subclassed": _subclassed,
    "topology/mlp": lambda: Sequential([
        Input((28, 28)), L.Flatten(), L.Dense(128, activation="relu"),
        L.Dense(64, activation="relu"), L.Dense(10, activation="softmax")]),
    "topology/cnn": lambda: Sequential([
        Input((28, 28, 1)), L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(),
        L.Conv2D(8, 3, activation="relu"), L.MaxPooling2D(), L.Flatten(), L.Dropout(0.5),
        L.Dense(10, activation="softmax")]),
})  # fmt: skip

# Masks on their way ---------------------------------------------------------------------------


def _masked_chain(*makers: Callable[[], Any]) -> Builder:
    return _chain((6,), lambda: L.Embedding(10, 4, mask_zero=True), *makers, dtype="int32")


def _two_masks(merge: Callable[[], Any]) -> Builder:
    """Two sentences, each with a mask of its own, merged and read."""

    def make() -> keras.Model:
        a, b = Input((6,), dtype="int32"), Input((6,), dtype="int32")
        words = L.Embedding(10, 4, mask_zero=True)
        return Model([a, b], L.LSTM(3)(merge()([words(a), words(b)])))

    return make


def _masked_beside(merge: Callable[[], Any]) -> Builder:
    """A sentence with a mask merged with numbers without one, and read."""

    def make() -> keras.Model:
        a, b = Input((6,), dtype="int32"), Input((6, 4))
        return Model([a, b], L.LSTM(3)(merge()([L.Embedding(10, 4, mask_zero=True)(a), b])))

    return make


def _masked_encoder_decoder() -> keras.Model:
    source, target = Input((6,), dtype="int32"), Input((5,), dtype="int32")
    words = L.Embedding(10, 4, mask_zero=True)
    _, h, c = L.LSTM(4, return_state=True)(words(source))
    y = L.LSTM(4, return_sequences=True)(words(target), initial_state=[h, c])
    return Model([source, target], L.Dense(3, activation="softmax")(y))


def _masked_beside_unmasked() -> keras.Model:
    words, numbers = Input((6,), dtype="int32"), Input((4, 3))
    read = L.LSTM(3)(L.Embedding(10, 4, mask_zero=True)(words))
    return Model([words, numbers], L.Concatenate()([read, L.GRU(2, reset_after=False)(numbers)]))


def _mask_into_nested() -> keras.Model:
    inner = Sequential([Input((6, 4)), L.Dense(4), L.LSTM(3, return_sequences=True)], name="inner")
    start = Input((6,), dtype="int32")
    y = inner(L.Embedding(10, 4, mask_zero=True)(start))
    return Model(start, L.LSTM(2)(y))


def _mask_from_nested() -> keras.Model:
    inner = Sequential([Input((6,), dtype="int32"), L.Embedding(10, 4, mask_zero=True)])
    a, b = Input((6,), dtype="int32"), Input((6,), dtype="int32")
    lstm = L.LSTM(3)
    return Model([a, b], L.Subtract()([lstm(inner(a)), lstm(inner(b))]))


def _mask_given() -> keras.Model:
    words, numbers = Input((6,), dtype="int32"), Input((6, 3))
    mask = L.Embedding(10, 4, mask_zero=True).compute_mask(words)
    return Model([words, numbers], L.LSTM(3)(numbers, mask=mask))


_each({
    "mask/then-none": _masked_chain(
        lambda: L.LSTM(3), lambda: L.RepeatVector(4), lambda: L.LSTM(2, return_sequences=True)),
    "mask/leaky-relu": _masked_chain(lambda: L.LeakyReLU(), lambda: L.LSTM(3)),
    "mask/leaky-relu-after-masking": _chain(
        (6, 3), lambda: L.Masking(), lambda: L.LeakyReLU(), lambda: L.LSTM(3)),
    "mask/rescaling": _masked_chain(lambda: L.Rescaling(2.0), lambda: L.Bidirectional(L.LSTM(3))),
    "mask/conv": _masked_chain(lambda: L.Conv1D(3, 3, padding="same"), lambda: L.LSTM(3)),
    "mask/dropout-mean": _masked_chain(
        lambda: L.SpatialDropout1D(0.2), lambda: L.Dense(5, activation="relu"),
        lambda: L.GlobalAveragePooling1D(), lambda: L.Dense(1, activation="sigmoid")),
    "mask/mean-free-length": _chain(
        (None,), lambda: L.Embedding(10, 4, mask_zero=True),
        lambda: L.GlobalAveragePooling1D(), dtype="int32"),
    "mask/max": _masked_chain(lambda: L.GlobalMaxPooling1D()),
    "mask/flatten": _masked_chain(lambda: L.Flatten(), lambda: L.Dense(3)),
    "mask/bidirectional-twice": _masked_chain(
        lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)),
        lambda: L.Bidirectional(L.LSTM(2))),
    "mask/stacked": _masked_chain(
        lambda: L.LSTM(3, return_sequences=True), lambda: L.Dropout(0.1),
        lambda: L.GRU(3, return_sequences=True, reset_after=False), lambda: L.SimpleRNN(2)),
    "mask/layer-normalization": _masked_chain(lambda: L.LayerNormalization(), lambda: L.LSTM(3)),
    "mask/activation-hard-sigmoid": _masked_chain(
        lambda: L.Dense(4, activation="hard_sigmoid"), lambda: L.LSTM(3)),
    "mask/softmax-last": _masked_chain(
        lambda: L.LSTM(3, return_sequences=True), lambda: L.Dense(4, activation="softmax")),
    "mask/time-distributed-dense": _masked_chain(
        lambda: L.TimeDistributed(L.Dense(3, activation="hard_swish")), lambda: L.LSTM(2)),
    "mask/encoder-decoder": _masked_encoder_decoder,
    "mask/beside-unmasked": _masked_beside_unmasked,
    "mask/into-nested": _mask_into_nested,
    "mask/from-nested": _mask_from_nested,
    "mask/given": _mask_given,
    "mask/add": _two_masks(lambda: L.Add()),
    "mask/multiply": _two_masks(lambda: L.Multiply()),
    "mask/maximum": _two_masks(lambda: L.Maximum()),
    "mask/average": _two_masks(lambda: L.Average()),
    "mask/half-masked-multiply": _masked_beside(lambda: L.Multiply()),
    "mask/half-masked-minimum": _masked_beside(lambda: L.Minimum()),
    "mask/concatenate": _two_masks(lambda: L.Concatenate()),
    "mask/concatenate-time": _two_masks(lambda: L.Concatenate(axis=1)),
    "mask/half-masked-add": _masked_beside(lambda: L.Add()),
    "mask/half-masked-concatenate": _masked_beside(lambda: L.Concatenate()),
    "mask/half-masked-concatenate-time": _masked_beside(lambda: L.Concatenate(axis=1)),
})  # fmt: skip

# Names and dtypes -----------------------------------------------------------------------------


def _named(layer_name: str, model_name: str = "model") -> Builder:
    def make() -> keras.Model:
        start = Input((8,), name=f"in {layer_name}".replace("/", "-"))
        x = L.Dense(4, name=layer_name, activation="relu")(start)
        return Model(start, L.Dense(2, name=f"{layer_name}_2")(x), name=model_name)

    return make


def _duplicate_weight_names() -> keras.Model:
    start = Input((8,))
    first = Sequential([Input((8,)), L.Dense(4, name="dense")], name="one")
    second = Sequential([Input((8,)), L.Dense(4, name="dense")], name="two")
    return Model(start, L.Dense(2, name="dense")(L.Add()([first(start), second(start)])))


def _quantised(mode: str) -> Builder:
    def make() -> keras.Model:
        model = Sequential([Input((16,)), L.Dense(8, activation="relu"), L.Dense(4)])
        model.quantize(mode)
        return model

    return make


def _policy(policy: str) -> Builder:
    def make() -> keras.Model:
        x = start = Input((6, 6, 2))
        x = L.Conv2D(4, 3, activation="relu", dtype=policy)(x)
        x = L.BatchNormalization(dtype=policy)(x)
        x = L.Flatten(dtype=policy)(x)
        return Model(start, L.Dense(3, activation="softmax", dtype="float32")(x))

    return make


_each({
    "names/dots": _named("a.b.c"),
    "names/spaces": _named("my dense layer"),
    "names/colons": _named("dense:0"),
    "names/non-ascii": _named("größe_層", "модель"),
    "names/model": _named("dense", "my model.v2:final"),
    "names/percent": _named("100%&?#"),
    "names/duplicate-weights": _duplicate_weight_names,
    "names/looks-like-suffix": _named("dense_1_kernel"),
    "dtype/quantised-int8": _quantised("int8"),
    "dtype/mixed-float16": _policy("mixed_float16"),
    "dtype/mixed-bfloat16": _policy("mixed_bfloat16"),
    "dtype/bfloat16": _policy("bfloat16"),
    "dtype/float16": _policy("float16"),
    "dtype/float64": _policy("float64"),
    "dtype/int32-in": _chain((8,), lambda: L.Dense(4), dtype="int32"),
    "dtype/uint8-in": _chain((8, 8, 3), lambda: L.Rescaling(1 / 255), lambda: L.Conv2D(2, 3),
                             dtype="uint8"),
    "dtype/bool-in": _chain((8,), lambda: L.Dense(4), dtype="bool"),
    "dtype/int64-in": _chain((6,), lambda: L.Embedding(10, 4), dtype="int64"),
    "dtype/float16-in": _chain((8,), lambda: L.Dense(4), dtype="float16"),
})  # fmt: skip


def _application(name: str, size: int = 32, **options: Any) -> Builder:
    def make() -> keras.Model:
        constructor = getattr(keras.applications, name)
        return constructor(weights=None, input_shape=(size, size, 3), classes=5, **options)

    return make


_each({
    "application/MobileNet": _application("MobileNet", alpha=0.25),
    "application/MobileNetV2": _application("MobileNetV2", alpha=0.35),
    "application/MobileNetV3Small": _application("MobileNetV3Small", alpha=0.75),
    "application/EfficientNetB0": _application("EfficientNetB0"),
    "application/ResNet50": _application("ResNet50"),
    "application/ConvNeXtTiny": _application("ConvNeXtTiny"),
})  # fmt: skip
