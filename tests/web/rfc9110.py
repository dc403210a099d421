"""What RFC 9110 and 9112 say of a server of files, case by case, each with its section."""

from __future__ import annotations

import gzip
import hashlib
import http.client
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tests.web.production import Answer, Server, receive

DATE = "Sat, 21 Nov 2026 00:00:00 GMT"


@dataclass(frozen=True)
class Case:
    """One request and what must come back.

    Attributes:
        section: Of RFC 9110, or of RFC 9112 where it says so.
        what: The rule, in a few words.
        asked: Headers of the request.
        status: The only status that the rule leaves, or one of several.
        part: Of the file, that the body must be; None where the rule says nothing of it.
        said: Headers of the response: their values, or None for one that must not be there.
        method, target: Of the request; the target is the file's own by default.
    """

    section: str
    what: str
    asked: Mapping[str, str] = field(default_factory=dict)
    status: int | tuple[int, ...] = 200
    part: slice | None = None
    said: Mapping[str, str | None] = field(default_factory=dict)
    method: str = "GET"
    target: str = ""


ALL = slice(None)
NONE = slice(0, 0)


def cases(data: bytes) -> Iterator[Case]:
    """Every case for a file of these bytes, which is sent as it is."""
    size = len(data)
    tag = f'"{hashlib.sha256(data).hexdigest()}"'
    no_range: dict[str, str | None] = {"Content-Range": None, "Content-Length": str(size)}

    yield Case(
        "8.8.3", "a strong tag of the contents", {}, 200, ALL, {"ETag": tag, "Last-Modified": None}
    )
    yield Case("14.3", "parts are offered", {}, 200, ALL, {"Accept-Ranges": "bytes"})
    yield Case(
        "9.3.2",
        "HEAD says what GET says",
        {},
        200,
        NONE,
        {"Content-Length": str(size), "ETag": tag},
        "HEAD",
    )

    def part(asked: str, start: int, stop: int, **more: str) -> Case:
        said = {
            "Content-Range": f"bytes {start}-{stop - 1}/{size}",
            "Content-Length": str(stop - start),
            "ETag": tag,
        }
        return Case(
            "14.1.2", f"a part: {asked}", {"Range": asked, **more}, 206, slice(start, stop), said
        )

    yield part("bytes=0-0", 0, 1)
    yield part("bytes=10-19", 10, 20)
    yield part(f"bytes={size - 1}-", size - 1, size)
    yield part("bytes=0-", 0, size)
    yield part("bytes=-1", size - 1, size)
    yield part(f"bytes=-{size * 10}", 0, size)
    yield part(f"bytes=5-{size * 10}", 5, size)
    yield part("bytes=5-" + "9" * 5000, 5, size)
    yield part("bytes=00005-0009", 5, 10)
    yield part("Bytes=1-2", 1, 3)
    yield part("bytes= 1-2 ,", 1, 3)
    yield part("bytes=1-2", 1, 3, If_Range=tag)
    yield part("bytes=1-2", 1, 3, If_None_Match='"other"')
    yield part("bytes=1-2", 1, 3, If_Match=tag)
    for unsatisfiable in (
        f"bytes={size}-",
        f"bytes={size * 5}-{size * 6}",
        "bytes=-0",
        "bytes=" + "9" * 5000 + "-",
        f"bytes={size}-,-0",
    ):
        yield Case(
            "15.5.17",
            f"nothing of it is there: {unsatisfiable[:30]}",
            {"Range": unsatisfiable},
            416,
            None,
            {"Content-Range": f"bytes */{size}"},
        )
    for ignored in (
        "items=0-1",
        "bytes",
        "bytes=",
        "bytes=a-b",
        "bytes=5-2",
        "bytes=1",
        "bytes=--1",
        "bytes=+1-2",
        "bytes=0x0-0x1",
        "bytes=1-2;q=1",
        "bytes=\u00b2-\u00b3",
        "bytes 0-1",
    ):
        yield Case(
            "14.2",
            f"no range that is understood: {ignored}",
            {"Range": ignored},
            200,
            ALL,
            no_range,
        )
    yield Case(
        "14.2",
        "several parts may be answered with the whole",
        {"Range": "bytes=0-1,5-6"},
        200,
        ALL,
        no_range,
    )
    yield Case(
        "14.2", "the one part that is there", {"Range": f"bytes=0-1,{size}-"}, 206, slice(0, 2)
    )
    yield Case(
        "14.2", "Range is for GET alone", {"Range": "bytes=0-1"}, 200, NONE, no_range, "HEAD"
    )

    for stale in ('"other"', f"W/{tag}", tag.strip('"'), DATE, "nonsense", f'{tag}, "other"'):
        yield Case(
            "13.1.5",
            f"If-Range that does not hold: {stale[:12]}",
            {"Range": "bytes=0-1", "If-Range": stale},
            200,
            ALL,
            no_range,
        )
    yield Case("13.1.5", "If-Range alone says nothing", {"If-Range": '"other"'}, 200, ALL, no_range)

    not_modified = {
        "ETag": tag,
        "Content-Length": None,
        "Content-Range": None,
        "Cache-Control": "no-cache",
    }
    for known in (tag, f"W/{tag}", f'"a", {tag}', f'W/"a",W/{tag} , "b"', "*", f'"a,b",{tag}'):
        for method in ("GET", "HEAD"):
            yield Case(
                "13.1.2",
                f"If-None-Match that matches: {known[:12]}",
                {"If-None-Match": known},
                304,
                NONE,
                not_modified,
                method,
            )
    for unknown in ('"other"', 'W/"other"', '"a", "b"', '""', '"*"', tag[:-2] + '"'):
        yield Case(
            "13.1.2",
            f"If-None-Match that does not: {unknown[:12]}",
            {"If-None-Match": unknown},
            200,
            ALL,
            no_range,
        )
    yield Case(
        "13.2.2",
        "If-None-Match before Range",
        {"If-None-Match": tag, "Range": "bytes=0-1"},
        304,
        NONE,
        not_modified,
    )
    yield Case(
        "13.2.2",
        "If-None-Match before a Range outside",
        {"If-None-Match": tag, "Range": f"bytes={size}-"},
        304,
        NONE,
    )
    yield Case(
        "13.1.3",
        "If-Modified-Since means nothing without a date",
        {"If-Modified-Since": DATE},
        200,
        ALL,
    )
    yield Case(
        "13.1.3",
        "If-Modified-Since yields to If-None-Match",
        {"If-Modified-Since": DATE, "If-None-Match": '"other"'},
        200,
        ALL,
    )
    yield Case("13.1.3", "a date that is none", {"If-Modified-Since": "yesterday"}, 200, ALL)
    yield Case(
        "13.1.4",
        "If-Unmodified-Since means nothing without a date",
        {"If-Unmodified-Since": DATE},
        200,
        ALL,
    )
    for matching in (tag, "*", f'"a", {tag}'):
        yield Case(
            "13.1.1", f"If-Match that holds: {matching[:12]}", {"If-Match": matching}, 200, ALL
        )
    for failing in ('"other"', f"W/{tag}", '"a", "b"'):
        yield Case("13.1.1", f"If-Match that does not: {failing[:12]}", {"If-Match": failing}, 412)
    yield Case(
        "13.2.2",
        "If-Match before If-None-Match",
        {"If-Match": '"other"', "If-None-Match": tag},
        412,
    )
    yield Case(
        "13.2.2", "If-Match before Range", {"If-Match": '"other"', "Range": "bytes=0-1"}, 412
    )
    yield Case(
        "13.2.2",
        "all of them hold",
        {"If-Match": tag, "If-None-Match": '"a"', "If-Range": tag, "Range": "bytes=3-4"},
        206,
        slice(3, 5),
    )

    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "BREW"):
        yield Case(
            "15.5.6",
            f"{method} is not for files",
            {},
            405,
            None,
            {"Allow": "GET, HEAD, OPTIONS"},
            method,
        )
    yield Case(
        "9.3.7",
        "OPTIONS names the methods",
        {},
        200,
        None,
        {"Allow": "GET, HEAD, OPTIONS"},
        "OPTIONS",
    )
    yield Case("9112 3.2.4", "OPTIONS of the server", {}, (200, 404), None, {}, "OPTIONS", "*")
    yield Case(
        "15.5.5",
        "what is not there is not there, whatever is asked",
        {"If-Match": "*", "Range": "bytes=0-1"},
        404,
        None,
        {},
        "GET",
        "/models/tiny/nothing",
    )
    yield Case("10.1.1", "an expectation that nobody can meet", {"Expect": "miracles"}, 417)
    yield Case("9112 3", "an address longer than any", {}, 414, None, {}, "GET", "/" + "a" * 20_000)
    yield Case("15.5", "a header longer than any", {"X-Long": "a" * 20_000}, (400, 431))
    yield Case("15.5", "more headers than any", {f"X-{n}": "a" for n in range(200)}, (400, 431))
    yield Case(
        "5.5", "long headers within the limits", {f"X-{n}": "a" * 8000 for n in range(5)}, 200, ALL
    )
    yield Case(
        "9112 3.2.2",
        "the whole address in the request line",
        {},
        200,
        ALL,
        {},
        "GET",
        "http://models.example.org{}",
    )
    yield Case("4.2.3", "a query changes no file", {}, 200, ALL, {"ETag": tag}, "GET", "{}?v=1&v=2")
    yield Case(
        "4.2.3",
        "an encoded letter is that letter",
        {},
        200,
        ALL,
        {"ETag": tag},
        "GET",
        "/%6dodels/tiny/tfjs/layers/group1-shard1of1.bin",
    )


# As bytes, since no client sends them: (section of RFC 9112, what, request, statuses).
RAW = (
    ("3.2", "no Host", b"GET {} HTTP/1.1\r\nConnection: close\r\n\r\n", (400,)),
    ("3.2", "two Hosts", b"GET {} HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", (400,)),
    ("3", "no version", b"GET {}\r\n\r\n", (400,)),
    ("2.3", "a version of the future", b"GET {} HTTP/3.0\r\nHost: a\r\n\r\n", (400, 505)),
    ("3", "a method that is none", b"G@T {} HTTP/1.1\r\nHost: a\r\n\r\n", (400, 405)),
    ("3.2", "a space in the address", b"GET {} x HTTP/1.1\r\nHost: a\r\n\r\n", (400,)),
    ("5.1", "a space before the colon", b"GET {} HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", (400,)),
    ("5.2", "a folded header", b"GET {} HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", (400,)),
    ("5", "NUL in a header", b"GET {} HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", (400,)),
    (
        "6.1",
        "both lengths",
        b"POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        (400, 405),
    ),
    (
        "6.3",
        "two lengths",
        b"POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
        (400,),
    ),
    (
        "6.3",
        "a length that is none",
        b"POST {} HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nabcd",
        (400,),
    ),
    (
        "7.1",
        "a chunk that is none",
        b"POST {} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
        b"Connection: close\r\n\r\nzz\r\n\r\n",
        (400, 405),
    ),
    ("2.2", "no request at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
)


def faults(server: Server, target: str, data: bytes) -> tuple[list[str], int]:
    """Where the server leaves the RFCs, a sentence each, and how many cases were tried."""
    found, tried = [], 0
    for case in cases(data):
        tried += 1
        asked = (case.target or "{}").replace("{}", target)
        try:
            answer = server.ask(asked, case.method, **case.asked)
        except (http.client.HTTPException, OSError) as error:
            found.append(f"{case.section}: {case.what}: {error!r}")
            continue
        found += [f"{case.section}: {case.what}: {wrong}" for wrong in _wrong(case, answer, data)]
    for section, what, raw, statuses in RAW:
        tried += 1
        try:
            status = server.send(raw.replace(b"{}", target.encode())).status
        except (http.client.HTTPException, OSError) as error:
            found.append(f"9112 {section}: {what}: {error!r}")
            continue
        if status not in statuses:
            found.append(f"9112 {section}: {what}: {status}")
    found += _kept_open(server, target, data)
    return [*found, *_compressed(server)], tried + 7


def _wrong(case: Case, answer: Answer, data: bytes) -> Iterator[str]:
    allowed = case.status if isinstance(case.status, tuple) else (case.status,)
    if answer.status not in allowed:
        yield f"{answer.status} instead of {case.status}"
        return
    if case.part is not None and answer.body != (b"" if case.method == "HEAD" else data[case.part]):
        yield f"{len(answer.body)} bytes that are not those"
    for name, value in case.said.items():
        there = answer.headers.get(name.lower())
        if name == "Allow" and there and value:
            there, value = (", ".join(sorted(one.split(", "))) for one in (there, value))
        if there != value:
            yield f"{name}: {there!r} instead of {value!r}"


def _kept_open(server: Server, target: str, data: bytes) -> Iterator[str]:
    """Several requests on one connection, one of them with a body that nobody reads."""
    line = b"GET %s HTTP/1.1\r\nHost: a\r\n" % target.encode()
    bodies = []
    with server.connect() as connection:
        for rest in (b"\r\n", b"Content-Length: 3\r\n\r\nabc", b"\r\n"):
            connection.sendall(line + rest)
            bodies.append(receive(connection).body)
    if bodies != [data] * 3:
        yield f"9112 9.3: one connection: {[len(body) for body in bodies]} bytes"
    with server.connect() as connection:
        connection.sendall(line.replace(b"HTTP/1.1", b"HTTP/1.0") + b"\r\n")
        if receive(connection).body != data or connection.recv(1) != b"":
            yield "9112 9.3: HTTP/1.0: not the file, or the connection stays open"


def _compressed(server: Server) -> Iterator[str]:
    """Gzip: the same bytes under a weak tag, with which "not modified" is told alike."""
    target = "/models/tiny/manifest.json"
    plain, packed = server.ask(target), server.ask(target, Accept_Encoding="gzip")
    if gzip.decompress(packed.body) != plain.body or packed["Vary"] != "Accept-Encoding":
        yield "8.4: gzip is not the same file, or Vary does not say so"
    if packed["ETag"] != f"W/{plain['ETag']}" or packed["Accept-Ranges"]:
        yield f"8.8.1: gzip has the tag {packed['ETag']}, or offers parts"
    again = server.ask(target, Accept_Encoding="gzip", If_None_Match=packed["ETag"])
    if (again.status, again["ETag"], again["Vary"]) != (304, packed["ETag"], "Accept-Encoding"):
        yield f"15.4.5: {again.status} with {again['ETag']}, not what gzip's 200 says"
    refused = server.ask(target, Accept_Encoding="gzip;q=0, identity")
    if refused["Content-Encoding"] or refused.body != plain.body:
        yield "12.5.3: gzip though it was refused"
