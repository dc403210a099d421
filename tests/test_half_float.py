"""The phones' verdict: which layer of a model leaves the range of 16-bit floats."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest

from exporter import activations, half_float, source
from exporter.parity import Samples
from exporter.samples import of_arrays

if TYPE_CHECKING:
    import keras


def examine(
    model: keras.Model, *inputs: np.ndarray, each_alone: bool = False
) -> half_float.HalfFloat:
    described = source.describe(model, "model")
    samples = of_arrays("given", inputs, described, each_alone=each_alone)
    return activations.half_float(described, [samples])


def test_what_fits_is_safe_and_the_largest_value_is_told() -> None:
    found = half_float.of_ranges({"layer 'a'": 3.0, "layer 'b'": 65504.0}, 12)
    assert found.safe
    assert "safe on half-float GPUs" in found.verdict
    assert "65,504 (layer 'b')" in found.verdict
    assert not found.verdict.startswith("not")


def test_the_first_place_that_does_not_fit_is_named_and_the_others_counted() -> None:
    found = half_float.of_ranges({"layer 'a'": 1.0, "layer 'b'": 65505.0, "layer 'c'": 1e9}, 12)
    assert not found.safe
    assert found.verdict.startswith("not safe on half-float GPUs: layer 'b' reaches 65,505")
    assert "(and 1 more place)" in found.verdict


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_no_number_does_not_fit(value: float) -> None:
    assert half_float.of_ranges({"layer 'a'": value}, 1).unsafe[0].place == "layer 'a'"


@pytest.mark.parametrize(("ranges", "samples"), [({}, 4), ({"layer 'a'": 1.0}, 0)])
def test_nothing_measured_is_not_safe(ranges: dict[str, float], samples: int) -> None:
    found = half_float.of_ranges(ranges, samples)
    assert not found.safe
    assert "not known" in found.verdict


def _scaled(largest: float) -> keras.Model:
    """A classifier whose layer "loud" reaches `largest` on an input of ones."""
    import keras

    keras.utils.set_random_seed(5)
    constant = keras.initializers.Constant
    return keras.Sequential(
        [
            keras.Input((4,), name="x"),
            keras.layers.Dense(3, name="quiet"),
            keras.layers.Dense(2, kernel_initializer="zeros", name="loud",
                               bias_initializer=constant(largest)),
            keras.layers.LayerNormalization(name="norm"),
            keras.layers.Dense(2, activation="softmax", name="probabilities"),
        ]
    )  # fmt: skip


def test_a_layer_with_activations_of_1e5_is_named() -> None:
    found = examine(_scaled(1e5), np.ones((3, 4), np.float32))
    layer, bias = found.unsafe
    assert layer.place == "layer 'loud'"
    assert bias.place.startswith("weight")
    assert "loud/bias" in bias.place
    assert "layer 'loud' reaches 100,000" in found.verdict


def test_the_same_model_within_the_range_is_safe() -> None:
    assert examine(_scaled(6e4), np.ones((3, 4), np.float32)).safe


def test_logits_before_a_softmax_count() -> None:
    """The layer answers 0..1; the tensor before its activation holds 70,000."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((1,), name="x"),
            keras.layers.Dense(2, activation="softmax", kernel_initializer="ones", name="answer"),
        ]
    )
    found = examine(model, np.full((1, 1), 7e4 / 2, np.float32))
    assert found.safe
    model.layers[-1].set_weights([np.array([[2.0, -2.0]]), np.zeros(2)])
    found = examine(model, np.full((1, 1), 7e4 / 2, np.float32))
    assert [item.place for item in found.unsafe] == ["layer 'answer'"]


def test_layers_of_nested_models_and_plain_operations_are_seen() -> None:
    import keras

    inner = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(1e6, name="deep")])
    x = keras.Input((2,), name="x")
    y = keras.ops.multiply(inner(x), 1e-6)
    model = keras.Model(x, keras.ops.add(y, 1.0))
    found = examine(model, np.ones((2, 2), np.float32))
    places = {item.place: item.largest for item in found.ranges}
    assert places["layer 'deep'"] == 1e6
    assert sum("multiply" in place or "add" in place for place in places) == 2


def test_inputs_out_of_range_are_named() -> None:
    import keras

    model = keras.Sequential([keras.Input((2,), name="metres"), keras.layers.Rescaling(1e-6)])
    found = examine(model, np.full((1, 2), 1e5, np.float32))
    assert found.unsafe[0].place == "input 'metres'"


def test_edge_inputs_of_any_magnitude_say_nothing() -> None:
    found = examine(_scaled(1.0), np.full((2, 4), 1e30, np.float32), each_alone=True)
    assert not found.safe
    assert found.samples == 0


def test_recurrent_layers_are_watched_too() -> None:
    import keras

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((5, 3), name="x"), keras.layers.LSTM(4, name="memory")])
    found = examine(model, np.ones((2, 5, 3), np.float32))
    assert found.safe
    assert "layer 'memory'" in {item.place for item in found.ranges}


def test_the_model_is_as_before_when_it_has_been_watched() -> None:
    model = _scaled(1e5)
    x = np.ones((3, 4), np.float32)
    attributes = [set(vars(layer)) for layer in model.layers]
    functions = [getattr(layer, "activation", None) for layer in model.layers]
    before = np.asarray(model(x))
    told: list[str] = []
    with activations.watched(model, lambda place, _: told.append(place)):
        model(x)
    seen = len(told)
    np.testing.assert_array_equal(np.asarray(model(x)), before)
    assert seen == len(told) > 0
    assert [set(vars(layer)) for layer in model.layers] == attributes
    assert [getattr(layer, "activation", None) for layer in model.layers] == functions


def test_a_big_model_is_measured_on_fewer_samples() -> None:
    described = source.describe(_scaled(1.0), "model")
    x = (np.ones((200, 4), np.float32),)
    samples = of_arrays("given", x, described)
    found = activations.half_float(described, [samples], budget_seconds=0.0)
    assert found.samples == activations.CHUNK
    assert found.safe


def test_samples_without_rows_are_skipped() -> None:
    described = source.describe(_scaled(1.0), "model")
    empty = Samples("none", (np.zeros((0, 4), np.float32),), (), ())
    assert activations.half_float(described, [empty]).samples == 0
