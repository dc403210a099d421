"""A contest as one self-contained HTML page, with its facts as JSON beside it.

May import `exporter.{contest, contest_chart, errors}` and the words of `exporter.report`; Jinja is
imported inside.
"""

from __future__ import annotations

import json
from pathlib import Path

from exporter import contest_chart
from exporter.contest import Contest
from exporter.contest_chart import TEMPLATES
from exporter.errors import MachineFailed
from exporter.report import wording

PAGE_NAME, DOCUMENT_NAME = "comparison.html", "comparison.json"


def write(contest: Contest, directory: Path) -> Path:
    """Write page and facts into `directory`; returns the page.

    Raises:
        MachineFailed: The folder cannot be written.
    """
    page = directory / PAGE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        page.write_text(render(contest), encoding="utf-8")
        text = json.dumps(contest.to_json(), indent=1) + "\n"
        (directory / DOCUMENT_NAME).write_text(text, encoding="utf-8")
    except OSError as error:
        raise MachineFailed(f"{error.filename or directory}: {error.strerror}") from error
    return page


def render(contest: Contest) -> str:
    """The page; nothing is fetched, no script runs."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"size": wording.size, "share": wording.share, "ms": "{:.2g}".format}
    return environment.get_template("contest.html.jinja").render(
        contest=contest,
        chosen=contest.choice(),
        why=contest.why(),
        places=[place.split(" ") for place in contest.places],
        # Its own template escaped what it holds.
        chart=Markup(contest_chart.svg(contest)),  # noqa: S704
    )
