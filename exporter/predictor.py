"""A published bundle that answers: one artefact in one runtime, with its labels.

May import manifest, runtimes, ink and errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from exporter import runtimes
from exporter.errors import BadBundle, BadPicture, BadUsage, PackageMissing, RuntimeCrashed
from exporter.manifest import Artifact, Manifest, examine

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Answer:
    """What the model says of one picture.

    Attributes:
        label: The most probable class, or None where the picture holds too little ink.
        probabilities: One per class, in the order of the manifest's labels.
        input: What the model saw, as the manifest's input describes it, without the batch.
    """

    image: str
    label: str | None
    probabilities: tuple[float, ...]
    input: np.ndarray | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types; the input is left out."""
        return {
            "image": self.image,
            "label": self.label,
            "probabilities": list(self.probabilities),
        }


class Predictor:
    """Predicts with a bundle; a context manager, and usable without `with` for a script's life.

    Attributes:
        manifest: The bundle's.
        artifact: What is run.
        ran_on: What runs it, in the runtime's own words.
    """

    def __init__(self, directory: Path, runtime: str, backend: str | None = None) -> None:
        self.manifest = examine(directory)
        engine = runtimes.get(runtime)
        backend = backend or engine.backends[0]
        if backend not in engine.backends:
            known = ", ".join(engine.backends)
            raise BadUsage(f"{runtime} has no backend {backend!r}; it has {known}")
        if missing := engine.missing(backend):
            raise PackageMissing(f"{runtime} {backend}: {missing}")
        self.artifact = _choose(self.manifest, engine)
        self._stack = ExitStack()
        with ExitStack() as starting:
            started = starting.enter_context(engine.start())
            try:
                self._session = started.open(directory, self.manifest, self.artifact, backend)
            except RuntimeCrashed as error:
                # Its files are those of the manifest: the bundle itself is no good.
                raise BadBundle(f"{directory}: {error}; export it again") from error
            starting.callback(self._session.close)
            self._stack = starting.pop_all()
        self.ran_on = self._session.ran_on

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """End the runtime."""
        self._stack.close()

    def predict(self, inputs: np.ndarray | Sequence[np.ndarray] | Mapping[str, np.ndarray]) -> Any:
        """Predict a batch.

        Args:
            inputs: The array of the one input, or one array per input in the manifest's order,
                or by name; the batch comes first.

        Returns:
            The array of the one output, or a dict by name in the manifest's order.

        Raises:
            BadUsage: A wrong number, shape or dtype of inputs, or numbers that are not finite.
        """
        outputs = self._session.predict(self._checked(inputs))
        if len(outputs) == 1:
            return outputs[0]
        names = [spec.name for spec in self.manifest.outputs]
        return dict(zip(names, outputs, strict=True))

    def _checked(self, inputs: Any) -> list[np.ndarray]:
        import numpy as np

        specs = self.manifest.inputs
        if isinstance(inputs, Mapping):
            names = [spec.name for spec in specs]
            if set(inputs) != set(names):
                raise BadUsage(f"inputs {', '.join(names)} expected, {', '.join(inputs)} found")
            inputs = [inputs[name] for name in names]
        elif not isinstance(inputs, (list, tuple)):
            inputs = [inputs]
        if len(inputs) != len(specs):
            raise BadUsage(f"{len(specs)} inputs expected, {len(inputs)} found")
        arrays = []
        for value, spec in zip(inputs, specs, strict=True):
            array = np.asarray(value)
            fits = array.ndim == len(spec.shape) and all(
                size in (None, found) for size, found in zip(spec.shape, array.shape, strict=True)
            )
            if not fits:
                shape = str(spec.shape).replace("None", "any")
                raise BadUsage(
                    f"input {spec.name!r}: shape {shape} expected, {array.shape} found; "
                    "the batch comes first"
                )
            if array.dtype.kind == "f" and not np.isfinite(array).all():
                raise BadUsage(f"input {spec.name!r}: finite numbers expected, NaN or Inf found")
            arrays.append(np.ascontiguousarray(array, dtype=spec.dtype))
        return arrays

    def read_picture(self, path: Path) -> Answer:
        """What the model says of a picture file, by the bundle's own preprocessing.

        Raises:
            BadBundle: The bundle names no preprocessing that this version knows.
            BadPicture: The file is no picture.
        """
        from exporter import ink

        contract = self.manifest.preprocessing
        if contract is None or contract.get("name") != ink.CONTRACT["name"]:
            raise BadBundle(
                f"{self.manifest.name}: its manifest names no preprocessing for pictures, so only "
                "arrays can be predicted (exporter.load from Python)"
            )
        if not path.exists():
            raise BadPicture(f"{path}: no such file")
        pixels = ink.from_picture(path)
        if pixels is None:
            return Answer(str(path), None, (), None)
        found = [float(p) for p in self.predict(pixels[None])[0]]
        labels = self.manifest.labels or tuple(map(str, range(len(found))))
        return Answer(str(path), labels[found.index(max(found))], tuple(found), pixels)


def _choose(manifest: Manifest, runtime: runtimes.Runtime) -> Artifact:
    """The first artefact that the runtime opens, float32 before all."""
    fitting = [a for a in manifest.artifacts if a.format in runtime.formats]
    if not fitting:
        here = ", ".join(a.id for a in manifest.artifacts)
        raise BadBundle(
            f"{manifest.name}: {runtime.name} opens {', '.join(sorted(runtime.formats))}; "
            f"this bundle holds {here}"
        )
    return min(fitting, key=lambda artifact: artifact.precision != "float32")
