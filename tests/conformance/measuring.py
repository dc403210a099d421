"""Models of the zoo on all ways, ours and others'."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

from exporter.source import describe
from tests.conformance import bench, peers
from tests.conformance.outcome import Outcome


def measure(
    models: Iterable[str], ways: Sequence[str] | None = None
) -> Iterator[tuple[str, dict[str, Outcome]]]:
    """(model, outcome by column) one after the other; runtimes are started once.

    Args:
        models: Names of the zoo.
        ways: Which of the others' ways; all by default.
    """
    with ExitStack() as stack:
        own = stack.enter_context(bench.started())
        tfjs = stack.enter_context(peers.started())
        for name in models:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of Keras, about models that are odd on purpose
                source = describe(bench.build(name), "row")
                inputs = bench.inputs_of(source)
                outcomes = own.measure(source, inputs)
                outcomes |= peers.measure(source, inputs, tfjs, ways)
            yield name, outcomes
