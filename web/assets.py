"""The page's own files and the player under names that hold a hash of what is in them.

A name that changes with the contents can be cached for ever and never gives yesterday's file to
today's page. Files name each other, so a file's hash is taken after the names in it are final.
Knows nothing of bundles; imports the standard library only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

HASH_DIGITS = 10
# What one file of ours says of another: modules import modules, the web manifest names icons.
_MENTIONS = re.compile(
    r'(?P<before>\bfrom\s*|\bimport\s*\(?\s*|"src":\s*)"(?P<path>(?!data:|https?:)[^"\s]+\.[a-z]+)"'
)
# The player's build does the same for its parts.
_HASHED = re.compile(r"-[0-9A-Z]{8}\.js$")
_TEXTS = (".js", ".css", ".webmanifest")


class Assets:
    """Files of several folders, by their path in the site."""

    def __init__(self, folders: dict[str, Path], files: dict[str, bytes] | None = None) -> None:
        """`folders`: the site's folders ("static") and where they are; `files` come on top."""
        self._contents = {
            f"{name}/{file.relative_to(folder).as_posix()}": file.read_bytes()
            for name, folder in folders.items()
            for file in sorted(folder.rglob("*"))
            if file.is_file() and not file.name.startswith(".")
        } | (files or {})
        self._done: dict[str, tuple[str, bytes]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def contents(self, path: str) -> bytes:
        """The file as it is."""
        return self._contents[path]

    def hashed(self, path: str) -> tuple[str, bytes]:
        """The path with a hash in its name, and the bytes with the names of other files final."""
        if path not in self._done:
            data = self._contents[path]
            if PurePosixPath(path).suffix in _TEXTS:
                data = self._with_final_names(path, data.decode("utf-8")).encode("utf-8")
            digest = hashlib.sha256(data).hexdigest()[:HASH_DIGITS]
            place = PurePosixPath(path)
            self._done[path] = (str(place.with_name(f"{place.stem}.{digest}{place.suffix}")), data)
        return self._done[path]

    def with_bare_names(self, path: str) -> tuple[str, list[str]]:
        """A module that names others by their paths in the site, for an import map; and those."""
        named: list[str] = []

        def bare(match: re.Match[str]) -> str:
            other = self._resolve(path, match["path"])
            if other not in self._contents:
                return match[0]
            named.append(other)
            return f'{match["before"]}"{other}"'

        return _MENTIONS.sub(bare, self._contents[path].decode("utf-8")), named

    def _with_final_names(self, path: str, text: str) -> str:
        def final(match: re.Match[str]) -> str:
            named = self._resolve(path, match["path"])
            if named not in self._contents or _HASHED.search(named):
                return match[0]
            folder, slash, _ = match["path"].rpartition("/")
            renamed = PurePosixPath(self.hashed(named)[0]).name
            return f'{match["before"]}"{folder}{slash}{renamed}"'

        return _MENTIONS.sub(final, text)

    @staticmethod
    def _resolve(path: str, mentioned: str) -> str:
        """ "static/draw.js" and "../player/x.js" to "player/x.js"."""
        parts = list(PurePosixPath(path).parent.parts)
        for part in PurePosixPath(mentioned).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        return "/".join(parts)
