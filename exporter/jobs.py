"""Jobs: what to export, from a user's model or from a recipe.

Owns the choice of formats and precisions, and what is required of them. May import recipe, data,
trained, samples, source, formats, pipeline and errors.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exporter import formats as known_formats
from exporter.errors import BadUsage, ExporterError
from exporter.pipeline import Job, Progress

if TYPE_CHECKING:
    import keras
    import numpy as np

    from exporter.parity import Samples
    from exporter.recipe import Recipe
    from exporter.source import Source


ALL = "all"
"""Of precisions: every one that a format has; those that fail their gate are left out."""
KERAS = ("keras", "float32")
MOST_CALIBRATING = 512


def is_recipe(subject: str) -> bool:
    """Whether the command line's subject names a recipe rather than a model's file."""
    path = Path(subject)
    if path.suffix.lower() in (".keras", ".h5", ".hdf5"):
        return False
    # A file of another kind is told what a model's file is, not which recipes there are.
    return path.suffix == ".toml" or not (path.suffix and path.is_file())


def of_model(
    model: keras.Model | str | Path,
    directory: str | Path,
    *,
    name: str | None = None,
    formats: Sequence[str] | None = None,
    precisions: Sequence[str] = ("float32",),
    custom_objects: Mapping[str, Any] | None = None,
    strict: bool = False,
    unsafe: bool = False,
    data: str | None = None,
    on_progress: Progress = lambda _: None,
) -> Job:
    """The job of exporting a user's model; the arguments are those of `exporter.export`.

    `data` is a data set to compare on besides the golden vectors, and to measure ranges on.
    """
    from exporter import samples, source

    for format in formats or ():
        known_formats.get(format)
    for precision in precisions:
        if precision not in (*known_formats.PRECISIONS, ALL):
            known = ", ".join((*known_formats.PRECISIONS, ALL))
            raise BadUsage(f"precision {precision!r}: unknown; known precisions: {known}")
    objects = dict(custom_objects or {})
    if isinstance(model, (str, Path)):
        on_progress(f"loading {model}")
        path = Path(model)
        model = source.load(path, custom_objects=objects, unsafe=unsafe)
        published_as_is = path.suffix == ".keras"
    else:
        published_as_is = False
    if not published_as_is:
        # What is published is a `.keras` file, so that is what is compared: reloading also
        # settles the paths of the variables, which Keras names anew when it loads.
        model = _reloaded(model, objects)
    directory = Path(directory)
    described = source.describe(
        model, name or directory.resolve().name, custom_objects=objects, unsafe=unsafe
    )
    wanted, required = _choose(formats, precisions)
    sets = (samples.of_data(data, described),) if data else ()
    return Job(
        described, directory, (KERAS, *wanted), required | {KERAS}, samples=sets,
        demanded=frozenset(precisions) - {"float32", ALL} if ALL not in precisions else frozenset(),
        calibration=_spread(sets[0]) if sets else None,
        strict=strict, on_progress=on_progress,
    )  # fmt: skip


def _choose(
    formats: Sequence[str] | None, precisions: Sequence[str]
) -> tuple[tuple[tuple[str, str], ...], frozenset[tuple[str, str]]]:
    """Pairs to write, in the bundle's order, and those that must come out of it."""
    every = ALL in precisions
    chosen = [f for f in known_formats.NAMES if f in formats] if formats else known_formats.NAMES
    has = {name: known_formats.get(name).precisions for name in chosen}
    named = [p for p in known_formats.PRECISIONS if every or p in precisions]
    for precision in () if every else named:
        if formats and not any(precision in have for have in has.values()):
            raise BadUsage(f"precision {precision}: none of {', '.join(chosen)} has it")
    pairs = tuple((f, p) for f in chosen for p in named if p in has[f] and f != KERAS[0])
    must = [pair for pair in pairs if formats and (not every or pair[1] == "float32")]
    return pairs, frozenset(must)


def _spread(samples: Samples) -> tuple[np.ndarray, ...]:
    """At most MOST_CALIBRATING of the samples' inputs, from all over the set."""
    step = -(-samples.count // MOST_CALIBRATING)
    return tuple(array[::step] for array in samples.inputs)


def of_recipe(
    recipe_name: str,
    directory: str | Path | None = None,
    *,
    data: str | None = None,
    strict: bool = False,
    on_progress: Progress = lambda _: None,
) -> Job:
    """The job of exporting a recipe: the model that lies in `directory`, trained if need be.

    Args:
        recipe_name: A packaged recipe, or the path of a `.toml`.
        directory: The bundle; `models/<name>` by default.
        data: The data set to compare on besides the golden vectors; the recipe's own where it
            can be had.
        strict: A runtime that is not on this machine is a failure.
        on_progress: Told what is going on.
    """
    from exporter import recipe as recipes
    from exporter import source, trained

    recipe = recipes.load(recipe_name)
    _check_shipped(recipe)
    directory = Path(directory or Path("models") / recipe.name)
    found = trained.find_or_train(recipe, directory, data=data, on_progress=on_progress)
    described = with_contract(source.describe(found.model, recipe.name), recipe)
    pairs = tuple((format, precision) for format, _, precision in
                  (pair.partition("/") for pair in recipe.ships))  # fmt: skip
    sets, remarks = _data_rows(data, recipe, described)
    return Job(
        described, directory, pairs, frozenset(pairs), samples=sets, remarks=remarks,
        description=recipe.description,
        extras={trained.RECORD_PATH: found.record_json},
        origin={"recipe": recipe.name, "recipe_sha256": recipe.fingerprint},
        metrics=found.metrics, strict=strict, on_progress=on_progress,
    )  # fmt: skip


def _check_shipped(recipe: Recipe) -> None:
    """Complain of what no format can write, before minutes of training."""
    if "keras/float32" not in recipe.ships:
        recipe.complain(("ships",), "'keras/float32' expected: every bundle holds its source")
    for pair in recipe.ships:
        name, _, precision = pair.partition("/")
        has = known_formats.get(name).precisions if name in known_formats.NAMES else ()
        if precision not in has:
            known = ", ".join(has) or f"no format {name!r}; {', '.join(known_formats.NAMES)}"
            recipe.complain(("ships",), f"{pair!r}: unknown; known: {known}")


def with_contract(described: Source, recipe: Recipe) -> Source:
    """What the recipe says of its input and classes, said of the model."""
    from exporter import ink

    contract = recipe.input
    spec = replace(
        described.inputs[0],
        value_range=contract.value_range, layout=contract.layout, polarity=contract.polarity,
    )  # fmt: skip
    known = {f"{ink.CONTRACT['name']}/{ink.CONTRACT['version']}": dict(ink.CONTRACT), "none": None}
    if contract.preprocessing not in known:
        recipe.complain(
            ("input", "preprocessing"),
            f"{' or '.join(map(repr, known))} expected, {contract.preprocessing!r} found",
        )
    return replace(
        described,
        inputs=(spec,), labels=recipe.labels, preprocessing=known[contract.preprocessing],
    )  # fmt: skip


def _data_rows(
    data: str | None, recipe: Recipe, described: Source
) -> tuple[tuple[Samples, ...], tuple[str, ...]]:
    """The data set's samples, or a remark that says why there are none."""
    from exporter import samples

    name = data or recipe.training.data
    try:
        return (samples.of_data(name, described),), ()
    except ExporterError as error:
        # Nobody asked for it by name: the golden vectors prove the bundle without it.
        if data:
            raise
        return (), (f"not compared on {name}: {error}",)


def _reloaded(model: keras.Model, custom_objects: Mapping[str, Any]) -> keras.Model:
    """The model as it comes back from its own `.keras` file."""
    from exporter import source

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        source.save_keras(model, path)
        # Written a moment ago by this very process: code in it is the caller's own.
        return source.load(path, custom_objects=custom_objects, unsafe=True)
