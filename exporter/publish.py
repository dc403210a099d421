"""Staged folder to published folder, all or nothing.

A bundle, or a site, is written into a staging folder beside its target, flushed to disk, and
swapped in with one rename. Whoever reads the target sees the old one whole or the new one whole. A
process that dies leaves at most a staging folder, which the next run sweeps: a staging folder is
held by a lock on itself for as long as its process lives. Of several that publish at once, the
last one's is what stays.

May import `exporter.errors` only.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import filecmp
import glob
import json
import os
import shutil
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from exporter.errors import MachineFailed, PublishFailed

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # linux/fs.h
_RENAME_SWAP = 2  # sys/stdio.h of macOS
_PATIENCE_S = 60


@contextmanager
def staged(target: Path, refuse: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A fresh folder beside `target`, published onto it when the block ends well.

    Whatever the block raises, `target` stays as it was and the staging folder goes.

    Args:
        target: The folder to be; only what may be replaced is.
        refuse: Raises where a folder that is there must stay; by default one that is no bundle.

    Raises:
        PublishFailed: The place cannot be written, or the disk is full. Whether anything was
            published is said.
    """
    target = Path(os.path.abspath(target))
    refuse = refuse or _refuse_what_is_no_bundle
    try:
        _check(target, refuse)
    except OSError as error:
        raise _failed(target, error) from error
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _restore(target)
        sweep(target)
        staging, lock = _make_staging(target)
    except OSError as error:
        raise _failed(target, error) from error
    try:
        yield staging
        _date(staging, target)
        _flush_tree(staging)
        with _alone(target.parent):
            # An export takes minutes: others may have written there meanwhile.
            _check(target, refuse)
            for redated in _date(staging, target):
                _flush(redated)
            # The new bundle takes the staging folder's name away; what is left there is the old.
            _swap(staging, target)
    except OSError as error:
        raise _failed(target, error) from error
    else:
        _flush_published(target)
    finally:
        # What cannot be removed now is swept by the next run, which says so if it cannot either.
        shutil.rmtree(staging, ignore_errors=True)
        os.close(lock)


def _check(target: Path, refuse: Callable[[Path], None]) -> None:
    """Raise where `target` is what may not be replaced."""
    if target.is_symlink() or (target.exists() and not target.is_dir()):
        raise PublishFailed(f"{target}: a folder expected, a file or link found; name another")
    if target.exists():
        refuse(target)


def sweep(target: Path) -> list[Path]:
    """Remove staging folders of `target` whose process is gone; returns what was removed.

    Raises:
        OSError: One cannot be removed.
    """
    removed = []
    for leftover in sorted(target.parent.glob(glob.escape(_prefix(target)) + "*")):
        if leftover.is_symlink() or not leftover.is_dir():
            continue  # no staging folder of ours, whatever it is called
        try:
            lock = _lock(leftover)
        except (BlockingIOError, FileNotFoundError):
            continue  # another export holds it, or has just finished with it
        try:
            shutil.rmtree(leftover)
            removed.append(leftover)
        except FileNotFoundError:
            continue
        finally:
            os.close(lock)
    return removed


def remove_empty_folders(root: Path) -> None:
    """Remove the folders below `root` that hold no file."""
    for folder, _, _ in os.walk(root, topdown=False):
        if Path(folder) != root and not os.listdir(folder):
            Path(folder).rmdir()


def _prefix(target: Path) -> str:
    return f".{target.name}.staging-"


def _make_staging(target: Path) -> tuple[Path, int]:
    """A new staging folder and the lock that holds it."""
    while True:
        staging = Path(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
        try:
            lock = _lock(staging)
        except (BlockingIOError, FileNotFoundError):
            continue  # swept by another export between the two calls
        try:
            staging.chmod(0o755)
            return staging, lock
        except FileNotFoundError:
            os.close(lock)
        except OSError:
            shutil.rmtree(staging, ignore_errors=True)
            os.close(lock)
            raise


def _lock(folder: Path) -> int:
    """Hold `folder` for this process; the kernel lets go when the process ends."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else publishes in `folder` meanwhile; the kernel lets go when the process ends.

    Raises:
        PublishFailed: Somebody holds it and does not let go.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            lock = _lock(folder)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise PublishFailed(
                    f"{folder}: locked by another process for {_PATIENCE_S} s; nothing was "
                    "published, end that process and export again"
                ) from None
            time.sleep(0.01)
    try:
        yield
    finally:
        os.close(lock)


def _refuse_what_is_no_bundle(target: Path) -> None:
    """Only a bundle or an empty folder is ever replaced."""
    trained = (target / "keras" / "training.json").exists()
    ours = ("keras", "report") if trained else ()
    strangers = not _has_manifest(target)
    if strangers and any(path.name not in ours for path in target.iterdir()):
        raise PublishFailed(
            f"{target}: holds files but no bundle's manifest.json, so it is no bundle and "
            "is not replaced; name a new or empty folder"
        )


def _has_manifest(folder: Path) -> bool:
    """Whether manifest.json may be a bundle's, damaged or not; a web app's is not."""
    try:
        document = json.loads((folder / "manifest.json").read_bytes())
    except FileNotFoundError:
        return False
    except (ValueError, RecursionError):
        return True
    return not isinstance(document, dict) or "artifacts" in document


def _flush_tree(root: Path) -> None:
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            _flush(Path(folder, name))
        _flush(Path(folder))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_published(target: Path) -> None:
    """Make the swap itself last.

    Raises:
        PublishFailed: It cannot be flushed, and is published all the same.
    """
    try:
        _flush(target.parent)
    except OSError as error:
        raise PublishFailed(
            f"{target}: published, but {target.parent} cannot be flushed to disk "
            f"({error.strerror or error}): a power cut may bring the old one back; check the disk "
            "and export again"
        ) from error


def _date(staging: Path, target: Path) -> list[Path]:
    """Give files the dates by which hosts and `rsync` tell them from those in `target`.

    Returns those whose date was another before.

    Many hosts make their validators of size and whole seconds: a file with other contents is at
    least a second younger than the one it replaces, one with the same contents is as old.
    """
    redated = []
    for folder, _, names in os.walk(staging):
        for name in names:
            new = Path(folder, name)
            old = target / new.relative_to(staging)
            try:
                before, now = old.lstat(), new.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not stat.S_ISREG(before.st_mode):
                continue
            if before.st_size == now.st_size and filecmp.cmp(old, new, shallow=False):
                wanted = before.st_mtime_ns
            elif now.st_mtime_ns // 10**9 <= before.st_mtime_ns // 10**9:
                wanted = (before.st_mtime_ns // 10**9 + 1) * 10**9
            else:
                continue
            if now.st_mtime_ns != wanted:
                os.utime(new, ns=(now.st_atime_ns, wanted))
                redated.append(new)
    return redated


def _swap(staging: Path, target: Path) -> None:
    """Put `staging` in the place of `target`; what stood there takes the staging name."""
    if not target.exists():
        try:
            os.rename(staging, target)
            return
        except OSError as error:
            # Another export published meanwhile: exchange with its bundle.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    if _exchange(staging, target):
        return
    # No atomic exchange on this system: a reader may find nothing for a moment, never a mix. What
    # a kill between the two leaves is put back by the next run (`_restore`).
    aside = _previous(target)
    os.rename(target, aside)
    try:
        os.rename(staging, target)
    except OSError:
        os.rename(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)  # or the next run does it (`_restore`)


def _previous(target: Path) -> Path:
    """Where the old bundle waits while it is replaced in two steps; no name that is swept."""
    return target.with_name(f".{target.name}.previous")


def _restore(target: Path) -> None:
    """Undo, or finish, what a run without atomic exchange left half done."""
    aside = _previous(target)
    if not aside.exists():
        return
    with _alone(target.parent):
        if not aside.exists():
            return  # a living run's own, which has ended meanwhile
        if target.exists():
            shutil.rmtree(aside)
        else:
            os.rename(aside, target)


def _exchange(first: Path, second: Path) -> bool:
    """Exchange two folders atomically; False where the system has no call for it."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(first), os.fsencode(second)
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        status = libc.renameat2(
            _AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_RENAME_EXCHANGE)
        )
    elif sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        status = libc.renamex_np(*names, ctypes.c_uint(_RENAME_SWAP))
    else:
        return False
    if status == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), str(second))


def _failed(target: Path, error: OSError) -> MachineFailed:
    reason = error.strerror or str(error)
    place = error.filename or target
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PublishFailed(
            f"{place}: disk full ({reason}); nothing was published, free some space and export "
            "again"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PublishFailed(f"{place}: cannot be written ({reason}); name another folder with -o")
    return PublishFailed(f"{place}: {reason}; nothing was published")
