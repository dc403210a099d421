"""Our own formats on the bench: a model exported in each and run where browsers would run it."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import keras
import numpy as np

from exporter import formats, runtimes
from exporter.errors import ExporterError
from exporter.manifest import Artifact, Manifest, measure
from exporter.runtimes import Engine
from exporter.source import Source
from tests import zoo
from tests.conformance.outcome import Outcome, distance, worse

FORMATS = ("tfjs-layers", "tfjs-graph", "onnx")
_PLACES = {
    "tfjs-layers": (("tfjs-node", "cpu"), ("tfjs-node", "wasm")),
    "tfjs-graph": (("tfjs-node", "cpu"), ("tfjs-node", "wasm")),
    "onnx": (("onnxruntime", "cpu"), ("onnxruntime-web-node", "wasm")),
}


class Bench:
    """The runtimes, started once for many models."""

    def __init__(self, engines: dict[str, Engine]) -> None:
        self._engines = engines

    def measure(self, source: Source, inputs: Sequence[Sequence[np.ndarray]]) -> dict[str, Outcome]:
        """What comes of the model in each format, at the worst of its runtimes and inputs.

        Args:
            source: The model.
            inputs: One or more lists of arrays, one array per input, in the specs' dtypes.
        """
        expected = [[np.asarray(y) for y in source.float32.call(arrays)] for arrays in inputs]
        return {name: self._measure(name, source, inputs, expected) for name in FORMATS}

    def _measure(
        self, name: str, source: Source, inputs: Sequence[Sequence[np.ndarray]],
        expected: Sequence[Sequence[np.ndarray]],
    ) -> Outcome:  # fmt: skip
        format = formats.get(name)
        refusals = format.refusals(source, "float32")
        if refusals:
            return Outcome("refused", reason="; ".join(map(str, refusals)))
        with tempfile.TemporaryDirectory() as folder:
            directory = Path(folder)
            exported = format.export(source, "float32", directory)
            files = measure(directory, exported.files)
            artifact = Artifact(name, "float32", exported.path, files, exported.notes)
            manifest = Manifest("row", {}, {}, source.inputs, source.outputs, (artifact,), ())
            found = [
                self._run(runtime, backend, directory, manifest, inputs, expected)
                for runtime, backend in _PLACES[name]
            ]
        return worse(*found)

    def _run(
        self, runtime: str, backend: str, directory: Path, manifest: Manifest,
        inputs: Sequence[Sequence[np.ndarray]], expected: Sequence[Sequence[np.ndarray]],
    ) -> Outcome:  # fmt: skip
        place = f"{runtime} {backend}"
        artifact = manifest.artifacts[0]
        try:
            session = self._engines[runtime].open(directory, manifest, artifact, backend)
        except ExporterError as error:
            return Outcome("does not load", reason=f"{place}: {error}")
        try:
            errors = [
                distance(wanted, session.predict(arrays))
                for arrays, wanted in zip(inputs, expected, strict=True)
            ]
        except ExporterError as error:
            return Outcome("does not run", reason=f"{place}: {error}")
        finally:
            session.close()
        return Outcome("runs", max(errors))


@contextmanager
def started() -> Iterator[Bench]:
    """The runtimes that are everywhere, ended when the block is left."""
    with ExitStack() as stack:
        names = {runtime for places in _PLACES.values() for runtime, _ in places}
        yield Bench({n: stack.enter_context(runtimes.get(n).start()) for n in sorted(names)})


def inputs_of(source: Source, batches: Sequence[int] = (3, 1)) -> list[list[np.ndarray]]:
    """Inputs of the zoo's kind for the model, in the specs' dtypes, one list per batch size."""
    model, made = source.model, []
    for batch in batches:
        if getattr(model, "inputs", None):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # float16 holds no large numbers
                arrays = zoo.inputs(model, batch)
        else:
            generator = np.random.default_rng(batch)
            shapes = [[n or batch for n in shape] for shape in source.shapes]
            arrays = [generator.normal(0, 1, shape) for shape in shapes]
        made.append([x.astype(s.dtype) for x, s in zip(arrays, source.inputs, strict=True)])
        if source.inputs and source.inputs[0].shape and source.inputs[0].shape[0]:
            break  # one batch size is all there is
    return made


def build(name: str) -> keras.Model:
    """A model of the zoo, without what Keras says of models that are odd on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return zoo.build(name)
