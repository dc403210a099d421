"""MDN's HTTP Observatory as code: what it makes of a page's headers, TLS assumed.

Written from its public table (developer.mozilla.org/en-US/observatory/docs/tests_and_scoring): a
site begins with 100, loses what the table takes, and gains what it gives only where 90 are left.
Where the table says how something is found, a function here finds it that way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser

TABLE: Mapping[str, Mapping[str, int]] = {
    "content-security-policy": {
        "no-unsafe-default-src-none": 10, "no-unsafe": 5, "unsafe-inline-in-style-src-only": 0,
        "insecure-scheme-in-passive-content-only": -10, "unsafe-eval": -10, "unsafe-inline": -20,
        "insecure-scheme": -20, "header-invalid": -25, "not-implemented": -25,
    },
    "cookies": {"not-found": 0, "without-secure-flag": -20, "session-without-httponly-flag": -30,
                "secure-with-httponly-sessions-and-samesite": 5},
    "cross-origin-resource-sharing": {"not-implemented": 0, "public-access": 0,
                                      "restricted-access": 0, "universal-access": -50},
    "redirection": {"not-needed-no-http": 0, "to-https": 0, "missing": -20},
    "referrer-policy": {"private": 5, "not-implemented": 0, "unsafe": -5, "header-invalid": -5},
    "strict-transport-security": {
        "preloaded": 5, "max-age-at-least-six-months": 0, "max-age-less-than-six-months": -10,
        "not-implemented": -20, "header-invalid": -20,
    },
    "subresource-integrity": {
        "all-scripts-loaded-securely": 5, "external-scripts-loaded-securely": 5,
        "not-html": 0, "no-scripts-loaded": 0, "not-implemented-but-secure-origin": 0,
        "not-implemented-but-external-securely": -5, "external-scripts-not-securely": -20,
        "not-implemented-external-not-securely": -50,
    },
    "x-content-type-options": {"nosniff": 0, "not-implemented": -5, "header-invalid": -5},
    "x-frame-options": {"implemented-via-csp": 5, "sameorigin-or-deny": 0, "allow-from-origin": 0,
                        "not-implemented": -20, "header-invalid": -20},
    "cross-origin-resource-policy": {
        "same-origin": 10, "same-site": 10, "cross-origin": 0, "not-implemented": 0,
        "header-invalid": -5,
    },
}  # fmt: skip

MOST = 135
"""Of a site without cookies and outside the HSTS preload list."""

_BROAD = {"ftp:", "http:", "https:", "*", "http://*", "http://*.*", "https://*", "https://*.*"}
_INLINE = {"'unsafe-inline'", "data:"}
_PRIVATE = {"no-referrer", "same-origin", "strict-origin", "strict-origin-when-cross-origin"}
_LEAKY = {"origin", "origin-when-cross-origin", "unsafe-url", "no-referrer-when-downgrade"}
_SIX_MONTHS_SECONDS = 15_552_000

Headers = Mapping[str, str]


class _Scripts(HTMLParser):
    """The page's scripts that name a file: (address, integrity)."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements = 0
        self.named: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        if tag == "script":
            self.elements += 1
            if said.get("src"):
                self.named.append((said["src"] or "", said.get("integrity") or ""))


def _policy(headers: Headers) -> dict[str, set[str]]:
    parts = (part.split() for part in headers.get("content-security-policy", "").split(";"))
    return {name.lower(): {s.lower() for s in sources} for name, *sources in filter(None, parts)}


def _csp(headers: Headers, page: str) -> str:
    policy = _policy(headers)
    if not policy:
        return "not-implemented"
    default = policy.get("default-src", {"*"})
    script, style, objects = (
        policy.get(name, default) for name in ("script-src", "style-src", "object-src")
    )
    passive = policy.get("img-src", default) | policy.get("media-src", default)
    active = set().union(*(s for n, s in policy.items() if n not in ("img-src", "media-src")))
    if script & (_BROAD | _INLINE) or objects & _BROAD:
        return "unsafe-inline"
    if any(source.startswith(("http:", "ftp:")) for source in active):
        return "insecure-scheme"
    if "'unsafe-eval'" in script | style:
        return "unsafe-eval"
    if any(source.startswith(("http:", "ftp:")) for source in passive):
        return "insecure-scheme-in-passive-content-only"
    if style & (_BROAD | _INLINE):
        return "unsafe-inline-in-style-src-only"
    return "no-unsafe-default-src-none" if default == {"'none'"} else "no-unsafe"


def _cookies(headers: Headers, page: str) -> str:
    said = headers.get("set-cookie", "").lower()
    if not said:
        return "not-found"
    if "secure" not in said:
        return "without-secure-flag"
    if "httponly" not in said:
        return "session-without-httponly-flag"
    return "secure-with-httponly-sessions-and-samesite"


def _cors(headers: Headers, page: str) -> str:
    allowed = headers.get("access-control-allow-origin")
    if allowed is None:
        return "not-implemented"
    if headers.get("access-control-allow-credentials", "").lower() == "true":
        return "universal-access"
    return "public-access" if allowed == "*" else "restricted-access"


def _referrer(headers: Headers, page: str) -> str:
    said = headers.get("referrer-policy")
    if said is None:
        return "not-implemented"
    last = said.lower().split(",")[-1].strip()
    return "private" if last in _PRIVATE else "unsafe" if last in _LEAKY else "header-invalid"


def _hsts(headers: Headers, page: str) -> str:
    said = headers.get("strict-transport-security")
    if said is None:
        return "not-implemented"
    found = re.search(r"(?i)\bmax-age=(\d+)", said)
    if not found:
        return "header-invalid"
    long = int(found[1]) >= _SIX_MONTHS_SECONDS
    return "max-age-at-least-six-months" if long else "max-age-less-than-six-months"


def _sri(headers: Headers, page: str) -> str:
    if not headers.get("content-type", "text/html").startswith("text/html"):
        return "not-html"
    scripts = _Scripts(page)
    if not scripts.elements:
        return "no-scripts-loaded"
    foreign = [(s, i) for s, i in scripts.named if s.startswith(("http:", "https:", "//"))]
    # Here every script counts; the Observatory is content with one of ours that has it.
    bare = any(not integrity for _, integrity in scripts.named)
    if any(not address.startswith("https:") for address, _ in foreign):
        return "not-implemented-external-not-securely" if bare else "external-scripts-not-securely"
    if bare:
        kind = "external-securely" if foreign else "secure-origin"
        return f"not-implemented-but-{kind}"
    if not scripts.named:
        return "not-implemented-but-secure-origin"
    return "external-scripts-loaded-securely" if foreign else "all-scripts-loaded-securely"


def _sniffing(headers: Headers, page: str) -> str:
    said = headers.get("x-content-type-options")
    if said is None:
        return "not-implemented"
    return "nosniff" if said.lower() == "nosniff" else "header-invalid"


def _framing(headers: Headers, page: str) -> str:
    if not _policy(headers).get("frame-ancestors", {"*"}) & _BROAD:
        return "implemented-via-csp"
    said = headers.get("x-frame-options", "").lower()
    if not said:
        return "not-implemented"
    if said.startswith("allow-from"):
        return "allow-from-origin"
    return "sameorigin-or-deny" if said in ("sameorigin", "deny") else "header-invalid"


def _corp(headers: Headers, page: str) -> str:
    said = headers.get("cross-origin-resource-policy")
    if said is None:
        return "not-implemented"
    known = ("same-origin", "same-site", "cross-origin")
    return said if said in known else "header-invalid"


_TESTS: Mapping[str, Callable[[Headers, str], str]] = {
    "content-security-policy": _csp,
    "cookies": _cookies,
    "cross-origin-resource-sharing": _cors,
    # Whoever ends TLS redirects: a server behind it is not asked over plain http.
    "redirection": lambda headers, page: "not-needed-no-http",
    "referrer-policy": _referrer,
    "strict-transport-security": _hsts,
    "subresource-integrity": _sri,
    "x-content-type-options": _sniffing,
    "x-frame-options": _framing,
    "cross-origin-resource-policy": _corp,
}


def results(headers: Mapping[str, str], page: str) -> dict[str, str]:
    """What each test of the table finds."""
    lowered = {name.lower(): value for name, value in headers.items()}
    return {name: test(lowered, page) for name, test in _TESTS.items()}


def score(headers: Mapping[str, str], page: str) -> int:
    """The score of a page with these headers."""
    points = [TABLE[name][found] for name, found in results(headers, page).items()]
    left = 100 + sum(one for one in points if one < 0)
    return max(left + (sum(one for one in points if one > 0) if left >= 90 else 0), 0)
