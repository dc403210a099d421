"""Models of the zoo on all ways, ours and others'."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter.source import describe
from tests.conformance import bench, peers
from tests.conformance.outcome import Outcome

Measure = Callable[[str], dict[str, Outcome]]


@contextmanager
def started() -> Iterator[Measure]:
    """A function from a model's name in the zoo to its outcome by column.

    The runtimes are started once, and ended when the block is left.
    """
    with bench.started() as own, peers.started() as tfjs:

        def measure(name: str) -> dict[str, Outcome]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Keras, about models that are odd on purpose
                source = describe(bench.build(name), "row")
                inputs = bench.inputs_of(source)
                return own.measure(source, inputs) | peers.measure(source, inputs, tfjs)

        yield measure
