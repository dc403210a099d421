"""One rule per Keras layer class: how TF.js Layers says the same.

Owns the table. What is not in it is refused. A rule takes a `Writer`, the Keras layer and its
input (or inputs), and returns the outputs; it checks every option of the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import layers

from exporter.formats.tfjs_layers.rules import activations as act
from exporter.formats.tfjs_layers.rules import (
    convolution,
    convolutional_recurrent,
    core,
    merging,
    normalization,
    preprocessing,
    recurrent,
    space,
    transposed,
    wrappers,
)

Rule = Callable[..., Any]

_DROPOUTS = (
    layers.Dropout,
    layers.AlphaDropout,
    layers.GaussianDropout,
    layers.SpatialDropout1D,
)
_POOLINGS = (
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
)
_GLOBAL_POOLINGS = (
    layers.GlobalMaxPooling1D,
    layers.GlobalMaxPooling2D,
    layers.GlobalMaxPooling3D,
    layers.GlobalAveragePooling1D,
    layers.GlobalAveragePooling2D,
    layers.GlobalAveragePooling3D,
)
_IDENTITIES = (
    layers.Identity,
    layers.SpatialDropout2D,
    layers.SpatialDropout3D,
    layers.ActivityRegularization,
    layers.RandomBrightness,
    layers.RandomContrast,
    layers.RandomColorDegeneration,
    layers.RandomColorJitter,
    layers.RandomElasticTransform,
    layers.RandomErasing,
    layers.RandomFlip,
    layers.RandomGaussianBlur,
    layers.RandomGrayscale,
    layers.RandomHue,
    layers.RandomInvert,
    layers.RandomPerspective,
    layers.RandomPosterization,
    layers.RandomRotation,
    layers.RandomSaturation,
    layers.RandomSharpness,
    layers.RandomShear,
    layers.RandomTranslation,
    layers.RandomZoom,
)

RULES: dict[type, Rule] = {
    layers.Dense: core.write_dense,
    layers.EinsumDense: core.write_einsum_dense,
    layers.Embedding: core.write_embedding,
    layers.Masking: core.write_masking,
    layers.Activation: act.write_activation,
    layers.ReLU: act.write_relu,
    layers.LeakyReLU: act.write_leaky_relu_layer,
    layers.ELU: act.write_elu,
    layers.PReLU: act.write_prelu,
    layers.Softmax: act.write_softmax,
    layers.Flatten: core.write_flatten,
    layers.Reshape: core.write_reshape,
    layers.Permute: core.write_permute,
    layers.RepeatVector: core.write_repeat_vector,
    layers.Conv1D: convolution.write_conv,
    layers.Conv2D: convolution.write_conv,
    layers.Conv3D: convolution.write_conv,
    layers.Conv1DTranspose: transposed.write_conv_transpose,
    layers.Conv2DTranspose: transposed.write_conv_transpose,
    layers.Conv3DTranspose: transposed.write_conv_transpose,
    layers.DepthwiseConv1D: convolution.write_depthwise,
    layers.DepthwiseConv2D: convolution.write_depthwise,
    layers.SeparableConv1D: convolution.write_separable,
    layers.SeparableConv2D: convolution.write_separable,
    layers.ZeroPadding1D: space.write_zero_padding,
    layers.ZeroPadding2D: space.write_zero_padding,
    layers.ZeroPadding3D: space.write_zero_padding,
    layers.Cropping1D: space.write_cropping,
    layers.Cropping2D: space.write_cropping,
    layers.Cropping3D: space.write_cropping,
    layers.UpSampling1D: space.write_upsampling,
    layers.UpSampling2D: space.write_upsampling,
    layers.UpSampling3D: space.write_upsampling,
    layers.AdaptiveAveragePooling2D: space.write_resizing,
    layers.Resizing: space.write_resizing,
    layers.CenterCrop: space.write_center_crop,
    layers.BatchNormalization: normalization.write_batch_normalization,
    layers.LayerNormalization: normalization.write_layer_normalization,
    layers.Normalization: normalization.write_normalization,
    layers.Rescaling: normalization.write_rescaling,
    layers.SpectralNormalization: core.write_inner_layer,
    layers.CategoryEncoding: preprocessing.write_category_encoding,
    layers.Add: merging.write_merge,
    layers.Multiply: merging.write_merge,
    layers.Average: merging.write_merge,
    layers.Maximum: merging.write_merge,
    layers.Minimum: merging.write_merge,
    layers.Subtract: merging.write_subtract,
    layers.Concatenate: merging.write_concatenate,
    layers.Dot: merging.write_dot,
    layers.SimpleRNN: recurrent.write_recurrent,
    layers.GRU: recurrent.write_recurrent,
    layers.LSTM: recurrent.write_recurrent,
    layers.RNN: recurrent.write_recurrent,
    layers.ConvLSTM1D: convolutional_recurrent.write_conv_lstm,
    layers.ConvLSTM2D: convolutional_recurrent.write_conv_lstm,
    layers.Bidirectional: recurrent.write_bidirectional,
    layers.TimeDistributed: wrappers.write_time_distributed,
    layers.GaussianNoise: core.write_gaussian_noise,
    **dict.fromkeys(_DROPOUTS, core.write_dropout),
    **dict.fromkeys(_POOLINGS, space.write_pooling),
    **dict.fromkeys(_GLOBAL_POOLINGS, space.write_global_pooling),
    **dict.fromkeys(_IDENTITIES, core.write_identity),
}
"""Keras class to rule; exact classes only, a subclass computes something else."""

ANY_DTYPE: frozenset[type] = frozenset({
    layers.Embedding,
    layers.Flatten,
    layers.Reshape,
    layers.Permute,
    layers.RepeatVector,
    layers.Concatenate,
    layers.Identity,
    layers.Dropout,
    layers.CategoryEncoding,
})  # fmt: skip
"""Classes whose rules see the input in its own dtype; for the others it is made float32."""

TAKES_STATES: frozenset[type] = frozenset({
    layers.SimpleRNN,
    layers.GRU,
    layers.LSTM,
    layers.RNN,
    layers.Bidirectional,
    layers.ConvLSTM1D,
    layers.ConvLSTM2D,
})  # fmt: skip
"""Classes whose rules take `initial_state`."""

USES_MASK: frozenset[type] = frozenset({
    *TAKES_STATES,
    layers.BatchNormalization,  # in training only
    layers.GlobalAveragePooling1D,
    layers.Softmax,
    layers.TimeDistributed,
})  # fmt: skip
"""Classes whose rules ask for the mask that Keras passes."""
