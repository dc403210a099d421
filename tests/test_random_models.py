"""Random models: each answers as Keras does in every format, or is refused by a layer's name."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, Phase, given, note, reject, settings
from hypothesis import strategies as st

from exporter.source import Source, describe
from tests.conformance import bench
from tests.conformance.outcome import distance
from tests.random_models import grow

LIMIT = 1e-5
"""Of an output's largest magnitude; or `FACTOR` times Keras' own distance from its oracle."""
FACTOR = 4.0
_NAMED = re.compile(r"layer '.+' \(\w+\): .+")
SEEDS = st.integers(0, 2**32 - 1)
# Another seed is another model, no smaller one: nothing to shrink.
_SETTINGS: dict[str, Any] = {
    "deadline": None,
    "database": None,
    "phases": [Phase.generate],
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(scope="module")
def runtimes() -> Iterator[bench.Bench]:
    with bench.started() as made:
        yield made


def _runs(source: Source, inputs: list[list[np.ndarray]]) -> bool:
    """Whether Keras itself runs it: of what meets at run time it knows masks and lengths late."""
    try:
        for arrays in inputs:
            source.float32.call(arrays)
    except (ValueError, tf.errors.InvalidArgumentError):
        return False
    return True


def _own_error(source: Source, inputs: list[list[np.ndarray]]) -> float:
    """How far Keras in float32 is from itself in float64; infinite where it overflows."""
    errors = [0.0]
    for arrays in inputs:
        answer = [np.asarray(y) for y in source.float32.call(arrays)]
        if not all(np.isfinite(y).all() for y in answer):
            return np.inf
        if source.oracle is not None:
            errors.append(distance([np.asarray(y) for y in source.oracle.call(arrays)], answer))
    return max(errors)


def _check(seed: int, runtimes: bench.Bench) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Keras, about masks that get lost
        model, log = grow(seed)
        note("\n".join(log))
        _judge(model, runtimes)


def _judge(model: keras.Model, runtimes: bench.Bench) -> None:
    source = describe(model, "random")
    inputs = bench.inputs_of(source)
    if not _runs(source, inputs):
        reject()
    own = _own_error(source, inputs)
    if np.isinf(own):
        return
    for format, outcome in runtimes.measure(source, inputs).items():
        if outcome.status == "refused":
            assert _NAMED.match(outcome.reason), (format, outcome.reason)
        else:
            assert outcome.status == "runs", (format, outcome.reason)
            assert outcome.error is not None
            assert outcome.error <= max(LIMIT, FACTOR * own), (format, outcome.error, own)


@settings(max_examples=6, derandomize=True, **_SETTINGS)
@given(seed=SEEDS)
def test_a_random_model_answers_as_keras_does_or_is_refused_by_name(
    seed: int, runtimes: bench.Bench
) -> None:
    _check(seed, runtimes)


@pytest.mark.slow
@settings(max_examples=200, **_SETTINGS)
@given(seed=SEEDS)
def test_two_hundred_random_models_answer_as_keras_does_or_are_refused_by_name(
    seed: int, runtimes: bench.Bench
) -> None:
    _check(seed, runtimes)


def test_a_format_that_answers_otherwise_is_caught(runtimes: bench.Bench) -> None:
    class Unlike(keras.layers.Layer):
        """Answers in a graph what it does not answer outside of one."""

        def call(self, x: Any) -> Any:
            return x if tf.executing_eagerly() else x + 1e-3

    start = keras.Input((4,))
    with pytest.raises(AssertionError, match="tfjs-graph"):
        _judge(keras.Model(start, Unlike()(start)), runtimes)
