"""A backup with something of every kind in it, ways to damage it, and what validation says then."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tasks.engine.run_context import RunContext
from tasks.engine.validate import validate_locally
from tasks.engine.validation.contents import read_contents
from tasks.engine.validation.damage import DamageFinding, of_error
from tasks.engine.validation.objects import Level, named_lines
from tasks.model.errors import DamagedError
from tasks.repository import hints
from tasks.repository.document import seal, unseal
from tasks.repository.leases import acquire
from tasks.repository.lines import IndexLine
from tasks.repository.names import ROOT_KEY, capture_lease_key, fragment_beside, pin_key
from tasks.repository.pins import Pin
from tasks.repository.points import PointReference
from tasks.repository.restores import RestorePlan, write_part
from tasks.store.memory.memory_store import MemoryStore
from tests.support.made_backup import SET, MadeBackup, copy_store, keys, make_history, make_repository

RESTORE = "20270115T080002000Z-00000000"


@dataclass(frozen=True)
class Backup:
    """A repository with something of every kind, and what its newest point names."""

    store: MemoryStore
    lines: dict[str, list[IndexLine]]
    kinds: dict[str, list[str]]


@contextmanager
def backup_with_everything() -> Iterator[Backup]:
    """Two points, checkpoints at every other entry while it is used, and a lease, a pin and a restore."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hints, "CHECKPOINT_EVERY", 2)
        made = make_history()
        acquire(made.store, capture_lease_key(SET))
        made.store.put(pin_key(SET, "aa"), [seal(Pin(seq=1, purpose="drill", expires_ms=0).to_json())])
        write_part(made.store, RESTORE, "plan", _restore_plan(made))
        contents = read_contents(made.store, made.point)
        lines = {key: [line for line, _ in named] for key, named in named_lines(contents).items()}
        yield Backup(made.store, lines, _kinds(made, list(lines)))


def _kinds(made: MadeBackup, data: Sequence[str]) -> dict[str, list[str]]:
    """The keys of each kind of object. Only what the newest point rests on; `lone` fragments stand beside no object."""
    store, point = made.store, made.point
    assert point.groups is not None
    beside = [fragment_beside(key) for key in data]
    runs = {key.split("/")[2] for key in data}
    return {
        "root": [ROOT_KEY],
        "data": list(data),
        "fragment": beside,
        "lone fragment": [
            key for key in keys(store, "fragments/") if key.split("/")[2] in runs and key not in _beside_any(made)
        ],
        "log": keys(store, f"meta/{SET}/log/"),
        "index": [ref.key for ref in point.index],
        "table": [ref.key for ref in point.table],
        "topics": [point.topics.key],
        "groups": [point.groups.key],
        "plan": keys(store, f"meta/{SET}/runs/"),
        "head": keys(store, "heads/"),
        "checkpoint": keys(store, f"meta/{SET}/checkpoints/"),
        "lease": keys(store, "leases/"),
        "pin": keys(store, "pins/"),
        "restore": keys(store, "restores/"),
    }


def _beside_any(made: MadeBackup) -> set[str]:
    """Fragments that stand beside an object, whether the newest point names it or not."""
    return {fragment_beside(key) for key in keys(made.store, "data/")}


def _restore_plan(made: MadeBackup) -> RestorePlan:
    return RestorePlan(
        repository_id=made.repository.root.repository_id,
        restore=RESTORE,
        set=SET,
        point=made.point.seq,
        created_ms=1,
        cluster_id="other",
        options={},
        regroup_bytes=1,
        topics=(),
        partitions=(),
        bins=(),
        tool="made",
    )


# ── what is done to an object ───────────────────────────────────────────────────────────────────────────────────────


def _flip(at: float) -> Callable[[bytes], bytes]:
    def flip(data: bytes) -> bytes:
        position = min(len(data) - 1, int(len(data) * at))
        return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]

    return flip


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "first byte flipped": _flip(0),
    "byte at a third flipped": _flip(1 / 3),
    "byte in the middle flipped": _flip(1 / 2),
    "byte near the end flipped": _flip(0.95),
    "last byte flipped": _flip(1),
    "last byte cut": lambda data: data[:-1],
    "cut in half": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "a byte appended": lambda data: data + b"\n",
}


def with_damage(store: MemoryStore, key: str, damage: str) -> MemoryStore:
    """A copy of the store in which one object is damaged, or `removed`."""
    if damage == "removed":
        return copy_store(store, without=[key])
    other = copy_store(store)
    other.put(key, [DAMAGES[damage](store.get(key)[0])])
    return other


def with_swapped(store: MemoryStore, one: str, other: str) -> MemoryStore:
    """A copy of the store in which two objects stand under each other's keys."""
    copy = copy_store(store)
    copy.put(one, [store.get(other)[0]])
    copy.put(other, [store.get(one)[0]])
    return copy


def validated(store: MemoryStore, level: Level, reference: str = SET) -> list[DamageFinding]:
    """What validation says, whether it reports or gives up: both end with exit code 20."""
    repository = make_repository(store)
    try:
        result = validate_locally(RunContext(repository=repository), PointReference.parse(reference), level=level)
    except DamagedError as error:
        return [of_error(error)]
    return list(result.findings)


def named_objects(store: MemoryStore, level: Level, reference: str = SET) -> set[str]:
    """The keys of what validation finds fault with."""
    return {finding.object for finding in validated(store, level, reference)}


def with_edited(store: MemoryStore, key: str, **changes: Any) -> MemoryStore:
    """The sealed document with other members, sealed anew: an edit, not an accident."""
    copy = copy_store(store)
    copy.put(key, [seal({**unseal(store.get(key)[0], key=key), **changes})])
    return copy
