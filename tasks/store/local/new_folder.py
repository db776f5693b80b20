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
    """Raises `OSError` at the first file that is not an unused lock file: then another writer works in the folder."""
    for entry in sorted(set(os.listdir(folder)) - before):
        for path, folders, files in os.walk(folder / entry, topdown=False):
            for name in files:
                _remove_lock_file(Path(path) / name)
            for name in folders:
                (Path(path) / name).rmdir()
        (folder / entry).rmdir()


def _remove_lock_file(path: Path) -> None:
    """Raises `OSError` unless the file is empty and nobody holds its lock."""
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_size:
            raise FileExistsError(str(path))
        path.unlink()
    finally:
        os.close(descriptor)
