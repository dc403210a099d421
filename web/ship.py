"""Which should I ship? The bundles that are served, by the rule of `exporter.contest`.

Owns what the page shows of them. It rests on what is in the bundles and, where it is there, on what
`exporter evaluate` measured with these very files; what is not known is said. May import
`exporter.{contest, contest_chart, shipping, manifest}`.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from markupsafe import Markup

from exporter import contest, contest_chart, shipping
from exporter.contest import Contest, Entrant
from exporter.manifest import Artifact
from web import bundles

HOW = "`exporter evaluate models/* --pens FILE`"
LARGEST_BYTES = 32 * 2**20
"""Larger files are taken to be as large on the wire as they are."""


@dataclass(frozen=True, slots=True)
class Page:
    """What is shown.

    Attributes:
        contest: All artefacts of all bundles that read drawings.
        lightest: Of each bundle the artefact of the fewest bytes to fetch, and the chosen one of
            all, the fewest bytes first.
        chosen: The one of all; None where no accuracy is known.
        chart: The plot as SVG, or nothing.
        left_out: Bundles that are not compared, with the reason.
        unknown: What was not measured, and how to.
    """

    contest: Contest
    lightest: tuple[Entrant, ...]
    chosen: Entrant | None
    chart: Markup
    left_out: tuple[str, ...]
    unknown: tuple[str, ...]


def page_of(root: Path, entries: Sequence[bundles.Entry]) -> Page:
    """The page of these bundles."""
    found: list[Entrant] = []
    left_out: list[str] = []
    measured: list[bundles.Entry] = []
    for entry in entries:
        if entry.manifest is None or not entry.can_draw:
            left_out.append(f"{entry.name}: {entry.fault or 'reads no drawings'}")
            continue
        mine = contest.entrants_of(
            replace(entry.manifest, name=entry.name), _on_the_wire(root, entry.name)
        )
        if not mine:
            left_out.append(f"{entry.name}: holds nothing that a page can run")
            continue
        if entry.evaluation is not None:
            mine = contest.with_document(mine, entry.evaluation)
            measured.append(entry)
        found += mine
    whole = _told(Contest(tuple(found)), measured)
    chosen = whole.choice()
    lightest = {e.bundle: e for e in sorted(whole.entrants, key=lambda e: -e.fetch_bytes)}
    short = {e.id: e for e in (*lightest.values(), *((chosen,) if chosen else ()))}
    return Page(
        contest=whole,
        lightest=tuple(sorted(short.values(), key=lambda e: e.fetch_bytes)),
        chosen=chosen,
        # Its own template escaped what it holds.
        chart=Markup(contest_chart.svg(whole)),  # noqa: S704
        left_out=tuple(left_out),
        unknown=_unknown(whole),
    )


def _told(found: Contest, measured: Sequence[bundles.Entry]) -> Contest:
    """What was measured stands only where it was of every file, and of the same digits."""
    told = [entry.evaluation for entry in measured if entry.evaluation is not None]
    data = {(one["data"], one["samples"]) for one in told}
    same = {(one["pens"], one["pen_digits"], one["pens_are_real"]) for one in told}
    if len(data) == 1 and all(entrant.accuracy is not None for entrant in found.entrants):
        [(name, samples)] = data
        found = replace(found, data=name, samples=samples)
    else:
        found = replace(found, entrants=tuple(replace(e, accuracy=None) for e in found.entrants))
    if len(same) == 1 and all(entrant.pens is not None for entrant in found.entrants):
        [(name, count, real)] = same
        if real:
            return replace(found, pens=name, pen_digits=count, pens_are_real=True)
    return replace(found, entrants=tuple(replace(e, pens=None) for e in found.entrants))


def _unknown(found: Contest) -> tuple[str, ...]:
    unknown = []
    if not found.samples:
        unknown.append(
            "The accuracy of every file itself: what is shown is what Keras reached in float32 "
            f"when the model was trained. {HOW} measures it."
        )
    if not found.pens_are_real:
        unknown.append(f"How many pen digits they read. {HOW} measures it.")
    return tuple(unknown)


def _on_the_wire(root: Path, name: str) -> contest.Weigh:
    def weigh(artifact: Artifact) -> int:
        return sum(
            _gzipped(root, name, file.path, file.sha256)
            if file.size_bytes <= LARGEST_BYTES else file.size_bytes
            for file in artifact.files
        )  # fmt: skip

    return weigh


@lru_cache(maxsize=4096)
def _gzipped(root: Path, name: str, path: str, sha256: str) -> int:
    """Bytes of one file on the wire; reckoned once for the same contents."""
    content = bundles.read(root, name, path)
    if content is None or content.sha256 != sha256:
        raise bundles.Changed(f"{name}/{path}: changed while it was weighed")
    return len(gzip.compress(content.data, shipping.GZIP_LEVEL, mtime=0))
