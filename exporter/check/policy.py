"""Content Security Policy, as far as a model in a page needs it (CSP level 3).

Pure. https://www.w3.org/TR/CSP3/#match-url-to-source-expression is the source of the matching.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

_FALLBACKS = {
    "script-src-elem": ("script-src-elem", "script-src", "default-src"),
    "script-src": ("script-src", "default-src"),
    "connect-src": ("connect-src", "default-src"),
    "frame-src": ("frame-src", "child-src", "default-src"),
}
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy; a page may have several, and each must allow."""

    directives: dict[str, tuple[str, ...]]

    @classmethod
    def parse(cls, text: str) -> Policy:
        """The first of a directive's mentions counts."""
        found: dict[str, tuple[str, ...]] = {}
        for part in text.split(";"):
            words = part.split()
            if words:
                found.setdefault(words[0].lower(), tuple(words[1:]))
        return cls(found)

    def sources(self, directive: str) -> tuple[str, tuple[str, ...]] | None:
        """The directive that decides, and what it lists; None where nothing forbids."""
        for name in _FALLBACKS.get(directive, (directive,)):
            if name in self.directives:
                return name, self.directives[name]
        return None

    def allows(self, directive: str, url: str, page: str) -> bool:
        """Whether the page may load `url` so."""
        deciding = self.sources(directive)
        return deciding is None or any(_matches(one, url, page) for one in deciding[1])

    def allows_keyword(self, directive: str, *keywords: str) -> bool:
        """Whether one of 'wasm-unsafe-eval', 'unsafe-eval' … is listed, or nothing forbids."""
        deciding = self.sources(directive)
        return deciding is None or any(
            f"'{word}'" in (one.lower() for one in deciding[1]) for word in keywords
        )


def parse_header(value: str) -> list[Policy]:
    """A header's policies: several are joined by commas."""
    return [Policy.parse(part) for part in value.split(",") if part.strip()]


def _matches(source: str, url: str, page: str) -> bool:
    wanted, here = urlsplit(url), urlsplit(page)
    word = source.lower()
    if word == "'self'":
        return (_place(url) == _place(page)) or (
            wanted.hostname == here.hostname and (here.scheme, wanted.scheme) == ("http", "https")
            and wanted.port in (None, 443) and here.port in (None, 80)
        )  # fmt: skip
    if source.startswith("'"):
        return False
    if word == "*":
        return wanted.scheme in ("http", "https", "ws", "wss") or wanted.scheme == here.scheme
    if word.endswith(":") and "/" not in word:
        return _upgrades(word[:-1], wanted.scheme)
    return _matches_host(source, url, page)


def _matches_host(source: str, url: str, page: str) -> bool:
    wanted = urlsplit(url)
    scheme, _, rest = source.rpartition("://")
    host, slash, path = rest.partition("/")
    host, _, port = host.partition(":")
    if not _upgrades(scheme.lower() or urlsplit(page).scheme, wanted.scheme):
        return False
    name = (wanted.hostname or "").lower()
    if host.startswith("*."):
        if not name.endswith(host[1:].lower()):
            return False
    elif name != host.lower():
        return False
    given = wanted.port or _PORTS.get(wanted.scheme)
    standard = {_PORTS.get(wanted.scheme), None}
    if (
        port != "*"
        and (int(port) if port.isdigit() else None) != given
        and not (not port and given in standard)
    ):
        return False
    there = unquote(wanted.path)
    listed = "/" + unquote(path)
    return (
        not slash
        or listed == "/"
        or there == listed
        or (listed.endswith("/") and there.startswith(listed))
    )


def _upgrades(listed: str, wanted: str) -> bool:
    return listed == wanted or (listed, wanted) == ("http", "https")


def _place(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)
