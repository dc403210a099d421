"""What browsers are told: the Observatory's score, TLS, integrity, and who may read what."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser

from exporter.errors import BadUsage
from tests.web import observatory
from tests.web.conftest import write_report
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.static_host import ReadsHeaders, static_host, watched
from web import create_app, headers
from web.freeze import freeze
from web.snippets import integrity_of

PAGES = (
    "/",
    "/models/",
    "/ship/",
    "/embed/",
    "/embed/tiny/",
    "/models/tiny/report/report.html",
    "/nothing",
)


@pytest.fixture
def client(client: FlaskClient, root: Path) -> FlaskClient:
    write_report(root / "tiny", 1, 0, 0)
    return client


def over_tls(client: FlaskClient, path: str) -> tuple[Mapping[str, str], str]:
    response = client.get(path, base_url="https://models.example.org")
    return dict(response.headers), response.text


def test_the_page_reaches_the_most_that_the_observatory_gives(client: FlaskClient) -> None:
    sent, page = over_tls(client, "/")
    assert observatory.score(sent, page) >= observatory.MOST == 135, observatory.results(sent, page)
    assert observatory.score(*over_tls(client, "/embed/")) >= 135


@pytest.mark.parametrize("path", PAGES)
def test_no_page_loses_a_point(client: FlaskClient, path: str) -> None:
    sent, page = over_tls(client, path)
    found = observatory.results(sent, page)
    lost = {name: what for name, what in found.items() if observatory.TABLE[name][what] < 0}
    # Frames of other sites are what the bare element is for; a report carries its own style.
    assert lost == ({"x-frame-options": "not-implemented"} if path == "/embed/tiny/" else {})


@pytest.mark.parametrize(
    ("change", "points"),
    [
        ({"Content-Security-Policy": "default-src 'none'; script-src 'unsafe-eval'; "
          "frame-ancestors 'none'"}, 115),
        ({"Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'"}, 130),
        ({"Content-Security-Policy": "default-src 'none'"}, 80),
        ({"Content-Security-Policy": "default-src *; frame-ancestors 'none'"}, 80),
        ({"Content-Security-Policy": ""}, 55),
        ({"Referrer-Policy": "unsafe-url"}, 125),
        ({"Referrer-Policy": "whatever"}, 125),
        ({"Strict-Transport-Security": "max-age=60"}, 125),
        ({"Strict-Transport-Security": "yes"}, 80),
        ({"X-Content-Type-Options": "sniff"}, 130),
        ({"Cross-Origin-Resource-Policy": "cross-origin"}, 125),
        ({"Cross-Origin-Resource-Policy": "none"}, 120),
        ({"Set-Cookie": "a=b"}, 80),
        ({"Access-Control-Allow-Origin": "https://example.org",
          "Access-Control-Allow-Credentials": "true"}, 50),
    ],
)  # fmt: skip
def test_the_score_falls_with_every_header(
    client: FlaskClient, change: dict[str, str], points: int
) -> None:
    sent, page = over_tls(client, "/")
    assert observatory.score({**sent, **change}, page) == points


def test_the_score_falls_with_every_script_that_is_not_pinned(client: FlaskClient) -> None:
    sent, page = over_tls(client, "/")
    assert observatory.score(sent, page.replace("integrity=", "data-was=", 3)) == 130
    foreign = page.replace("</body>", '<script src="https://cdn.example.org/x.js"></script></body>')
    assert observatory.score(sent, foreign) == 125
    assert observatory.score(sent, foreign.replace("https://cdn", "//cdn")) == 50


def test_tls_is_remembered_where_it_is_there_and_nowhere_else(
    client: FlaskClient, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "Strict-Transport-Security"
    for path in (*PAGES, "/models/tiny/manifest.json", "/static/page.css"):
        assert name not in client.get(path).headers
        assert over_tls(client, path)[0][name] == "max-age=31536000"
    # The app itself believes nobody: what a proxy says is for the server to judge.
    assert name not in client.get("/", headers={"X-Forwarded-Proto": "https"}).headers
    monkeypatch.setenv("EXPORTER_HSTS", "600")
    known = create_app({"BUNDLES": root}).test_client()
    assert over_tls(known, "/models/")[0][name] == "max-age=600"
    monkeypatch.setenv("EXPORTER_HSTS", "0")
    assert name not in over_tls(create_app({"BUNDLES": root}).test_client(), "/models/")[0]
    for wrong in ("a year", "-1", "1.5", ""):
        monkeypatch.setenv("EXPORTER_HSTS", wrong)
        with pytest.raises(BadUsage, match="EXPORTER_HSTS"):
            create_app({"BUNDLES": root})


@pytest.mark.parametrize("path", PAGES)
def test_no_page_may_run_text_as_code_or_load_from_elsewhere(
    client: FlaskClient, path: str
) -> None:
    sent = client.get(path).headers
    policy = sent["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "'unsafe-eval'" not in policy
    assert not re.search(r"https?:|\*(?!$)", policy.replace("frame-ancestors *", ""))
    for header in ("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy",
                   "Permissions-Policy", "Referrer-Policy", "X-Content-Type-Options"):  # fmt: skip
        assert sent[header]


@pytest.mark.parametrize("path", ["/models/tiny/manifest.json", "/models/tiny/onnx/model.onnx",
                                  "/player/digit-pad.js", "/models/tiny/nothing"])  # fmt: skip
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_models_and_player_are_for_every_site_without_credentials(
    client: FlaskClient, method: str, path: str
) -> None:
    sent = client.open(path, method=method, headers={"Origin": "https://example.org"}).headers
    assert sent["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in sent
    assert sent["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert "Set-Cookie" not in sent


@pytest.mark.parametrize("path", ["/", "/static/draw.js", "/sw.js", "/embed/"])
def test_what_is_the_pages_own_is_for_no_other_site(client: FlaskClient, path: str) -> None:
    sent = client.get(path).headers
    assert sent["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in sent


def pinned(page: str) -> list[tuple[str, str]]:
    """Every script and preloaded module that is named: its address and its hash."""
    tags = re.findall(r'<(?:script[^>]* src|link rel="modulepreload" href)="[^>]*>', page)
    return [
        (re.findall(r'(?:src|href)="([^"]*)"', tag)[0], re.findall(r'integrity="([^"]*)"', tag)[0])
        for tag in tags
    ]


@pytest.mark.parametrize("path", ["/", "/ship/", "/embed/", "/embed/tiny/"])
def test_every_script_of_a_page_is_pinned_to_what_is_served(client: FlaskClient, path: str) -> None:
    from urllib.parse import urljoin

    found = pinned(client.get(path).text)
    assert found
    for address, integrity in found:
        assert integrity == integrity_of(client.get(urljoin(path, address)).data), address


def test_every_script_of_a_frozen_page_is_pinned_to_its_file(tmp_path: Path) -> None:
    freeze([MODELS / MODEL], tmp_path)
    pages = ("index.html", "ship/index.html", "embed/index.html", f"embed/{MODEL}/index.html")
    for name in pages:
        page = tmp_path / name
        found = pinned(page.read_text())
        assert found
        for address, integrity in found:
            assert integrity == integrity_of((page.parent / address).resolve().read_bytes())


@pytest.mark.browser
def test_a_page_runs_no_script_that_was_changed_on_the_way(chromium: Browser, site: str) -> None:
    with watched(chromium, site) as (page, faults):
        page.goto(f"{site}/")
        page.locator("digit-pad canvas").first.wait_for()
        assert faults == []
    with watched(chromium, site) as (page, faults):
        page.route(
            "**/player/digit-pad.js",
            lambda route: route.fulfill(
                body="document.title = 'taken over';", content_type="text/javascript"
            ),
        )
        page.goto(f"{site}/")
        page.wait_for_load_state("networkidle")
        assert page.title() == "Draw a digit"
        assert any("integrity" in fault for fault in faults)


@pytest.mark.browser
def test_a_frozen_site_reaches_the_same_score_where_its_headers_are_read(
    chromium: Browser, tmp_path: Path
) -> None:
    freeze([MODELS / MODEL], tmp_path)
    with static_host(tmp_path, ReadsHeaders) as address, watched(chromium, address) as (page, seen):
        response = page.goto(f"{address}/")
        assert response is not None
        page.locator("digit-pad canvas").first.wait_for()
        assert observatory.score(response.headers, response.text()) >= 135
        assert seen == []
    assert headers.OVER_TLS["Strict-Transport-Security"] == "max-age=31536000"
