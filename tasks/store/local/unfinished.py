"""Finds and deletes what killed processes have left in the folder of a local store: temporary files of writes that did
not end, and scratch folders of checks.

All functions raise `OSError`; the local store translates it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from tasks.store.keys import is_component
from tasks.store.local.durable_files import TEMPORARY_PREFIX
from tasks.store.protocol import Unfinished

SCRATCH_PREFIX = ".kafka-backup-check-"
"""The beginning of the names of scratch folders. No key begins with a dot, so a scratch folder is not a part of a
repository."""


def find_unfinished(root: Path) -> Iterator[Unfinished]:
    """The temporary files in all folders of objects, and the scratch folders in the root. What is deleted meanwhile is
    left out."""
    for path, folders, files in os.walk(root):
        if Path(path) == root:
            for name in sorted(folders):
                if name.startswith(SCRATCH_PREFIX):
                    yield _measured(root, name)
        folders[:] = sorted(filter(is_component, folders))
        for name in sorted(files):
            if name.startswith(TEMPORARY_PREFIX):
                with contextlib.suppress(FileNotFoundError):
                    yield _measured(root, (Path(path) / name).relative_to(root).as_posix())


def is_unfinished(name: str) -> bool:
    """Whether `find_unfinished` can return this name."""
    *folders, last = PurePosixPath(name).parts or ("",)
    if last.startswith(SCRATCH_PREFIX):
        return not folders and name == last
    return last.startswith(TEMPORARY_PREFIX) and "/".join((*folders, last)) == name and all(map(is_component, folders))


def remove_unfinished(root: Path, name: str) -> None:
    """Delete a temporary file, or a scratch folder with everything in it. A missing one is not an error."""
    path = root / name
    if name.startswith(SCRATCH_PREFIX):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path)
        return
    path.unlink(missing_ok=True)


def _measured(root: Path, name: str) -> Unfinished:
    """The size and the time of the newest change. The time of the last change of a file's metadata counts too, because
    a writer sets the modification time by its own clock, which can be wrong."""
    path = root / name
    sizes, times = [], []
    for one in (path, *(path.rglob("*") if path.is_dir() else ())):
        status = one.lstat()
        sizes.append(status.st_size if one.is_file() else 0)
        times.append(max(status.st_mtime_ns, status.st_ctime_ns))
    return Unfinished(name=name, size_bytes=sum(sizes), modified_ms=max(times) // 1_000_000)
