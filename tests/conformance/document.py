"""docs/conformance.md: written from outcomes, read back, compared with outcomes.

Errors are told as powers of ten, nothing below `FLOOR`, and a cell that still holds stays as it
is: the file is the same on machines that round otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tests.conformance.bench import FORMATS
from tests.conformance.outcome import Outcome
from tests.conformance.peers import WAYS
from tests.conformance.rows import NOT_IN_A_MODEL, Row, rows

PATH = Path(__file__).parents[2] / "docs" / "conformance.md"
COLUMNS = (*FORMATS, *WAYS)
FLOOR = -6
SLACK = 3.0
"""A measured error may leave its power of ten by this factor and still be the same cell."""

_ENDS = ("refused", "not exported", "does not load", "does not run")
_TITLES = {
    "tensorflowjs layers": "tensorflowjs 4.22, layers",
    "tensorflowjs graph": "tensorflowjs 4.22, graph",
    "tf2onnx": "tf2onnx `from_keras`",
    "keras onnx": 'Keras `export("onnx")`',
}
_HEAD = """# Conformance

Written by `make conformance`; a test measures again and fails where this page is no longer true.

Each line is one tiny seeded model of [`tests/zoo.py`](../tests/zoo.py), exported in every format,
run in TF.js (cpu and wasm) and ONNX Runtime (Python and Web), and compared with Keras in float32.
A cell is the largest absolute difference, rounded up to a power of ten, in units of the output's
largest magnitude (at least 1), at the worse of the runtimes and of batches of 3 and of 1.

Beside it stands what others make of the same models: `save_keras_model` and the SavedModel
converter of tensorflowjs 4.22 in TF.js 4.22 (cpu and wasm, the worse), `tf2onnx.convert.from_keras`
and Keras' own `model.export(…, format="onnx")` (after one call of the model) in ONNX Runtime.
Outputs are taken in the order in which the runtime gives them.

`refused`: named, layer by layer, before anything is written ([why](#why-refused)) · `not exported`:
the converter raises an error · `does not load`, `does not run`: the runtime does · **differs**: an
answer that is off by more than 1e-4, or of another shape, and nobody says so."""

Cells = dict[str, str]


def cell(outcome: Outcome) -> str:
    """What stands in the table for it."""
    if outcome.error is None:
        return outcome.status
    if math.isinf(outcome.error):
        return "**differs**"
    exponent = FLOOR
    if outcome.error > 10.0**FLOOR:
        exponent = math.ceil(math.log10(outcome.error))
    text = f"1e{exponent:+d}"
    return f"≤ {text}" if outcome.right else f"**differs** {text}"


def holds(text: str, outcome: Outcome) -> bool:
    """Whether a cell says what was measured."""
    if outcome.error is None:
        return text == outcome.status
    found = re.fullmatch(r"(≤ |\*\*differs\*\*)(?: ?1e([+-]\d+))?", text)
    if not found or (found[1] == "≤ ") != outcome.right:
        return False
    if found[2] is None or math.isinf(outcome.error):
        return found[2] is None and math.isinf(outcome.error)
    high = 10.0 ** int(found[2])
    low = 0.0 if int(found[2]) == FLOOR else high / 10 / SLACK
    return low <= outcome.error <= high * SLACK


def render(table: Mapping[str, Cells], reasons: Mapping[tuple[str, str], str]) -> str:
    """The document.

    Args:
        table: Model -> cell of each column; the rows that have none are left out.
        reasons: (model, format) -> why it is refused.
    """
    present = [row for row in rows() if row.model in table]
    parts = [_HEAD, "## Summary", _summary(present, table)]
    for section in dict.fromkeys(row.section for row in present):
        chosen = [row for row in present if row.section == section]
        parts += [f"## {section}", _table(chosen, table)]
    parts += ["## Why refused", _reasons(present, reasons), "## Without a row", _without()]
    return "\n\n".join(parts) + "\n"


def _line(items: Iterable[str]) -> str:
    return f"| {' | '.join(items)} |"


def _table(chosen: Iterable[Row], table: Mapping[str, Cells]) -> str:
    head = ["", "model", *(_TITLES.get(name, name) for name in COLUMNS)]
    lines = [_line(head), _line(["---"] * len(head))]
    for row in chosen:
        cells = [table[row.model].get(name, "not measured") for name in COLUMNS]
        lines.append(_line([row.label, f"`{row.model}`", *cells]))
    return "\n".join(lines)


def _summary(present: list[Row], table: Mapping[str, Cells]) -> str:
    models = list(dict.fromkeys(row.model for row in present))
    lines = [
        _line(["", "models", "exported", "load", "run", "right", "wrong and silent"]),
        _line(["---"] * 7),
    ]
    for name in COLUMNS:
        cells = [table[model].get(name, "not measured") for model in models]
        ended = [_ENDS.index(text) if text in _ENDS else len(_ENDS) for text in cells]
        right = sum(text.startswith("≤") for text in cells)
        counts = [
            len(cells), sum(e > 1 for e in ended), sum(e > 2 for e in ended),
            sum(e > 3 for e in ended), right, sum("differs" in text for text in cells),
        ]  # fmt: skip
        lines.append(_line([_TITLES.get(name, name), *map(str, counts)]))
    return "\n".join(lines)


def _reasons(present: list[Row], reasons: Mapping[tuple[str, str], str]) -> str:
    models = {row.model for row in present}
    lines = [_line(["model", "format", "reason"]), _line(["---"] * 3)]
    for (model, name), reason in sorted(reasons.items()):
        if model in models:
            lines.append(_line([f"`{model}`", name, _escaped(reason)]))
    return "\n".join(lines)


def _without() -> str:
    lines = [_line(["class", "why"]), _line(["---"] * 2)]
    return "\n".join(lines + [_line(item) for item in sorted(NOT_IN_A_MODEL.items())])


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def parse(text: str) -> tuple[dict[str, Cells], dict[tuple[str, str], str]]:
    """The table and the reasons of a document, as `render` takes them."""
    table: dict[str, Cells] = {}
    reasons: dict[tuple[str, str], str] = {}
    for line in text.splitlines():
        items = [item.strip() for item in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if len(items) == 2 + len(COLUMNS) and items[1].startswith("`"):
            table[items[1].strip("`")] = dict(zip(COLUMNS, items[2:], strict=True))
        elif len(items) == 3 and items[0].startswith("`") and items[1] in FORMATS:
            reasons[items[0].strip("`"), items[1]] = items[2].replace("\\|", "|")
    return table, reasons


def disagreements(text: str, measured: Mapping[str, Mapping[str, Outcome]]) -> list[str]:
    """Where a document does not say what was measured, one line each."""
    table, reasons = parse(text)
    found = []
    for model, outcomes in measured.items():
        for name, outcome in outcomes.items():
            said = table.get(model, {}).get(name, "nothing")
            if not holds(said, outcome):
                found.append(f"{model}, {name}: {said!r} said, {cell(outcome)!r} measured")
            reason = _escaped(outcome.reason) if outcome.status == "refused" else None
            told = reasons.get((model, name))
            if (told and _escaped(told)) != reason:
                found.append(f"{model}, {name}: refused for {told!r}, measured {reason!r}")
    return found


def incomplete(text: str) -> list[str]:
    """What the document lacks, has too much, or would be written otherwise from its own cells."""
    table, reasons = parse(text)
    wanted = {row.model for row in rows()}
    found = [f"{model}: no row" for model in sorted(wanted - set(table))]
    found += [f"{model}: no such model any more" for model in sorted(set(table) - wanted)]
    if not found and render(table, reasons) != text:
        found.append("the text beside the cells is not what `make conformance` writes from them")
    return found


def updated(text: str, measured: Mapping[str, Mapping[str, Outcome]]) -> str:
    """The document with what was measured; cells that still hold, and other rows, stay."""
    table, reasons = parse(text)
    for model, outcomes in measured.items():
        cells = table.setdefault(model, {})
        for name, outcome in outcomes.items():
            if not holds(cells.get(name, ""), outcome):
                cells[name] = cell(outcome)
            reasons.pop((model, name), None)
            if outcome.status == "refused":
                reasons[model, name] = outcome.reason
    wanted = {row.model for row in rows()}
    return render({model: cells for model, cells in table.items() if model in wanted}, reasons)
