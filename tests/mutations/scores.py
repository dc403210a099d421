"""Who catches which mutant: the product's own gates and the checks of other tools.

Owns the running. Each runtime is started once for all mutants; what judges is
`exporter.comparison.compare`, on the golden vectors, with nothing left out.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from exporter import comparison, runtimes
from exporter.errors import ExporterError
from exporter.golden import Golden
from exporter.parity import ON_FILES, ParityReport
from exporter.runtimes import Engine
from exporter.samples import of_golden
from tests.mutations.mutants import Mutant, Workshop
from tests.mutations.peers import PEERS
from tests.mutations.subjects import Subject
from tests.running import kept_running

RUNTIMES = {"tfjs-layers": "tfjs-node", "tfjs-graph": "tfjs-node", "onnx": "onnxruntime"}
PRODUCT = "exporter"
BY_ANSWERS, BY_FILES = "answers", "files"
"""Which of the product's gates see it: those on answers, those on what the files hold."""

Verdicts = dict[str, bool]
"""Whether each checker noticed, by its name."""


class Laboratory:
    """Started runtimes, and subjects made when they are first wanted."""

    def __init__(
        self, folder: Path, make: Callable[[str, Path], Subject], stack: ExitStack
    ) -> None:
        self._folder = folder
        self._make = make
        self._subjects: dict[str, Subject] = {}
        self._engines: dict[str, Engine] = {
            name: stack.enter_context(runtimes.get(name).start())
            for name in dict.fromkeys(RUNTIMES.values())
        }
        stack.enter_context(kept_running(lambda runtime: self._engines.get(runtime.name)))
        self._expected: dict[tuple[str, str], tuple[list[np.ndarray], list[np.ndarray]]] = {}

    def subject(self, name: str) -> Subject:
        """The subject of that name."""
        if name not in self._subjects:
            self._subjects[name] = self._make(name, self._folder / "subjects" / name)
        return self._subjects[name]

    def judge(self, mutant: Mutant) -> Verdicts:
        """Make the mutant, and ask everyone."""
        subject = self.subject(mutant.subject)
        folder = self._folder / "mutant"
        shutil.rmtree(folder, ignore_errors=True)
        workshop = mutant.make(subject, folder)
        report = self._compare(mutant, workshop)
        by_answers = any(row.runtime not in ON_FILES for row in report.failed)
        by_files = any(row.runtime in ON_FILES for row in report.failed)
        verdicts = {
            PRODUCT: report.verdict() is not None, BY_ANSWERS: by_answers, BY_FILES: by_files,
        }  # fmt: skip
        return verdicts | {peer.name: self._noticed(peer.name, mutant, workshop) for peer in PEERS}

    def _compare(self, mutant: Mutant, workshop: Workshop) -> ParityReport:
        """The product's comparison of the wrong artefact; of the first where none is wrong."""
        subject = workshop.subject
        text = (workshop.folder / "golden.json").read_text(encoding="utf-8")
        vectors = Golden.from_json(text)
        sets = subject.sets if mutant.format else of_golden(vectors, subject.source)
        format = mutant.format or "onnx"
        return comparison.compare(
            workshop.folder, workshop.manifest, subject.source, sets, golden=vectors,
            runtime_names=[RUNTIMES[format]], artifacts=[workshop.artifact(format)],
        )  # fmt: skip

    def _noticed(self, name: str, mutant: Mutant, workshop: Workshop) -> bool:
        """Whether a peer's check fails, or the artefact before it."""
        if mutant.format is None:
            return False  # it runs the artefact, in which nothing is wrong
        (peer,) = [peer for peer in PEERS if peer.name == name]
        inputs, expected = self._asked(name, workshop.subject)
        artifact = workshop.artifact(mutant.format)
        engine = self._engines[RUNTIMES[mutant.format]]
        try:
            session = engine.open(workshop.folder, workshop.manifest, artifact, "cpu")
            try:
                found = session.predict(inputs)
                if peer.doubled:
                    session.predict([np.concatenate([x, x]) for x in inputs])
            finally:
                session.close()
        except ExporterError:
            return True
        return not peer.accepts(workshop.subject, expected, found)

    def _asked(self, name: str, subject: Subject) -> tuple[list[np.ndarray], list[np.ndarray]]:
        key = (name, subject.name)
        if key not in self._expected:
            (peer,) = [peer for peer in PEERS if peer.name == name]
            inputs = peer.inputs(subject)
            outputs = [np.asarray(output) for output in subject.source.call(inputs)]
            self._expected[key] = (inputs, outputs)
        return self._expected[key]


def score(
    mutants: Sequence[Mutant], laboratory: Laboratory,
    tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Verdicts]:  # fmt: skip
    """The verdicts by the mutants' ids."""
    found = {}
    for mutant in mutants:
        found[mutant.id] = laboratory.judge(mutant)
        tell(f"{mutant.id}: {', '.join(k for k, v in found[mutant.id].items() if v) or 'nobody'}")
    return found
