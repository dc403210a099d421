"""The worst float32 errors over the zoo, behind the gates: run `python -m tests.worst_cases [N]`.

Every N-th model of `tests/zoo.py` (all by default, which takes minutes), in every format that takes
it, in every runtime without a browser, on the zoo's own inputs. Owns the table of docs/parity.md.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from exporter import formats, gates, runtimes, samples, source
from exporter.errors import ExporterError
from exporter.judgement import worst
from exporter.manifest import Artifact, Manifest, measure
from exporter.parity import Samples
from exporter.runtimes import Engine
from tests import zoo

PAGE = Path(__file__).parent.parent / "docs" / "parity.md"
RUNTIMES = ("onnxruntime", "tfjs-node", "onnxruntime-web-node")
SAMPLES = 8
WEB_FORMATS = ("tfjs-layers", "tfjs-graph", "onnx")
_TABLE = re.compile(r"(?<=python -m tests.worst_cases 4 -->\n).*(?=<!-- /worst -->)", re.DOTALL)


@dataclass(frozen=True)
class Case:
    """One output of one artefact in one runtime.

    Attributes:
        error: Largest difference from Keras; of values, in units of the largest magnitude.
        keras: Keras' own from the oracle, likewise.
        share: Of what the gate allows, where it is used most.
    """

    place: str
    model: str
    probabilities: bool
    error: float
    keras: float
    share: float


def cases(name: str, engines: dict[str, Engine]) -> Iterator[Case]:
    """All that can be measured of one model."""
    model = zoo.build(name)
    described = source.describe(model, "zoo")
    sets = (samples.of_arrays("zoo", zoo.inputs(model, SAMPLES), described),)
    with tempfile.TemporaryDirectory() as folder:
        for format in WEB_FORMATS:
            directory = Path(folder)
            try:
                written = formats.get(format).export(described, "float32", directory)
            except ExporterError:
                continue  # refused, and told so in docs/conformance.md
            artifact = Artifact(format, "float32", written.path, measure(directory, written.files))
            manifest = Manifest("zoo", {}, {}, described.inputs, described.outputs, (artifact,), ())
            for runtime in RUNTIMES:
                if format in runtimes.get(runtime).formats:
                    yield from _of_runtime(
                        name, directory, manifest, artifact, runtime, engines[runtime], sets
                    )


def _of_runtime(
    name: str, directory: Path, manifest: Manifest, artifact: Artifact, runtime: str,
    engine: Engine, sets: Sequence[Samples],
) -> Iterator[Case]:  # fmt: skip
    fixed = manifest.inputs[0].shape[0]
    for backend in runtimes.get(runtime).backends:
        session = engine.open(directory, manifest, artifact, backend)
        gate = gates.gate_for("float32", backend, pictures=False)
        for chosen in sets:
            part = chosen.taken(fixed or chosen.count)
            found = session.predict(part.inputs)
            for spec, reference, oracle, got in zip(
                manifest.outputs, part.reference, part.oracle, found, strict=True
            ):
                if reference.dtype.kind != "f" or not np.isfinite(reference).all():
                    continue
                meaning = spec.meaning or "values"
                error, allowed = worst(reference, oracle, np.asarray(got), meaning, gate)
                unit = 1.0
                if meaning == "values":
                    unit = float(np.abs(reference).max(initial=0.0)) or 1.0
                yield Case(
                    f"{artifact.format}, {runtime} {backend}", name, meaning == "probabilities",
                    float(np.abs(got - reference).max(initial=0.0)) / unit,
                    float(np.abs(reference - oracle).max(initial=0.0)) / unit,
                    error / allowed if allowed else 0.0,
                )  # fmt: skip
        session.close()


def table(found: Sequence[Case]) -> str:
    """Markdown: one line for each format, runtime and backend."""
    lines = [
        "| float32 | models | probabilities, largest error | values, largest error in units of the "
        "largest magnitude | nearest to its gate |",
        "|---|---|---|---|---|",
    ]
    for place in sorted({case.place for case in found}):
        mine = [case for case in found if case.place == place]
        cells = [str(len({case.model for case in mine}))]
        for probabilities in (True, False):
            some = [case for case in mine if case.probabilities == probabilities]
            if not some:
                cells.append("")
                continue
            top = max(some, key=lambda case: case.error)
            cells.append(f"{top.error:.1e} (`{top.model}`, Keras' own {top.keras:.1e})")
        nearest = max(mine, key=lambda case: case.share)
        cells.append(f"{nearest.share:.0%} (`{nearest.model}`)".replace("%", " %"))
        lines.append(f"| {place} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, and write the table."""
    found: list[Case] = []
    every = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    names = [name for name in zoo.MODELS if not name.startswith("application")][::every]
    with ExitStack() as stack:
        engines = {name: stack.enter_context(runtimes.get(name).start()) for name in RUNTIMES}
        for name in names:
            try:
                found += cases(name, engines)
            except ExporterError as error:
                print(f"{name}: {error}", file=sys.stderr, flush=True)
            if sys.stderr.isatty():
                print(name, file=sys.stderr, flush=True)
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: table(found), text), encoding="utf-8")


if __name__ == "__main__":
    main()
