"""A lock among all processes of this machine that use the same store. Its file is in the folder for temporary files."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from tasks.model.errors import StoreError


@contextmanager
def machine_lock(location: str) -> Iterator[None]:
    """A context that only one thread of all processes of this machine is in, for each `location`. The others wait.
    The system releases the lock when its process ends. Raises `StoreError` if the lock file cannot be made or opened.
    """
    name = f"kafka-backup-{sha256(location.encode()).hexdigest()[:16]}.lock"
    path = Path(tempfile.gettempdir()) / name
    try:
        file = _opened(path)
    except OSError as error:
        raise StoreError(f"The lock file {path} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _opened(path: Path) -> int:
    """The open file. It is only read, so that the processes of other users can use it too. Linux refuses to open
    another user's file in a common folder with O_CREAT, so an existing file is opened without it."""
    while True:
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            pass
        try:
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_CREAT | os.O_EXCL, 0o644)
        except FileExistsError:
            continue
