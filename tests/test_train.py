"""Training: by the recipe, seeded, told while it runs; the shipped models reach their figures."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter import architecture, data, evaluate, recipe, train
from exporter import trained as trained_models
from exporter.errors import BadRecipe, BadUsage, DataMissing

MODELS = Path(__file__).parent.parent / "models"
TEXT = (recipe.RECIPES_FOLDER / "mlp-100-sigmoid.toml").read_text(encoding="utf-8")
SMALL = {"epochs": 2, "batch_size": 64}


@pytest.fixture(scope="module")
def digits() -> data.Dataset:
    return data.load("digits")


@pytest.fixture(scope="module")
def trained(digits: data.Dataset) -> train.Trained:
    return train.fit(recipe.load("mlp-128-64"), digits, **SMALL)


def changed(*pairs: tuple[str, str]) -> recipe.Recipe:
    text = TEXT
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new, 1)
    return recipe.parse(text, Path("mine.toml"))


def test_the_model_is_the_recipes_bare_of_optimizer_and_loss(trained: train.Trained) -> None:
    model = trained.model
    assert [layer.name for layer in model.layers] == [
        "pixels", "flatten", "hidden_1", "hidden_2", "probabilities",
    ]  # fmt: skip
    assert model.input_shape == (None, 28, 28)
    assert model.output_names == ["probabilities"]
    assert not model.compiled
    assert getattr(model, "optimizer", None) is None


def test_drawn_digits_take_the_place_of_pictures_of_their_class(digits: data.Dataset) -> None:
    plain = replace(recipe.load("mlp-128-64"), augmentation=recipe.Augmentation())
    drawn = replace(plain, augmentation=recipe.Augmentation(drawn=1.0))
    inputs, labels = data.as_input(digits.x_train), digits.y_train
    pictures, targets, _ = next(train._blocks(drawn, inputs, np.eye(10)[labels], labels))
    known = {picture.tobytes() for picture in inputs}
    assert not any(picture.tobytes() in known for picture in pictures)
    # Each is of the class that it stands for: the mean picture of a class looks like the class.
    means = np.stack([inputs[labels == digit].mean(axis=0) for digit in range(10)])
    written = targets.argmax(axis=1)
    for digit in range(10):
        mean = pictures[written == digit].mean(axis=0)
        likeness = [np.corrcoef(mean.ravel(), other.ravel())[0, 1] for other in means]
        assert int(np.argmax(likeness)) == digit


def test_drawn_digits_are_refused_for_pictures_of_another_size(digits: data.Dataset) -> None:
    small = data.Dataset(
        "small",
        *(
            part[:, 4:24, 4:24] if part.ndim == 3 else part
            for part in (digits.x_train, digits.y_train, digits.x_test, digits.y_test)
        ),
    )
    cut = replace(
        recipe.load("mlp-128-64"), input=replace(recipe.load("mlp-128-64").input, shape=(20, 20))
    )
    with pytest.raises(BadUsage, match=r"augmentation\.drawn: pictures of 28 × 28"):
        train.fit(cut, small, **SMALL)


def test_the_same_seed_gives_the_same_weights_and_another_one_others(
    trained: train.Trained, digits: data.Dataset
) -> None:
    again = train.fit(recipe.load("mlp-128-64"), digits, **SMALL)
    other = train.fit(recipe.load("mlp-128-64"), digits, **SMALL, seed=8)
    for one, same in zip(trained.model.get_weights(), again.model.get_weights(), strict=True):
        assert np.array_equal(one, same)
    assert again.metrics == trained.metrics
    assert not np.array_equal(trained.model.get_weights()[0], other.model.get_weights()[0])


def test_convolutions_trained_without_xla_give_the_same_weights_too(digits: data.Dataset) -> None:
    plain = replace(recipe.load("cnn"), augmentation=recipe.Augmentation())
    assert not plain.training.jit_compile
    one, same = (train.fit(plain, digits, epochs=1, batch_size=32) for _ in range(2))
    for weights, again in zip(one.model.get_weights(), same.model.get_weights(), strict=True):
        assert np.array_equal(weights, again)


def test_training_teaches(digits: data.Dataset) -> None:
    found = train.fit(recipe.load("mlp-128-64"), digits, epochs=40, batch_size=32)
    assert found.metrics["test"]["accuracy"] > 0.9
    assert found.history["loss"][-1] < found.history["loss"][0]


def test_metrics_are_plain_and_name_recipe_data_and_numbers(trained: train.Trained) -> None:
    metrics = json.loads(json.dumps(trained.metrics, allow_nan=False))
    assert metrics["recipe"] == "mlp-128-64"
    assert metrics["data"] == "digits"
    assert (metrics["epochs"], metrics["batch_size"], metrics["seed"]) == (2, 64, 7)
    assert metrics["trained_on"] == 1438
    assert set(metrics["test"]) == {"accuracy", "loss", "precision", "recall", "f1"}
    assert "validation" not in metrics


def test_other_numbers_give_another_fingerprint_than_the_recipes(trained: train.Trained) -> None:
    assert trained.metrics["fingerprint"] != recipe.load("mlp-128-64").fingerprint


def test_every_epoch_is_told(digits: data.Dataset) -> None:
    told: list[train.Epoch] = []
    found = train.fit(recipe.load("mlp-128"), digits, **SMALL, on_epoch=told.append)
    assert [(epoch.number, epoch.count) for epoch in told] == [(1, 2), (2, 2)]
    assert [epoch.figures["loss"] for epoch in told] == pytest.approx(found.history["loss"], 1e-4)


def test_a_part_held_out_is_measured_after_every_epoch(digits: data.Dataset) -> None:
    found = train.fit(recipe.load("mlp-128"), digits, **SMALL, held_out=True)
    assert found.metrics["trained_on"] == 1150
    assert len(found.history["val_accuracy"]) == 2
    last = found.history["val_accuracy"][-1]
    assert found.metrics["validation"]["accuracy"] == pytest.approx(last, abs=1e-4)


def test_a_model_that_saw_only_a_part_is_not_shipped(digits: data.Dataset, tmp_path: Path) -> None:
    small = replace(recipe.load("mlp-128"), augmentation=recipe.Augmentation())
    small = replace(small, training=replace(small.training, epochs=1, batch_size=64))
    for held_out, name in ((True, "part"), (False, "whole")):
        found = train.fit(small, digits, held_out=held_out)
        trained_models.save(trained_models.record_of(found), tmp_path / name)
    assert trained_models.find(small, tmp_path / "part", "digits") is None
    assert trained_models.find(small, tmp_path / "whole", "digits") is not None


def test_the_published_schedule_has_no_augmentation_and_its_own_numbers(
    digits: data.Dataset,
) -> None:
    plain = train.adapt(recipe.load("mlp-128-64"), published=True)
    assert plain.augmentation == recipe.Augmentation()
    assert (plain.training.schedule, plain.training.epochs) == ("constant", 10)
    found = train.fit(recipe.load("mlp-128-64"), digits, published=True, epochs=1)
    assert found.metrics["schedule"] == "published"
    assert found.metrics["trained_on"] == 1150


@pytest.mark.parametrize("numbers", [{"epochs": 0}, {"batch_size": 0}, {"seed": -1}])
def test_a_number_out_of_range_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(BadUsage, match=f"{next(iter(numbers))}: a whole number from"):
        train.adapt(recipe.load("mlp-128"), **numbers)


def test_a_batch_larger_than_the_data_is_refused(digits: data.Dataset) -> None:
    with pytest.raises(BadUsage, match="batch_size: 1200 is more than data set digits"):
        train.fit(recipe.load("mlp-128"), digits, batch_size=1200)


def test_pictures_of_another_shape_are_refused(digits: data.Dataset) -> None:
    small = replace(digits, x_train=digits.x_train[:, :20, :20])
    with pytest.raises(BadUsage, match=r"pictures of \(28, 28\) expected .*\(20, 20\) found"):
        train.fit(recipe.load("mlp-128"), small)


def test_a_sigmoids_loss_is_taken_from_its_outputs() -> None:
    import keras

    model = architecture.build(recipe.load("mlp-100-sigmoid"))
    function = architecture.loss(recipe.load("mlp-100-sigmoid"))
    x = keras.random.normal((6, 28, 28), seed=1)
    outputs = model(x)
    shares = evaluate.normalise(np.asarray(outputs))
    labels = np.arange(6)
    expected = -np.log(shares[labels, labels])
    assert np.asarray(function(labels, outputs)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "place", "found"),
    [
        ('class = "Flatten"', 'class = "Flaten"', "layers[0].class", "'Flaten' found"),
        ('class = "Flatten"', 'class = "Layer2"', "layers[0].class", "a class of keras.layers"),
        ("units = 100", "units = 100\nunit = 3", "layers[1].unit", "Dense has no such argument"),
        ("units = 100", "units = -3", "layers[1].units", "Dense: "),
        ("units = 100", 'units = 100\nkernel_initializer = "he"', "layers[1].kernel_initializer",
         "Dense: "),
        ('activation = "relu"', 'activation = "rely"', "layers[1].activation", "Dense: "),
        ('class = "Flatten"', 'class = "Conv2D"\nfilters = 3\nkernel_size = 3', "layers[0]",
         "Conv2D cannot be called: "),
        ('name = "flatten"', 'name = "flatten"\n\n[[layers]]\nclass = "Concatenate"\n'
         'name = "both"\ninputs = ["pixels", "flatten"]', "layers[1]",
         "Concatenate cannot be called: "),
        ("units = 10\n", "units = 11\n", "layers[2]", "one output for each of 10 labels expected"),
        ("sparse_categorical_crossentropy", "crossentropy", "training.loss", "crossentropy"),
        ('class = "Adam"', 'class = "Adamant"', "training.optimizer", "'Adamant' found"),
        ("learning_rate = 0.002", "learning_rate = 0.002, speed = 3", "training.optimizer",
         "speed"),
    ],
)  # fmt: skip
def test_what_keras_refuses_is_told_with_its_line(
    old: str, new: str, place: str, found: str
) -> None:
    broken = changed((old, new))
    with pytest.raises(BadRecipe) as caught:
        architecture.build(broken)
        architecture.loss(broken)
        architecture.optimizer(broken, 0.001)
    message = str(caught.value)
    assert f": {place}: " in message
    assert found in message
    assert message.startswith("mine.toml, line ")
    assert "\n" not in message


def test_a_recipe_is_enough_for_residual_and_convolutional_models() -> None:
    residual = changed(
        (
            '[[layers]]\nclass = "Flatten"\nname = "flatten"',
            '[[layers]]\nclass = "Reshape"\nname = "image"\ntarget_shape = [28, 28, 1]\n'
            '[[layers]]\nclass = "Conv2D"\nname = "conv"\nfilters = 4\nkernel_size = [3, 3]\n'
            'padding = "same"\nkernel_regularizer = {class = "L2", l2 = 0.01}\n'
            '[[layers]]\nclass = "BatchNormalization"\nname = "norm"\n'
            '[[layers]]\nclass = "Add"\nname = "sum"\ninputs = ["conv", "norm"]\n'
            '[[layers]]\nclass = "GlobalAveragePooling2D"\nname = "mean"',
        )
    )
    model = architecture.build(residual)
    assert model.get_layer("conv").kernel_regularizer.l2 == pytest.approx(0.01)
    assert {t.name for t in model.get_layer("sum").input} == {
        model.get_layer(name).output.name for name in ("conv", "norm")
    }
    assert model.output_shape == (None, 10)


@pytest.mark.parametrize("name", recipe.names())
def test_the_shipped_model_was_trained_from_this_very_recipe_and_reaches_its_figures(
    name: str,
) -> None:
    loaded = recipe.load(name)
    record = json.loads((MODELS / name / "keras" / "training.json").read_text(encoding="utf-8"))
    metrics = record["metrics"]
    assert metrics["fingerprint"] == loaded.fingerprint
    assert metrics["trained_on"] == 60_000
    minimum, test = loaded.minimum, metrics["test"]
    assert test["accuracy"] >= (minimum.accuracy or 0.0)
    assert test["f1"] >= (minimum.f1 or 0.0)
    assert test["loss"] <= (minimum.loss or 1.0)


@pytest.mark.mnist
@pytest.mark.parametrize("name", recipe.names())
def test_the_shipped_model_reaches_on_mnist_what_its_record_says(name: str) -> None:
    import keras

    try:
        mnist = data.load("mnist")
    except DataMissing as error:
        pytest.skip(str(error))
    folder = MODELS / name / "keras"
    record = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    model = keras.models.load_model(folder / "model.keras", compile=False)
    found = evaluate.evaluate(model, mnist).figures()
    assert found == pytest.approx(record["metrics"]["test"], abs=2e-4)
