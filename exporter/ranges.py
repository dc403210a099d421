"""Ranges: what of a recipe a search may change, as its table `[tune]` says it.

Owns the `Range` dataclass and its checks. A range stands below the value's own place, a layer by
its name: `training.optimizer.learning_rate = { low = 1e-4, high = 1e-2, log = true }`. Imports
`exporter.toml_lines` only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from exporter.toml_lines import Place, dotted

TABLES = ("training", "augmentation", "layers")
FIXED = {
    "training.data": "another data set is another task",
    "training.seed": "a seed is luck, and what luck found does not last",
    "training.epochs": "trials are compared epoch by epoch; `exporter tune --epochs` sets them all",
}
_KEYS = {"low", "high", "step", "log", "choices"}


@dataclass(frozen=True, slots=True)
class Range:
    """The values that one place of a recipe may take: from low to high, or one of some choices.

    Attributes:
        place: As below `[tune]`: ("layers", "hidden_1", "units").
        low, high: Both included; whole numbers where both are.
        step: From low upwards; None where every number between may be taken.
        log: Whether 0.001 to 0.01 is as wide as 0.01 to 0.1.
        choices: Instead of low and high.
    """

    place: tuple[str, ...]
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """ "layers.hidden_1.units"."""
        return dotted(self.place)

    @property
    def whole(self) -> bool:
        """Whether it holds whole numbers only."""
        return type(self.low) is int and type(self.high) is int

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values by which the whole range is tried: every choice, or lowest and highest."""
        return self.choices or (self.low, self.high)

    def holds(self, value: Any) -> bool:
        """Whether a search could come upon `value`."""
        if self.choices:
            return value in self.choices
        if type(value) not in (int, float) or self.low is None or self.high is None:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return self.low <= value <= self.high and math.isclose(steps, round(steps), abs_tol=1e-9)

    def to_json(self) -> dict[str, Any]:
        """What of it makes a search another one."""
        return {key: getattr(self, key) for key in ("low", "high", "step", "log", "choices")}


def read(
    table: Mapping[str, Any],
    value_at: Callable[[tuple[str, ...]], Any],
    complain: Callable[[Place, str], NoReturn],
) -> tuple[Range, ...]:
    """The ranges of a recipe's table `[tune]`, in the order of the file.

    Args:
        table: As TOML gave it.
        value_at: The recipe's own value at a place; raises KeyError with the reason.
        complain: Raises the error for a place of the file.
    """
    found = []
    for place, leaf in _leaves(table, ()):
        where = ("tune", *place)
        if place[0] not in TABLES:
            complain(where[:2], f"one of {', '.join(TABLES)} expected, {place[0]!r} found")
        if not isinstance(leaf, Mapping) or not leaf:
            complain(
                where, f"{{ low = …, high = … }} or {{ choices = […] }} expected, {leaf!r} found"
            )
        if reason := FIXED.get(dotted(place)):
            complain(where, f"cannot be searched over: {reason}")
        try:
            own = value_at(place)
        except KeyError as error:
            complain(where, str(error.args[0]))
        found.append(_range(place, leaf, own, partial(complain, where)))
    return tuple(found)


def _leaves(
    table: Mapping[str, Any], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in table.items():
        place = (*above, key)
        # A layer may be named as a key of a range is: then a table stands below it.
        tables = isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values())
        if isinstance(value, Mapping) and value and (tables or not _KEYS & set(value)):
            yield from _leaves(value, place)
        else:
            yield place, value


def _range(
    place: tuple[str, ...], leaf: Mapping[str, Any], own: Any, complain: Callable[[str], NoReturn]
) -> Range:
    for key in leaf:
        if key not in _KEYS:
            complain(f"unknown key {key!r}; known here: low, high, step, log, or choices")
    if "choices" in leaf:
        return _choice(place, leaf, complain)
    if type(own) not in (int, float):
        complain(f"the recipe has {own!r} here, which is no number: choices = […] expected")
    for key in ("low", "high"):
        if type(leaf.get(key)) not in (int, float) or not math.isfinite(leaf[key]):
            complain(f"{key}: a number expected, {leaf.get(key)!r} found")
    low, high, step, log = leaf["low"], leaf["high"], leaf.get("step"), leaf.get("log", False)
    if type(own) is int and not (type(low) is int and type(high) is int):
        complain(f"the recipe has the whole number {own} here: whole low and high expected")
    if type(own) is float:
        low, high = float(low), float(high)
    if not low < high:
        complain(f"low below high expected, {low:g} and {high:g} found")
    if type(log) is not bool:
        complain(f"log: true or false expected, {log!r} found")
    if log and low <= 0:
        complain(f"log: low above 0 expected, {low:g} found")
    if step is not None:
        if type(step) not in (int, float) or not 0 < step <= high - low:
            complain(f"step: a number above 0 and up to {high - low:g} expected, {step!r} found")
        if type(low) is int and type(step) is not int:
            complain(f"step: a whole number expected, {step!r} found")
        if log:
            complain("step and log: one of them expected, both found")
    return Range(place, low, high, step, log)


def _choice(
    place: tuple[str, ...], leaf: Mapping[str, Any], complain: Callable[[str], NoReturn]
) -> Range:
    if len(leaf) > 1:
        complain(f"choices alone expected, {', '.join(leaf)} found")
    choices = leaf["choices"]
    plain = (str, int, float, bool)
    if not isinstance(choices, list) or not all(type(one) in plain for one in choices):
        complain(f"choices: a list of texts, numbers, true or false expected, {choices!r} found")
    if len(choices) < 2 or len({(type(one), one) for one in choices}) < len(choices):
        complain(f"choices: two or more, each another, expected, {choices!r} found")
    return Range(place, choices=tuple(choices))
