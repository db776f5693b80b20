"""Removes the new folders of a repository again if the repository could not be created."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def removed_on_failure(folder: Path) -> Iterator[None]:
    """A context that cleans up if its body raises: it removes the folder and its parents if they did not exist before,
    and the new empty folders and unused lock files inside it. If there is a new object, or a lock file in use, nothing
    is removed. Existing files and folders stay. An error of the cleaning up is ignored."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    before = set() if missing else set(os.listdir(folder))
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            _remove_new_entries(folder, before)
            for path in missing:
                path.rmdir()
        raise


def _remove_new_entries(folder: Path, before: set[str]) -> None:
    """Remove the entries that are not in `before`. Raises `OSError`, and removes nothing, if a new file is not an
    unused lock file, because then another writer uses the folder."""
    new = [folder / name for name in sorted(set(os.listdir(folder)) - before)]
    files = [Path(path) / name for entry in new for path, _, names in os.walk(entry) for name in names]
    with contextlib.ExitStack() as held:
        for file in files:
            held.enter_context(_held_lock_file(file))
        for file in files:
            file.unlink()
    for entry in new:
        for path, _, _ in os.walk(entry, topdown=False):
            Path(path).rmdir()


@contextmanager
def _held_lock_file(path: Path) -> Iterator[None]:
    """Hold the lock of a file during the context. Raises `OSError` if the file is not empty, or another process or
    thread holds its lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size:
            raise FileExistsError(str(path))
        yield
    finally:
        os.close(descriptor)
