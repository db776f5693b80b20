"""The result of deletions: how many objects of each kind, and how many bytes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tasks.model.errors import UndeletedError

_KINDS: Mapping[str, str] = {
    "data": "data objects",
    "fragments": "fragments",
    "index": "index objects",
    "partitions": "partition tables",
    "state": "state objects",
    "marks": "offsets of marks",
    "runs": "plans",
    "probe": "test objects",
    "pins": "expired pins",
    "leases": "leases",
}
"""The kinds of objects by the folder of their keys, in the order of reports."""

TEMPORARY_FILES = "temporary files"


class Amount(NamedTuple):
    """A number of objects and their stored bytes."""

    objects: int = 0
    bytes: int = 0

    def plus(self, other: Amount) -> Amount:
        """The sum of both."""
        return Amount(self.objects + other.objects, self.bytes + other.bytes)


NOTHING = Amount()


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of a deletion. `kinds` are the objects that were deleted, by kind; `hidden` is the number of those
    that the store keeps as older versions.

    `deferred` are the objects that a lock protects; a later prune deletes them. `deferred_until_ms` is the end of the
    last of these locks, None if none has an end; `legal_holds` is the number of those without an end. `denied` are the
    keys of the objects that the store refused to delete."""

    kinds: Mapping[str, Amount] = field(default_factory=dict)
    hidden: int = 0
    deferred: Amount = NOTHING
    deferred_until_ms: int | None = None
    legal_holds: int = 0
    denied: tuple[str, ...] = ()

    @property
    def objects(self) -> int:
        """The number of all objects."""
        return sum(amount.objects for amount in self.kinds.values())

    @property
    def bytes(self) -> int:
        """The stored bytes of all objects."""
        return sum(amount.bytes for amount in self.kinds.values())

    def plus(self, other: Deleted) -> Deleted:
        """The sum of both."""
        ends = [until_ms for until_ms in (self.deferred_until_ms, other.deferred_until_ms) if until_ms is not None]
        return Deleted(
            kinds=add_amounts(self.kinds, other.kinds),
            hidden=self.hidden + other.hidden,
            deferred=self.deferred.plus(other.deferred),
            deferred_until_ms=max(ends, default=None),
            legal_holds=self.legal_holds + other.legal_holds,
            denied=(*self.denied, *other.denied),
        )


def deleted_except(sizes: Mapping[str, int], error: UndeletedError) -> Deleted:
    """The result of a deletion of these objects that ended with this error."""
    ends = [until_ms for until_ms in error.locked.values() if until_ms is not None]
    return Deleted(
        kinds=amounts(
            {key: size for key, size in sizes.items() if key not in error.locked and key not in error.denied}
        ),
        hidden=error.hidden,
        deferred=Amount(len(error.locked), sum(sizes[key] for key in error.locked)),
        deferred_until_ms=max(ends, default=None),
        legal_holds=len(error.locked) - len(ends),
        denied=tuple(error.denied),
    )


def amounts(sizes: Mapping[str, int]) -> dict[str, Amount]:
    """The amounts by kind of objects that are given by their keys, with their sizes in bytes."""
    objects, stored = Counter[str](), Counter[str]()
    for key, size in sizes.items():
        kind = kind_of(key)
        objects[kind] += 1
        stored[kind] += size
    return {kind: Amount(objects[kind], stored[kind]) for kind in objects}


def add_amounts(*many: Mapping[str, Amount]) -> dict[str, Amount]:
    """The sums by kind, in the order of reports."""
    found: dict[str, Amount] = {}
    for one in many:
        for kind, amount in one.items():
            found[kind] = found.get(kind, Amount()).plus(amount)
    return {kind: found[kind] for kind in _in_order(found)}


def kind_of(key: str) -> str:
    """The kind of an object that a prune deletes."""
    parts = key.split("/")
    return _KINDS[parts[2] if parts[0] == "meta" else parts[0]]


def _in_order(kinds: Iterable[str]) -> list[str]:
    order = [*_KINDS.values(), TEMPORARY_FILES]
    return sorted(kinds, key=order.index)
