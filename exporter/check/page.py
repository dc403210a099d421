"""A page that shows a model: which bundles and scripts it names, and what its policies block.

May import `exporter.errors` and what stands beside it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

from exporter.check import http, rules
from exporter.check.finding import Finding, Report
from exporter.check.policy import Policy, parse_header

MAX_PAGE_BYTES = 10_000_000
MAX_SCRIPT_BYTES = 100_000_000
_IMPORT = re.compile(r"""\b(?:from|import)\s*\(?\s*["']((?:\.{0,2}/|https?:)[^"'\s]+)["']""")
_MANIFEST = re.compile(r"""["']([^"'\s]*manifest\.json(?:\?[^"'\s]*)?)["']""")
# What pages without the player name of a bundle, and where its manifest is from there.
_MODEL = re.compile(r"""["']([^"'\s]*/)(?:tfjs/[\w.-]+/model\.json|onnx/model[\w.-]*\.onnx)["']""")
_ISOLATING = ("require-corp", "credentialless")


@dataclass(slots=True)
class Named:
    """Something that the page fetches."""

    url: str
    is_module: bool = False
    crossorigin: bool = False
    integrity: str = ""


@dataclass(slots=True)
class Contents:
    """What a page names and says of itself."""

    scripts: list[Named] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    manifests: list[str] = field(default_factory=list)
    policies: list[Policy] = field(default_factory=list)
    has_inline_script: bool = False


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self.base, self.found, self._script = url, Contents(), ""
        self._kind: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "base" and given.get("href"):
            self.base = http.web_address(self.base, given["href"]) or self.base
        elif tag == "meta" and given.get("http-equiv", "").lower() == "content-security-policy":
            self.found.policies.append(Policy.parse(given.get("content", "")))
        elif tag == "script":
            self._take_script(given)
        elif tag == "link" and given.get("rel", "").lower() == "modulepreload":
            self._add_script(given.get("href", ""), True, True, "")
        elif tag == "iframe":
            self._add(self.found.frames, given.get("src", ""))
        elif tag == "digit-pad":
            self._add(self.found.manifests, given.get("src", ""))

    def _add(self, found: list[str], path: str) -> None:
        """What is no web address, the browser asks no server for."""
        address = http.web_address(self.base, path) if path else None
        if address:
            found.append(address)

    def _add_script(self, path: str, is_module: bool, crossorigin: bool, integrity: str) -> None:
        address = http.web_address(self.base, path) if path else None
        if address:
            self.found.scripts.append(Named(address, is_module, crossorigin, integrity))

    def _take_script(self, given: dict[str, str]) -> None:
        kind = given.get("type", "").lower()
        is_module = kind == "module"
        if given.get("src"):
            crossorigin = is_module or "crossorigin" in given
            self._add_script(given["src"], is_module, crossorigin, given.get("integrity", ""))
        else:
            self._kind, self._script = kind, ""

    def handle_data(self, data: str) -> None:
        if self._kind is not None:
            self._script += data

    def handle_endtag(self, tag: str) -> None:
        if tag != "script" or self._kind is None:
            return
        if self._kind in ("", "module", "text/javascript"):
            self.found.has_inline_script = True
            for path in _IMPORT.findall(self._script):
                self._add_script(path, True, True, "")
        elif self._kind == "importmap":
            self._take_import_map()
        for path in _MANIFEST.findall(self._script):
            self._add(self.found.manifests, path)
        for folder in _MODEL.findall(self._script):
            self._add(self.found.manifests, f"{folder}manifest.json")
        self._kind = None

    def _take_import_map(self) -> None:
        try:
            document = json.loads(self._script)
            addresses = [str(value) for value in document.get("imports", {}).values()]
            hashes = {str(key): str(value) for key, value in document.get("integrity", {}).items()}
        except (ValueError, AttributeError, RecursionError):
            return  # the browser says so itself, on every load
        for address in addresses:
            if not address.endswith("/"):
                self._add_script(address, True, True, hashes.get(address, ""))


def read_page(report: Report, url: str) -> tuple[http.Answer, Contents] | None:
    """The page and what it names; None, and a finding, where there is no page."""
    answer = http.get(url, MAX_PAGE_BYTES)
    report.fetched.append(url)
    report.add(rules.arrival(answer, url))
    if answer.status != 200 or answer.fault:
        return None
    reader = _Reader(answer.url)
    reader.feed(answer.body.decode("utf-8", "replace"))
    reader.close()
    contents = reader.found
    contents.policies = parse_header(answer.header("Content-Security-Policy")) + contents.policies
    contents.manifests = list(dict.fromkeys(contents.manifests))
    return answer, contents


def check_page(
    report: Report, answer: http.Answer, contents: Contents, manifests: list[str]
) -> None:
    """What the page's policies block, and whether its scripts and frames can be used."""
    page = answer.url
    coep = answer.header("Cross-Origin-Embedder-Policy").split(";")[0].strip().lower()
    for script in {one.url: one for one in contents.scripts}.values():
        _script(report, page, script, contents.policies, coep)
    for frame in contents.frames:
        _frame(report, page, frame, contents.policies, coep)
    for manifest in manifests:
        report.add(_blocked(contents.policies, "connect-src", manifest, page, "the model"))
        report.add(_wasm(contents.policies, page))
    for policy in contents.policies:
        words = policy.directives.get("sandbox")
        if words is not None and "allow-scripts" not in words:
            report.add([Finding("csp", page, "sandbox allow-scripts expected, no scripts allowed")])


def _script(report: Report, page: str, script: Named, policies: list[Policy], coep: str) -> None:
    foreign = http.origin_of(page) != http.origin_of(script.url)
    origin = http.origin_of(page) if foreign else ""
    answer = http.get(script.url, MAX_SCRIPT_BYTES, origin=origin)
    report.fetched.append(script.url)
    found = [*rules.arrival(answer, script.url), *rules.not_html(answer, script.url)]
    found += rules.mixed(script.url, page)
    found += _blocked(policies, "script-src-elem", script.url, page, "a script")
    if answer.status == 200 and not answer.is_html:
        found += rules.media_type(answer, script.url)
        found += _integrity(script, answer)
        if script.url.rsplit("/", 1)[-1] in ("tf.min.js", "tf.js"):
            found += _evaluating(policies, page)
    if foreign and script.crossorigin:
        found += rules.sharing(answer, script.url, origin)
    elif foreign and coep in _ISOLATING[:1]:
        found += _resource_policy(answer, script.url, page)
    report.add(found)


def _frame(report: Report, page: str, url: str, policies: list[Policy], coep: str) -> None:
    answer = http.get(url, MAX_PAGE_BYTES)
    report.fetched.append(url)
    found = [*rules.arrival(answer, url), *rules.mixed(url, page)]
    found += _blocked(policies, "frame-src", url, page, "a frame")
    foreign = http.origin_of(page) != http.origin_of(url)
    if answer.status == 200:
        for policy in parse_header(answer.header("Content-Security-Policy")):
            if "frame-ancestors" in policy.directives and not policy.allows(
                "frame-ancestors", page, url
            ):
                listed = " ".join(policy.directives["frame-ancestors"])
                message = f"frame-ancestors that allow {page} expected, {listed} found"
                found.append(Finding("framing", url, message))
        refusing = answer.header("X-Frame-Options").lower()
        if refusing == "deny" or (refusing == "sameorigin" and foreign):
            message = f"no X-Frame-Options expected, {refusing} found: {page} may not frame it"
            found.append(Finding("framing", url, message))
        own = answer.header("Cross-Origin-Embedder-Policy").split(";")[0].strip().lower()
        if coep in _ISOLATING and own not in _ISOLATING:
            message = f"Cross-Origin-Embedder-Policy: require-corp expected, as {page} has it"
            found.append(Finding("coep", url, f"{message}, {own or 'nothing'} found"))
        if coep in _ISOLATING and foreign:
            found += _resource_policy(answer, url, page)
    report.add(found)


def _resource_policy(answer: http.Answer, url: str, page: str) -> list[Finding]:
    value = answer.header("Cross-Origin-Resource-Policy").lower()
    if value == "cross-origin":
        return []
    message = f"Cross-Origin-Resource-Policy: cross-origin expected, {value or 'nothing'} found"
    return [Finding("coep", url, f"{message}: {page} has COEP and may not load it")]


def _blocked(
    policies: list[Policy], directive: str, url: str, page: str, what: str
) -> list[Finding]:
    found = []
    for policy in policies:
        deciding = policy.sources(directive)
        if deciding and not policy.allows(directive, url, page):
            listed = " ".join(deciding[1]) or "nothing"
            message = f"{deciding[0]} that allows {what} from {url} expected, {listed} found"
            found.append(Finding("csp", page, message))
    return found


def _wasm(policies: list[Policy], page: str) -> list[Finding]:
    if all(p.allows_keyword("script-src", "wasm-unsafe-eval", "unsafe-eval") for p in policies):
        return []
    message = "script-src with 'wasm-unsafe-eval' expected, none found: neither ONNX Runtime nor"
    return [Finding("csp", page, f"{message} TensorFlow.js' wasm backend can start")]


def _evaluating(policies: list[Policy], page: str) -> list[Finding]:
    if all(policy.allows_keyword("script-src", "unsafe-eval") for policy in policies):
        return []
    message = "tf.min.js wants 'unsafe-eval', which script-src forbids; take tf.es2017.min.js"
    return [Finding("csp", page, message)]


def _integrity(script: Named, answer: http.Answer) -> list[Finding]:
    """Of several hashes the strongest kind counts."""
    hashes = [one.partition("-") for one in script.integrity.split()]
    known = [(kind, value) for kind, _, value in hashes if kind in ("sha256", "sha384", "sha512")]
    if not known:
        return []
    strongest = max(kind for kind, _ in known)
    digest = hashlib.new(strongest, answer.body).digest()
    actual = base64.b64encode(digest).decode("ascii")
    if actual in [value.partition("?")[0] for kind, value in known if kind == strongest]:
        return []
    message = (
        f"integrity {known[0][0]}-{known[0][1][:12]}… expected, {strongest}-{actual[:12]}… found"
    )
    return [Finding("altered", script.url, message)]
