"""The record of a drill, `restores/{id}/drill.json`: which scratch topics and groups it makes. It is written before
they are made and deleted after they are removed, so what a drill leaves behind when it dies can be found."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.repository.document import FORMAT_MAJOR, Document
from tasks.repository.names import REPORTS, RESTORES, report_part, restore_key, restore_part
from tasks.repository.sealed_objects import find_sealed, put_sealed
from tasks.store.protocol import ObjectStore

PART = "drill"
"""The part of a restore that makes it the restore of a drill."""


class DrillRecord(Document):
    """A drill that has begun. `restore` is its id. `topics` maps each restored topic to its scratch topic, `groups`
    each group to its scratch group, on the cluster `cluster_id`."""

    format: int = FORMAT_MAJOR
    repository_id: str
    restore: str
    set: str
    point: int
    created_ms: int
    cluster_id: str
    topics: dict[str, str]
    groups: dict[str, str]
    tool: str


def write_drill(store: ObjectStore, record: DrillRecord) -> None:
    """Store the record. Raises `ObjectExistsError` if the drill has one."""
    put_sealed(store, restore_key(record.restore, PART), record)


def find_drill(store: ObjectStore, drill: str) -> DrillRecord | None:
    """The record of a drill. None if there is none. Raises `DamagedError` if it is damaged."""
    return find_sealed(store, restore_key(drill, PART), DrillRecord)


def left_drills(store: ObjectStore) -> Iterator[str]:
    """The ids of the drills that have not been cleaned up, oldest first. One can be running."""
    for info in store.list(RESTORES):
        restore, part = restore_part(info.key)
        if part == PART:
            yield restore


def reported_drills(store: ObjectStore) -> set[str]:
    """The ids of all drills that have a report. Takes one listing."""
    return {report_part(info.key)[1] for info in store.list(REPORTS)}


def forget_drill(store: ObjectStore, drill: str) -> None:
    """Delete everything that is recorded of a drill except its lease. Call it after its topics and groups are gone. May
    be called again. The record is deleted last, so that the rest is found if this process dies in between."""
    last = restore_key(drill, PART)
    store.delete([info.key for info in store.list(f"{RESTORES}{drill}/") if info.key != last])
    store.delete([last])
