"""A bundle traced: its model loaded, its artefacts and inputs chosen, each runtime started.

Owns the choice; the tracing is `exporter.trace`'s. May import what that may, and golden, given and
ink for inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from exporter import golden, runtimes, source
from exporter import manifest as manifests
from exporter.comparison import weight_rows
from exporter.errors import BadBundle, BadPicture, BadUsage, PackageMissing, VerificationFailed
from exporter.keras_file import trusting
from exporter.manifest import Artifact, Manifest
from exporter.source import Source
from exporter.trace import Trace, shrinking
from exporter.trace.tracer import choose, open_tracer
from exporter.trace.written import FORMATS

GOLDEN_NAME = "golden.json"
DEFAULT_RUNTIMES = {
    "tfjs-layers": "tfjs-node", "tfjs-graph": "tfjs-node", "onnx": "onnxruntime"
}  # fmt: skip

Candidates = Sequence[tuple[str, tuple[np.ndarray, ...]]]


@dataclass(frozen=True)
class Wish:
    """What to trace.

    Attributes:
        runtime: A runtime's name; None: one that runs everywhere, for each format.
        backend: None: the runtime's first.
        format: None: all that the runtime takes.
        input: A golden row's name, or the path of a picture or an `.npz`; None: of the golden
            rows the one that shows a fault best.
    """

    runtime: str | None = None
    backend: str | None = None
    format: str | None = None
    precision: str = "float32"
    input: str | None = None


def trace_bundle(
    directory: Path,
    wish: Wish,
    *,
    shrink_to: Path | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    unsafe: bool = False,
    on_progress: Callable[[str], None] = lambda _: None,
) -> tuple[Trace, ...]:
    """Trace a bundle's artefacts; the first fault is cut out into `shrink_to`, if both are there.

    A file that is not the manifest's is traced as it is: it may be what is looked for.

    Raises:
        BadUsage: No such runtime, format or input.
        BadBundle: No bundle, or nothing in it that fits the wish.
    """
    manifest = Manifest.read(directory)
    remarks = _remarks(directory)
    path = directory / manifest.artifact("keras").path
    objects = dict(custom_objects or {})
    on_progress(f"loading {path.name}")
    model = source.load(path, custom_objects=objects, unsafe=unsafe)
    described = replace(
        source.describe(model, manifest.name, custom_objects=objects, unsafe=unsafe),
        inputs=manifest.inputs, outputs=manifest.outputs,
    )  # fmt: skip
    candidates = _candidates(directory, manifest, wish)
    traces = []
    for artifact, runtime, backend in _pairs(manifest, wish):
        with ExitStack() as stack:
            stack.enter_context(trusting(objects, unsafe))
            on_progress(f"{artifact.id} on {runtime.name} {backend}")
            engine = stack.enter_context(runtime.start())
            tracer = open_tracer(directory, manifest, artifact, described, engine, backend, stack)
            name, watched, layers = choose(tracer, candidates)
            trace = Trace(
                manifest.name, artifact.id, runtime.name, backend, tracer.ran_on, name,
                str(tracer.gate), layers, _weights(directory, artifact, described), remarks,
                watched,
            )  # fmt: skip
            traces.append(trace)
            if shrink_to is not None and trace.first is not None:
                shrinking.shrink(tracer, trace, described, shrink_to)
                shrink_to = None
    return tuple(traces)


def _remarks(directory: Path) -> tuple[str, ...]:
    try:
        manifests.examine(directory)
    except VerificationFailed as error:
        return (f"traced as it is, though it is not as published: {error}",)
    return ()


def _pairs(manifest: Manifest, wish: Wish) -> list[tuple[Artifact, runtimes.Runtime, str]]:
    """Artefacts with what runs them."""
    if wish.format not in (None, *FORMATS):
        raise BadUsage(f"format {wish.format!r}: one of {', '.join(FORMATS)} expected")
    found = []
    for artifact in manifest.artifacts:
        if artifact.precision != wish.precision or wish.format not in (None, artifact.format):
            continue
        name = wish.runtime or DEFAULT_RUNTIMES.get(artifact.format)
        if name is None:
            continue
        runtime = runtimes.get(name)
        if artifact.format in runtime.formats & set(FORMATS):
            found.append((artifact, runtime, _backend(runtime, wish.backend)))
    if not found:
        here = ", ".join(a.id for a in manifest.artifacts)
        what = f"{wish.format or 'an artefact'} in {wish.precision}"
        what += f" that {wish.runtime} runs" if wish.runtime else ""
        raise BadBundle(f"{manifest.name}: {what} expected, {here} found")
    return found


def _backend(runtime: runtimes.Runtime, backend: str | None) -> str:
    backend = backend or runtime.backends[0]
    if backend not in runtime.backends:
        known = ", ".join(runtime.backends)
        raise BadUsage(f"{runtime.name} has no backend {backend!r}; it has {known}")
    if missing := runtime.missing(backend):
        raise PackageMissing(f"{runtime.name} {backend}: {missing}")
    return backend


def _candidates(directory: Path, manifest: Manifest, wish: Wish) -> Candidates:
    path = Path(wish.input) if wish.input else None
    if path is not None and path.is_file():
        arrays = _of_file(path, manifest)
        return [(path.name, _of_batch(arrays, manifest))]
    vectors = golden.Golden.from_json((directory / GOLDEN_NAME).read_text(encoding="utf-8"))
    rows = vectors.rows if wish.input else vectors.of_kind("picture", "noise", "tie").rows
    if wish.input:
        rows = tuple(row for row in rows if row.name == wish.input)
        if not rows:
            names = ", ".join(repr(row.name) for row in vectors.rows)
            raise BadUsage(f"input {wish.input!r}: neither a file nor a golden row; those: {names}")
    return [
        (f"golden row {row.name!r}", _of_batch(vectors.inputs_for([row.recipe]), manifest))
        for row in rows
    ]


def _of_file(path: Path, manifest: Manifest) -> Sequence[np.ndarray]:
    """The first sample of an `.npz`, or a picture by the bundle's own preprocessing."""
    from exporter import given, ink

    if path.suffix == ".npz":
        arrays, _ = given.read(path, manifest.inputs)
        return [array[:1] for array in arrays]
    if (manifest.preprocessing or {}).get("name") != ink.CONTRACT["name"]:
        raise BadBundle(
            f"{manifest.name}: its manifest names no preprocessing for pictures; give an .npz"
        )
    pixels = ink.from_picture(path)
    if pixels is None:
        raise BadPicture(f"{path}: a picture of a digit expected, too little ink found")
    return [pixels[None]]


def _of_batch(arrays: Sequence[np.ndarray], manifest: Manifest) -> tuple[np.ndarray, ...]:
    """One sample, as often as a model of a fixed batch wants it."""
    shape = manifest.inputs[0].shape
    times = (shape[0] if shape else None) or 1
    return tuple(np.repeat(array[:1], times, axis=0) for array in arrays)


def _weights(directory: Path, artifact: Artifact, described: Source) -> str:
    rows = weight_rows(directory, artifact, described)
    return "; ".join(row.reason for row in rows if row.status == "failed")
