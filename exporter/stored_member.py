"""A member of a zip archive that is not compressed, read where it lies.

Python's own stream goes back by reading again from the beginning: HDF5 in a big archive takes time
that grows with the square of its size. Checks no sum. Imports the standard library only.
"""

from __future__ import annotations

import io
import struct
import zipfile
from typing import Any


class StoredMember(io.RawIOBase):
    """A stored member of a zip archive as a stream: a step back costs no more than one ahead."""

    def __init__(self, archive: zipfile.ZipFile, name: str) -> None:
        member = archive.getinfo(name)
        assert archive.filename is not None
        self._file = open(archive.filename, "rb")  # noqa: SIM115  (closed in `close`)
        self._file.seek(member.header_offset)
        # https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, 4.3.7
        name_size, extra_size = struct.unpack("<26xHH", self._file.read(30))
        self._start = member.header_offset + 30 + name_size + extra_size
        self._size = member.file_size
        self._place = 0

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As of any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        """As of any file."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """As of any file; the member's end is the end."""
        room = memoryview(buffer)[: max(0, self._size - self._place)]
        self._file.seek(self._start + self._place)
        read = self._file.readinto(room)
        self._place += read
        return read

    def close(self) -> None:
        """Close the stream; the archive stays open."""
        self._file.close()
        super().close()
