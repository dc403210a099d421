"""Operations that a browser's runtime lacks or gets wrong answer as TensorFlow does.

Each line of the tables is one output of one model, which is exported and run once: in TF.js on cpu
and on wasm, and in ONNX Runtime. `test_tfjs_still_gets_them_wrong` says which lines could go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from exporter import runtimes
from exporter.formats.onnx import OnnxFormat
from exporter.formats.tfjs_graph import TfjsGraphFormat
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import Engine
from exporter.source import Source, describe

Operation = Callable[[Any, Any, Any], Any]
BIAS = np.array([1.0, -1.0, 0.5], "float32")
NUMBERS = np.arange(1, 49, dtype="float32").reshape(8, 6) / 10 - 2.5

# x: float32 (batch, 4, 6); i: int32 of 0..3, the same shape; b: bool, the same shape
FLOATS: dict[str, Operation] = {
    "erfc": lambda x, i, b: tf.math.erfc(x),
    "gelu": lambda x, i, b: tf.nn.gelu(x),
    "gelu_tanh": lambda x, i, b: tf.nn.gelu(x, approximate=True),
    "softsign": lambda x, i, b: tf.nn.softsign(x),
    "expm1_small": lambda x, i, b: tf.math.expm1(x * 1e-4),
    "expm1_large": lambda x, i, b: tf.math.expm1(x * 4),
    "log1p_small": lambda x, i, b: tf.math.log1p(x * 1e-4),
    "log1p_large": lambda x, i, b: tf.math.log1p(tf.abs(x) * 1e6),
    "rint": lambda x, i, b: tf.raw_ops.Rint(x=x),
    "hard_swish": lambda x, i, b: x * tf.nn.relu6(x + 3.0) / 6.0,
    "xlogy": lambda x, i, b: tf.math.xlogy(tf.nn.relu(x), tf.abs(x)),
    "cumsum_last": lambda x, i, b: tf.cumsum(x, -1),
    "cumsum_reverse": lambda x, i, b: tf.cumsum(x, -2, reverse=True, exclusive=True),
    "cumprod_last": lambda x, i, b: tf.math.cumprod(x, -1),
    "last": lambda x, i, b: x[:, -1],
    "last_two": lambda x, i, b: x[:, -2:, :-1],
    "size": lambda x, i, b: x * tf.cast(tf.shape(x)[-1], tf.float32),
    "backwards": lambda x, i, b: x[:, ::-1, ::2],
    "roll": lambda x, i, b: tf.roll(x, [1, -2], [1, 2]),
    "band": lambda x, i, b: tf.linalg.band_part(x, 1, 2),
    "lower": lambda x, i, b: tf.linalg.band_part(x, -1, 0),
    "diagonal": lambda x, i, b: tf.linalg.diag_part(x),
    "diagonal_above": lambda x, i, b: tf.linalg.diag_part(x, k=1),
    "matrix": lambda x, i, b: tf.linalg.diag(x),
    "cross": lambda x, i, b: tf.linalg.cross(x[..., :3], x[..., 3:]),
    "one_hot": lambda x, i, b: tf.one_hot(i, 5),
    "one_hot_axis": lambda x, i, b: tf.one_hot(i[..., 0], 5, on_value=2.0, off_value=-1.0, axis=1),
    "choice": lambda x, i, b: tf.where(b, x, -x),
    "gather_in_batches": lambda x, i, b: tf.gather(x, i[:, 0, :2], axis=1, batch_dims=1),
    "gather_last_in_batches": lambda x, i, b: tf.gather(x, i[:, 0, :2], axis=2, batch_dims=1),
    "stacks_of_matrices": lambda x, i, b: tf.matmul(
        tf.stack([x, x + 1, x + 2], 1), tf.stack([x], 1), transpose_b=True),
    "one_stack_each": lambda x, i, b: tf.matmul(
        x[:, tf.newaxis], tf.stack([x, x + 1], 1), transpose_b=True),
    "sums_of_segments": lambda x, i, b: tf.math.unsorted_segment_sum(
        tf.transpose(x, [1, 0, 2]), tf.constant([0, 2, 0, 1]), 3),
    "entropy": lambda x, i, b: tf.nn.softmax_cross_entropy_with_logits(tf.nn.softmax(x), x * 2),
    "entropy_of_classes": lambda x, i, b: tf.nn.sparse_softmax_cross_entropy_with_logits(
        i[..., 0], x),
    "einsum_product": lambda x, i, b: tf.einsum("bij,bkj->bik", x, x),
    "einsum_weights": lambda x, i, b: tf.einsum("bij,jk->bki", x, tf.constant(NUMBERS[:6])),
    "einsum_heads": lambda x, i, b: tf.einsum(
        "bqhd,bkhd->bhqk", tf.reshape(x, [-1, 4, 2, 3]), tf.reshape(x, [-1, 4, 2, 3])),
    "einsum_sum": lambda x, i, b: tf.einsum("bij,bij->b", x, x),
    "einsum_transpose": lambda x, i, b: tf.einsum("bij->jbi", x),
    "einsum_dots": lambda x, i, b: tf.einsum("...ij,...kj->...ki", x, x),
    "prelu_shared": lambda x, i, b: tf.nn.relu(x) - tf.constant(NUMBERS[:4, :1]) * tf.nn.relu(-x),
    "topk": lambda x, i, b: tf.math.top_k(x, 3)[0],
    "lower_bound": lambda x, i, b: tf.cast(
        tf.searchsorted(tf.sort(x[:, 0]), x[:, 1]), tf.float32),
    "upper_bound": lambda x, i, b: tf.cast(
        tf.searchsorted(tf.sort(x[:, 0]), x[:, 1], side="right"), tf.float32),
    "waves": lambda x, i, b: tf.math.real(tf.signal.rfft(x)),
    "waves_imaginary": lambda x, i, b: tf.math.imag(tf.signal.rfft(x)),
    "waves_filled_up": lambda x, i, b: tf.abs(tf.signal.rfft(x, [9])),
    "waves_cut_off": lambda x, i, b: tf.abs(tf.signal.rfft(x, [5])),
    "complex_waves": lambda x, i, b: tf.math.imag(tf.signal.fft(tf.complex(x, x * x))),
    "complex_waves_back": lambda x, i, b: tf.math.real(tf.signal.ifft(tf.complex(x, x * x))),
    "from_waves": lambda x, i, b: tf.signal.irfft(tf.complex(x, x * x)),
    "from_waves_odd": lambda x, i, b: tf.signal.irfft(tf.complex(x, x * x), [7]),
}  # fmt: skip
WHOLE: dict[str, Operation] = {
    "buckets": lambda x, i, b: tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.0, 0.5]),
    "to_bool": lambda x, i, b: tf.cast(x * 0.3, tf.bool),
    "to_bool_from_integers": lambda x, i, b: tf.cast(i, tf.bool),
    "product": lambda x, i, b: tf.matmul(
        tf.cast(i, tf.int8), tf.cast(i - 2, tf.int8), transpose_b=True, output_type=tf.int32
    ),
    "from_bool": lambda x, i, b: tf.cast(b, tf.int32),
    "from_bool_by_way_of_64_bits": lambda x, i, b: tf.cast(tf.cast(b, tf.int64), tf.int32),
    "signbit": lambda x, i, b: keras.ops.signbit(tf.where(b, x * 0.0, x)),
    "argmax": lambda x, i, b: keras.ops.argmax(x, -1),
    "choice_of_bools": lambda x, i, b: tf.where(i > 1, b, x > 0),
    "bools_backwards": lambda x, i, b: tf.reverse(b, [1]),
    "some_bools": lambda x, i, b: b[:, ::2],
    "some_integers": lambda x, i, b: i[:, ::-1, ::2],
    "integer_choice": lambda x, i, b: tf.where(b, i, -i),
    "integer_mean": lambda x, i, b: tf.reduce_mean(i - 5, 1),
    "integer_quotient": lambda x, i, b: (i - 2) // 2,
    "integer_remainder": lambda x, i, b: (i - 2) % 3,
    "not": lambda x, i, b: tf.logical_not(b),
    "invert": lambda x, i, b: tf.bitwise.invert(i),
    "shift_left": lambda x, i, b: tf.bitwise.left_shift(i, 3),
    "shift_right": lambda x, i, b: tf.bitwise.right_shift(i * 9, 2),
    "many_hot": lambda x, i, b: tf.reduce_max(tf.one_hot(i, 5, dtype=tf.int32), 1),
    "any": lambda x, i, b: tf.reduce_any(b, 1),
}
# x: float32 (batch, 6, 5, 4)
PICTURES: dict[str, Operation] = {
    "bicubic": lambda x, i, b: tf.image.resize(x, (4, 9), "bicubic"),
    "bilinear": lambda x, i, b: tf.image.resize(x, (4, 7)),
    "area": lambda x, i, b: tf.image.resize(x, (3, 8), "area"),
    "lanczos": lambda x, i, b: tf.image.resize(x, (3, 8), "lanczos3"),
    "antialiased": lambda x, i, b: tf.image.resize(x, (3, 8), antialias=True),
    "nearest": lambda x, i, b: tf.image.resize(x, (4, 9), "nearest"),
    "nearest_corners": lambda x, i, b: tf.raw_ops.ResizeNearestNeighbor(
        images=x, size=[9, 7], align_corners=True),
    "grouped": lambda x, i, b: tf.nn.conv2d(x, _kernel(3, 3, 2, 6), 1, "SAME"),
    "grouped_bias": lambda x, i, b: tf.nn.relu(
        tf.nn.bias_add(tf.nn.conv2d(x, _kernel(3, 3, 1, 4), 2, "VALID"), [1.0, 2.0, -3.0, 0.5])),
    "channels_first": lambda x, i, b: tf.nn.conv2d(
        tf.transpose(x, [0, 3, 1, 2]), _kernel(3, 2, 4, 3), 2, "SAME", data_format="NCHW"),
    "transposed": lambda x, i, b: tf.nn.conv2d_transpose(
        x, _kernel(3, 3, 2, 4), tf.stack([tf.shape(x)[0], 12, 10, 2]), 2),
    "transposed_small": lambda x, i, b: tf.nn.conv2d_transpose(
        x, _kernel(2, 2, 2, 4), tf.stack([tf.shape(x)[0], 18, 15, 2]), 3, "VALID"),
    "transposed_3d": lambda x, i, b: tf.nn.conv3d_transpose(
        tf.reshape(x, [-1, 3, 2, 5, 4]), _kernel(3, 2, 3, 2, 4),
        tf.stack([tf.shape(x)[0], 6, 4, 10, 2]), 2),
    "transposed_3d_valid": lambda x, i, b: tf.nn.conv3d_transpose(
        tf.reshape(x, [-1, 3, 2, 5, 4]), _kernel(3, 2, 3, 2, 4),
        tf.stack([tf.shape(x)[0], 7, 4, 11, 2]), 2, "VALID"),
    "max_pool_3d": lambda x, i, b: tf.nn.max_pool3d(
        tf.reshape(x - 9, [-1, 3, 2, 5, 4]), 2, 2, "SAME"),
    "space_to_depth": lambda x, i, b: tf.nn.space_to_depth(x[:, :, :4], 2),
    "bias_of_rank_4": lambda x, i, b: tf.nn.relu(
        tf.add(tf.nn.conv2d(x, _kernel(1, 1, 4, 3), 1, "SAME"), BIAS[None, None, None])),
    "prelu_after_convolution": lambda x, i, b: _prelu(
        tf.add(tf.nn.conv2d(x, _kernel(1, 1, 4, 3), 1, "SAME"), BIAS)),
}  # fmt: skip


def _kernel(*shape: int) -> Any:
    values = np.random.default_rng(sum(shape)).normal(0, 1, shape)
    return tf.constant(values.astype("float32"))


def _prelu(x: Any) -> Any:
    return tf.nn.relu(x) - tf.constant(NUMBERS[:6, :5, None]) * tf.nn.relu(-x)


class Operations(keras.layers.Layer):
    """Each operation of a table is one output, under the table's name."""

    def __init__(self, table: dict[str, Operation]) -> None:
        super().__init__()
        self.table = table

    def call(self, x: Any, i: Any, b: Any) -> dict[str, Any]:
        return {name: operation(x, i, b) for name, operation in self.table.items()}

    def compute_output_spec(self, x: Any, i: Any, b: Any) -> dict[str, Any]:
        made = tf.function(self.call).get_concrete_function(
            *[tf.TensorSpec(t.shape, t.dtype) for t in (x, i, b)]
        )
        return {
            name: keras.KerasTensor(t.shape, t.dtype.name)
            for name, t in made.structured_outputs.items()
        }


SHAPES = {"floats": (4, 6), "whole": (4, 6), "pictures": (6, 5, 4)}
TABLES = {"floats": FLOATS, "whole": WHOLE, "pictures": PICTURES}


@pytest.fixture(scope="module")
def sources() -> dict[str, Source]:
    made = {}
    for name, table in TABLES.items():
        x = keras.Input(SHAPES[name], name="x")
        i = keras.Input(SHAPES[name], dtype="int32", name="i")
        b = keras.Input(SHAPES[name], dtype="bool", name="b")
        made[name] = describe(keras.Model([x, i, b], Operations(table)(x, i, b)), name)
    return made


@pytest.fixture(scope="module")
def node() -> Iterator[Engine]:
    with runtimes.get("tfjs-node").start() as engine:
        yield engine


@pytest.fixture(scope="module")
def python() -> Iterator[Engine]:
    with runtimes.get("onnxruntime").start() as engine:
        yield engine


def _inputs(name: str) -> list[np.ndarray]:
    generator = np.random.default_rng(2)
    shape = (3, *SHAPES[name])
    x = generator.normal(0, 1.5, shape).astype("float32")
    return [x, generator.integers(0, 4, shape).astype("int32"), generator.random(shape) < 0.5]


def _run(
    format: Any, source: Source, engine: Engine, backend: str, directory: Path
) -> dict[str, np.ndarray]:
    assert not format.refusals(source, "float32")
    exported = format.export(source, "float32", directory)
    artifact = Artifact(format.name, "float32", exported.path, measure(directory, exported.files))
    manifest = Manifest("m", {}, {}, source.inputs, source.outputs, (artifact,), ())
    session = engine.open(directory, manifest, artifact, backend)
    found = session.predict(_inputs(source.name))
    session.close()
    return {spec.name: y for spec, y in zip(source.outputs, found, strict=True)}


def _compare(source: Source, found: dict[str, np.ndarray]) -> None:
    expected = [np.asarray(y) for y in source.call(_inputs(source.name))]
    off = []
    for spec, x in zip(source.outputs, expected, strict=True):
        y = found[spec.name]
        limit = 1e-5 * max(1.0, float(np.abs(x).max())) if x.dtype.kind == "f" else 0
        if y.shape != x.shape or np.abs(y.astype("float64") - x.astype("float64")).max() > limit:
            off.append(spec.name)
    assert off == []


@pytest.mark.parametrize("name", TABLES)
def test_tfjs_answers_as_tensorflow(
    name: str, sources: dict[str, Source], node: Engine, tmp_path: Path
) -> None:
    for backend in ("cpu", "wasm"):
        found = _run(TfjsGraphFormat(), sources[name], node, backend, tmp_path)
        _compare(sources[name], found)


@pytest.mark.parametrize("name", TABLES)
def test_onnx_runtime_answers_as_tensorflow(
    name: str, sources: dict[str, Source], python: Engine, tmp_path: Path
) -> None:
    _compare(sources[name], _run(OnnxFormat(), sources[name], python, "cpu", tmp_path))
