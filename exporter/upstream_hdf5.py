"""HDF5 files written so that a full disk is an error like any other.

HDF5 does not live through a write that fails: what it could not flush stays open inside the
library, and the process crashes later, at its end at the latest (seen with HDF5 1.14.6 in h5py
3.14.0). So it never sees a failure: it writes into memory, or into a file that remembers the first
one, which is raised when HDF5 has let go of it. May import nothing of the project.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import h5py

IN_MEMORY_BYTES = 16 << 20
"""Up to so much is written in memory, with the layout that HDF5 gives a file of its own."""


@contextmanager
def writing(path: Path, size_bytes: int) -> Iterator[h5py.File]:
    """A new HDF5 file of about that size; closed when the block ends.

    Raises:
        OSError: It could not be written; with the system's own errno.
    """
    import h5py

    if size_bytes <= IN_MEMORY_BYTES:
        with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
            yield file
            file.flush()
            image = file.id.get_file_image()
        path.write_bytes(image)
        return
    with files_that_last(), h5py.File(path, "w") as file:
        yield file


@contextmanager
def files_that_last() -> Iterator[None]:
    """Every HDF5 file that others create by its path in this block is of such a kind.

    Raises:
        OSError: One could not be written; with the system's own errno.
    """
    import h5py

    created: list[_Lasting] = []
    plain = h5py.File

    class File(plain):  # type: ignore[misc, valid-type]
        def __init__(self, name: Any, mode: str = "r", *arguments: Any, **options: Any) -> None:
            if mode == "w" and isinstance(name, (str, os.PathLike)):
                name = _Lasting(Path(name))
                created.append(name)
            super().__init__(name, mode, *arguments, **options)

    h5py.File = File
    try:
        yield
    finally:
        h5py.File = plain
        for lasting in created:
            lasting.close()
        # Before whatever else HDF5 makes of what it cannot read back.
        for lasting in created:
            lasting.check()


class _Lasting(io.RawIOBase):
    """A file whose writes never fail while it is open; the first failure is kept for later."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115  (closed by close)
        self._failure: OSError | None = None

    def check(self) -> None:
        """Raise what went wrong."""
        if self._failure:
            raise self._failure

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer`; what could not be written reads as zeros."""
        view = memoryview(buffer).cast("B")
        count = self._file.readinto(view) or 0
        view[count:] = bytes(len(view) - count)
        return len(view)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        done = 0
        while self._failure is None and done < len(view):
            try:
                done += self._file.write(view[done:]) or 0
            except OSError as error:
                self._failure = error
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        try:
            return self._file.truncate(size)
        except OSError as error:
            self._failure = self._failure or error
            return size or 0

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
