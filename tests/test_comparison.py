"""What runs beside what in a comparison; a fault on either side comes out."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from exporter import comparison
from exporter.bench import Bench
from exporter.errors import UnsupportedModel
from exporter.manifest import Artifact, File, Manifest, TensorSpec
from exporter.parity import Row
from exporter.runtimes import Engine, Runtime, Session

WAIT_SECONDS = 20.0

Opened = Callable[[str], None]


def _engine(opened: Opened) -> Engine:
    class Telling(Engine):
        def open(
            self, directory: Path, manifest: Manifest, artifact: Artifact, backend: str
        ) -> Session:
            opened(backend)
            raise UnsupportedModel("takes no model: only the order of the work is looked at")

    return Telling()


def _bench(
    opened: Opened, *, browser: bool, size_bytes: int = 10, lacks: str = ""
) -> tuple[Bench, list[Artifact]]:
    class Fake(Runtime):
        name = "tfjs-browser" if browser else "tfjs-node"
        backends = ("cpu", "wasm", "webgl") if browser else ("cpu", "wasm")
        formats = frozenset({"tfjs-layers"})
        everywhere = not browser

        def missing(self, backend: str) -> str | None:
            return "not here" if backend == lacks else None

        def start(self) -> AbstractContextManager[Engine]:
            @contextmanager
            def engine() -> Iterator[Engine]:
                yield _engine(opened)

            return engine()

    spec = TensorSpec("x", (None, 2), "float32")
    artifact = Artifact("tfjs-layers", "float32", "a", (File("a", size_bytes, "0" * 64),))
    manifest = Manifest(
        name="m", created_by={}, source={}, inputs=(spec,), outputs=(spec,),
        artifacts=(artifact,), files=(),
    )  # fmt: skip
    return Bench(Path(), manifest, Fake(), (), 1.0, lambda _: None), [artifact]


def _run(*benches: tuple[Bench, list[Artifact]]) -> list[Row]:
    with ExitStack() as started:
        return comparison.run_all(benches, started)


def test_the_browsers_cpu_runs_beside_node_and_its_gpu_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both = threading.Barrier(2)
    done: list[tuple[str, str]] = []

    def opened(side: str) -> Opened:
        def tell(backend: str) -> None:
            if backend == "cpu":
                both.wait(WAIT_SECONDS)  # breaks, and fails the test, where nobody else comes
            done.append((side, backend))

        return tell

    _run(_bench(opened("node"), browser=False), _bench(opened("browser"), browser=True))
    assert done[-1] == ("browser", "webgl")
    assert sorted(done[:-1]) == [
        ("browser", "cpu"), ("browser", "wasm"), ("node", "cpu"), ("node", "wasm"),
    ]  # fmt: skip


@pytest.mark.parametrize(("cores", "size_bytes"), [(1, 10), (2, comparison.BIG_BYTES + 1)])
def test_on_one_core_and_with_large_artefacts_all_runs_in_turn(
    monkeypatch: pytest.MonkeyPatch, cores: int, size_bytes: int
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    done: list[tuple[str, threading.Thread]] = []

    def opened(backend: str) -> None:
        done.append((backend, threading.current_thread()))

    _run(
        _bench(opened, browser=False, size_bytes=size_bytes),
        _bench(opened, browser=True, size_bytes=size_bytes),
    )
    assert [backend for backend, _ in done] == ["cpu", "wasm", "cpu", "wasm", "webgl"]
    assert {thread for _, thread in done} == {threading.current_thread()}


@pytest.mark.parametrize("faulty", ["node", "browser"])
def test_a_fault_on_either_side_comes_out_and_ends_the_other(
    monkeypatch: pytest.MonkeyPatch, faulty: str
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    both = threading.Barrier(2)
    failed = threading.Event()
    begun: list[str] = []

    def opened(side: str) -> Opened:
        def tell(backend: str) -> None:
            begun.append(f"{side} {backend}")
            if backend == "cpu":
                both.wait(WAIT_SECONDS)
            if side == faulty:
                failed.set()
                raise LookupError("planted")
            # Long enough for the other side to have said that it failed.
            assert failed.wait(WAIT_SECONDS)
            threading.Event().wait(0.2)

        return tell

    with pytest.raises(LookupError, match="planted"):
        _run(_bench(opened("node"), browser=False), _bench(opened("browser"), browser=True))
    assert sorted(begun) == ["browser cpu", "node cpu"]


def test_a_backend_that_is_not_there_has_its_row_on_either_side(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    rows = _run(
        _bench(lambda _: None, browser=False, lacks="wasm"),
        _bench(lambda _: None, browser=True, lacks="webgl"),
    )
    assert [(row.runtime, row.backend, row.status, row.reason) for row in rows] == [
        ("tfjs-node", "wasm", "not_run", "not here"),
        ("tfjs-browser", "webgl", "not_run", "not here"),
    ]
