"""Judge every mutant and write what was measured: `python -m tests.mutations`.

Owns `scores.json` and the table of `docs/mutations.md`; with `--table` only the table is written
anew, from the tracked scores.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from tests.mutations import mutants, scores, subjects
from tests.mutations.mutants import Mutant
from tests.mutations.peers import PEERS
from tests.mutations.scores import BY_ANSWERS, BY_FILES, PRODUCT, Verdicts

SCORES = Path(__file__).with_name("scores.json")
PAGE = subjects.ROOT / "docs" / "mutations.md"
COLUMNS = (PRODUCT, BY_ANSWERS, BY_FILES, *(peer.name for peer in PEERS))
HEADS = {PRODUCT: "**exporter**", BY_ANSWERS: "its gates on answers", BY_FILES: "on files"}
_TABLE = re.compile(r"(?<=<!-- table -->\n).*(?=<!-- /table -->)", re.DOTALL)


def controls() -> list[Mutant]:
    """The right export of each subject in each format."""
    return [mutants.control(s, f) for s in subjects.BUILDERS for f in subjects.WEB_FORMATS]


def measure(chosen: Sequence[Mutant], *, loud: bool = False) -> dict[str, Verdicts]:
    """The verdicts by the mutants' ids; subjects are made in a folder that is gone afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        laboratory = scores.Laboratory(folder, subjects.make, stack)
        return scores.score(chosen, laboratory, print if loud else lambda _: None)


def to_json(found: Mapping[str, Verdicts]) -> str:
    """By each mutant's id, who noticed."""
    document = {name: [c for c in COLUMNS if verdicts[c]] for name, verdicts in found.items()}
    return json.dumps(document, indent=0, ensure_ascii=False) + "\n"


def tracked() -> dict[str, Verdicts]:
    """What `scores.json` holds."""
    document = json.loads(SCORES.read_text(encoding="utf-8"))
    return {name: {c: c in noticed for c in COLUMNS} for name, noticed in document.items()}


def table(found: Mapping[str, Verdicts]) -> str:
    """Markdown: kinds by checkers, how many of each kind were noticed."""
    chosen = [mutant for mutant in mutants.all_mutants() if mutant.id in found]
    in_files = [mutant for mutant in chosen if mutant.format]
    kinds: dict[str, list[Mutant]] = {}
    for mutant in chosen:
        kinds.setdefault(mutant.kind, []).append(mutant)
    kinds["**in an artefact's file**"] = in_files
    kinds["**all**"] = chosen
    lines = [
        "| mutants | | " + " | ".join(HEADS.get(c, c) for c in COLUMNS) + " |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for kind, members in kinds.items():
        counts = [sum(found[m.id][column] for m in members) for column in COLUMNS]
        lines.append(f"| {kind} | {len(members)} | " + " | ".join(map(str, counts)) + " |")
    return "\n".join(lines) + "\n"


def page_table() -> str:
    """The table as it stands in the docs."""
    found = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found, f"{PAGE}: no table between its marks"
    return found.group()


def main() -> None:
    """Measure, and write what came out."""
    if "--table" not in sys.argv:
        SCORES.write_text(
            to_json(measure([*controls(), *mutants.all_mutants()], loud=True)), encoding="utf-8"
        )
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: table(tracked()), text), encoding="utf-8")


if __name__ == "__main__":
    main()
