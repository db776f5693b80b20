"""The outcome of each partition of a snapshot: its row in the new point, and the new lines for it. Also the status of a
point, and the notes on partitions that an open transaction holds back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.engine.commit.tiling import Cover, contiguous, tile
from tasks.model.partition import Partition
from tasks.model.ranges import TOPIC_GONE
from tasks.repository.entries import PartitionNote, Status
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan, PlannedPartition


@dataclass(frozen=True, slots=True)
class Outcome:
    """A partition's row in the new point, and the lines of this run for it. `is_kept`: the row is the earlier point's,
    so the new point has to repeat the earlier lines."""

    row: Row
    lines: tuple[IndexLine, ...] = ()
    is_kept: bool = False


def decide(
    plan: Plan,
    lines: Mapping[Partition, Sequence[IndexLine]],
    failures: Mapping[Partition, str],
    earlier: Mapping[Partition, Row],
    *,
    now_ms: int,
) -> list[Outcome]:
    """The outcomes in plan order: first of the planned partitions, then of those that could not be planned and have an
    earlier row. `failures` are the reasons of partitions whose capture failed, `earlier` are the rows of the newest
    point.

    A finished partition gets a new row. A failed partition keeps its earlier row; without an earlier row it gets a row
    of the contiguous part that was captured. Raises `CommitError` if the lines of a finished partition do not tile its
    planned range.
    """
    outcomes = []
    for planned in plan.partitions:
        captured = lines.get(planned.source, ())
        reason = failures.get(planned.source)
        if reason is None:
            outcomes.append(_finished(planned, tile(planned, captured)))
        else:
            outcomes.append(_failed(planned, captured, reason, earlier.get(planned.source), now_ms))
    unplanned = [failure for failure in plan.failures if failure.source in earlier]
    return outcomes + [keep_earlier(earlier[failure.source], failure.reason, now_ms) for failure in unplanned]


def notes_of(outcomes: Sequence[Outcome]) -> tuple[tuple[PartitionNote, ...], tuple[PartitionNote, ...]]:
    """(gaps, trimmed ranges) of this run. Those of kept rows are already in earlier points."""
    new_lines = [line for outcome in outcomes if not outcome.is_kept for line in outcome.lines]
    gaps = tuple(_note(line, gap.first, gap.next, gap.reason) for line in new_lines for gap in line.gaps)
    trimmed = tuple(
        _note(line, line.trimmed_from, line.first, "trimmed") for line in new_lines if line.trimmed_from is not None
    )
    return gaps, trimmed


def status_of(*, has_failures: bool, has_gaps: bool) -> Status:
    """The status of a point: `partial` if anything failed, else `gaps` if offsets are lost, else `complete`."""
    if has_failures:
        return "partial"
    return "gaps" if has_gaps else "complete"


def stalled_by_open_transaction(
    planned: Iterable[PlannedPartition], earlier: Mapping[Partition, Row], *, now_ms: int
) -> Iterator[PartitionNote]:
    """Notes on partitions whose end did not move since the newest point, because the same transaction is still open.

    Readers of committed data get no record from the first record of an open transaction on. So all backups of the
    partition end there until the transaction is committed or aborted.
    """
    for part in planned:
        row = earlier.get(part.source)
        if row is None or row.last_stable_offset != part.end:
            continue
        if _is_held_back(part.end, row.high_watermark) and _is_held_back(part.end, part.high_watermark):
            yield PartitionNote(
                topic=part.topic,
                topic_id=part.topic_id,
                partition=part.partition,
                reason="a transaction that was already open at the last point holds these offsets back"
                + _producer_text(part, now_ms),
                first=part.end,
                next=part.high_watermark,
            )


def _producer_text(part: PlannedPartition, now_ms: int) -> str:
    if part.open_producer is None or part.open_last_ms is None:
        return ""
    hours = max(0, now_ms - part.open_last_ms) / 3_600_000
    return f" (producer id {part.open_producer}, which wrote its last record {hours:.1f} hours before)"


def last_epoch(lines: Sequence[IndexLine]) -> int | None:
    """The leader epoch of the last batch of the lines, which are in offset order. None if there is no batch. A line
    that was clipped can list epochs that begin after its end."""
    epochs = [epoch for line in lines for epoch, first in line.epochs if first < line.next]
    return epochs[-1] if epochs else None


def _is_held_back(last_stable_offset: int, high_watermark: int | None) -> bool:
    return high_watermark is not None and last_stable_offset < high_watermark


def _finished(planned: PlannedPartition, cover: Cover) -> Outcome:
    return Outcome(new_row(planned, cover, is_live=is_live(cover)), cover.lines)


def is_live(cover: Cover) -> bool:
    """Whether the topic existed when the partition had been read."""
    return not any(gap.reason == TOPIC_GONE for line in cover.lines for gap in line.gaps)


def _failed(
    planned: PlannedPartition, lines: Sequence[IndexLine], reason: str, earlier: Row | None, now_ms: int
) -> Outcome:
    if earlier is not None:
        return keep_earlier(earlier, reason, now_ms)
    cover = contiguous(planned, lines)
    row = new_row(planned, cover).model_copy(update={"failure": reason, "behind_since_ms": now_ms})
    return Outcome(row, cover.lines)


def keep_earlier(earlier: Row, reason: str, now_ms: int) -> Outcome:
    """The outcome of a partition that failed and has a row in an earlier point."""
    since = earlier.behind_since_ms if earlier.behind_since_ms is not None else now_ms
    row = earlier.model_copy(update={"failure": reason, "behind_since_ms": since})
    return Outcome(row, is_kept=True)


def new_row(planned: PlannedPartition, cover: Cover, *, is_live: bool = True) -> Row:
    """The row of a partition with the offsets of this cover."""
    return Row(
        topic=planned.topic,
        topic_id=planned.topic_id,
        partition=planned.partition,
        first=cover.first,
        next=cover.next,
        epoch=last_epoch(cover.lines),
        last_stable_offset=planned.end,
        high_watermark=planned.high_watermark,
        leader_epoch=planned.leader_epoch,
        is_live=is_live,
    )


def _note(line: IndexLine, first: int, end: int, reason: str) -> PartitionNote:
    return PartitionNote(
        topic=line.topic, topic_id=line.topic_id, partition=line.partition, reason=reason, first=first, next=end
    )
