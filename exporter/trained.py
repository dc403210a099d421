"""Trained models on disk: `keras/model.keras` and `keras/training.json`, found, saved or made anew.

The record says which recipe (by its fingerprint) the model was trained from, on what data, how
it went and what it reached, so that an export trains only what is missing or whose recipe
changed. May import recipe, data, train, source, publish and errors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import publish
from exporter.errors import BadUsage, MachineFailed
from exporter.manifest import MANIFEST_NAME

if TYPE_CHECKING:
    import keras

    from exporter.recipe import Recipe
    from exporter.train import Epoch, Trained

MODEL_PATH = "keras/model.keras"
RECORD_PATH = "keras/training.json"


@dataclass(frozen=True)
class TrainedModel:
    """A model with the record of its training.

    Attributes:
        record: `model_sha256`, `metrics` (recipe, its fingerprint, data set, schedule, figures
            on the test set) and `history` (one value an epoch).
    """

    model: keras.Model
    record: Mapping[str, Any]

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What was measured when it was trained."""
        return self.record["metrics"]

    @property
    def record_json(self) -> bytes:
        """What stands in `keras/training.json`."""
        return (json.dumps(self.record, indent=1) + "\n").encode()


def find(recipe: Recipe, directory: Path, data: str) -> TrainedModel | None:
    """The model in `directory` if it was trained from this very recipe on all of `data`, else None.

    Raises:
        BadUsage: It was trained from this recipe on other data.
        BadModel: The Keras file is there and cannot be loaded.
    """
    from exporter import source

    path = directory / RECORD_PATH
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        digest = hashlib.sha256((directory / MODEL_PATH).read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        raise MachineFailed(f"{path}: {error.strerror}") from error
    metrics = record.get("metrics", {}) if isinstance(record, dict) else {}
    # With a part held out the fingerprint is the recipe's, but what is shipped saw all of it.
    ours = (metrics.get("fingerprint"), record.get("model_sha256")) if metrics else None
    if ours != (recipe.fingerprint, digest) or "validation" in metrics:
        return None
    if metrics.get("data") != data:
        raise BadUsage(
            f"{directory}: holds {recipe.name} trained on {metrics.get('data')}, {data} expected; "
            "name another folder with -o"
        )
    return TrainedModel(source.load(directory / MODEL_PATH), record)


def find_or_train(
    recipe: Recipe, directory: Path, *, data: str | None, on_progress: Callable[[str], None]
) -> TrainedModel:
    """The model in `directory`, trained now where it is missing or its recipe changed.

    Raises:
        DataMissing: It must be trained, and the data set is not to be had.
    """
    name = data or recipe.training.data
    # Data given by path is to be compared on; what was trained on has a name.
    found = find(recipe, directory, name if data == "digits" else recipe.training.data)
    if found is not None:
        return found
    from exporter import data as datasets
    from exporter import train

    on_progress(f"training {recipe.name} on {name}: no model of this recipe in {directory}")
    dataset = datasets.load(name)

    def tell(epoch: Epoch) -> None:
        figures = ", ".join(f"{key} {value:.4f}" for key, value in epoch.figures.items())
        on_progress(f"training {recipe.name}: epoch {epoch.number}/{epoch.count}, {figures}")

    return record_of(train.fit(recipe, dataset, on_epoch=tell))


def record_of(trained: Trained) -> TrainedModel:
    """A freshly trained model with its record."""
    import tempfile

    from exporter import source

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        source.save_keras(trained.model, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    record = {
        "model_sha256": digest,
        "metrics": trained.metrics,
        "history": trained.history,
    }
    return TrainedModel(trained.model, record)


def refuse_bundle(directory: Path) -> None:
    """Complain where a bundle would be replaced by a model alone; costs nothing, so ask first.

    Raises:
        BadUsage: A published bundle is there.
    """
    if (directory / MANIFEST_NAME).exists():
        raise BadUsage(
            f"{directory}: holds a published bundle; train into another folder, "
            "or let `exporter export` train and publish"
        )


def save(trained: TrainedModel, directory: Path) -> None:
    """Write model and record into `directory`, all or nothing.

    Raises:
        BadUsage: A published bundle is there.
        PublishFailed: The folder cannot be written.
    """
    from exporter import source

    refuse_bundle(directory)
    with publish.staged(directory) as staging:
        (staging / "keras").mkdir()
        source.save_keras(trained.model, staging / MODEL_PATH)
        (staging / RECORD_PATH).write_bytes(trained.record_json)
