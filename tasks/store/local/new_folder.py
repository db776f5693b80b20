"""A folder that is made for a repository, and removed again if there is no repository in the end."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def removed_on_failure(folder: Path) -> Iterator[None]:
    """If the body fails, remove what it made of this path: the folder, its missing parents, and folders without objects
    and lock files inside it. Nothing that contains an object, or that was there before, is removed.
    """
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
    """Raises `OSError`, and removes nothing, if a file is not an unused lock file: then another writer works here."""
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
    """Raises `OSError` unless the file is empty and nobody else holds its lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size:
            raise FileExistsError(str(path))
        yield
    finally:
        os.close(descriptor)
