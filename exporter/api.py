"""The package's public functions: the same as the command line, without the terminal's manners.

Everything raised is an `ExporterError`. May import every module of the package but the command
line's (`exporter.cli`, `exporter.tables`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import jobs, pipeline, signing
from exporter import manifest as manifests
from exporter.errors import BadUsage, DataMissing, MachineFailed
from exporter.manifest import Manifest
from exporter.parity import ParityReport, Samples
from exporter.pipeline import GOLDEN_NAME, Progress
from exporter.trained import RECORD_PATH

if TYPE_CHECKING:
    import keras
    import numpy as np

    from exporter.contest import Contest
    from exporter.evaluate import Evaluation
    from exporter.pens import PenDigits
    from exporter.predictor import Answer, Predictor
    from exporter.source import Source


def export(
    model: keras.Model | str | Path,
    directory: str | Path,
    *,
    name: str | None = None,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] = ("float32",),
    custom_objects: Mapping[str, Any] | None = None,
    strict: bool = False,
    unsafe: bool = False,
    on_progress: Progress = lambda _: None,
) -> Manifest:
    """Export any Keras 3 model to a bundle, proven against Keras.

    Args:
        model: A built Keras model, or the path of a `.keras` or Keras `.h5` file.
        directory: Becomes the bundle; a bundle that is there is replaced as a whole.
        name: Of the bundle; the directory's name by default.
        formats: Which ("tfjs-layers", "tfjs-graph", "onnx"); None means all that can take the
            model. A format named here and refused is an error.
        precisions: Which of "float32", "float16", "uint16", "uint8", "int8", "int8-static"; one
            that fails its gate is an error. "all": every one that passes.
        custom_objects: Classes and functions that the model's config names.
        strict: A runtime that is not on this machine is a failure.
        unsafe: Let the model's file bring code of its own (Lambda layers).
        on_progress: Told what is going on, one line at a time.

    Returns:
        The manifest of the published bundle.

    Raises:
        ExporterError: See `exporter.errors`; nothing was published.
    """
    job = jobs.of_model(
        model, directory, name=name, formats=formats, precisions=precisions,
        custom_objects=custom_objects, strict=strict, unsafe=unsafe, on_progress=on_progress,
    )  # fmt: skip
    return pipeline.run(job).manifest


def verify(directory: str | Path, *, key: str | Path | None = None) -> Manifest:
    """Check a bundle's manifest and the hash of every file.

    Args:
        directory: The bundle.
        key: The public key, PEM, of whoever must have signed it; None checks no signature.

    Raises:
        BadBundle: No bundle, or a malformed manifest.
        VerificationFailed: Names all that is missing, extra or changed, at once; or there is no
            signature, or none of this key's over these very files.
    """
    if key is None:
        return manifests.examine(Path(directory))
    return signing.verify(Path(directory), Path(key))


def compare(
    directory: str | Path,
    runtimes: Sequence[str] | None = None,
    inputs: Sequence[np.ndarray] | np.ndarray | None = None,
    *,
    data: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    unsafe: bool = False,
    on_progress: Progress = lambda _: None,
) -> ParityReport:
    """Compare a bundle with its Keras model again, on this machine.

    Args:
        directory: The bundle; verified first.
        runtimes: Which; all by default.
        inputs: One array per model input (or the one array), samples first, to compare on
            besides the golden vectors.
        data: Name or path of a data set to compare on as well.
        custom_objects: Classes and functions that the model's config names.
        unsafe: Let the bundle's Keras file bring code of its own (Lambda layers).
        on_progress: Told what is being run.

    Raises:
        VerificationFailed: The files are not those of the manifest.
    """
    return _Comparison.of(
        Path(directory), runtimes, inputs, data=data, custom_objects=custom_objects,
        unsafe=unsafe, on_progress=on_progress,
    ).report  # fmt: skip


@dataclass(frozen=True)
class _Comparison:
    """A bundle compared again, with what the report's pages are made of."""

    manifest: Manifest
    sets: tuple[Samples, ...]
    report: ParityReport

    @classmethod
    def of(
        cls, directory: Path, runtimes: Sequence[str] | None,
        inputs: Sequence[np.ndarray] | np.ndarray | None, *, data: str | None,
        custom_objects: Mapping[str, Any] | None, unsafe: bool, on_progress: Progress,
    ) -> _Comparison:  # fmt: skip
        import numpy as np

        from exporter import comparison, golden, samples, source

        manifest = verify(directory)
        path = directory / manifest.artifact("keras").path
        model = source.load(path, custom_objects=custom_objects, unsafe=unsafe)
        described = _as_known(
            source.describe(
                model, manifest.name, custom_objects=dict(custom_objects or {}), unsafe=unsafe
            ),
            manifest,
        )
        vectors = golden.Golden.from_json((directory / GOLDEN_NAME).read_text(encoding="utf-8"))
        sets = samples.of_golden(vectors, described)
        if inputs is not None:
            arrays = [inputs] if isinstance(inputs, np.ndarray) else list(inputs)
            sets += (samples.of_arrays("given", arrays, described),)
        if data is not None:
            sets += (samples.of_data(data, described),)
        report = comparison.compare(
            directory,
            manifest,
            described,
            sets,
            golden=vectors,
            runtime_names=runtimes,
            on_progress=on_progress,
            on_model_done=lambda: described.forget_model() if described.is_big else None,
        )
        return cls(manifest, sets, report)


def _as_known(described: Source, manifest: Manifest) -> Source:
    """The source with what its Keras file does not say: by its recipe, else by the manifest."""
    from exporter import recipe as recipes

    described = replace(described, outputs=manifest.outputs)
    name = manifest.source.get("recipe")
    if name in recipes.names():
        recipe = recipes.load(str(name))
        if recipe.fingerprint == manifest.source.get("recipe_sha256"):
            return jobs.with_contract(described, recipe)
    return replace(
        described, inputs=manifest.inputs, labels=manifest.labels,
        preprocessing=manifest.preprocessing,
    )  # fmt: skip


@dataclass(frozen=True)
class Compared:
    """A comparison, what `parity.json` holds of it, and why it could not be written, if so."""

    report: ParityReport
    document: Mapping[str, Any]
    unwritten: MachineFailed | None


def compare_and_report(
    directory: Path,
    runtimes: Sequence[str] | None = None,
    *,
    data: str | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    unsafe: bool = False,
    on_progress: Progress = lambda _: None,
) -> Compared:
    """`compare`, and the bundle's `report/` written anew where it can be."""
    from exporter import report, shipping

    comparison = _Comparison.of(
        directory, runtimes, None, data=data, custom_objects=custom_objects, unsafe=unsafe,
        on_progress=on_progress,
    )  # fmt: skip
    found = comparison.report
    by_name = {chosen.name: chosen for chosen in comparison.sets}
    offers = shipping.offers(comparison.manifest, found, directory)
    unwritten = None
    try:
        report.write_report(
            found, comparison.manifest, directory, samples=by_name, answers=found.answers,
            offers=offers,
        )  # fmt: skip
    except MachineFailed as error:
        # What was measured is told all the same: a bundle may lie where nobody may write.
        unwritten = error
    document = report.parity_document(found, comparison.manifest, offers)
    return Compared(found, document, unwritten)


def load(
    directory: str | Path, runtime: str = "onnxruntime", backend: str | None = None
) -> Predictor:
    """Open a published bundle for prediction.

    Args:
        directory: The bundle; verified first.
        runtime: One of `exporter.runtimes.NAMES`.
        backend: One of that runtime's; its first by default.

    Raises:
        VerificationFailed: The files are not those of the manifest.
        SomethingMissing: The runtime is not on this machine.
    """
    from exporter.predictor import Predictor

    return Predictor(Path(directory), runtime, backend)


def predict_images(
    directory: Path, images: Sequence[Path], runtime: str, on_progress: Progress
) -> list[Answer]:
    """What a bundle says of picture files; all of them, or an error that names the first bad one.

    Raises:
        BadPicture: A file is no picture.
        BadBundle: The bundle does not take pictures.
    """
    answers = []
    with load(directory, runtime) as predictor:
        for image in images:
            on_progress(str(image))
            answers.append(predictor.read_picture(image))
    return answers


@dataclass(frozen=True)
class Evaluated:
    """A model's figures on a data set, and the page with its pictures."""

    name: str
    evaluation: Evaluation
    page: Path


def evaluate(
    paths: Sequence[Path], data: str, output: Path | None, on_progress: Progress
) -> list[Evaluated]:
    """Evaluate the Keras models of bundles, or Keras files, on the test part of a data set.

    Args:
        paths: Folders of bundles (verified first), or `.keras` and `.h5` files.
        data: Name or path of the data set.
        output: Folder for the pictures, one folder per model below it where there are several;
            `out/evaluation/<name>` by default.
        on_progress: Told what is going on.

    Raises:
        BadModel, BadBundle, VerificationFailed, DataMissing: See `exporter.errors`.
    """
    from exporter import data as datasets
    from exporter import evaluate as evaluation
    from exporter import source

    found: list[Evaluated] = []
    for path in paths:
        on_progress(f"loading {path}")
        if path.is_dir():
            manifest = verify(path)
            name, labels = manifest.name, manifest.labels
            model = source.load(path / manifest.artifact("keras").path)
            history = _history(path)
        else:
            name, labels, history = path.stem, None, None
            model = source.load(path)
        dataset = datasets.load(data)
        on_progress(f"{name} on {dataset.name}")
        measured = evaluation.evaluate(model, dataset, labels=labels)
        if any(name == other.name for other in found):
            name = str(path)
        place = output or Path("out") / "evaluation" / _folder_name(name)
        folder = place / _folder_name(name) if output and len(paths) > 1 else place
        page = evaluation.write_pictures(measured, history, folder)
        found.append(Evaluated(name, measured, page))
    return found


def open_bundles(paths: Sequence[Path]) -> dict[str, tuple[Path, Manifest]]:
    """Folders and manifests of several bundles by their names, verified.

    Raises:
        BadUsage: Two bundles have one name.
        BadBundle, VerificationFailed: See `exporter.errors`.
    """
    bundles: dict[str, tuple[Path, Manifest]] = {}
    for path in paths:
        manifest = verify(path)
        if manifest.name in bundles:
            raise BadUsage(
                f"{path}: a second bundle named {manifest.name!r} beside "
                f"{bundles[manifest.name][0]}; name the one or the other"
            )
        bundles[manifest.name] = (path, manifest)
    return bundles


def read_pens(path: Path | None) -> PenDigits:
    """Pen digits of a file, else of the one that PEN_DIGITS_PATH names, else drawings of our own.

    Raises:
        DataMissing, BadData, MachineFailed: See `exporter.pens.read`.
    """
    from exporter import pens

    named = path or (Path(text) if (text := os.environ.get("PEN_DIGITS_PATH")) else None)
    return pens.read(named) if named else pens.stand_in()


def compare_bundles(
    bundles: Mapping[str, tuple[Path, Manifest]],
    data: str | None,
    pens: PenDigits,
    runtimes: Sequence[str] | None,
    on_progress: Progress,
) -> Contest:
    """Measure several bundles side by side, and write each one's part into its `report/`.

    Bundles that cannot be compared are left out by name; of fewer than two nothing is measured.

    Args:
        bundles: Of `open_bundles`.
        data: Name or path of the data set that is read; None: MNIST where it is at hand, else
            accuracies are those that were recorded when the models were trained.
        pens: Of `read_pens`.
        runtimes: Where to time; by default those that run on every machine.
        on_progress: Told what is going on.

    Raises:
        ExporterError: See `exporter.measuring.measure`.
    """
    from exporter import contest, measuring
    from exporter import data as datasets

    try:
        dataset = datasets.load(data or "mnist")
    except DataMissing:
        if data is not None:
            raise
        dataset = None
    kept, left_out = measuring.comparable(bundles, dataset, pens)
    if len(kept) < 2:
        few = f"nothing is compared: two bundles or more that can be expected, {len(kept)} found"
        return contest.Contest((), missing=(*left_out, few))
    found = measuring.measure(kept, dataset, pens, runtime_names=runtimes, on_progress=on_progress)
    unwritten = []
    for name, (folder, _) in kept.items():
        try:
            contest.write_document(found, name, folder)
        except MachineFailed as error:
            # What was measured is told all the same: a bundle may lie where nobody may write.
            unwritten.append(f"report: {error}")
    return replace(found, missing=(*left_out, *found.missing, *unwritten))


def _folder_name(name: str) -> str:
    """A name as that of one folder: a manifest's may be a stranger's, and hold a path."""
    return re.sub(r"[^\w.-]+", "-", name).strip(".-") or "model"


def _history(bundle: Path) -> dict[str, list[float]] | None:
    """The learning curves of a recipe's bundle; a user's model has none."""
    record = bundle / RECORD_PATH
    if not record.exists():
        return None
    return json.loads(record.read_text(encoding="utf-8"))["history"]
