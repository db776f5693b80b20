"""Lineage: finds the offset up to which the log that was captured and the leader's log are equal.

Two logs of a partition that both have a record of a leader epoch are equal up to the smaller of the epoch's two ends.
This is how Kafka's followers find out where to truncate (KIP-101, KIP-279).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.broker.log_values import EpochEnd
from tasks.broker.ports import LogReader
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.restore_point import RestorePoint


class CommonLog(NamedTuple):
    """Captured offsets below `end` are equal in the leader's log. `epoch` is the leader epoch of the batch before
    it."""

    end: int
    epoch: int


class Lineages(NamedTuple):
    """A partition is in `common`, or in `failures`, or in neither: then the offset up to which its logs are equal is
    not known."""

    common: Mapping[Partition, CommonLog]
    failures: Mapping[Partition, KafkaBackupError]


def confirm_lineages(log: LogReader, newest: RestorePoint, rows: Sequence[Row]) -> Lineages:
    """Ask the leaders about the stored leader epochs of these rows of the newest point.

    One round of requests answers for all partitions whose log was not truncated. For the others the epochs in their
    index lines are read, and the leaders are asked about older epochs. This is not done for compacted topics, because
    their lines do not show where an epoch began.
    """
    by_source = {row.source: row for row in rows}
    wanted = {row.source: row.epoch for row in rows if row.epoch is not None}
    common: dict[Partition, CommonLog] = {}
    failures: dict[Partition, KafkaBackupError] = {}
    compacted = {topic.topic_id for topic in newest.topics.topics if topic.is_compacted} if wanted else set()
    histories: dict[Partition, Sequence[tuple[int, int]]] = {}
    while wanted:
        answers = log.ends_of_epochs(wanted)
        failures |= answers.failures
        asked, wanted = wanted, {}
        older = [one for one, end in answers.ends.items() if end is not None and end.epoch != asked[one]]
        older = [one for one in older if one.topic_id not in compacted]
        histories |= _histories(newest, [by_source[one] for one in older if one not in histories])
        for source, end in answers.ends.items():
            if end is not None and end.epoch == asked[source]:
                common[source] = CommonLog(_local_end(by_source[source], histories.get(source), end), end.epoch)
            elif end is not None and source in histories:
                epoch = _older_epoch(histories[source], end.epoch)
                wanted |= {source: epoch} if epoch is not None else {}
    return Lineages(common, failures)


def epochs_of(lines: Sequence[IndexLine]) -> list[tuple[int, int]]:
    """(leader epoch, offset of its first batch) of counting lines in offset order, each epoch once. Pure."""
    found: list[tuple[int, int]] = []
    for line in lines:
        for epoch, first in line.epochs:
            if first < line.next and (not found or epoch > found[-1][0]):
                found.append((epoch, max(first, line.first)))
    return found


def _histories(newest: RestorePoint, rows: Sequence[Row]) -> dict[Partition, Sequence[tuple[int, int]]]:
    if not rows:
        return {}
    lines = newest.lines(rows)
    return {row.source: epochs_of(lines[row.source]) for row in rows}


def _older_epoch(history: Sequence[tuple[int, int]], epoch: int) -> int | None:
    """The largest captured epoch that is not larger than the leader's answer. None if all are larger."""
    known = [one for one, _ in history if one <= epoch]
    return known[-1] if known else None


def _local_end(row: Row, history: Sequence[tuple[int, int]] | None, end: EpochEnd) -> int:
    """The smaller of the epoch's ends in the leader's log and in what was captured."""
    newer = [first for epoch, first in history or () if epoch > end.epoch]
    return min([row.next, end.end, *newer[:1]])
