"""The positions that groups had before a restore wrote theirs, `restores/{id}/previous-{time}.json`. They are stored
before the first write, so that a rollback can put them back."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.repository.document import FORMAT_MAJOR, Document
from tasks.repository.names import new_run_id, previous_prefix, restore_key
from tasks.repository.sealed_objects import get_sealed, put_sealed
from tasks.store.protocol import ObjectStore


class PreviousPosition(Document):
    """The position of a group on a target partition before the write. `offset` is None if it had none."""

    group: str
    topic: str
    partition: int
    offset: int | None
    metadata: str = ""


class PreviousPositions(Document):
    """The positions before one write of positions."""

    format: int = FORMAT_MAJOR
    restore: str
    time_ms: int
    positions: tuple[PreviousPosition, ...]


def write_previous(store: ObjectStore, restore: str, positions: Iterable[PreviousPosition], *, time_ms: int) -> None:
    """Store the positions before a write. Each call stores another document."""
    document = PreviousPositions(restore=restore, time_ms=time_ms, positions=tuple(positions))
    put_sealed(store, restore_key(restore, f"previous-{new_run_id(time_ms)}"), document)


def read_previous(store: ObjectStore, restore: str) -> list[PreviousPositions]:
    """All stored positions of a restore, the newest first. Raises `DamagedError` and `UnsupportedError`."""
    keys = sorted((info.key for info in store.list(previous_prefix(restore))), reverse=True)
    return [get_sealed(store, key, PreviousPositions) for key in keys]
