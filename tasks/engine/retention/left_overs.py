"""Finds what crashed processes have left beside the objects of runs: test objects, pins, leases and temporary files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tasks.repository.names import LEASES, RESTORES, SETS, lease_subject
from tasks.repository.pins import expired_pins
from tasks.store.probe import PROBE_PREFIX
from tasks.store.protocol import ObjectInfo, ObjectStore


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOvers:
    """What can be deleted, with the sizes in bytes. `objects` are test objects of the whole repository and expired pins
    of the set. `leases` are those of sets and restores of which nothing else exists: before a lease is deleted, it has
    to be acquired. `unfinished` are the names of `ObjectStore.unfinished`."""

    objects: Mapping[str, int]
    leases: Mapping[str, int]
    unfinished: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.objects or self.leases or self.unfinished)


def find_left_overs(store: ObjectStore, set_name: str, *, grace_ms: int, now_ms: int) -> LeftOvers:
    """Search the repository. Nothing that was written within the grace is found, because its writer can be running."""
    before_ms = now_ms - grace_ms
    probes = {info.key: info.size_bytes for info in store.list(PROBE_PREFIX) if info.modified_ms <= before_ms}
    return LeftOvers(
        objects=probes | expired_pins(store, set_name, before_ms=before_ms),
        leases={info.key: info.size_bytes for info in _lone_leases(store, before_ms)},
        unfinished={one.name: one.size_bytes for one in store.unfinished() if one.modified_ms <= before_ms},
    )


def _lone_leases(store: ObjectStore, before_ms: int) -> Iterator[ObjectInfo]:
    """The old leases whose set or restore does not exist, for example because the first backup of a set failed before
    it had written anything."""
    old = [info for info in store.list(LEASES) if info.modified_ms <= before_ms]
    if not old:
        return
    existing = {"set": set(store.list_folders(SETS)), "restore": set(store.list_folders(RESTORES))}
    for info in old:
        kind, name = lease_subject(info.key)
        if name not in existing[kind]:
            yield info
