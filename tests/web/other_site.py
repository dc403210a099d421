"""A site of another origin: the example site of `web.snippets`, and pages pasted into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from flask import Response
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from tests.web.digit_pad_page import MODEL, MODELS, running
from tests.web.static_host import watched
from web.snippets import example

BUNDLE = MODELS / MODEL


def page_with(snippet: str) -> str:
    """A page that holds the snippet, the stored digit before it and the answer behind it."""
    body = example.page_with(snippet, example.golden_digit(BUNDLE)[0])
    return f'<!doctype html><html lang="en"><link rel="icon" href="data:,">{body}'


@contextmanager
def other_site(html: str, headers: Mapping[str, str]) -> Iterator[str]:
    """Serves the page at /pasted, at another host than the site of the models."""
    other = example.create_app({"BUNDLE": BUNDLE, "HEADERS": headers})

    @other.get("/pasted")
    def pasted() -> Response:
        return Response(html, mimetype="text/html", headers=dict(headers))

    with running(make_server("127.0.0.1", 0, other, threaded=True)) as address:
        yield address.replace("127.0.0.1", "localhost")


@contextmanager
def visited(
    browser: Browser, html: str, headers: Mapping[str, str], *, known: tuple[str, ...] = ()
) -> Iterator[tuple[Page, list[str]]]:
    """The page of the other site, and what it complained of or fetched from a third."""
    with other_site(html, headers) as address:
        with watched(browser, (address, *known)) as (page, faults):
            page.goto(f"{address}/pasted")
            yield page, faults
