"""Numbers and verdicts as people read them.

Standard library only, but for the classes of `exporter.parity`.
"""

from __future__ import annotations

import math

from exporter.parity import ParityReport

NONE = "–"
STATUS_WORDS = {"passed": "passed", "failed": "failed", "not_run": "not run"}


def error(value: float | None) -> str:
    """An absolute error with two digits: "1.2e-7", "0", "∞", "NaN"."""
    if value is None:
        return NONE
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
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


def headline(report: ParityReport) -> tuple[str, str, str]:
    """The verdict on the whole run: status, one sentence, and what to make of it."""
    passed, failed, not_run = (report.count(s) for s in ("passed", "failed", "not_run"))
    if passed + failed == 0:
        return "failed", "Nothing was compared.", "And that is no proof: no row of this run ran."
    if failed:
        artifacts = list(dict.fromkeys(row.artifact for row in report.failed))
        many = len(artifacts) > 1
        named = artifacts[0] if not many else f"{len(artifacts)} artefacts"
        return (
            "failed",
            f"{named} {'leave' if many else 'leaves'} Keras.",
            f"{count(failed, 'row')} of {passed + failed} that ran failed: {', '.join(artifacts)}.",
        )
    ran = "The row that ran passed" if passed == 1 else f"All {passed:,} rows that ran passed"
    if not_run:
        left = f"{count(not_run, 'row')} {'was' if not_run == 1 else 'were'} not run"
        return (
            "passed",
            "Every artefact that was run answers as Keras does.",
            f"{ran}; {left}: what would make them run stands below.",
        )
    return "passed", "Every artefact answers as Keras does.", f"{ran} the gates below."
