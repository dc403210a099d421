"""Verdicts to pages: `report/parity.json`, `report/report.html` and the model card.

One set of data goes in (a `ParityReport`, the bundle's manifest, the samples and what was found
on them) and all pages are made from it. `wording` turns numbers into text, `view` rows into a
matrix, `pictures` samples into PNGs, `charts` errors into positions, `page` and `card` all of
that into HTML and Markdown by the templates beside this package.

May import `exporter.parity`, `exporter.gates`, `exporter.shipping`, `exporter.manifest` and
`exporter.errors`; knows
no format and no runtime.
"""

from __future__ import annotations

from exporter.report.card import model_card
from exporter.report.document import parity_document
from exporter.report.page import render_page, write_report

__all__ = ["model_card", "parity_document", "render_page", "write_report"]
