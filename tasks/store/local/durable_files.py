"""Writes files and folders so that they survive a power loss, by system calls in this order:

    temporary file in the same folder → write → fsync → link or rename → fsync of the folder

A new file gets its final name by a hard link. If the file system has no hard links (SMB, exFAT, many FUSE file
systems), it gets it by a rename that never replaces a file. Both are atomic: of several writers at the same time
exactly one succeeds.

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
"""The most buffers in one call of writev (IOV_MAX on Linux and the BSDs)."""

_LARGE_BYTES = 1 << 20


NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS})
"""The errors of link(2) if the file system has no hard links."""

NO_RENAME_NOREPLACE = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})
"""The errors of renameat2(2) if the file system, the kernel or the C library does not support `RENAME_NOREPLACE`."""

_NO_FOLDER_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_RENAME_NOREPLACE = 1
_AT_FDCWD = -100


class Temporary(NamedTuple):
    """A complete and durable file with a temporary name, and its status. Size and modification time stay the same under
    the final name."""

    path: Path
    status: os.stat_result


@contextmanager
def temporary_file(folder: Path, body: Body, *, after_ns: int = 0) -> Iterator[Temporary]:
    """Write the body to a durable file `.tmp-<random>` in `folder`. At the end of the block this name is removed.

    The modification time is set to the clock's time in nanoseconds, or to a later time, so that it is later than
    `after_ns`. Without this, two writes within some milliseconds would get the same time (before Linux 6.13), and on
    ext4 often the same inode.
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
        # The file was renamed, or it stays. Such a file is never listed as an object.
        with contextlib.suppress(OSError):
            os.unlink(path)


def _drop_from_page_cache(descriptor: int, size_bytes: int) -> None:
    """Remove a large file from the page cache, because it is not read soon and brokers on the same machine need the
    memory."""
    if size_bytes >= _LARGE_BYTES and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def write_all(descriptor: int, body: Body) -> None:
    """Write all buffers in their order without joining them. A system call can write only a part of them; then the rest
    is written by further calls."""
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
    """Give the file its final name, unless that name exists. Returns whether this call created the name.

    A network file system can repeat its own successful request and return EEXIST. Then the file has two names, which
    shows that this call created the final one (open(2), O_EXCL).
    """
    try:
        os.link(temporary, final)
    except FileExistsError:
        return os.stat(temporary).st_nlink > 1
    return True


def rename_new(temporary: Path, final: Path) -> bool:
    """Same as `link_new`, but without hard links. If it returns True, the temporary name does not exist any more.

    Raises `OSError` with an `errno` in `NO_RENAME_NOREPLACE` if such a rename is not possible. A network file system
    can repeat its own successful request and return an error. Then the temporary name is missing, which shows that this
    call created the final one.
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
    """Make the entries of the folder durable. Returns False if the file system cannot do this, for example SMB and many
    FUSE file systems."""
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
    """Create the folder and its missing parents durably. An existing folder is not an error."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)
