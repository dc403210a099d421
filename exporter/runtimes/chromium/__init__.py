"""The runtimes of the browser in a real Chromium: the player's own built modules in a page.

Owns sessions and the choice of what a page runs; the browser is in `browser`, what it fetches in
`server`. Both runtimes share one Chromium, which is started with the first and ended with the
last. May import what a runtime may, and `exporter.browser`.
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from exporter import browser as browsers
from exporter.errors import BrowserMissing, ExporterError, RuntimeCrashed
from exporter.manifest import Artifact, Manifest
from exporter.runtimes import Engine, Runtime, Session
from exporter.runtimes.chromium import frames
from exporter.runtimes.chromium.browser import Browser, Page
from exporter.runtimes.chromium.server import Server, Site

DIST = Path(__file__).parent.parent.parent / "player" / "dist"
HOST = DIST / "browser" / "host.js"

REQUEST_SECONDS = 300.0
"""How long one request may take before the page is closed."""

FRAME_BYTES = 16_000_000
"""How much of inputs is sent to a page at once, if more than one call is waiting."""

HALF = "webgl-half"
"""WebGL as phones have it: textures of 16-bit floats, nothing drawn in 32 bits."""

_HALF_RAN = "16-bit textures"

# Small tensors would be computed on the CPU, unseen: then the row would not be the GPU's.
_FLAGS = {
    "webgl": "WEBGL_CPU_FORWARD:false",
    "webgpu": "WEBGPU_CPU_FORWARD:false",
    HALF: "WEBGL_CPU_FORWARD:false,WEBGL_FORCE_F16_TEXTURES:true,"
    "WEBGL_RENDER_FLOAT32_CAPABLE:false,WEBGL_RENDER_FLOAT32_ENABLED:false",
}
_APIS = {"webgl": "webgl", HALF: "webgl", "webgpu": "webgpu"}


class ChromiumSession(Session):
    """One artefact in a page of its own."""

    def __init__(
        self, page: Page, server: Server, site: Site, backend: str, gpu: str | None,
        answer: dict[str, Any], output_count: int,
    ) -> None:  # fmt: skip
        self._page = page
        self._server = server
        self._site = site
        self._backend = backend
        self._gpu = gpu
        self._output_count = output_count
        self._note(answer)

    def _note(self, answer: dict[str, Any]) -> None:
        """What the runtime says has run.

        Raises:
            RuntimeCrashed: Not what was asked for.
        """
        self.ran_on = answer["ranOn"] + (f" on {self._gpu}" if self._gpu else "")
        expected = _APIS.get(self._backend, self._backend)
        half = _HALF_RAN in answer["ranOn"]
        if answer["backend"] != expected or half != (self._backend == HALF):
            raise RuntimeCrashed(
                f"{answer['ranOn']}: backend {self._backend} expected, {answer['backend']} found"
            )

    def predict(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the dtypes that the runtime gives; see `Session.predict`."""
        ((outputs, _),) = self._predict([inputs])
        return outputs

    def predict_each(
        self, calls: Iterable[Sequence[np.ndarray]]
    ) -> Iterator[tuple[list[np.ndarray], float]]:
        """Many calls travel together; the times are the page's own."""
        waiting: list[Sequence[np.ndarray]] = []
        for call in calls:
            waiting.append(call)
            if sum(array.nbytes for one in waiting for array in one) >= FRAME_BYTES:
                yield from self._predict(waiting)
                waiting = []
        if waiting:
            yield from self._predict(waiting)

    def _predict(
        self, calls: Sequence[Sequence[np.ndarray]]
    ) -> list[tuple[list[np.ndarray], float]]:
        tensors = [array for call in calls for array in call]
        self._site.answered = b""
        self._site.waiting = frames.encode({"inputs": len(calls[0])}, tensors)
        self._note(self._page.call("predict", {}, REQUEST_SECONDS))
        header, outputs = frames.decode(self._site.answered)
        if self.bytes_fetched is None:
            self.bytes_fetched = self._site.bytes_sent
        size = self._output_count
        if len(outputs) != size * len(calls):
            raise RuntimeCrashed(
                f"{self.ran_on}: {size} outputs expected in each of {len(calls)} answers, "
                f"{len(outputs)} found in all"
            )
        return [
            (outputs[i * size : (i + 1) * size], time_ms)
            for i, time_ms in enumerate(header["times"])
        ]

    def close(self) -> None:
        """Close the page."""
        self._page.close()
        self._server.remove(self._site)


class ChromiumEngine(Engine):
    """The running browser as an engine."""

    def __init__(self, shared: _Shared, runtime: str) -> None:
        self._shared = shared
        self._runtime = runtime

    def open(
        self, directory: Path, manifest: Manifest, artifact: Artifact, backend: str
    ) -> ChromiumSession:
        """See `Engine.open`; files are fetched and verified by the player, in a new page."""
        browser, server = self._shared.at_work()
        site = server.add(Path(directory), manifest)
        flags = _FLAGS.get(backend) if self._runtime == "tfjs" else None
        page = browser.open_page(site.url + (f"?tfjsflags={quote(flags)}" if flags else ""))
        try:
            answer = page.call(
                "open",
                {
                    "manifest": manifest.to_json(),
                    "format": artifact.format,
                    "precision": artifact.precision,
                    "runtime": self._runtime,
                    "backend": _APIS.get(backend, backend),
                },
                REQUEST_SECONDS,
            )
            gpu = _gpu_of(backend)
            return ChromiumSession(page, server, site, backend, gpu, answer, len(manifest.outputs))
        except ExporterError:
            page.close()
            server.remove(site)
            raise


class _Shared:
    """The browser and the server, as long as somebody uses them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._browser: Browser | None = None
        self._server: Server | None = None

    def at_work(self) -> tuple[Browser, Server]:
        """Both, running; a browser that has died since is started anew."""
        with self._lock:
            if self._browser is not None and not self._browser.alive:
                self._browser.close()
                self._browser = None
            if self._browser is None:
                self._browser = Browser(_executable())
                # A session that nobody closed would wait for the browser's thread when Python
                # has stopped all threads already.
                atexit.unregister(self.end)
                atexit.register(self.end)
            if self._server is None:
                self._server = Server(DIST)
            return self._browser, self._server

    @contextmanager
    def used(self) -> Iterator[_Shared]:
        """Both are ended when the last block is left."""
        with self._lock:
            self._users += 1
        try:
            yield self
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._end()

    def end(self) -> None:
        """End both, whoever uses them."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        browser, self._browser = self._browser, None
        server, self._server = self._server, None
        try:
            if browser is not None:
                browser.close()
        finally:
            if server is not None:
                server.close()


_SHARED = _Shared()


def _executable() -> Path:
    """The browser's path.

    Raises:
        BrowserMissing: There is none; the message says how to get one.
    """
    # `require` may drive Playwright, whose plain API refuses to work beside a running event loop.
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(browsers.require).result()


@lru_cache
def _gpus(executable: Path) -> dict[str, str | None]:
    """What `executable` computes WebGL and WebGPU with; None where it has no such thing."""
    with _SHARED.used() as shared:
        browser, server = shared.at_work()
        site = server.add()
        page = browser.open_page(site.url)
        try:
            return page.call("gpu", {}, REQUEST_SECONDS)
        finally:
            page.close()
            server.remove(site)


def _gpu_of(backend: str) -> str | None:
    """What computes a backend, as the browser says it; None for backends that are no GPU's."""
    api = _APIS.get(backend)
    said = _gpus(_executable()).get(api) if api else None
    return "SwiftShader, in software" if said and "swiftshader" in said.lower() else said


class _InChromium(Runtime):
    """What both runtimes share: the browser."""

    everywhere = False
    player_runtime: str

    def missing(self, backend: str) -> str | None:
        """Why there is no browser, or none that has this backend."""
        if find_spec("playwright") is None:
            return "playwright: not installed, so no browser can be driven; pip install playwright"
        if not HOST.is_file():
            return f"{HOST.name}: the player is not built; install the project again"
        try:
            executable = _executable()
            gpus = _gpus(executable)
        except (BrowserMissing, RuntimeCrashed) as error:
            return str(error)
        api = _APIS.get(backend)
        if api is not None and gpus.get(api) is None:
            return (
                f"{executable.name}: has no {api} on this machine; use one that has "
                "(a current Chromium computes it in software) and name it in EXPORTER_BROWSER"
            )
        return None

    @contextmanager
    def start(self) -> Iterator[ChromiumEngine]:
        """Start Chromium, or join the one that the other runtime started."""
        with _SHARED.used() as shared:
            shared.at_work()
            yield ChromiumEngine(shared, self.player_runtime)


class TinyInChromium(_InChromium):
    """The player's own runner for chains of plain layers."""

    name = "tiny-browser"
    backends = ("js",)
    formats = frozenset({"tfjs-layers"})
    player_runtime = "tiny"


class TfjsInChromium(_InChromium):
    """TensorFlow.js."""

    name = "tfjs-browser"
    backends = ("cpu", "wasm", "webgl", HALF, "webgpu")
    formats = frozenset({"tfjs-layers", "tfjs-graph"})
    player_runtime = "tfjs"


class OnnxRuntimeWebInChromium(_InChromium):
    """ONNX Runtime Web."""

    name = "onnxruntime-web-browser"
    backends = ("wasm", "webgpu")
    formats = frozenset({"onnx"})
    player_runtime = "onnx"
