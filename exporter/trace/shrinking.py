"""The smallest part of a model that still shows a fault, as a folder for a bug report.

Owns the folder: the part of Keras' model, the same part of the artefact's own file, one input, both
answers, and a script that shows the difference with nothing of this project installed. May import
`exporter.trace` and what that may.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exporter import versions
from exporter.activations import Call
from exporter.errors import BadUsage, ParityFailed, PublishFailed
from exporter.judgement import worst
from exporter.keras_file import first_line, import_keras
from exporter.manifest import TensorSpec
from exporter.source import save_keras
from exporter.trace import Trace, Watched
from exporter.trace.matching import axes_order
from exporter.trace.tracer import Tracer
from exporter.trace.written import End

if TYPE_CHECKING:
    import keras

    from exporter.source import Source

SCRIPTS = Path(__file__).parent / "scripts"
_RUNS_IN = {"onnxruntime": "reproduce.py", "tfjs-node": "reproduce.mjs",
            "onnxruntime-web-node": "reproduce.mjs"}  # fmt: skip
CASE = "case.json"


@dataclass(frozen=True)
class _Entry:
    """What goes into a part: a tensor of the artefact, and Keras' own for it.

    Attributes:
        array: The artefact's values, in its layout; both sides are fed with them.
        order: Of its axes, that gives Keras' layout.
        own: Keras' tensor, which the calls of the part take.
    """

    tensor: str
    array: np.ndarray
    order: tuple[int, ...]
    own: Any

    @property
    def in_keras(self) -> np.ndarray:
        return self.array.transpose(self.order)


@dataclass(frozen=True)
class _Part:
    """Some calls of Keras, and where they begin and end in the artefact."""

    calls: tuple[Call, ...]
    entries: tuple[_Entry, ...]
    tensor: str


@dataclass(frozen=True)
class _Shown:
    """A part that was run, and still shows the fault."""

    part: _Part
    model: keras.Model
    expected: np.ndarray
    got: np.ndarray
    error: float
    allowed: float


def shrink(tracer: Tracer, trace: Trace, source: Source, folder: Path) -> None:
    """Cut the first wrong layer out of both models and save what shows the fault.

    Args:
        tracer: Still open.
        trace: Of it; its first layer is wrong.
        source: The Keras model.
        folder: Made; it must not exist, or be empty.

    Raises:
        BadUsage: The folder is not empty, or the runtime is one that no script can start.
        ParityFailed: The fault is gone as soon as something is cut away.
    """
    script = _RUNS_IN.get(trace.runtime)
    if script is None:
        raise BadUsage(f"--shrink: one of {', '.join(_RUNS_IN)} expected, {trace.runtime} found")
    if folder.exists() and any(folder.iterdir()):
        raise BadUsage(f"--shrink {folder}: an empty folder expected, one with files found")
    watched, first = trace.watched, trace.first
    assert watched is not None, "a trace that was not run"
    assert first is not None, "nothing to shrink"
    for part in _parts(tracer, watched, first.place):
        shown = _show(tracer, part, folder / "part")
        if shown is not None:
            _save(tracer, trace, source, shown, folder, script)
            return
    shutil.rmtree(folder)
    raise ParityFailed(
        f"{trace.verdict}; cut out, it is right: the fault is in how the runtime joins this layer "
        "with others, and only the whole file shows it"
    )


def _parts(tracer: Tracer, watched: Watched, index: int) -> Iterator[_Part]:
    """Parts that end in the call of that index, the smallest first."""
    tensor = watched.tensors[index]
    for known in (set(watched.tensors) - {index}, set[int]()):
        part = _part(tracer, watched, index, tensor, known)
        if part is not None:
            yield part


def _part(
    tracer: Tracer, watched: Watched, index: int, tensor: str, known: set[int]
) -> _Part | None:
    """Back from a call to tensors that the artefact has, or to the model's inputs.

    It may begin with the outputs of the calls that are `known`.
    """
    makers: dict[int, tuple[int, int]] = {}
    for place, call in enumerate(watched.calls):
        for number, output in enumerate(call.outputs):
            # Dropout hands on what it was given: the first to have a tensor has made it.
            makers.setdefault(id(output), (place, number))
    taken: set[int] = set()
    entries: dict[int, _Entry] = {}
    waiting = [index]
    while waiting:
        place = waiting.pop()
        if place in taken:
            continue
        taken.add(place)
        call = watched.calls[place]
        for given in call.inputs:
            maker, number = makers.get(id(given), (None, 0))
            if maker is not None and maker not in known:
                waiting.append(maker)
                continue
            found = _entry(tracer, watched, given, maker if number == 0 else None)
            if found is None:
                return None
            entries.setdefault(id(given), found)
    calls = tuple(watched.calls[place] for place in sorted(taken))
    return _Part(calls, tuple(entries.values()), tensor)


def _entry(tracer: Tracer, watched: Watched, given: Any, maker: int | None) -> _Entry | None:
    """What the artefact has for a tensor of Keras; None where it has nothing."""
    own = np.asarray(given)
    if maker is not None:
        tensor = watched.tensors[maker]
        array = watched.found[tensor]
    else:
        same = [i for i, x in enumerate(watched.inputs) if np.array_equal(x, own)]
        if not same:
            return None
        tensor, array = tracer.graph.inputs[same[0]], watched.inputs[same[0]]
    order = axes_order(array, own)
    return None if order is None else _Entry(tensor, array, order, given)


def _show(tracer: Tracer, part: _Part, folder: Path) -> _Shown | None:
    """Run a part in Keras and in the runtime; None where it is right, or cannot be built."""
    try:
        model = _model(part)
    except (ValueError, TypeError, AttributeError):  # Keras, of what is no functional graph
        return None
    given = [entry.in_keras for entry in part.entries]
    expected = np.asarray(model(given if len(given) > 1 else given[0], training=False))
    ends = [
        End(entry.tensor, (None, *entry.array.shape[1:]), entry.array.dtype.name)
        for entry in part.entries
    ]
    shutil.rmtree(folder, ignore_errors=True)
    path, files = tracer.graph.cut(folder, ends, [part.tensor])
    inputs = [TensorSpec(end.tensor, end.shape, end.dtype, (0.0, 1.0)) for end in ends]
    session = tracer.open(folder, path, files, inputs, [part.tensor])
    (got,) = session.predict([np.ascontiguousarray(entry.array) for entry in part.entries])
    order = axes_order(got, expected)
    if order is None:
        return None
    output = dict(zip(tracer.graph.outputs, tracer.manifest.outputs, strict=True)).get(part.tensor)
    gate = tracer.gate_of(output)
    meaning = (output and output.meaning) or "values"
    error, allowed = worst(expected, expected, got.transpose(order), meaning, gate)
    if error <= allowed:
        return None
    return _Shown(part, model, expected.transpose(np.argsort(order)), got, error, allowed)


def _model(part: _Part) -> keras.Model:
    """The part's calls as a functional model."""
    keras = import_keras()
    inputs = [
        keras.Input(entry.in_keras.shape[1:], dtype=entry.in_keras.dtype.name, name=f"input_{n}")
        for n, entry in enumerate(part.entries)
    ]
    symbols = {id(entry.own): x for entry, x in zip(part.entries, inputs, strict=True)}

    def symbolic(x: Any) -> Any:
        return symbols.get(id(x), x)

    result: Any = None
    for call in part.calls:
        args, kwargs = keras.tree.map_structure(symbolic, (list(call.args), dict(call.kwargs)))
        kwargs = {k: v for k, v in kwargs.items() if k not in ("mask", "training")}
        result = keras.tree.flatten(call.operation(*args, **kwargs))
        symbols.update((id(own), x) for own, x in zip(call.outputs, result, strict=True))
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], result[0], name="part")


def _save(
    tracer: Tracer, trace: Trace, source: Source, shown: _Shown, folder: Path, script: str
) -> None:
    try:
        for item in sorted((folder / "part").iterdir()):
            item.rename(folder / item.name)
        (folder / "part").rmdir()
        save_keras(shown.model, folder / "model.keras")
        entries = shown.part.entries
        for number, entry in enumerate(entries):
            np.save(folder / f"input_{number}.npy", np.ascontiguousarray(entry.array))
        np.save(folder / "expected.npy", np.ascontiguousarray(shown.expected))
        np.save(folder / "got.npy", np.ascontiguousarray(shown.got))
        case = _case(tracer, trace, shown)
        (folder / CASE).write_text(json.dumps(case, indent=2) + "\n", encoding="utf-8")
        shutil.copyfile(SCRIPTS / script, folder / script)
        text = _readme(trace, shown, case, script, source)
        (folder / "README.md").write_text(text, encoding="utf-8")
    except OSError as error:
        raise PublishFailed(f"{folder}: cannot be written: {first_line(error)}") from error


def _case(tracer: Tracer, trace: Trace, shown: _Shown) -> dict[str, Any]:
    """What the scripts read."""
    path = next(
        item for item in ("onnx/model.onnx", "tfjs/layers/model.json", "tfjs/graph/model.json")
        if item.startswith(tracer.artifact.format.replace("-", "/"))
    )  # fmt: skip
    return {
        "format": tracer.artifact.format,
        "precision": tracer.artifact.precision,
        "runtime": trace.runtime,
        "backend": trace.backend,
        "path": path,
        "inputs": [
            {"name": entry.tensor, "file": f"input_{number}.npy", "keras_axes": list(entry.order)}
            for number, entry in enumerate(shown.part.entries)
        ],
        "output": shown.part.tensor,
        "allowed": shown.allowed,
    }


def _packages(case: Mapping[str, Any]) -> str:
    """What the script imports in Node."""
    if case["format"] == "onnx":
        return "onnxruntime-web"
    return "@tensorflow/tfjs" + (" @tensorflow/tfjs-backend-wasm" * (case["backend"] == "wasm"))


def _readme(trace: Trace, shown: _Shown, case: dict[str, Any], script: str, source: Source) -> str:
    """What is wrong, with what, and how to see it."""
    first = trace.first
    assert first is not None
    layers = ", ".join(type(call.operation).__name__ for call in shown.part.calls)
    tools = ", ".join(f"{name} {version}" for name, version in _tools(case["format"]))
    in_python = script.endswith(".py")
    run = "python reproduce.py" if in_python else "node reproduce.mjs"
    needs = "pip install numpy onnxruntime" if in_python else f"npm install {_packages(case)}"
    custom = sorted(source.custom_objects)
    return f"""# {first.layer_class} {first.path!r} in {trace.artifact} differs from Keras

Largest error {shown.error:.3g}, {shown.allowed:.3g} allowed, on {trace.input_name} of
{trace.bundle}, in {trace.ran_on}. The part holds: {layers}.

    {needs}
    {run}            # exit code 1 and the difference, as long as it is there

| file | is |
|---|---|
| `{case["path"]}` | this part of the artefact's own file, with its own weights |
| `model.keras` | the same part of the Keras model |
| `{", ".join(item["file"] for item in case["inputs"])}` | what goes in |
| `expected.npy`, `got.npy` | what Keras answers, and what the artefact answered here |
| `{CASE}` | names, and how the artefact's axes lie in Keras |

Seen with {tools}.{f" Keras needs the classes {', '.join(custom)}." if custom else ""}
"""


def _tools(format: str) -> Sequence[tuple[str, str]]:
    return sorted(versions.tools(["keras", format]).items())
