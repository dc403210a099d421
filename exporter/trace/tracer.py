"""One artefact, opened in one runtime with its tensors for outputs, beside its Keras model.

Owns the running and the judgement of layers, and the choice of an input that shows a fault. May
import what `exporter.trace` may.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exporter import gates
from exporter.activations import Call, recorded
from exporter.errors import UnsupportedModel
from exporter.judgement import judge, worst
from exporter.manifest import Artifact, Manifest, TensorSpec, measure
from exporter.parity import Samples
from exporter.runtimes import Engine, Session
from exporter.trace import Layer, Watched, matching
from exporter.trace.written import End, read

if TYPE_CHECKING:
    from exporter.source import Source

BUDGET_SECONDS = 20.0
"""How long inputs may be tried until one shows a fault; at least one is."""

OF_SCALE = 1e-5
"""What a layer inside may be off, of its largest magnitude: sums of long rows whose terms cancel
are known less well than the outputs that the gates were measured on."""

STRANGE = 1e-2
"""Further off than this, of a layer's largest magnitude, is no error that outputs can bear."""

_NO_TENSOR = "no tensor of its own: fused with what follows, folded, or nothing to compute"


class Tracer:
    """One artefact, opened in one runtime with its tensors for outputs.

    Args:
        engine: Of the runtime, started.
        folder: Where edited files may be written; they stay as long as the tracer is used.
    """

    def __init__(
        self, directory: Path, manifest: Manifest, artifact: Artifact, source: Source,
        engine: Engine, backend: str, folder: Path,
    ) -> None:  # fmt: skip
        self.graph = read(directory, manifest, artifact)
        self.manifest = manifest
        self.artifact = artifact
        self.backend = backend
        self._source = source.float32
        self._oracle = source.oracle
        self._engine = engine
        self._folder = folder
        self._sessions: list[tuple[tuple[str, ...], Session]] = []
        self._stack = ExitStack()
        self.gate = gates.gate_for(artifact.precision, backend, pictures=False)

    def __enter__(self) -> Tracer:
        return self

    def __exit__(self, *details: object) -> None:
        self._stack.close()

    @property
    def ran_on(self) -> str:
        """What ran, in the runtime's words."""
        return self._sessions[0][1].ran_on if self._sessions else ""

    def watch(self, inputs: Sequence[np.ndarray]) -> Watched:
        """Run one input, the batch first, in Keras and in the artefact.

        Raises:
            RuntimeCrashed: The runtime does not take the file, or not this input.
        """
        with recorded(self._source.model) as calls:
            answers = [np.asarray(x) for x in self._source.call(inputs)]
        calls = [call for call in calls if not _is_passive(call)]
        if not self._sessions:
            self._open(matching.wanted(self.graph, calls))
        found: dict[str, np.ndarray] = {}
        for tensors, session in self._sessions:
            found |= dict(zip(tensors, session.predict(inputs), strict=True))
        matched = matching.match(self.graph, calls, answers, found)
        # Layers within layers are told where the file shows them.
        shown = [i for i, call in enumerate(calls) if i in matched or not call.inner]
        order = {index: place for place, index in enumerate(shown)}
        return Watched(
            tuple(inputs), tuple(calls[i] for i in shown),
            {order[i]: tensor for i, tensor in matched.items()}, found,
        )  # fmt: skip

    def _open(self, tensors: tuple[str, ...]) -> None:
        """One session for all tensors; one for each where the runtime gives one output only."""
        try:
            self._sessions.append((tensors, self._whole(tensors, "all")))
        except UnsupportedModel:
            self._sessions = [
                ((tensor,), self._up_to(tensor, str(number)))
                for number, tensor in enumerate(tensors) if tensor not in self.graph.inputs
            ]  # fmt: skip

    def _whole(self, tensors: Sequence[str], name: str) -> Session:
        """The whole artefact with `tensors` for outputs."""
        folder = self._folder / name
        path, files = self.graph.watch(folder, tensors)
        return self.open(folder, path, files, self.manifest.inputs, tensors)

    def _up_to(self, tensor: str, name: str) -> Session:
        """What the artefact computes up to `tensor`."""
        folder = self._folder / name
        specs = self.manifest.inputs
        ends = [End(x, s.shape, s.dtype) for x, s in zip(self.graph.inputs, specs, strict=True)]
        path, files = self.graph.cut(folder, ends, (tensor,))
        return self.open(folder, path, files, specs, (tensor,))

    def open(
        self, folder: Path, path: str, files: Sequence[str], inputs: Sequence[TensorSpec],
        outputs: Sequence[str],
    ) -> Session:  # fmt: skip
        """Open an edited artefact; it is closed with the tracer."""
        artifact = Artifact(
            self.artifact.format, self.artifact.precision, path, measure(folder, files)
        )
        manifest = replace(
            self.manifest, inputs=tuple(inputs), artifacts=(artifact,), files=(), parity=(),
            outputs=tuple(TensorSpec(x, (None,), "float32", meaning="values") for x in outputs),
        )  # fmt: skip
        session = self._engine.open(folder, manifest, artifact, self.backend)
        self._stack.callback(session.close)
        return session

    def judge(self, watched: Watched) -> tuple[Layer, ...]:
        """Every layer of one run."""
        oracle = self._oracle_arrays(watched)
        meanings = dict(zip(self.graph.outputs, self.manifest.outputs, strict=True))
        layers = []
        times: dict[str, int] = {}
        for index, call in enumerate(watched.calls):
            times[call.path] = times.get(call.path, 0) + 1
            tensor = watched.tensors.get(index, "")
            blank = Layer(
                index, call.path, type(call.operation).__name__, times[call.path], "not_in_file",
                call.arrays[0].shape if call.outputs else (), tensor, reason=_NO_TENSOR,
            )  # fmt: skip
            if not tensor:
                if call.is_layer:  # an operation may become part of another node
                    layers.append(blank)
                continue
            spec = meanings.get(tensor)
            layers.append(
                _judged(blank, call.arrays[0], oracle[index], watched.found[tensor],
                        (spec and spec.meaning) or "values", self.gate_of(spec))
            )  # fmt: skip
        return _without_strangers(layers, watched.calls, set(self.graph.outputs))

    def gate_of(self, output: TensorSpec | None) -> gates.Gate:
        """The artefact's own gate for its outputs; inside a model top-1 means nothing."""
        if output is not None or self.gate.of_scale is None:
            return self.gate
        of_scale = max(self.gate.of_scale, OF_SCALE)
        return replace(self.gate, of_scale=of_scale, rel=None, margin=None, min_agreement=None)

    def _oracle_arrays(self, watched: Watched) -> list[np.ndarray]:
        """Each call's first output in float64; Keras' own where there is no oracle."""
        own = [call.arrays[0] if call.outputs else np.zeros(0) for call in watched.calls]
        if self._oracle is None:
            return own
        with recorded(self._oracle.model) as calls:
            self._oracle.call(watched.inputs)
        found: dict[str, list[np.ndarray]] = {}
        for call in calls:
            if call.outputs:
                found.setdefault(call.path, []).append(call.arrays[0])
        result = []
        for call, array in zip(watched.calls, own, strict=True):
            waiting = found.get(call.path)
            oracle = waiting.pop(0) if waiting else array
            result.append(oracle if oracle.shape == array.shape else array)
        return result


def _is_passive(call: Call) -> bool:
    """Inputs, and cells, which are the inside of a recurrent layer many times over."""
    name = type(call.operation).__name__
    return name == "InputLayer" or name.endswith(("Cell", "Cells"))


def _judged(
    blank: Layer, own: np.ndarray, oracle: np.ndarray, found: np.ndarray, meaning: str,
    gate: gates.Gate,
) -> Layer:  # fmt: skip
    """One layer's verdict."""
    if own.dtype.kind not in "fiub" or not np.isfinite(np.asarray(own, np.float64)).all():
        return replace(blank, status="not_judged", reason="Keras itself is not finite here")
    turned = matching.in_keras_layout(found, own)
    if turned is None:
        reason = f"shape {own.shape} expected, {found.shape} found"
        return replace(blank, status="failed", reason=reason, max_abs=np.inf, allowed=0.0)
    samples = Samples("trace", (own,), (own,), (oracle,))
    judgement = judge(samples, [turned], [meaning], gate)
    error, allowed = worst(own, oracle, turned, meaning, gate)
    return replace(
        blank, status="failed" if judgement.reason else "passed", reason=judgement.reason,
        max_abs=error, allowed=allowed,
        largest=float(np.abs(np.asarray(own, np.float64)).max(initial=0.0)),
        keras_max_abs=judgement.keras_max_abs,
    )  # fmt: skip


def _without_strangers(
    layers: Sequence[Layer], calls: Sequence[Call], outputs: set[str]
) -> tuple[Layer, ...]:
    """A tensor that is nothing like its layer, where what comes of it is right, is not its layer's.

    A loop's first state leaves its layer's scope, too, and may have the shape of its last.
    """
    right = {layer.place for layer in layers if layer.status == "passed"}
    all_right = all(layer.status == "passed" for layer in layers if layer.tensor in outputs)

    def is_stranger(layer: Layer) -> bool:
        if layer.status != "failed" or layer.tensor in outputs:
            return False
        off = (layer.max_abs or 0.0) > STRANGE * (layer.largest or 0.0)
        return off and (all_right or not right.isdisjoint(_dependents(calls, layer.place)))

    return tuple(
        replace(
            layer, status="not_in_file", tensor="", reason=_NO_TENSOR, max_abs=None, allowed=None
        )
        if is_stranger(layer) else layer
        for layer in layers
    )  # fmt: skip


def _dependents(calls: Sequence[Call], place: int) -> set[int]:
    """The calls that need what that one gave, however far."""
    made = {id(output) for output in calls[place].outputs}
    found = set()
    for index in range(place + 1, len(calls)):
        if not made.isdisjoint(id(x) for x in calls[index].inputs):
            found.add(index)
            made |= {id(output) for output in calls[index].outputs}
    return found


def choose(
    tracer: Tracer, candidates: Sequence[tuple[str, tuple[np.ndarray, ...]]],
    budget_seconds: float = BUDGET_SECONDS,
) -> tuple[str, Watched, tuple[Layer, ...]]:  # fmt: skip
    """Of some inputs the one that shows a fault earliest, and there most; else the worst one.

    Args:
        tracer: Opened.
        candidates: Names and inputs; the batch is 1, or the model's own.
        budget_seconds: After this time no further ones are tried.

    Returns:
        The input's name, what was run, and its layers.
    """
    begun = time.perf_counter()
    best: tuple[tuple[float, float], tuple[str, Watched, tuple[Layer, ...]]] | None = None
    for name, inputs in candidates:
        watched = tracer.watch(inputs)
        layers = tracer.judge(watched)
        rank = _rank(layers)
        if best is None or rank < best[0]:
            best = rank, (name, watched, layers)
        if time.perf_counter() - begun > budget_seconds:
            break
    assert best is not None, "no input to trace"
    return best[1]


def _rank(layers: Sequence[Layer]) -> tuple[float, float]:
    """(place of the first failure, minus how far it is over what is allowed); the least is best."""
    for place, layer in enumerate(layers):
        if layer.status == "failed":
            return place, -_ratio(layer)
    return np.inf, -max((_ratio(layer) for layer in layers), default=0.0)


def _ratio(layer: Layer) -> float:
    if not layer.max_abs:
        return 0.0
    return layer.max_abs / layer.allowed if layer.allowed else np.inf


def open_tracer(
    directory: Path, manifest: Manifest, artifact: Artifact, source: Source, engine: Engine,
    backend: str, stack: ExitStack,
) -> Tracer:  # fmt: skip
    """A tracer whose edited files are gone with `stack`."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="exporter-trace-")))
    return stack.enter_context(
        Tracer(directory, manifest, artifact, source, engine, backend, folder)
    )
