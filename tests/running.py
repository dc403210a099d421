"""Engines that the product takes as they run: Node costs half a second to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from exporter import runtimes
from exporter.runtimes import Engine, Runtime


@contextmanager
def kept_running(engine_of: Callable[[Runtime], Engine | None]) -> Iterator[None]:
    """While this lasts, a runtime for which `engine_of` has an engine starts as that engine."""
    before = runtimes.get

    def get(name: str) -> Runtime:
        runtime = before(name)
        engine = engine_of(runtime)
        if engine is None:
            return runtime

        @contextmanager
        def start() -> Iterator[Engine]:
            yield engine

        runtime.start = start  # type: ignore[method-assign]
        return runtime

    runtimes.get = get
    try:
        yield
    finally:
        runtimes.get = before
