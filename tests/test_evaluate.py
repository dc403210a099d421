"""Evaluation: figures against Keras' and hand-counted ones, pictures that are pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exporter import data, evaluate
from exporter.data import Dataset
from exporter.errors import BadUsage, MachineFailed
from tests.conftest import tiny_classifier


class Told:
    """A predictor that answers what it was told, whatever it is asked."""

    def __init__(self, outputs: list[list[float]]) -> None:
        self.outputs = np.array(outputs, np.float32)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        return self.outputs[: len(inputs)]


def pictures(labels: list[int]) -> Dataset:
    x = np.zeros((len(labels), 28, 28), np.uint8)
    x[:, 10:18, 12:16] = 255
    y = np.array(labels, np.uint8)
    return Dataset("four", x, y, x, y)


# Labels 0 0 1 2; answers 0 1 1 1.
TOLD = Told([[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.0, 1.0, 0.0], [0.0, 0.9, 0.1]])
FOUR = pictures([0, 0, 1, 2])


@pytest.fixture(scope="module")
def found() -> evaluate.Evaluation:
    return evaluate.evaluate(TOLD, FOUR)


def test_figures_are_those_counted_by_hand(found: evaluate.Evaluation) -> None:
    assert found.accuracy == 0.5
    assert found.precision == pytest.approx((1 + 1 / 3 + 0) / 3, abs=1e-4)
    assert found.recall == pytest.approx((0.5 + 1 + 0) / 3, abs=1e-4)
    assert found.f1 == pytest.approx((2 / 3 + 0.5 + 0) / 3, abs=1e-4)
    assert found.loss == pytest.approx(-np.log([0.8, 0.3, 1.0, 0.1]).mean(), abs=1e-4)
    assert found.confusion.tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_each_class_is_told_with_what_it_is_read_as(found: evaluate.Evaluation) -> None:
    assert found.class_rows() == [
        ("0", "1.0000", "0.5000", "0.6667", "2", "1"),
        ("1", "0.3333", "1.0000", "0.5000", "1", ""),
        ("2", "0.0000", "0.0000", "0.0000", "1", "1"),
    ]


def test_the_most_confident_mistake_comes_first(found: evaluate.Evaluation) -> None:
    told = [(mistake.index, mistake.label, mistake.answer) for mistake in found.mistakes]
    assert told == [(3, "2", "1"), (1, "0", "1")]
    assert found.mistakes[0].probability == pytest.approx(0.9)


def test_the_summary_row_is_for_people(found: evaluate.Evaluation) -> None:
    assert found.summary_row()[:4] == ("four", "4", "50.00%", f"{found.loss:.4f}")


def test_json_holds_plain_types_and_no_pictures(found: evaluate.Evaluation) -> None:
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert document["accuracy"] == 0.5
    assert document["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert set(document["mistakes"][0]) == {"index", "label", "answer", "probability"}


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_the_loss_is_keras_own(loss: str) -> None:
    model = tiny_classifier()
    model.compile(loss=loss)
    digits = data.load("digits")
    truth = digits.y_test.astype(int)
    targets = truth if loss.startswith("sparse") else np.eye(10)[truth]
    theirs = model.evaluate(data.as_input(digits.x_test), targets, verbose=0)
    assert evaluate.evaluate(model, digits).loss == pytest.approx(theirs, abs=1e-4)


def test_sigmoid_outputs_count_as_shares_of_their_sum() -> None:
    both = evaluate.evaluate(Told([[0.9, 0.9], [0.2, 0.6]]), pictures([0, 1]))
    assert both.loss == pytest.approx(-np.log([0.5, 0.75]).mean(), abs=1e-4)


def test_a_model_of_other_classes_is_refused() -> None:
    with pytest.raises(BadUsage, match=r"4 classes and 3 labels, but the model has 3 outputs"):
        evaluate.evaluate(TOLD, pictures([0, 1, 2, 3]))


def test_a_model_whose_output_is_no_row_is_refused() -> None:
    with pytest.raises(BadUsage, match=r"one output of shape \(classes,\) expected"):
        evaluate.predict(Told([[[0.1]]]), FOUR.x_test[:1])


def test_pictures_and_page_are_written(found: evaluate.Evaluation, tmp_path: Path) -> None:
    history = {"loss": [2.0, 1.0], "accuracy": [0.2, 0.5], "val_loss": [2.1, 1.2]}
    page = evaluate.write_pictures(found, history, tmp_path / "deep" / "report")
    names = {"learning-curves", "confusion-matrix", "predictions", "mistakes"}
    assert {path.stem for path in page.parent.glob("*.png")} == names
    for name in names:
        with Image.open(page.parent / f"{name}.png") as image:
            assert image.width > 400
            low, high = image.convert("L").getextrema()
            assert high - low > 100


def test_the_page_is_self_contained_and_tells_the_figures(
    found: evaluate.Evaluation, tmp_path: Path
) -> None:
    text = evaluate.write_pictures(found, None, tmp_path).read_text(encoding="utf-8")
    assert "50.00%" in text
    assert text.count('src="data:image/png;base64,') == 3
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


def test_without_mistakes_the_page_says_so(tmp_path: Path) -> None:
    perfect = evaluate.evaluate(Told([[1.0, 0.0], [0.0, 1.0]]), pictures([0, 1]))
    assert perfect.mistakes == ()
    page = evaluate.write_pictures(perfect, {"loss": [1.0], "accuracy": [0.5]}, tmp_path)
    assert "every sample was read right" in page.read_text(encoding="utf-8")
    assert not (tmp_path / "mistakes.png").exists()


def test_a_folder_that_cannot_be_made_is_told(found: evaluate.Evaluation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineFailed, match="file"):
        evaluate.write_pictures(found, None, tmp_path / "file" / "report")
