"""Any one file that a page fetches: fetched, and held against every rule for it.

May import `http`, `rules` and `finding`.
"""

from __future__ import annotations

from exporter.check import http, rules
from exporter.check.finding import Report


def check_file(report: Report, url: str, page: str, most_bytes: int) -> None:
    """Fetch up to `most_bytes` of `url`, loaded by `page` ("" if unknown); say what is wrong."""
    answer = http.get(url, most_bytes, origin=report.origin)
    report.fetched.append(url)
    found = [*rules.arrival(answer, url), *rules.not_html(answer, url)]
    found += rules.mixed(url, page or report.origin)
    if answer.status == 200 and not answer.is_html:
        found += rules.sharing(answer, url, report.origin)
        found += [*rules.media_type(answer, url), *rules.caching(answer, url)]
    report.add(found)
