"""Opens a store for a trial that leaves nothing behind, and finds out how much space is free. For checks, not for
runs."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tasks.model.errors import AccessError, NotFoundError, StoreError
from tasks.store.local.local_store import LocalStore
from tasks.store.local.settings import LocalSettings
from tasks.store.local.unfinished import SCRATCH_PREFIX
from tasks.store.protocol import ObjectStore
from tasks.store.registry import StorageSettings, open_store
from tasks.store.retrying import RetryingStore

TRIAL_DEADLINE_MS = 10_000
"""How long a call is retried in a trial. It is shorter than in a run, because a person waits for the result of a
check."""


@contextmanager
def open_trial(
    settings: StorageSettings, *, stop: threading.Event, in_data_place: bool = False
) -> Iterator[ObjectStore]:
    """A store that behaves like the one in the settings, with the same permissions. Its calls are retried for at most
    `TRIAL_DEADLINE_MS`. If the settings have two places, it is the one for what is overwritten, or with `in_data_place`
    the one for data.

    For a folder it is a scratch folder inside it. If the folder does not exist yet, the scratch folder is inside the
    nearest folder above it that exists. It is removed after the body. For other backends it is the store itself, and
    the body has to delete the objects that it writes. Raises `AccessError`, `NotFoundError` or `StoreError` if no
    scratch folder can be made, and the errors of `open_store`.
    """
    if isinstance(settings, LocalSettings):
        with _scratch_store(settings.folder) as store:
            yield RetryingStore(store, deadline_ms=TRIAL_DEADLINE_MS, stop=stop)
    else:
        with closing(open_store(settings, is_immutable=lambda key: in_data_place)) as opened:
            yield RetryingStore(opened, deadline_ms=TRIAL_DEADLINE_MS, stop=stop)


def free_bytes(settings: StorageSettings) -> int | None:
    """The free bytes for this user on the file system of the settings' folder, or of the nearest folder above it that
    exists. None for other backends, because they do not report it, and if the file system cannot be read. Raises
    `NotFoundError` if the nearest existing path is not a folder."""
    if not isinstance(settings, LocalSettings):
        return None
    try:
        return shutil.disk_usage(_nearest_folder(settings.folder)).free
    except OSError:
        return None


@contextmanager
def _scratch_store(folder: Path) -> Iterator[LocalStore]:
    parent = _nearest_folder(folder)
    try:
        scratch = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=parent))
    except PermissionError as error:
        raise AccessError(f"Cannot write to {parent}: {error.strerror}.") from None
    except OSError as error:
        raise StoreError(f"Cannot make a folder in {parent}: {error.strerror}.") from None
    try:
        yield LocalStore(scratch, create=False)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _nearest_folder(folder: Path) -> Path:
    """The folder, or the nearest path above it that exists. Raises `NotFoundError` if this path is not a folder, and
    `AccessError` if this user is not allowed to look for it."""
    try:
        nearest = next(path for path in (folder, *folder.parents) if path.exists())
        is_folder = nearest.is_dir()
    except PermissionError as error:
        raise AccessError(
            f"Cannot look into {error.filename}: {error.strerror}. Grant access to this folder."
        ) from None
    if not is_folder:
        raise NotFoundError(f"{nearest} is not a folder. Correct the path of the store.")
    return nearest
