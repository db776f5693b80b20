"""The first fetch answers of small ranges, which share requests. Decides which ranges share one.

Without this, a backup of 10,000 small partitions waits for as many answers one after the other. The `RangeReader` of a
range treats a shared answer as the answer to its own first request, so nothing here decides what an answer means.

A shared answer can be older than an answer to an own request, because it waits for the ranges before it in its group.
That is as safe, because each answer already waits while the one before it is compressed and stored, possibly for
minutes. Its batches are what the topic id's log contained after the plan. The list of aborted transactions belongs to
these batches and never changes. If the log is truncated, trimmed or deleted meanwhile, the next request of the range
finds that out by its position and its leader epoch. If there is no next request, the range was read just before the
change.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.broker.log_values import Fetched, FetchPosition
from tasks.broker.ports import LogReader
from tasks.engine.capture.range_reader import CaptureRange
from tasks.model.partition import Partition

MOST_SHARED = 256
"""The largest number of partitions in a group. More would save nothing that can be measured, and an answer that is lost
would cost more."""

SPARE_BYTES = 16 << 10
"""What each range may have beyond its estimated size: one batch of a producer with default settings. An estimate can be
too small: without a known size it is the number of offsets or 0, and that of an incremental run is an average. If even
this is too small, the rest of the range is read alone."""


class FirstAnswers:
    """The first answers of the ranges of one capture, in the order of the ranges. Not thread-safe.

    Besides the range that is being captured, at most `fetch_bytes` are in memory (or for each leader one batch that is
    larger), because a group does not ask for more.
    """

    def __init__(self, log: LogReader, ranges: Sequence[CaptureRange], *, fetch_bytes: int) -> None:
        self._log = log
        groups = shared_groups(ranges, fetch_bytes=fetch_bytes)
        self._groups = {group[0].partition: group for group in groups}
        self._answers: dict[Partition, Fetched] = {}

    def take(self, range_: CaptureRange) -> Fetched | None:
        """The first answer of the range; None if it has to be read alone. Requests the answers of a whole group when it
        is called for the group's first range. Call it once for each range. Raises only `InterruptedRunError`."""
        group = self._groups.pop(range_.source, None)
        if group is not None:
            self._answers = self._log.first_answers(group)
        return self._answers.pop(range_.source, None)


def shared_groups(ranges: Iterable[CaptureRange], *, fetch_bytes: int) -> list[list[FetchPosition]]:
    """The groups of consecutive ranges whose first answers are requested together. Pure.

    A group asks for at most `fetch_bytes`. Ranges without offsets need no answer. A range that shares with no other is
    in no group, because its own request costs the same and overlaps with the next one.
    """
    groups: list[list[FetchPosition]] = []
    group: list[FetchPosition] = []
    left_bytes = fetch_bytes
    for range_ in ranges:
        if range_.start >= range_.end:
            continue
        position = _first_position(range_)
        if position.max_bytes > left_bytes or len(group) == MOST_SHARED:
            groups.append(group)
            group, left_bytes = [], fetch_bytes
        if position.max_bytes <= left_bytes:
            group.append(position)
            left_bytes -= position.max_bytes
    return [group for group in [*groups, group] if len(group) > 1]


def _first_position(range_: CaptureRange) -> FetchPosition:
    return FetchPosition(range_.source, range_.start, range_.start_epoch, range_.bytes + SPARE_BYTES)
