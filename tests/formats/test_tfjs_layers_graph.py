"""Graphs written by hand: order of calls, names, masks that leak."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.formats.tfjs_layers.execution import (
    copy_what_is_read_twice,
    execution_order,
    shield_from_leaks,
)
from exporter.formats.tfjs_layers.graph import Graph, Layer, Tensor
from exporter.formats.tfjs_layers.masks import Masked
from exporter.formats.tfjs_layers.names import is_valid, sanitize


def _apply(graph: Graph, layer: Layer, *inputs: Tensor) -> Tensor:
    return graph.add_call(layer, inputs, [(None, 4)], "float32")[0]


def _layer(name: str, class_name: str = "Dense") -> Layer:
    return Layer(class_name, {}, (), name)


def _nodes(graph: Graph) -> dict[str, Any]:
    layers = graph.topology("model")["config"]["layers"]
    return {layer["name"]: layer["inbound_nodes"] for layer in layers}


def test_calls_are_numbered_in_the_order_in_which_tfjs_makes_them() -> None:
    graph = Graph()
    x = graph.add_input("x", (None, 4), "float32")
    shared, between, reader = _layer("shared"), _layer("between"), _layer("reader")
    first = _apply(graph, shared, x)
    second = _apply(graph, shared, _apply(graph, between, first))
    # TF.js meets reader when shared was called once only, so this call comes second there.
    late, early = _apply(graph, reader, second), _apply(graph, reader, first)
    graph.close([late, early], ["late", "early"])
    graph.finish(["x"], ["late", "early"])
    nodes = _nodes(graph)
    assert nodes["reader"] == [[["shared", 0, 0, {}]], [["shared", 1, 0, {}]]]
    assert nodes["late"] == [[["reader", 1, 0, {}]]]
    assert nodes["early"] == [[["reader", 0, 0, {}]]]


def test_what_no_output_needs_is_dropped() -> None:
    graph = Graph()
    x = graph.add_input("x", (None, 4), "float32")
    y = _apply(graph, _layer("kept"), x)
    _apply(graph, _layer("dropped"), y)
    graph.close([y], ["y"])
    graph.finish(["x"], ["y"])
    assert list(_nodes(graph)) == ["x", "y"]


def test_an_input_that_is_not_used_stays_an_input() -> None:
    graph = Graph()
    x, unused = (graph.add_input(name, (None, 4), "float32") for name in ("x", "unused"))
    graph.close([_apply(graph, _layer("dense"), x)], ["y"])
    graph.finish(["x", "unused"], ["y"])
    assert graph.topology("model")["config"]["input_layers"] == [["x", 0, 0], ["unused", 0, 0]]
    assert unused.call.layer.name == "unused"


def test_an_output_takes_its_name_from_a_layer_that_wishes_it() -> None:
    graph = Graph()
    x = graph.add_input("x", (None, 4), "float32")
    inner = _apply(graph, _layer("answer"), x)
    graph.close([_apply(graph, _layer("other"), inner)], ["answer"])
    graph.finish(["x"], ["answer"])
    assert list(_nodes(graph)) == ["x", "answer-2", "answer"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dense_1", "dense_1"),
        ("a.b/c-d", "a.b/c-d"),
        ("my layer", "my_layer"),
        ("_hidden", "x_hidden"),
        ("é", "e"),
        ("层", "x_"),
        ("a:0", "a_0"),
    ],
)
def test_names_become_ones_that_tfjs_takes(name: str, expected: str) -> None:
    assert sanitize(name) == expected
    assert is_valid(expected)
    assert is_valid(name) == (name == expected)


def _recurrent(graph: Graph, name: str, *inputs: Tensor) -> Tensor:
    layer = Layer("LSTM", {"return_sequences": False}, (), name)
    return graph.add_call(layer, inputs, [(None, 4)], "float32")[0]


def _masked(graph: Graph, x: Tensor) -> Tensor:
    y = _apply(graph, _layer("masking", "Masking"), x)
    y.mask = Masked(y)
    return y


def test_a_recurrent_layer_after_a_masked_one_is_shielded() -> None:
    graph = Graph()
    x = graph.add_input("x", (None, 3, 4), "float32")
    read = _recurrent(graph, "first", _masked(graph, x))
    second = _recurrent(graph, "second", _apply(graph, _layer("repeat", "RepeatVector"), read))
    graph.close([second], ["y"])
    assert shield_from_leaks(graph) == (["second"], [])
    assert [t.call.layer.class_name for t in execution_order(graph)] == [
        "Masking", "LSTM", "RepeatVector", "Masking", "LSTM",
    ]  # fmt: skip
    assert shield_from_leaks(graph) == ([], [])


def test_a_recurrent_layer_before_any_mask_needs_no_shield() -> None:
    graph = Graph()
    x = graph.add_input("x", (None, 3, 4), "float32")
    read = _recurrent(graph, "first", x)
    repeated = _apply(graph, _layer("repeat", "RepeatVector"), read)
    graph.close([_recurrent(graph, "second", _masked(graph, repeated))], ["y"])
    assert shield_from_leaks(graph) == ([], [])


def test_a_recurrent_layer_after_one_with_initial_state_is_lost_in_a_masked_model() -> None:
    graph = Graph()
    x, state = (graph.add_input(n, (None, 3, 4), "float32") for n in ("x", "state"))
    first = _recurrent(graph, "first", _masked(graph, x), state)
    second = _recurrent(graph, "second", _apply(graph, _layer("repeat", "RepeatVector"), first))
    graph.close([second], ["y"])
    _, lost = shield_from_leaks(graph)
    assert [call.layer.wish for call, _ in lost] == ["second"]
    assert "initial_state in a masked model" in lost[0][1]


def test_a_tensor_that_one_of_its_readers_takes_twice_is_copied_for_it() -> None:
    graph = Graph()
    start = graph.add_input("x", (None, 4), "float32")
    x = _apply(graph, _layer("dense"), start)
    twice = _apply(graph, _layer("twice", "Add"), x, x)
    copy_what_is_read_twice(graph)
    assert twice.call.inputs == (x, x)  # TF.js frees it after its only reader
    after = _apply(graph, _layer("after"), x)
    graph.close([twice, after], ["twice", "after"])
    copy_what_is_read_twice(graph)
    first, second = twice.call.inputs
    assert first is x
    assert (second.call.layer.class_name, second.call.inputs) == ("Activation", (x,))
    assert graph.calls.index(second.call) < graph.calls.index(twice.call)


def test_inputs_and_outputs_are_never_freed_and_need_no_copy() -> None:
    graph = Graph()
    x = graph.add_input("x", (None, 4), "float32")
    y = _apply(graph, _layer("y"), x)
    doubled = [_apply(graph, _layer("twice", "Add"), t, t) for t in (x, y)]
    graph.close([y, *doubled, _apply(graph, _layer("z"), x)], ["y", "a", "b", "z"])
    count = len(graph.calls)
    copy_what_is_read_twice(graph)
    assert len(graph.calls) == count
