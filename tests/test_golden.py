"""Golden vectors: what they hold, and that they are read and made again as they were written."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import golden
from exporter.errors import BadBundle, BadUsage
from exporter.golden import Golden

VECTORS = Path(__file__).parent / "vectors"
CASES = json.loads((VECTORS / "golden.json").read_text(encoding="utf-8"))
HOSTILE = json.loads((VECTORS / "golden-hostile.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def digits() -> Any:
    """A digit model with random weights, large enough that its answers differ."""
    import keras

    from exporter import ink, source

    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((28, 28), name="pixels"),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax", name="probabilities"),
        ]
    )
    for weight in model.weights:
        weight.assign(weight * 3)
    labels = tuple("0123456789")
    described = source.describe(model, "digits", labels=labels, preprocessing=ink.CONTRACT)
    return replace(described, inputs=(replace(described.inputs[0], value_range=(0.0, 1.0)),))


@pytest.fixture(scope="module")
def vectors(digits: Any) -> Golden:
    return golden.build(digits)


def test_the_vectors_are_those_of_the_independent_generator() -> None:
    script = VECTORS / "generate_golden.py"
    subprocess.run([sys.executable, str(script), "--check"], check=True)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_inputs_are_made_bit_for_bit(case: dict) -> None:
    vectors = Golden.from_json(json.dumps(case["golden"]))
    for array, expected, spec in zip(
        vectors.inputs(), case["inputs"], case["golden"]["inputs"], strict=True
    ):
        assert array.dtype == spec["dtype"]
        assert array.shape == (len(expected), *spec["shape"])
        assert [row.tobytes().hex() for row in array] == expected


@pytest.mark.parametrize("attack", HOSTILE, ids=lambda attack: attack["name"])
def test_a_hostile_file_is_refused(attack: dict) -> None:
    document = copy.deepcopy(CASES[0]["golden"])
    *path, last = attack["path"]
    parent = document
    for key in path:
        parent = parent[key]
    if "value" in attack:
        parent[last] = attack["value"]
    else:
        del parent[last]
    with pytest.raises(BadBundle) as caught:
        Golden.from_json(json.dumps(document))
    assert attack["place"] in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", '{"schema": NaN}', "null", "[" * 100_000])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(BadBundle):
        Golden.from_json(text)


def test_what_is_written_is_read_the_same(vectors: Golden) -> None:
    text = vectors.to_json()
    again = Golden.from_json(text)
    assert again.to_json() == text
    assert again.names == vectors.names
    for row, other in zip(vectors.rows, again.rows, strict=True):
        assert row.outputs is not None
        assert other.outputs is not None
        np.testing.assert_array_equal(row.outputs[0], other.outputs[0])
    for array, other in zip(vectors.inputs(), again.inputs(), strict=True):
        assert array.tobytes() == other.tobytes()


@given(st.lists(st.floats(width=32), min_size=1, max_size=8))
def test_stored_numbers_come_back_bit_for_bit(numbers: list[float]) -> None:
    array = np.array(numbers, np.float32)
    text = json.dumps(golden._numbers(array), allow_nan=False)
    back = [golden.SPELLED[x] if isinstance(x, str) else x for x in json.loads(text)]
    np.testing.assert_array_equal(np.array(back, np.float64).astype(np.float32), array)


def test_the_digits_of_a_recipe_take_less_than_8_kilobytes(vectors: Golden) -> None:
    assert len(gzip.compress(vectors.to_json().encode(), 9, mtime=0)) <= 8000


def test_a_digit_model_gets_every_kind_of_row(vectors: Golden) -> None:
    count = {kind: len(vectors.of_kind(kind).rows) for kind in golden.KINDS}
    assert count["picture"] == 20
    assert count["noise"] == 8
    assert count["edge"] == 6
    assert count["nonfinite"] == 3
    assert count["tie"] >= 5
    pictures = vectors.of_kind("picture").inputs()[0]
    assert pictures.shape == (20, 28, 28)
    assert pictures.min() == 0
    assert 0.9 <= pictures.max() <= 1


def test_the_same_model_gives_the_same_bytes(digits: Any, vectors: Golden) -> None:
    assert golden.build(digits).to_json() == vectors.to_json()


def test_another_seed_gives_other_noise(digits: Any, vectors: Golden) -> None:
    other = golden.build(digits, seed=2)
    mine, theirs = (g.of_kind("noise").inputs()[0] for g in (vectors, other))
    assert not np.array_equal(mine, theirs)


def test_answers_are_keras_own_within_float32(digits: Any, vectors: Golden) -> None:
    checked = [row for row in vectors.rows if row.checked]
    recipes = [row.recipe for row in checked]
    own = np.asarray(digits.call(vectors.inputs_for(recipes))[0])
    stored = np.stack([row.outputs[0] for row in checked if row.outputs])
    assert len(checked) > 30
    np.testing.assert_allclose(stored, own, atol=1e-5)


def test_a_tie_is_nearly_one_and_its_class_wins(vectors: Golden) -> None:
    ties = vectors.of_kind("tie").rows
    for row in ties:
        assert row.outputs is not None
        top = np.sort(row.outputs[0])[::-1]
        assert 1e-4 < top[0] - top[1] < 0.003
        assert int(row.name.removeprefix("tie ")) == int(np.argmax(row.outputs[0]))
    assert len({row.name for row in ties}) == len(ties)


def test_a_small_wrong_bias_turns_a_tie_round(digits: Any, vectors: Golden) -> None:
    ties = vectors.of_kind("tie")
    inputs = ties.inputs()
    right = np.asarray(digits.call(inputs)[0]).argmax(1)
    bias = digits.model.weights[-1]
    kept = np.array(bias)
    turned = 0
    try:
        for index, row in enumerate(ties.rows):
            label = int(row.name.removeprefix("tie "))
            bias.assign(kept - 0.01 * np.eye(10, dtype="float32")[label])
            turned += np.asarray(digits.call(inputs)[0]).argmax(1)[index] != right[index]
    finally:
        bias.assign(kept)
    assert turned == len(ties.rows)


def test_non_finite_rows_are_never_checked(vectors: Golden) -> None:
    rows = vectors.of_kind("nonfinite").rows
    assert [row.checked for row in rows] == [False] * 3
    assert not np.isfinite(vectors.of_kind("nonfinite").inputs()[0]).any()


def test_blends_keep_their_pictures_when_rows_are_chosen(vectors: Golden) -> None:
    index = [i for i, row in enumerate(vectors.rows) if row.kind == "tie"]
    alone = vectors.of_kind("tie").inputs()[0]
    np.testing.assert_array_equal(alone, vectors.inputs()[0][index])


def test_pictures_that_do_not_fit_the_model_are_refused(digits: Any) -> None:
    with pytest.raises(BadUsage, match="784 numbers"):
        golden.build(digits, {"small": np.zeros((5, 5), np.uint8)})


def _describe(model: Any) -> Any:
    from exporter import source

    return source.describe(model, "other")


def test_integers_stay_in_their_range_and_several_inputs_are_filled() -> None:
    import keras

    keras.utils.clear_session()
    tokens = keras.Input((6,), dtype="int32", name="tokens")
    numbers = keras.Input((3,), name="numbers")
    flags = keras.Input((2,), dtype="bool", name="flags")
    embedded = keras.layers.Flatten()(keras.layers.Embedding(11, 4)(tokens))
    cast = keras.ops.cast(flags, "float32")
    joined = keras.layers.Concatenate()([embedded, numbers, cast])
    outputs = {
        "three": keras.layers.Dense(3, activation="softmax")(joined),
        "yes": keras.layers.Dense(1, activation="sigmoid")(joined),
    }
    vectors = golden.build(_describe(keras.Model([tokens, numbers, flags], outputs)))
    arrays = dict(zip([s.name for s in vectors.input_specs], vectors.inputs(), strict=True))
    assert arrays["tokens"].min() == 0
    assert arrays["tokens"].max() == 10
    assert set(np.unique(arrays["flags"])) == {False, True}
    assert arrays["numbers"].dtype == np.float32
    for row in vectors.rows:
        assert row.outputs is not None
        assert [len(output) for output in row.outputs] == [3, 1]


def test_an_integer_model_gets_narrow_victories_instead_of_blends() -> None:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            keras.layers.Embedding(50, 8),
            keras.layers.Flatten(),
            keras.layers.Dense(4, activation="softmax"),
        ]
    )
    model.weights[0].assign(model.weights[0] * 40)
    vectors = golden.build(_describe(model))
    ties = vectors.of_kind("tie").rows
    assert len(ties) == 4
    assert all("noise" in row.recipe for row in ties)
    assert vectors.of_kind("nonfinite").rows == ()
    assert len(vectors.of_kind("edge").rows) < 6


def test_a_thousand_classes_and_image_outputs_stay_below_a_megabyte() -> None:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    start = keras.Input((96, 96, 3))
    image = keras.layers.Conv2D(3, 1, name="image")(start)
    classes = keras.layers.Dense(1000, activation="softmax", name="classes")(
        keras.layers.GlobalAveragePooling2D()(image)
    )
    vectors = golden.build(_describe(keras.Model(start, [image, classes])))
    text = vectors.to_json()
    assert len(text) < 1_000_000
    stored = [row for row in vectors.rows if row.outputs is not None]
    assert len(stored) >= 3
    assert {"noise", "edge"} <= {row.kind for row in stored}
    size, every = 96 * 96 * 3, vectors.strides[0]
    assert every > 1
    assert len(stored[0].outputs[0]) == -(-size // every)
    again = Golden.from_json(text)
    assert again.strides == vectors.strides
    assert again.names == vectors.names


def test_a_model_with_a_fixed_batch_and_free_sizes_is_answered() -> None:
    import keras

    keras.utils.clear_session()
    start = keras.Input((None, 3), batch_size=4)
    model = keras.Model(start, keras.layers.Dense(2)(start))
    vectors = golden.build(_describe(model))
    (inputs,) = vectors.inputs()
    assert inputs.shape[0] == len(vectors.rows)
    assert all(row.outputs is not None for row in vectors.rows)


def test_rows_that_keras_itself_refuses_are_left_out() -> None:
    import keras

    keras.utils.clear_session()
    start = keras.Input((4,), name="indices")
    model = keras.Model(start, keras.layers.Embedding(10, 3)(start))
    vectors = golden.build(_describe(model))
    names = vectors.of_kind("edge").names
    assert {"all 0", "all 1"} <= set(names)
    assert not {"all 255", "all 1e+30"} & set(names)


def test_an_edge_where_float32_overflows_is_not_checked() -> None:
    import keras

    keras.utils.clear_session()
    start = keras.Input((4,))
    model = keras.Model(start, keras.layers.Multiply()([start, start]))
    vectors = golden.build(_describe(model))
    checked = {row.name: row.checked for row in vectors.of_kind("edge").rows}
    assert checked["all 1e+30"] is False
    assert checked["all 255"] is True
    read = Golden.from_json(vectors.to_json())
    assert [row.checked for row in read.rows] == [row.checked for row in vectors.rows]


def test_a_large_rounding_error_at_an_edge_does_not_widen_the_tolerance() -> None:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(64), keras.layers.LayerNormalization()]
    )
    assert golden.build(_describe(model)).tolerance == 1e-4
