"""The references of an incremental point: those of the newest point, and the objects of this run.

Small index objects are merged in tiers, and deltas of the partition table are merged into a new base. So a point has
few references, however many points its set has, and a commit writes in proportion to what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tasks.model.partition import Partition
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.index import IndexRef, write_index
from tasks.repository.index_merge import merge_indexes
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row, TableRef, write_table
from tasks.repository.plans import Plan
from tasks.repository.restore_point import RestorePoint
from tasks.store.protocol import ObjectStore

RefT = TypeVar("RefT", bound=StoredRef)

TIER_OBJECTS = 8
"""The number of index objects of one tier that are merged into one. An index object of the next tier has this many
times as many lines."""

LARGEST_TIER = 5
"""Index objects of this tier are not merged any more. With at most 260,000 lines they have some 20 MB, which a reader
has in memory."""

MOST_DELTAS = 16
"""The largest number of deltas of a partition table. Instead of another delta, all rows are written as a new base."""


@dataclass(frozen=True, slots=True)
class _IndexPart:
    """Index objects that become one, and lines that are not stored yet. `lines` is the number of all lines, also of
    those that are left out."""

    lines: int
    refs: tuple[IndexRef, ...] = ()
    new: tuple[IndexLine, ...] = ()

    @property
    def tier(self) -> int:
        """The number of times that the number of lines can be divided by `TIER_OBJECTS`."""
        tier, lines = 0, self.lines
        while lines >= TIER_OBJECTS:
            tier, lines = tier + 1, lines // TIER_OBJECTS
        return tier


def extend_index(
    store: ObjectStore,
    plan: Plan,
    newest: RestorePoint,
    new_lines: Sequence[IndexLine],
    rows: Mapping[Partition, Row],
) -> tuple[IndexRef, ...]:
    """The index references of the new point. `rows` are its rows. When objects are merged, lines with a seq below the
    base of their row are left out. Lines that newer lines replace are kept, because they can be the only copy of
    records that the cluster has lost."""
    parts = [_IndexPart(ref.lines, refs=(ref,)) for ref in inherited(newest.entry.index, newest.seq)]
    if new_lines:
        parts.append(_IndexPart(len(new_lines), new=tuple(new_lines)))
    while (full := _full_tier(parts)) is not None:
        parts = [*(part for part in parts if part not in full), _joined(full)]
    stored = [_stored(store, plan, part, rows) for part in parts]
    return tuple(ref for ref in stored if ref is not None)


def extend_table(
    store: ObjectStore,
    plan: Plan,
    newest: RestorePoint,
    changed: Mapping[Partition, Row],
    rows: Mapping[Partition, Row],
) -> tuple[TableRef, ...]:
    """The table references of the new point: a base and its deltas. `changed` are the rows of this run, `rows` all.

    All rows are written as a new base if there are too many deltas, or if the deltas would have as many rows as there
    are. So a reader reads at most twice the rows, and the bytes that are written still grow with the changed rows.
    """
    earlier = inherited(newest.entry.table, newest.seq)
    if not changed:
        return earlier
    delta_rows = sum(ref.rows for ref in earlier[1:]) + len(changed)
    if len(earlier) > MOST_DELTAS or delta_rows >= len(rows):
        return (write_table(store, plan.set, plan.run, {**rows, **changed}.values()),)
    return (*earlier, write_table(store, plan.set, plan.run, changed.values()))


def inherited(refs: Sequence[RefT], seq: int) -> tuple[RefT, ...]:
    """References of point `seq` as a later point names them: each with the seq of the entry that first named it."""
    return tuple(ref if ref.seq is not None else ref.model_copy(update={"seq": seq}) for ref in refs)


def _full_tier(parts: Sequence[_IndexPart]) -> list[_IndexPart] | None:
    """The parts of the lowest tier that has enough of them."""
    for tier in sorted({part.tier for part in parts if part.tier < LARGEST_TIER}):
        found = [part for part in parts if part.tier == tier]
        if len(found) >= TIER_OBJECTS:
            return found
    return None


def _joined(parts: Sequence[_IndexPart]) -> _IndexPart:
    return _IndexPart(
        sum(part.lines for part in parts),
        tuple(ref for part in parts for ref in part.refs),
        tuple(line for part in parts for line in part.new),
    )


def _stored(store: ObjectStore, plan: Plan, part: _IndexPart, rows: Mapping[Partition, Row]) -> IndexRef | None:
    """The reference to the one object with the lines of the part. None if no line is left."""
    if not part.refs:
        return write_index(store, plan.set, plan.run, part.new)
    if len(part.refs) == 1 and not part.new:
        return part.refs[0]

    def can_count(source: Partition, seq: int | None) -> bool:
        row = rows.get(source)
        return row is not None and (seq is None or row.base_seq is None or seq >= row.base_seq)

    return merge_indexes(store, plan.set, plan.run, part.refs, part.new, can_count)
