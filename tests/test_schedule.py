"""The plan of a row: which samples, at which batch sizes, how many of them, and what is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.parity import Samples
from exporter.schedule import Turn, plan

X = np.arange(20_000, dtype=np.float32).reshape(10_000, 2)
DATA = Samples("mnist-test", (X,), (X,), (X,), pictures=True)
GOLDEN = Samples("golden/noise", (X[:9],), (X[:9],), (X[:9],), golden=True)
EDGE = replace(GOLDEN, name="golden/edge", each_alone=True)


def turns(
    backend: str = "cpu", precision: str = "float32", cost: float = 0.0,
    fixed_batch: int | None = None, sets: tuple[Samples, ...] = (GOLDEN, EDGE, DATA),
) -> list[Turn]:  # fmt: skip
    return plan(
        sets, precision, backend, fixed_batch=fixed_batch, seconds_of=lambda _: cost,
        budget_seconds=20.0,
    )  # fmt: skip


def shape(found: list[Turn]) -> list[tuple[str, int, int]]:
    return [(turn.samples.name, turn.batch, turn.count) for turn in found]


def test_golden_vectors_run_at_three_batch_sizes_and_a_data_set_once() -> None:
    assert shape(turns()) == [
        ("golden/noise", 1, 9), ("golden/noise", 7, 9), ("golden/noise", 256, 256),
        ("golden/edge", 1, 9), ("golden/edge", 7, 9), ("golden/edge", 256, 256),
        ("mnist-test", 256, 10_000),
    ]  # fmt: skip
    assert not any(turn.note for turn in turns())


@pytest.mark.parametrize("backend", ["webgl", "webgpu", "webgl-half"])
def test_a_gpu_is_given_a_sample_of_a_data_set_and_the_row_says_so(backend: str) -> None:
    *golden, data = turns(backend)
    assert (data.count, data.batch) == (256, 256)
    assert data.note == "the first 256 of 10,000: a GPU is given a sample"
    assert not any(turn.note for turn in golden)


def test_edge_inputs_are_not_for_half_floats() -> None:
    names = {turn.samples.name for turn in turns("webgl-half")}
    assert names == {"golden/noise", "mnist-test"}


def test_a_model_that_takes_long_is_given_fewer_samples_and_each_row_says_so() -> None:
    found = turns(cost=1.0)
    calls = [-(-turn.count // turn.batch) for turn in found]
    assert 10 <= sum(calls) <= 40
    assert all(turn.count >= 1 for turn in found)
    assert found[-1].note.startswith("the first ")
    assert found[-1].note.endswith(" of 10,000: more would take too long")


def test_a_row_whose_batch_alone_shrinks_says_so_too() -> None:
    found = plan(
        (GOLDEN,), "float32", "cpu", fixed_batch=None, seconds_of=lambda batch: batch / 2,
        budget_seconds=30.0,
    )  # fmt: skip
    largest = found[-1]
    assert 9 <= largest.batch < 256
    assert largest.note == f"at batch {largest.batch} instead of 256: more would take too long"


def test_static_ranges_are_judged_at_every_batch_and_only_on_edges_within_them() -> None:
    edge = replace(EDGE, in_range=(True, False, True, *[False] * 6))
    found = turns(precision="int8-static", sets=(edge,))
    assert [(turn.batch, turn.samples.count) for turn in found] == [(1, 2), (7, 2), (256, 2)]
    assert turns(precision="int8-static", sets=(replace(edge, in_range=(False,) * 9),)) == []
    assert turns(precision="uint8", sets=(edge,))[0].samples.count == 9


def test_a_model_that_takes_very_long_is_run_at_one_batch_size_and_each_row_says_so() -> None:
    noise, edge, data = turns(cost=10.0)
    assert shape([noise, edge]) == [("golden/noise", 7, 7), ("golden/edge", 1, 1)]
    assert noise.note == "at batch 7 alone: more would take too long"
    assert edge.note == "the first 1 of 9: more would take too long"
    assert (data.count, data.batch) == (1, 1)
    assert shape(turns(cost=30.0))[0] == ("golden/noise", 1, 1)  # not even one call of 7 fits


def test_one_sample_is_always_run() -> None:
    assert all(turn.count == 1 for turn in turns(cost=1e6))


def test_a_fixed_batch_is_the_only_one() -> None:
    assert {turn.batch for turn in turns(fixed_batch=4)} == {4}
    assert {turn.batch for turn in turns(fixed_batch=4, cost=1e3)} == {4}


def test_ranges_that_are_measured_per_batch_are_judged_at_batch_1() -> None:
    found = turns(precision="int8")
    assert {turn.batch for turn in found} == {1}
    assert found[-1].count == 10_000
