"""Opens the repository of a backup. If there is none, it is created last, so that nothing is left if a run cannot
begin."""

from __future__ import annotations

import threading
from collections.abc import Callable

from tasks.broker.kafka_access import KafkaAccess
from tasks.config.adapters import store_of
from tasks.config.models import StorageSection
from tasks.engine.run_context import ClusterContext
from tasks.engine.source.permissions import require_readable
from tasks.engine.source.snapshot_plan import SnapshotRequest, draft_snapshot
from tasks.model.errors import NotFoundError
from tasks.model.waiting import OnWaiting
from tasks.repository.repository import Repository
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import OnNote
from tasks.store.registry import removed_on_failure


def opened_or_created(
    section: StorageSection,
    now_ms: Callable[[], int],
    *,
    before_creation: Callable[[], None] = lambda: None,
    stop: threading.Event | None = None,
    on_waiting: OnWaiting | None = None,
    on_note: OnNote | None = None,
) -> tuple[Repository, bool]:
    """(the repository of a storage section, whether it was created). If there is none, `before_creation` is called
    before it is created; if that raises an error, nothing was written.

    Raises `NotFoundError` for a missing bucket, because a backup creates no buckets. If the repository cannot be
    created, the folder that was made for it is removed again. Raises the errors of `before_creation`, `store_of` and
    `Repository.open_or_create`.
    """
    found = _opened(section, now_ms, stop=stop, on_waiting=on_waiting, on_note=on_note)
    if found is not None:
        return found, False
    before_creation()
    with removed_on_failure(section):
        store = store_of(section, create=True, stop=stop, on_waiting=on_waiting, on_note=on_note)
        created = Repository.open_or_create(store, now_ms)
    return created.noted(on_note), True


def require_plannable(
    cluster: KafkaAccess, request: SnapshotRequest, now_ms: Callable[[], int], stop: threading.Event
) -> None:
    """Plan the first backup of a repository that does not exist yet, and check that it can read something. Writes
    nothing. The first run of a set is always a snapshot. It is used as `before_creation`.

    Raises what `check_reachable`, `draft_snapshot` and `require_readable` raise.
    """
    cluster.check_reachable(stop, is_writing=False)
    empty = Repository.open_or_create(MemoryStore(), now_ms)
    context = ClusterContext(repository=empty, cluster=cluster, stop=stop)
    plan = draft_snapshot(context, request, is_dry_run=True)
    with context.admin() as admin:
        require_readable(admin, {part.topic for part in plan.partitions if part.start < part.end})


def _opened(
    section: StorageSection,
    now_ms: Callable[[], int],
    *,
    stop: threading.Event | None,
    on_waiting: OnWaiting | None,
    on_note: OnNote | None,
) -> Repository | None:
    """The repository. None if there is none and it can be created. Raises `NotFoundError` for a missing bucket."""
    try:
        store = store_of(section, stop=stop, on_waiting=on_waiting, on_note=on_note)
    except NotFoundError:  # a missing folder, which is made later
        return None
    try:
        found = Repository.open(store, now_ms)
    except NotFoundError:
        next(store.list(""), None)
        return None
    return found.noted(on_note)
