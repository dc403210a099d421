"""Numbers and verdicts as people read them.

Standard library only, but for the classes of `exporter.parity`.
"""

from __future__ import annotations

import math

from exporter.parity import ParityReport

NONE = "–"
STATUS_WORDS = {"passed": "passed", "failed": "failed", "not_run": "not run"}


def error(value: float | None) -> str:
    """An absolute error with two digits: "1.2e-7", "0.80", "0", "∞", "NaN"."""
    if value is None:
        return NONE
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if 0.00995 <= abs(value) < 99.5:
        return f"{value:.{2 if abs(value) < 9.95 else 0}f}"
    mantissa, exponent = f"{value:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}"


def share(value: float | None) -> str:
    """A share as a percentage; never rounded up to 100 % or down to 0 %."""
    if value is None or math.isnan(value):
        return NONE
    percent = 100 * value
    if percent in (0, 100):
        return f"{percent:.0f} %"
    return f"{min(max(percent, 0.01), 99.99):.2f} %"


def change(value: float | None, reference: float | None) -> str:
    """A share beside another, in percentage points: "+0.02", "−0.10", "±0"."""
    if value is None or reference is None:
        return NONE
    points = 100 * (value - reference)
    if abs(points) < 0.005:
        return "±0"
    return f"{'+' if points > 0 else '−'}{abs(points):.2f}"


def size(size_bytes: int) -> str:
    """Decimal units, as browsers count: "404 kB", "3.7 MB"."""
    if size_bytes < 1000:
        return f"{size_bytes} B"
    amount = float(size_bytes)
    for unit in ("kB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5 or unit == "GB":
            break
    return f"{amount:.1f} {unit}" if amount < 9.95 else f"{amount:.0f} {unit}"


def latency(value_ms: float | None) -> str:
    """Milliseconds with two or three digits."""
    if value_ms is None or not math.isfinite(value_ms):
        return NONE
    if value_ms >= 99.5:
        return f"{value_ms:.0f} ms"
    return f"{value_ms:.1f} ms" if value_ms >= 9.95 else f"{value_ms:.2f} ms"


def number(value: float) -> str:
    """A prediction with three digits."""
    return f"{value:.3g}" if math.isfinite(value) else error(value)


def count(amount: int, singular: str, plural: str | None = None) -> str:
    """ "1 row", "2 rows", "10,000 samples"."""
    return f"{amount:,} {singular if amount == 1 else plural or singular + 's'}"


def headline(report: ParityReport, left_out: frozenset[str] = frozenset()) -> tuple[str, str, str]:
    """The verdict on the whole run: status, one sentence, and what to make of it.

    Args:
        report: All rows.
        left_out: Artefacts that were measured and then not published: their failures are told,
            and are no fault of what was published.
    """
    kept = [row for row in report.rows if row.artifact not in left_out]
    ran = [row for row in kept if row.status != "not_run"]
    if all(row.advisory for row in ran):
        return "failed", "Nothing was compared.", "And that is no proof: no row of this run ran."
    failed = [row for row in ran if row.status == "failed" and not row.advisory]
    if failed:
        artifacts = list(dict.fromkeys(row.artifact for row in failed))
        many = len(artifacts) > 1
        named = artifacts[0] if not many else f"{len(artifacts)} artefacts"
        return (
            "failed",
            f"{named} {'leave' if many else 'leaves'} Keras.",
            f"{len(failed)} of the {count(len(ran), 'row')} that ran failed: "
            f"{', '.join(artifacts)}.",
        )
    warned = sum(row.status == "failed" for row in ran)
    passed = len(ran) - warned
    whole = "The row" if passed == 1 else f"All {passed:,} rows"
    verdict = [f"{whole} that ran passed."]
    if warned:
        verdict = [
            f"{count(passed, 'row')} passed; {count(warned, 'row')} for the half-float GPUs of "
            "phones failed, where the player takes another backend."
        ]
    not_run = len(kept) - len(ran)
    if not_run:
        verdict.append(f"{count(not_run, 'row')} {'was' if not_run == 1 else 'were'} not run.")
    if left_out:
        verdict.append(f"Measured and left out: {', '.join(sorted(left_out))}.")
    what = "Every artefact" if not not_run else "Every artefact that was run"
    return "passed", f"{what} answers as Keras does.", " ".join(verdict)
