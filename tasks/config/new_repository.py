"""Opens the repository of a backup. A missing one is created last, so that a run that cannot begin leaves nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tasks.config.adapters import store_of
from tasks.config.models import StorageSection
from tasks.model.errors import NotFoundError
from tasks.model.waiting import OnWaiting
from tasks.repository.repository import Repository
from tasks.store.protocol import OnNote
from tasks.store.registry import removed_on_failure


def opened_or_created(
    section: StorageSection,
    now_ms: Callable[[], int],
    *,
    before_creation: Callable[[], None],
    stop: threading.Event | None = None,
    on_waiting: OnWaiting | None = None,
    on_note: OnNote | None = None,
) -> tuple[Repository, bool]:
    """The repository of a storage section, and whether it was created. If there is none, `before_creation` is called
    first; when it raises, nothing was written.

    A folder that was made for a repository that then cannot be created is removed. Raises what `before_creation`,
    `store_of` and `Repository.open_or_create` raise.
    """
    try:
        store = store_of(section, stop=stop, on_waiting=on_waiting, on_note=on_note)
        return Repository.open(store, now_ms), False
    except NotFoundError:
        before_creation()
    with removed_on_failure(section):
        store = store_of(section, create=True, stop=stop, on_waiting=on_waiting, on_note=on_note)
        return Repository.open_or_create(store, now_ms), True
