"""`report/parity.json`: everything that was measured, for programs.

May import `exporter.parity`, `exporter.shipping` and `exporter.manifest`.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from exporter.manifest import Manifest
from exporter.parity import HISTOGRAM_EDGES, ParityReport
from exporter.shipping import Offer

SCHEMA_VERSION = 1


def parity_document(
    report: ParityReport, manifest: Manifest, offers: Sequence[Offer] = ()
) -> dict[str, Any]:
    """What `parity.json` holds; plain JSON types.

    JSON has no word for them, so they are spelled "NaN", "Infinity" and "-Infinity".
    """
    document: dict[str, Any] = spell_out(
        {
            "schema": SCHEMA_VERSION,
            "verdict": report.verdict() or "passed",
            **report.to_document(),
            "histogram_edges": list(HISTOGRAM_EDGES),
            "artifacts": [
                {"format": a.format, "precision": a.precision, "size_bytes": a.size_bytes}
                for a in manifest.artifacts
            ],
            "skipped": [
                {"format": s.format, "precision": s.precision, "reason": s.reason}
                for s in manifest.skipped
            ],
            "offers": [_offer(offer) for offer in offers],
            "tools": dict(manifest.created_by),
            "machine": machine(),
        }
    )
    return document


def _offer(offer: Offer) -> dict[str, Any]:
    figures = {f.name: getattr(offer, f.name) for f in fields(offer) if f.name != "artifact"}
    artifact = offer.artifact
    return {
        "artifact": artifact.id, "path": artifact.path, "size_bytes": artifact.size_bytes,
        **figures, "latencies_ms": dict(offer.latencies_ms),
    }  # fmt: skip


def machine() -> dict[str, str]:
    """What the figures were measured on, without anything that names the machine or its user."""
    return {
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cores": str(os.cpu_count() or "unknown"),
    }


def spell_out(value: Any) -> Any:
    """Replace NaN and infinities by words, in all depths; NumPy scalars by plain numbers."""
    if isinstance(value, Mapping):
        return {str(key): spell_out(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spell_out(item) for item in value]
    if hasattr(value, "tolist"):
        return spell_out(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
