"""Files and folders that survive a power loss: the system calls in the order that makes them durable.

    temporary file in the same folder → write → fsync → link or rename → fsync of the folder

A new name is given by a hard link, or, where the file system has none (SMB, exFAT, many FUSE file systems), by a rename
that never replaces a file. Both are atomic, and of several at once exactly one succeeds.

All functions raise `OSError`; the local store translates it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tasks.store.protocol import Body

TEMPORARY_PREFIX = ".tmp-"
_BUFFERS_PER_CALL = 1024
"""IOV_MAX on Linux and the BSDs."""

_LARGE_BYTES = 1 << 20


NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""What link(2) answers where there are no hard links."""

NO_RENAME_NOREPLACE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""What renameat2(2) answers where the file system, the kernel or the C library lacks `RENAME_NOREPLACE`."""

_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


class Temporary(NamedTuple):
    """A complete, durable file under a temporary name, and its status, which stays the same under the final name."""

    path: Path
    status: os.stat_result


@contextmanager
def temporary_file(folder: Path, body: Body, *, after_ns: int = 0) -> Iterator[Temporary]:
    """The body as a durable file `.tmp-<random>` in `folder`. At the end of the block this name is removed.

    The modification time is set from the clock's nanoseconds, and is later than `after_ns`. The kernel gives two writes
    within one tick (some milliseconds, before Linux 6.13) the same time, and ext4 often the same inode.
    """
    path = folder / f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            write_all(descriptor, body)
            modified_ns = max(time.time_ns(), after_ns + 1)
            os.utime(descriptor, ns=(modified_ns, modified_ns))
            os.fsync(descriptor)
            status = os.fstat(descriptor)
            _drop_from_page_cache(descriptor, status.st_size)
        finally:
            os.close(descriptor)
        yield Temporary(path, status)
    finally:
        with contextlib.suppress(
            OSError
        ):  # the file was renamed, or stays as garbage, which is never listed as an object
            os.unlink(path)


def _drop_from_page_cache(descriptor: int, size_bytes: int) -> None:
    """Frees the page cache of a large file, because brokers on the same machine need the memory more."""
    if size_bytes >= _LARGE_BYTES and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def write_all(descriptor: int, body: Body) -> None:
    """Writes the buffers in order without joining them, also when the kernel writes only part of them per call."""
    views = [memoryview(part).cast("B") for part in body if len(part)]
    at = 0
    while at < len(views):
        written = os.writev(descriptor, views[at : at + _BUFFERS_PER_CALL])
        while at < len(views) and written >= len(views[at]):
            written -= len(views[at])
            at += 1
        if written:
            views[at] = views[at][written:]


def link_new(temporary: Path, final: Path) -> bool:
    """Gives the file its final name unless that name exists. Returns whether the name was new.

    A network file system can repeat its own successful request and answer EEXIST. Then the file has two names, and the
    link is the caller's own (open(2), O_EXCL).
    """
    try:
        os.link(temporary, final)
    except FileExistsError:
        return os.stat(temporary).st_nlink > 1
    return True


def rename_new(temporary: Path, final: Path) -> bool:
    """The same as `link_new`, without hard links: the temporary name is gone if the new name was given.

    Raises `OSError` with one of `NO_RENAME_NOREPLACE` where such a rename is not possible. A network file system that
    repeats its own successful request finds the new name taken; then the temporary name is gone.
    """
    try:
        _rename_noreplace(temporary, final)
    except FileExistsError:
        return not temporary.exists()
    except FileNotFoundError:
        if not temporary.exists() and final.exists():
            return True
        raise
    return True


def _rename_noreplace(source: Path, target: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    names = os.fsencode(source), os.fsencode(target)
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def sync_folder(folder: Path) -> bool:
    """Makes the folder's entries durable. Returns False if the file system cannot do that, as SMB and many FUSE file
    systems cannot."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in _NO_FOLDER_SYNC:
            return False
        raise
    finally:
        os.close(descriptor)
    return True


def make_folder(folder: Path) -> None:
    """Creates the folder and its missing parents durably. An existing folder is no error."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)
