"""Bundles beside each other: what each artefact costs and gives, and which one to ship.

Owns the facts of an artefact, the rule by which one of all is chosen (docs/tuning.md spells it out)
and what of them is kept in a bundle's `report/evaluation.json`. Measures nothing:
`exporter.measuring` does. Imports `exporter.{manifest, shipping, errors}` only.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exporter.errors import MachineFailed
from exporter.manifest import MANIFEST_NAME, REPORT_FOLDER, Artifact, Manifest
from exporter.shipping import RUNTIME_BYTES, code_bytes

DOCUMENT = "evaluation.json"
SCHEMA_VERSION = 1
MORE_MISTAKES = 0.25
"""So many more of them than the best may an artefact make, as a share of the best one's."""
DECIMALS = 4
_PLACE = re.compile(r"[a-z0-9-]{1,40} [a-z0-9-]{1,40}")

Weigh = Callable[[Artifact], int]
"""Bytes of an artefact's files, gzipped."""


@dataclass(frozen=True, slots=True)
class Entrant:
    """One artefact of one bundle.

    Attributes:
        bundle: The bundle's name.
        artifact: "tfjs-layers/uint8".
        size_bytes, gzip_bytes: As they lie on the disk, and as most servers send them.
        code_bytes: Of the runtime that a page fetches for it, gzipped.
        accuracy: On the test set, measured with this very file; None where it was not.
        recorded: What the manifest says that Keras reached in float32 when it was trained.
        pens: Share of the pen digits that it reads; None where it was not measured.
        latencies_ms: Median of one answer, by "runtime backend".
    """

    bundle: str
    artifact: str
    size_bytes: int
    gzip_bytes: int
    code_bytes: int
    accuracy: float | None = None
    recorded: float | None = None
    pens: float | None = None
    latencies_ms: Mapping[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """ "mlp-128-64 tfjs-layers/uint8": unique among all."""
        return f"{self.bundle} {self.artifact}"

    @property
    def format(self) -> str:
        """ "tfjs-layers"."""
        return self.artifact.split("/")[0]

    @property
    def fetch_bytes(self) -> int:
        """What a visitor waits for: model and runtime, gzipped."""
        return self.gzip_bytes + self.code_bytes

    @property
    def fastest(self) -> tuple[str, float] | None:
        """Where it answers in the shortest time, and in how many ms."""
        return min(self.latencies_ms.items(), key=lambda item: item[1], default=None)

    @property
    def tested(self) -> float | None:
        """What is shown: measured here, else as recorded. `Contest.score` never mixes the two."""
        return self.recorded if self.accuracy is None else self.accuracy

    def to_json(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {
            "bundle": self.bundle,
            "artifact": self.artifact,
            "size_bytes": self.size_bytes,
            "gzip_bytes": self.gzip_bytes,
            "code_bytes": self.code_bytes,
            "fetch_bytes": self.fetch_bytes,
            "accuracy": self.accuracy,
            "recorded_accuracy": self.recorded,
            "pens": self.pens,
            "latencies_ms": dict(self.latencies_ms),
        }


@dataclass(frozen=True, slots=True)
class Contest:
    """Artefacts of all bundles, and what is known of how they were measured.

    Attributes:
        entrants: Bundle by bundle, the fewest bytes to fetch first.
        data: Of the test set that was measured on; "" where none was.
        pens: Name of the pen digits, and how many; "" where none were read.
        missing: What was not measured, and what to do about it.
    """

    entrants: tuple[Entrant, ...]
    data: str = ""
    samples: int = 0
    pens: str = ""
    pen_digits: int = 0
    pens_are_real: bool = False
    missing: tuple[str, ...] = ()

    @property
    def judged_by(self) -> str:
        """What all are judged by: "pens", "test", "recorded", or "" where nothing is known.

        Pen digits where every artefact read real ones, the test set where every artefact read it,
        else what Keras recorded: a figure measured on one set and one recorded on another are not
        compared. Where nothing was recorded, those that were measured are compared.
        """
        if self.entrants and self.pens_are_real and all(e.pens is not None for e in self.entrants):
            return "pens"
        measured = [e.accuracy is not None for e in self.entrants]
        if measured and all(measured):
            return "test"
        if any(e.recorded is not None for e in self.entrants):
            return "recorded"
        return "test" if any(measured) else ""

    @property
    def places(self) -> tuple[str, ...]:
        """Every "runtime backend" in which something was timed."""
        return tuple(dict.fromkeys(place for e in self.entrants for place in e.latencies_ms))

    def score(self, entrant: Entrant) -> float | None:
        """What an artefact is judged by."""
        by = {"pens": entrant.pens, "test": entrant.accuracy, "recorded": entrant.recorded}
        return by.get(self.judged_by)

    def choice(self, more_mistakes: float = MORE_MISTAKES) -> Entrant | None:
        """The fewest bytes to fetch among those that are accurate enough.

        Enough is no more than so many more mistakes than the best of all makes. Of equals the
        more accurate, then the more exact precision (which is the larger file).
        """
        scores = {e.id: self.score(e) for e in self.entrants}
        known = [score for score in scores.values() if score is not None]
        if not known:
            return None
        least = 1 - (1 - max(known)) * (1 + more_mistakes) - 1e-9
        enough = [e for e in self.entrants if (scores[e.id] or 0.0) >= least]
        return min(enough, key=lambda e: (e.fetch_bytes, -(scores[e.id] or 0.0), -e.size_bytes))

    def why(self, more_mistakes: float = MORE_MISTAKES) -> str:
        """The choice in a sentence; why there is none, where there is none."""
        chosen = self.choice(more_mistakes)
        if chosen is None:
            return "no accuracy is known of any of them, so none is recommended"
        best = max(score for e in self.entrants if (score := self.score(e)) is not None)
        own = self.score(chosen) or 0.0
        what = "pen digits" if self.judged_by == "pens" else "test digits"
        says = "Keras recorded" if self.judged_by == "recorded" else "it reads"
        beside = "and none reads more" if own >= best else f"the best {best:.2%}"
        return (
            f"the fewest bytes to fetch, its runtime included, among those that misread no more "
            f"than {1 + more_mistakes:g} times as many {what} as the best does: {says} "
            f"{own:.2%}, {beside}"
        )

    @property
    def front(self) -> tuple[Entrant, ...]:
        """Those that no other beats in bytes and accuracy at once, the fewest bytes first."""
        found: list[Entrant] = []
        for entrant in sorted(
            self.entrants, key=lambda e: (e.fetch_bytes, -(self.score(e) or 0.0))
        ):
            score = self.score(entrant)
            if score is not None and (not found or score > (self.score(found[-1]) or 0.0)):
                found.append(entrant)
        return tuple(found)

    def to_json(self, more_mistakes: float = MORE_MISTAKES) -> dict[str, Any]:
        """Plain JSON types."""
        chosen = self.choice(more_mistakes)
        return {
            "data": self.data or None,
            "samples": self.samples,
            "pens": self.pens or None,
            "pen_digits": self.pen_digits,
            "pens_are_real": self.pens_are_real,
            "judged_by": self.judged_by or None,
            "more_mistakes": more_mistakes,
            "ship": None if chosen is None else {
                "bundle": chosen.bundle, "artifact": chosen.artifact, "why": self.why(more_mistakes)
            },
            "entrants": [entrant.to_json() for entrant in self.entrants],
            "missing": list(self.missing),
        }  # fmt: skip


def entrants_of(manifest: Manifest, weigh: Weigh) -> tuple[Entrant, ...]:
    """A bundle's artefacts for the web, with what its files and its manifest say."""
    tested = manifest.metrics.get("test")
    recorded = tested.get("accuracy") if isinstance(tested, Mapping) else None
    found = [
        Entrant(
            bundle=manifest.name,
            artifact=artifact.id,
            size_bytes=artifact.size_bytes,
            gzip_bytes=weigh(artifact),
            code_bytes=code_bytes(manifest, artifact),
            recorded=recorded if isinstance(recorded, float) else None,
        )
        for artifact in for_the_web(manifest)
    ]
    return tuple(sorted(found, key=lambda entrant: entrant.fetch_bytes))


def for_the_web(manifest: Manifest) -> list[Artifact]:
    """The artefacts that a page can run."""
    return [artifact for artifact in manifest.artifacts if artifact.format in RUNTIME_BYTES]


def write_document(contest: Contest, bundle: str, directory: Path) -> Path:
    """A bundle's part of it as `report/evaluation.json`, beside the parity report.

    Raises:
        MachineFailed: It cannot be written.
    """
    path = directory / REPORT_FOLDER / DOCUMENT
    raw = (directory / MANIFEST_NAME).read_bytes()
    document = {
        "schema": SCHEMA_VERSION,
        "manifest_sha256": hashlib.sha256(raw).hexdigest(),
        "data": contest.data,
        "samples": contest.samples,
        "pens": contest.pens,
        "pen_digits": contest.pen_digits,
        "pens_are_real": contest.pens_are_real,
        "artifacts": {
            e.artifact: {
                "accuracy": e.accuracy, "pens": e.pens, "latencies_ms": dict(e.latencies_ms)
            }
            for e in contest.entrants if e.bundle == bundle
        },
    }  # fmt: skip
    try:
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise MachineFailed(f"{path}: {error.strerror}") from error
    return path


def with_document(entrants: Iterable[Entrant], document: Mapping[str, Any]) -> tuple[Entrant, ...]:
    """Entrants of one bundle with what its `report/evaluation.json` says was measured."""
    measured = document.get("artifacts")
    if not isinstance(measured, Mapping):
        return tuple(entrants)
    found = []
    for entrant in entrants:
        row = measured.get(entrant.artifact)
        if isinstance(row, Mapping):
            accuracy, pens = (_share(row.get(key)) for key in ("accuracy", "pens"))
            times = _times(row.get("latencies_ms"))
            entrant = replace(entrant, accuracy=accuracy, pens=pens, latencies_ms=times)
        found.append(entrant)
    return tuple(found)


def _share(value: Any) -> float | None:
    """A number of 0 to 1, or None: the file may be anybody's."""
    return value if type(value) is float and 0.0 <= value <= 1.0 else None


def _times(value: Any) -> dict[str, float]:
    """Milliseconds by "runtime backend" as `exporter evaluate` names them; others are left out."""
    if not isinstance(value, Mapping):
        return {}
    return {
        place: ms
        for place, ms in value.items()
        if _PLACE.fullmatch(place) and type(ms) is float and math.isfinite(ms) and ms > 0
    }
