"""The freeze of a repository: nothing expires, is removed or is deleted until it is thawed. Backups and restores go on.

The object `freeze.json` is written first, so that the freeze is in force at once for all sets, also for those that are
made later. Then each set's log gets an entry, so that the log itself decides if a prune runs at the same time.
"""

from __future__ import annotations

from tasks.model.errors import DamagedError, ObjectNotFoundError, RefusedError, UnsupportedError
from tasks.repository.names import FREEZE_KEY
from tasks.repository.points import format_time
from tasks.repository.sealed_objects import find_sealed
from tasks.repository.set_state import Freeze
from tasks.store.protocol import ObjectStore


def find_freeze(store: ObjectStore) -> Freeze | None:
    """The freeze in `freeze.json`. None if there is none. One that cannot be read is in force too, because its
    existence is what matters."""
    try:
        found = find_sealed(store, FREEZE_KEY, Freeze)
    except (DamagedError, UnsupportedError) as error:
        return _unreadable(store, str(error))
    return found and Freeze(reason=found.reason, by=found.by, since_ms=found.since_ms)


def freeze_text(freeze: Freeze) -> str:
    """One sentence for people, without a full stop: since when, by whom and why the repository is frozen."""
    return f"The repository is frozen since {format_time(freeze.since_ms)} by {freeze.by}: {freeze.reason.rstrip('.')}"


def frozen_error(freeze: Freeze) -> RefusedError:
    """The error of an action that a freeze does not allow."""
    return RefusedError(
        f"{freeze_text(freeze)}. Nothing expires or is deleted, and no hold, label or mark is taken away "
        "until `kafka-backup thaw`."
    )


def _unreadable(store: ObjectStore, problem: str) -> Freeze | None:
    try:
        since_ms = store.head(FREEZE_KEY).modified_ms
    except ObjectNotFoundError:
        return None
    return Freeze(reason=f"unknown, because {problem}", by="unknown", since_ms=since_ms)
