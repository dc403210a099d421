"""`exporter check`: the player beside a bundle, and what a page's own policies block."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.check import Report, check, http
from exporter.check.player import FILES
from exporter.check.policy import Policy, parse_header
from tests.web.digit_pad_page import MODEL, MODELS
from tests.web.faulty_host import Fault, FaultyHost, Reply, faulty, look, serving
from web.files import PLAYER

# ---- the player beside it


def test_the_player_beside_a_bundle_is_looked_at_too(host: FaultyHost) -> None:
    for name in FILES:
        host.files[f"/player/{name}"] = (PLAYER / name).read_bytes()[:2000]
    report = look(host)
    assert report.findings == []
    assert {f"{host.address}/player/{name}" for name in FILES} <= set(report.fetched)
    host.faults["simd.wasm"] = faulty(lambda r: r.with_headers(Content_Type="text/plain"))
    host.faults["tfjs.js"] = faulty(lambda r: r.with_headers(Access_Control_Allow_Origin=""))
    del host.files["/player/onnx.js"]
    codes = {(one.code, one.url.rsplit("/", 1)[-1]) for one in look(host).errors}
    wasm = "tfjs-backend-wasm-simd.wasm"
    assert codes >= {("type", wasm), ("cors", "tfjs.js"), ("missing", "onnx.js")}


# ---- the page is wrong


def test_a_page_makes_nobody_open_anything_but_web_addresses(
    host: FaultyHost, shown: Callable[..., Report], tmp_path: Path
) -> None:
    (tmp_path / "manifest.json").write_text('{"artifacts": []}')
    secret = (tmp_path / "manifest.json").as_uri()
    hostile = (
        f'<digit-pad src="{secret}"></digit-pad><iframe src="{secret}"></iframe>'
        f'<script src="{secret}"></script><iframe src="about:blank"></iframe>'
        '<iframe src="http://["></iframe><base href="http://u:p@x/"><script src="data:,1"></script>'
    )
    report = shown(PAD + hostile)
    assert report.findings == []
    assert not [one for one in report.fetched if not one.startswith(host.address)]
    assert http.get(secret, 1000).status == 0


def page(html: str, **headers: str) -> Fault:
    body = f"<!doctype html><title>p</title>{html}".encode()
    sent = {"Content_Type": "text/html"} | headers
    return lambda reply, _: Reply(body).with_headers(**sent)


PAD = (
    '<script type="module" src="/player/pad.js"></script><digit-pad src="/models/it/manifest.json">'
)


@pytest.fixture
def shown(host: FaultyHost) -> Callable[..., Report]:
    """Checks a page beside the bundle."""
    host.files["/player/pad.js"] = b"export {};"

    def show(html: str = PAD, **headers: str) -> Report:
        host.faults["/page"] = page(html.replace("HOST", host.address), **headers)
        return check(f"{host.address}/page")

    return show


def test_a_page_with_the_element_is_healthy_under_a_strict_policy(
    shown: Callable[..., Report],
) -> None:
    policy = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
    report = shown(Content_Security_Policy=policy)
    assert report.findings == []
    assert len(report.fetched) > 8


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ("default-src 'none'", "connect-src|default-src"),
        ("script-src https://cdn.example 'wasm-unsafe-eval'", "script-src"),
        ("script-src 'self'", "wasm-unsafe-eval"),
        ("connect-src https://api.example", "connect-src"),
        ("sandbox", "allow-scripts"),
    ],
)
def test_a_policy_that_blocks_is_found(
    shown: Callable[..., Report], policy: str, named: str
) -> None:
    report = shown(Content_Security_Policy=policy)
    assert {one.code for one in report.errors} == {"csp"}
    assert any(word in one.message for one in report.errors for word in named.split("|"))


def test_a_policy_in_the_page_itself_counts(shown: Callable[..., Report]) -> None:
    meta = "<meta http-equiv=content-security-policy content=\"connect-src 'none'\">"
    assert {one.code for one in shown(meta + PAD).errors} == {"csp"}


@pytest.mark.parametrize(("name", "kind"), [("m.mjs", "text/plain"), ("m.wasm", "text/html")])
def test_modules_and_wasm_of_a_wrong_type_are_found(host: FaultyHost, name: str, kind: str) -> None:
    host.files[f"/vendor/{name}"] = b"\0asm" if name.endswith("wasm") else b"export {};"
    address = f"{host.address}/vendor/{name}"
    assert look(host, also=[address]).findings == []
    host.faults[f"/vendor/{name}"] = faulty(lambda r: r.with_headers(Content_Type=kind))
    assert [(one.code, one.url) for one in look(host, also=[address]).findings] == [
        ("type", address)
    ]


def test_scripts_of_the_page_are_looked_at(host: FaultyHost, shown: Callable[..., Report]) -> None:
    host.files["/vendor/ort.mjs"] = b"export {};"
    inline = '<script type="module">import * as ort from "/vendor/ort.mjs";</script>'
    assert shown(PAD + inline).findings == []
    host.faults["/vendor/ort.mjs"] = faulty(lambda r: r.with_headers(Content_Type="text/plain"))
    assert {one.code for one in shown(PAD + inline).errors} == {"type"}
    del host.faults["/vendor/ort.mjs"], host.files["/vendor/ort.mjs"]
    assert {one.code for one in shown(PAD + inline).errors} == {"missing"}
    wrong = PAD.replace("></script>", ' integrity="sha384-AAAA"></script>')
    assert {one.code for one in shown(wrong).errors} == {"altered"}


def test_a_page_of_another_site_is_given_and_its_policies_are_read(host: FaultyHost) -> None:
    others = FaultyHost(MODELS / MODEL, "/unused/")
    with serving(others) as address:
        foreign = f'<script src="{host.address}/player/pad.js"></script>'
        host.files["/player/pad.js"] = b"1;"
        others.faults["/theirs"] = page(foreign, Cross_Origin_Embedder_Policy="require-corp")
        report = look(host, page=f"{address}/theirs")
        assert {(one.code, one.url) for one in report.errors} == {
            ("coep", f"{host.address}/player/pad.js")
        }
        assert report.origin == address
        shared = faulty(lambda r: r.with_headers(Cross_Origin_Resource_Policy="cross-origin"))
        host.faults["/player/pad.js"] = shared
        assert look(host, page=f"{address}/theirs").findings == []
        blocking = page("", Content_Security_Policy="connect-src 'self'")
        others.faults["/theirs"] = blocking
        assert {one.code for one in look(host, page=f"{address}/theirs").errors} == {"csp"}


def test_the_model_of_a_framed_page_is_looked_at(host: FaultyHost) -> None:
    others = FaultyHost(MODELS / MODEL, "/unused/")
    host.files["/player/pad.js"] = b"export {};"
    host.faults["/embed"] = page(PAD)
    with serving(others) as address:
        others.faults["/theirs"] = page(f'<iframe src="{host.address}/embed">')
        assert check(f"{address}/theirs").findings == []
        del host.files["/models/it/golden.json"]
        codes = {
            (one.code, one.url.rsplit("/", 1)[-1]) for one in check(f"{address}/theirs").errors
        }
        assert codes == {("missing", "golden.json")}


def test_a_front_page_that_answers_for_a_missing_bundle_is_found(host: FaultyHost) -> None:
    """The front page shows a model of its own, and all is well with that."""
    host.files["/player/pad.js"] = b"export {};"
    front = page(PAD)
    host.faults["/models/gone/"] = host.faults["/models/gone/manifest.json"] = front
    host.files["/"] = front(Reply(b""), None).body
    report = check(f"{host.address}/models/gone/")
    assert {one.code for one in report.errors} == {"html-in-place"}


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "coep"),
        ({"Cross_Origin_Embedder_Policy": "require-corp"}, "coep"),
        ({"Content_Security_Policy": "frame-ancestors 'self'"}, "framing"),
        ({"X_Frame_Options": "DENY"}, "framing"),
    ],
)
def test_a_frame_that_will_not_show_is_found(
    host: FaultyHost, headers: dict[str, str], code: str
) -> None:
    """Under COEP a frame needs COEP and CORP of its own; framing may be forbidden."""
    others = FaultyHost(MODELS / MODEL, "/unused/")
    host.faults["/embed"] = page("", **headers)
    with serving(others) as address:
        isolated = {} if code == "framing" else {"Cross_Origin_Embedder_Policy": "require-corp"}
        others.faults["/theirs"] = page(f'<iframe src="{host.address}/embed">', **isolated)
        codes = {one.code for one in look(host, page=f"{address}/theirs").errors}
        assert codes == {code}
        good = {
            "Cross_Origin_Embedder_Policy": "require-corp",
            "Cross_Origin_Resource_Policy": "cross-origin",
        }
        host.faults["/embed"] = page("", **good)
        assert look(host, page=f"{address}/theirs").findings == []


@pytest.mark.parametrize(
    ("source", "url", "allowed"),
    [
        ("'self'", "https://a.example/x.js", True),
        ("'self'", "https://b.example/x.js", False),
        ("'none'", "https://a.example/x.js", False),
        ("*", "https://b.example/x.js", True),
        ("*", "data:text/javascript,1", False),
        ("https:", "https://b.example/x.js", True),
        ("data:", "data:text/javascript,1", True),
        ("b.example", "https://b.example/x.js", True),
        ("b.example", "https://c.b.example/x.js", False),
        ("*.b.example", "https://c.b.example/x.js", True),
        ("*.b.example", "https://b.example/x.js", False),
        ("https://b.example:8443", "https://b.example:8443/x.js", True),
        ("https://b.example", "https://b.example:8443/x.js", False),
        ("https://b.example:*", "https://b.example:8443/x.js", True),
        ("http://b.example", "https://b.example/x.js", True),
        ("https://b.example", "http://b.example/x.js", False),
        ("https://b.example/lib/", "https://b.example/lib/x.js", True),
        ("https://b.example/lib/", "https://b.example/other/x.js", False),
        ("https://b.example/lib/x.js", "https://b.example/lib/x.js", True),
    ],
)
def test_sources_of_a_policy_match_as_in_browsers(source: str, url: str, allowed: bool) -> None:
    policy = Policy.parse(f"script-src {source}")
    assert policy.allows("script-src-elem", url, "https://a.example/page") is allowed


def test_all_policies_of_a_header_count_and_the_first_directive_of_each() -> None:
    policies = parse_header("connect-src *; connect-src 'none', default-src 'self'")
    allowed = [
        one.allows("connect-src", "https://b.example/", "https://a.example/") for one in policies
    ]
    assert allowed == [True, False]
