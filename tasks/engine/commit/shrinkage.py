"""Compares a new point with the newest point of its set, to find the topics and records that the new point has lost.
Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from tasks.model.partition import Partition
from tasks.repository.partition_table import Row
from tasks.repository.shrinkage import Shrinkage

_UNKNOWN_ID = "A" * 22
"""The topic id zero. A cluster with an old metadata version gives it to every topic, so it does not identify a
topic."""


def find_shrinkage(
    older_seq: int,
    older: Mapping[Partition, Row],
    new: Iterable[Row],
    *,
    records_before: int,
    records: int,
    not_selected: Collection[str] = (),
) -> Shrinkage | None:
    """The losses of the rows of a new point, compared to the rows of the older point with the seq `older_seq`. None if
    nothing is lost.

    A point of an incremental run keeps the rows of topics that were deleted. If a topic of the same name exists again,
    a restore by name takes only that one, so only its rows are compared. `not_selected` are the topics that the run did
    not select. Other missing topics count as gone. `records_before` and `records` are the numbers of restorable records
    of the older and of the new point.
    """
    before, after = _by_topic(older.values()), _by_topic(new)
    missing = sorted(before.keys() - after.keys())
    again = sorted(name for name in before.keys() & after.keys() if _is_another(before[name], after[name]))
    kept = sorted(before.keys() & after.keys() - set(again))
    found = Shrinkage(
        point=older_seq,
        gone=tuple(name for name in missing if name not in not_selected),
        created_again=tuple(again),
        not_selected=tuple(name for name in missing if name in not_selected),
        ended_earlier=tuple(name for name in kept if _ends_earlier(before[name], after[name])),
        records_before=records_before,
        records=records,
    )
    is_shrunk = missing or again or found.ended_earlier or records < records_before
    return found if is_shrunk else None


def _by_topic(rows: Iterable[Row]) -> Mapping[str, list[Row]]:
    topics: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        topics[row.topic].append(row)
    return {topic: _restored_by_name(own) for topic, own in topics.items()}


def _restored_by_name(rows: list[Row]) -> list[Row]:
    """The rows of the incarnations that existed at the point. All rows if none did."""
    live = {row.topic_id for row in rows if row.is_live}
    return [row for row in rows if row.topic_id in live] if live else rows


def _is_another(before: Iterable[Row], after: Iterable[Row]) -> bool:
    """Whether the topic has another id than before. False if an id is not known."""
    earlier, later = {row.topic_id for row in before}, {row.topic_id for row in after}
    return earlier.isdisjoint(later) and _UNKNOWN_ID not in earlier | later


def _ends_earlier(before: Iterable[Row], after: Iterable[Row]) -> bool:
    """Whether a partition ends at a smaller offset than before, or is missing. Retention cannot cause this, because it
    moves only the start."""
    ends: dict[int, int] = {}
    for row in after:
        ends[row.partition] = max(row.next, ends.get(row.partition, row.next))
    return any(ends.get(row.partition, -1) < row.next for row in before)
