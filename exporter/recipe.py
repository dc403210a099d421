"""Recipes: what to train, read from TOML and checked, with the place of every mistake.

Owns the `Recipe` dataclass, the packaged recipes in `exporter/recipes/*.toml`, and the checks that
need no Keras. Classes and arguments of layers are checked where Keras is at hand, in
`exporter.architecture`, through `Recipe.complain`. Imports the standard library,
`exporter.{ranges, toml_lines, errors}` only.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

from exporter import ranges
from exporter.errors import BadRecipe, MachineFailed
from exporter.ranges import Range
from exporter.toml_lines import Place, dotted, line_of, locate

RECIPES_FOLDER = Path(__file__).parent / "recipes"
DATA_SETS = ("mnist", "digits")
SCHEDULES = ("cosine", "constant")
LARGEST = 64 << 10
"""Bytes of a recipe; the packaged ones have a tenth of that at most."""
LARGEST_INPUT = 1 << 24
"""Numbers of one sample."""
_DOTTED = re.compile(r"(?<![\w\"'-])(?:[\w\"'-]++[ \t]*+\.[ \t]*+){32}")
PUBLISHED_SPLITS = ("test", "validation")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer in Keras' own terms.

    Attributes:
        class_name: A class of `keras.layers` ("Dense").
        name: The layer's name, unique in the recipe.
        arguments: The class' constructor arguments; an activation, initializer or regularizer
            is a name or a table `{class = …, …}`.
        inputs: Names of the layers that feed it; empty is the layer before it. The model's
            input goes by the name in `[input]`.
    """

    class_name: str
    name: str
    arguments: Mapping[str, Any]
    inputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class InputContract:
    """What the model takes: one sample's shape, and what its numbers mean."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    value_range: tuple[float, float]
    layout: str
    polarity: str
    preprocessing: str


@dataclass(frozen=True, slots=True)
class Training:
    """The schedule that trains the shipped model.

    Attributes:
        loss: Keras' name of the loss.
        optimizer: A class of `keras.optimizers`.
        optimizer_arguments: Its constructor arguments, `learning_rate` among them.
        schedule: "cosine" (from the learning rate to 0 over all steps) or "constant".
        average_decay: Decay of the running mean of the weights that is kept; 0 keeps the last.
        jit_compile: Whether XLA compiles a step: on a CPU dense layers train faster with it,
            convolutions much faster without.
    """

    data: str
    loss: str
    optimizer: str
    optimizer_arguments: Mapping[str, Any]
    schedule: str
    epochs: int
    batch_size: int
    seed: int
    average_decay: float = 0.0
    jit_compile: bool = True

    def influences(self) -> dict[str, Any]:
        """What goes into the fingerprint: a newer field that was left out says nothing."""
        every = _plain(self)
        if self.jit_compile:
            del every["jit_compile"]
        return every


@dataclass(frozen=True, slots=True)
class Published:
    """The figure that others published for this architecture, and their schedule."""

    source: str
    figure: str
    measured_on: str
    epochs: int
    batch_size: int
    accuracy: float | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Minimum:
    """What the shipped model must reach on the test set; None is not asked for."""

    accuracy: float | None = None
    loss: float | None = None
    f1: float | None = None


@dataclass(frozen=True, slots=True)
class Augmentation:
    """How a training picture is varied; every amount is uniform between minus and plus it.

    Attributes:
        shift: Pixels.
        rotation: Degrees.
        scale: Share of the size, each axis its own.
        shear: Tangent of the angle.
        elastic: Pixels by which a smooth random field moves the ink.
        elastic_grid: Nodes of that field along a side.
        pen: How far strokes may grow thicker (+) or thinner (-), in pixels.
        contrast: How much harder than MNIST's own the edge of a stroke may be.
        slashed_zeros: Share of the zeros that get a slash, as some people write them.
        flagged_ones: Share of the ones that get an upstroke, as continental hands begin them.
        drawn: Share of the pictures that a digit of our own drawing takes the place of, in one of
            the ways that `exporter.handwriting` knows; then varied like the others.
        plain: Share of the pictures that stay as they are.
    """

    shift: float = 0.0
    rotation: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    elastic: float = 0.0
    elastic_grid: int = 4
    pen: float = 0.0
    contrast: float = 0.0
    slashed_zeros: float = 0.0
    flagged_ones: float = 0.0
    drawn: float = 0.0
    plain: float = 0.0

    def amounts(self) -> dict[str, float]:
        """What is on: an amount that was left out, or added to the language since, says nothing."""
        off = Augmentation()
        every = _plain(self)
        return {key: value for key, value in every.items() if value != getattr(off, key)}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe, checked.

    Attributes:
        name: The file's name without `.toml`.
        path: Where it was read.
        ships: "format/precision" of every artefact that the recipe's bundle holds.
        labels: The classes' names, in the order of the outputs.
        lines: The line of every key in the file, for messages.
        tune: What `exporter tune` may change; it influences no weights.
    """

    name: str
    path: Path
    title: str
    description: str
    labels: tuple[str, ...]
    ships: tuple[str, ...]
    input: InputContract
    layers: tuple[Layer, ...]
    training: Training
    augmentation: Augmentation
    published: Published | None
    minimum: Minimum
    lines: Mapping[Place, int] = field(repr=False, compare=False)
    tune: tuple[Range, ...] = ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over all that influences the trained weights, and nothing else."""
        influences = {
            "input": [self.input.name, list(self.input.shape), self.input.dtype],
            "layers": [_plain(layer) for layer in self.layers],
            "training": self.training.influences(),
            "augmentation": self.augmentation.amounts(),
        }
        text = json.dumps(influences, sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def value_at(self, place: tuple[str, ...]) -> Any:
        """The value at a place of `[tune]`: ("layers", "hidden_1", "units").

        Raises:
            KeyError: There is none, with the reason in words.
        """
        table, *keys = place
        known: Mapping[str, Any]
        if table == "layers":
            layers = {layer.name: layer.arguments for layer in self.layers}
            known = layers
        elif table == "training":
            training = _plain(self.training)
            known = training | {"optimizer": training.pop("optimizer_arguments")}
        else:
            known = _plain(self.augmentation)
        for depth, key in enumerate(keys):
            if not isinstance(known, Mapping) or key not in known:
                here = dotted((table, *keys[:depth]))
                names = ", ".join(known) if isinstance(known, Mapping) else "nothing"
                raise KeyError(f"{here} has no {key!r} to change; it has {names}")
            known = known[key]
        if not keys or isinstance(known, Mapping):
            raise KeyError(f"one value expected, {dotted(place)} is a table")
        return known

    def complain(self, place: Place, message: str) -> NoReturn:
        """Raise BadRecipe with the file, the line and the key of `place`."""
        _complain(self.path, self.lines, place, message)


def names() -> tuple[str, ...]:
    """Names of the packaged recipes, sorted."""
    return tuple(sorted(path.stem for path in RECIPES_FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Recipe:
    """Read a packaged recipe by name, or a recipe file by path (anything ending in `.toml`).

    Raises:
        BadRecipe: Unknown or malformed; the message names file, line and key.
        MachineFailed: The file is there and cannot be read.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in names():
            raise BadRecipe(
                f"recipe {str(name_or_path)!r}: unknown; known recipes: {', '.join(names())}; "
                "or give the path of a .toml file"
            )
        path = RECIPES_FOLDER / f"{name_or_path}.toml"
    try:
        with open(path, "rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise BadRecipe(f"{path}: at most {LARGEST:,} bytes of a recipe expected, more found")
        text = data.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise BadRecipe(
            f"{path}: no such recipe file; known recipes: {', '.join(names())}"
        ) from None
    except UnicodeDecodeError as error:
        raise BadRecipe(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise MachineFailed(f"{path}: {error.strerror}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Recipe:
    """Check the text of a recipe; `path` gives its name and stands in messages.

    Raises:
        BadRecipe: Malformed; the message names file, line and key.
    """
    if _DOTTED.search(text):  # a dot costs the square of the dots before it
        raise BadRecipe(f"{path}: keys of a few parts expected, one of dozens found")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of a number too long: ValueError
        raise BadRecipe(f"{path}: not TOML: {error}") from None
    lines = locate(text)
    return _Table(document, (), path, lines).recipe()


_KINDS = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


def _plain(value: Any) -> dict[str, Any]:
    """A frozen dataclass as a dict; `arguments` stay as TOML gave them."""
    return {key: getattr(value, key) for key in value.__dataclass_fields__}


def _complain(path: Path, lines: Mapping[Place, int], place: Place, message: str) -> NoReturn:
    line = line_of(lines, place)
    where = f"{path}, line {line}" if line else str(path)
    raise BadRecipe(f"{where}: {dotted(place)}: {message}")


class _Table:
    """One table of the document while it is read: every key is taken once, the rest is unknown."""

    def __init__(
        self, table: Mapping[str, Any], place: Place, path: Path, lines: Mapping[Place, int]
    ) -> None:
        self._rest = dict(table)
        self._place = place
        self._path = path
        self._lines = lines
        self._known: list[str] = []

    def complain(self, key: str | None, message: str) -> NoReturn:
        place = self._place if key is None else (*self._place, key)
        _complain(self._path, self._lines, place, message)

    def take(self, key: str, kind: type, default: Any = ...) -> Any:
        """The value of `key`, checked to be of `kind`; an int serves where a float is asked."""
        self._known.append(key)
        if key not in self._rest:
            if default is ...:
                self.complain(key, f"missing; {_KINDS[kind]} expected")
            return default
        value = self._rest.pop(key)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            found = _KINDS.get(type(value), type(value).__name__)
            self.complain(key, f"{_KINDS[kind]} expected, {found} {value!r} found")
        return value

    def number(self, key: str, low: float, high: float, default: Any = ...) -> Any:
        """A float within low..high, or the default."""
        return self._within(key, self.take(key, float, default), low, high)

    def whole(self, key: str, low: int, high: int, default: Any = ...) -> Any:
        """An int within low..high, or the default."""
        return self._within(key, self.take(key, int, default), low, high)

    def _within(self, key: str, value: Any, low: float, high: float) -> Any:
        if value is not None and not low <= value <= high:
            self.complain(key, f"{low:g} to {high:g} expected, {value:g} found")
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: Any = ...) -> str:
        value: str = self.take(key, str, default)
        if value not in choices:
            self.complain(key, f"one of {', '.join(choices)} expected, {value!r} found")
        return value

    def texts(self, key: str, default: Any = ...) -> tuple[str, ...]:
        """A list of distinct texts."""
        values = self.take(key, list, default)
        if not all(isinstance(value, str) and value for value in values):
            self.complain(key, f"a list of texts expected, {values!r} found")
        if len(set(values)) < len(values):
            self.complain(key, f"distinct texts expected, {values!r} found")
        return tuple(values)

    def table(self, key: str, default: Any = ...) -> _Table:
        value = self.take(key, dict, default)
        return _Table(value, (*self._place, key), self._path, self._lines)

    def rest(self) -> dict[str, Any]:
        """Whatever was not taken: for tables whose keys are Keras' own."""
        rest, self._rest = self._rest, {}
        return rest

    def end(self) -> None:
        """Complain about the first key that nobody took."""
        for key in self._rest:
            self.complain(key, f"unknown key; known here: {', '.join(self._known)}")

    def recipe(self) -> Recipe:
        title, description = self.take("title", str), self.take("description", str, "")
        labels, ships = self.texts("labels"), self._ships()
        contract = self.table("input")._input()
        recipe = Recipe(
            name=self._path.stem,
            path=self._path,
            title=title,
            description=description.strip(),
            labels=labels,
            ships=ships,
            input=contract,
            training=self.table("training")._training(),
            augmentation=self.table("augmentation", {})._augmentation(),
            published=self._published_if_told(),
            minimum=self.table("minimum", {})._minimum(),
            layers=self._layers(contract.name),
            lines=self._lines,
        )
        found = ranges.read(self.take("tune", dict, {}), recipe.value_at, recipe.complain)
        self.end()
        return replace(recipe, tune=found)

    def _ships(self) -> tuple[str, ...]:
        ships = self.texts("ships")
        for artifact in ships:
            if artifact.count("/") != 1:
                self.complain("ships", f'"format/precision" expected, {artifact!r} found')
        return ships

    def _input(self) -> InputContract:
        shape, bounds = self.take("shape", list), self.take("range", list, [0.0, 1.0])
        if not shape or not all(type(n) is int and n > 0 for n in shape):
            self.complain("shape", f"a list of whole numbers above 0 expected, {shape!r} found")
        if math.prod(shape) > LARGEST_INPUT:
            self.complain("shape", f"at most {LARGEST_INPUT:,} numbers expected, {shape!r} found")
        numbers = all(type(n) in (int, float) for n in bounds) and len(bounds) == 2
        if not numbers or not bounds[0] < bounds[1]:
            self.complain("range", f"[lowest, highest] expected, {bounds!r} found")
        contract = InputContract(
            name=self.take("name", str, "pixels"),
            shape=tuple(shape),
            dtype=self.choice("dtype", ("float32",), "float32"),
            value_range=(float(bounds[0]), float(bounds[1])),
            layout=self.take("layout", str),
            polarity=self.take("polarity", str),
            preprocessing=self.take("preprocessing", str),
        )
        self.end()
        return contract

    def _training(self) -> Training:
        data, loss = self.choice("data", DATA_SETS), self.take("loss", str)
        optimizer = self.table("optimizer")
        optimizer_class = optimizer.take("class", str)
        learning_rate = optimizer.number("learning_rate", 1e-9, 10.0)
        training = Training(
            data=data,
            loss=loss,
            optimizer=optimizer_class,
            optimizer_arguments={"learning_rate": learning_rate, **optimizer.rest()},
            schedule=self.choice("schedule", SCHEDULES),
            epochs=self.whole("epochs", 1, 100_000),
            batch_size=self.whole("batch_size", 1, 60_000),
            seed=self.whole("seed", 0, 2**32 - 1),
            average_decay=self.number("average_decay", 0.0, 0.999999, 0.0),
            jit_compile=self.take("jit_compile", bool, True),
        )
        self.end()
        return training

    def _augmentation(self) -> Augmentation:
        augmentation = Augmentation(
            shift=self.number("shift", 0.0, 8.0, 0.0),
            rotation=self.number("rotation", 0.0, 90.0, 0.0),
            scale=self.number("scale", 0.0, 0.9, 0.0),
            shear=self.number("shear", 0.0, 2.0, 0.0),
            elastic=self.number("elastic", 0.0, 8.0, 0.0),
            elastic_grid=self.whole("elastic_grid", 2, 28, 4),
            pen=self.number("pen", 0.0, 3.0, 0.0),
            contrast=self.number("contrast", 0.0, 10.0, 0.0),
            slashed_zeros=self.number("slashed_zeros", 0.0, 1.0, 0.0),
            flagged_ones=self.number("flagged_ones", 0.0, 1.0, 0.0),
            drawn=self.number("drawn", 0.0, 1.0, 0.0),
            plain=self.number("plain", 0.0, 1.0, 0.0),
        )
        self.end()
        return augmentation

    def _published_if_told(self) -> Published | None:
        if "published" in self._rest:
            return self.table("published")._published()
        self._known.append("published")
        return None

    def _published(self) -> Published:
        published = Published(
            source=self.take("source", str),
            figure=self.take("figure", str),
            measured_on=self.choice("measured_on", PUBLISHED_SPLITS, "test"),
            epochs=self.whole("epochs", 1, 100_000),
            batch_size=self.whole("batch_size", 1, 60_000),
            accuracy=self.number("accuracy", 0.0, 1.0, None),
            loss=self.number("loss", 0.0, 100.0, None),
        )
        self.end()
        return published

    def _minimum(self) -> Minimum:
        minimum = Minimum(
            accuracy=self.number("accuracy", 0.0, 1.0, None),
            loss=self.number("loss", 0.0, 100.0, None),
            f1=self.number("f1", 0.0, 1.0, None),
        )
        self.end()
        return minimum

    def _layers(self, input_name: str) -> tuple[Layer, ...]:
        tables = self.take("layers", list)
        if not tables or not all(isinstance(table, dict) for table in tables):
            self.complain("layers", "at least one [[layers]] table expected")
        layers: list[Layer] = []
        known = [input_name]
        for index, table in enumerate(tables):
            reader = _Table(table, ("layers", index), self._path, self._lines)
            layers.append(reader._layer(known))
            known.append(layers[-1].name)
        return tuple(layers)

    def _layer(self, known: list[str]) -> Layer:
        class_name, name = self.take("class", str), self.take("name", str)
        if name in known:
            self.complain("name", f"a new name expected, {name!r} is taken")
        inputs = self.texts("inputs", [])
        for feed in inputs:
            if feed not in known:
                self.complain("inputs", f"{feed!r} is no layer above; known: {', '.join(known)}")
        return Layer(class_name, name, self.rest(), inputs)
