"""Answers kept in memory, for as long as the files that they were made of stay the same.

What is kept is what the app answered, headers and all, so nothing is decided twice. An answer
about files says what it saw of them (`Content.seen`); it is given again only while each of them is
still the very file: device, inode, size, and the times of its last writing and last change. The
latter cannot be set back, and files that changed just now are not trusted, as in git: within one
tick of its clock a file system may give two versions the same times.

Knows nothing of Flask or of bundles; imports the standard library only.
"""

from __future__ import annotations

import os
import stat
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from threading import Lock
from typing import Any, NamedTuple

MOST_BYTES = 64 * 2**20
"""Of all answers in one process; what was not asked for longest is forgotten first."""

LARGEST_BYTES = MOST_BYTES // 2
MOST_ANSWERS = 4096
LONGEST_TAG = 100
"""Tags of ours are shorter; lists of many tags are not kept."""

SETTLED_NS = 3 * 10**9
"""Longer than a tick of any file system's clock; FAT's is two seconds."""

SEEN = "exporter.seen"
"""Where in the WSGI environment an answer says what it saw."""

# A part of a file, or a time, or a tag that must match: rare, and left to the app.
_RARE = ("HTTP_RANGE", "HTTP_IF_RANGE", "HTTP_IF_MATCH", "HTTP_IF_MODIFIED_SINCE",
         "HTTP_IF_UNMODIFIED_SINCE")  # fmt: skip

Environment = dict[str, Any]
Application = Callable[[Environment, Callable[..., Any]], Iterable[bytes]]
Identity = tuple[int, ...]


class Seen(NamedTuple):
    """A file or folder as it was when it was read."""

    path: str
    identity: Identity

    def stands(self) -> bool:
        """Whether it still is there, unchanged."""
        try:
            return identify(os.lstat(self.path)) == self.identity
        except OSError:
            return False


def identify(status: os.stat_result) -> Identity:
    """What tells a file from every other one, and from itself once it is written."""
    times = status.st_mtime_ns, status.st_ctime_ns
    return stat.S_IFMT(status.st_mode), status.st_dev, status.st_ino, status.st_size, *times


class _Answer(NamedTuple):
    status: str
    headers: list[tuple[str, str]]
    body: bytes
    seen: tuple[Seen, ...]


def _is_worth(status: str, environment: Environment) -> bool:
    """A file to whoever asked for it without a tag, or "not modified" to whoever has it.

    Else, of one file there would be as many answers as there are tags to ask with.
    """
    tag = environment.get("HTTP_IF_NONE_MATCH")
    return (
        status.startswith("200 ")
        if tag is None
        else (status.startswith("304 ") and len(tag) <= LONGEST_TAG)
    )


class Kept:
    """A WSGI application that asks another one what it does not know yet.

    Args:
        application: Who answers.
        tell_apart: What of a request, besides its method, path and `If-None-Match`, its answer
            depends on.
    """

    def __init__(self, application: Application, tell_apart: Callable[[Environment], Any]) -> None:
        self._application = application
        self._tell_apart = tell_apart
        self._answers: OrderedDict[tuple, _Answer] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def __call__(
        self, environment: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """The kept answer, or a new one."""
        method = environment["REQUEST_METHOD"]
        if method not in ("GET", "HEAD") or any(name in environment for name in _RARE):
            return self._application(environment, start_response)
        key = (
            method, environment["PATH_INFO"], environment.get("HTTP_IF_NONE_MATCH"),
            self._tell_apart(environment),
        )  # fmt: skip
        answer = self._known(key)
        if answer is None:
            return self._ask(key, environment, start_response)
        start_response(answer.status, answer.headers.copy())
        return [answer.body]

    def _known(self, key: tuple) -> _Answer | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        stands = all(seen.stands() for seen in answer.seen)
        with self._lock:
            if self._answers.get(key) is answer:
                if stands:
                    self._answers.move_to_end(key)
                else:
                    self._forget(key)
        return answer if stands else None

    def _ask(
        self, key: tuple, environment: Environment, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Pass the request on, and keep the answer where it may be kept."""
        started: list[tuple[str, list[tuple[str, str]]]] = []
        begun = time.time_ns()

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            started[:] = [(status, list(headers))]
            return start_response(status, headers, *rest)

        parts = self._application(environment, start)
        seen: tuple[Seen, ...] = environment.get(SEEN, ())
        settled = all(one.identity[-1] < begun - SETTLED_NS for one in seen)
        if not (seen and settled and started and _is_worth(started[0][0], environment)):
            return parts
        try:
            body = b"".join(parts)
        finally:
            if callable(close := getattr(parts, "close", None)):
                close()
        if len(body) <= LARGEST_BYTES:
            self._keep(key, _Answer(*started[0], body, seen))
        return [body]

    def _keep(self, key: tuple, answer: _Answer) -> None:
        with self._lock:
            if key in self._answers:
                self._forget(key)
            self._answers[key] = answer
            self._bytes += len(answer.body)
            while self._bytes > MOST_BYTES or len(self._answers) > MOST_ANSWERS:
                self._forget(next(iter(self._answers)))

    def _forget(self, key: tuple) -> None:
        self._bytes -= len(self._answers.pop(key).body)
