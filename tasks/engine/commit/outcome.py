"""What becomes of each planned partition when a snapshot commits. Pure."""

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
    """A partition's row in the new point, and the lines of this run that stand behind it. `is_kept` means that the
    row is the earlier point's: its lines have to be repeated."""

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
    """The outcome of every planned or failed partition, in plan order.

    A finished one gets a new row. A failed one keeps its earlier row, or without one gets its contiguous part.
    Raises `CommitError` when a partition that did not fail is not tiled.
    """
    outcomes = []
    for planned in plan.partitions:
        own = lines.get(planned.source, ())
        reason = failures.get(planned.source)
        if reason is None:
            outcomes.append(_finished(planned, tile(planned, own)))
        else:
            outcomes.append(_failed(planned, own, reason, earlier.get(planned.source), now_ms))
    unplanned = [failure for failure in plan.failures if failure.source in earlier]
    return outcomes + [_behind(earlier[failure.source], failure.reason, now_ms) for failure in unplanned]


def notes_of(outcomes: Sequence[Outcome]) -> tuple[tuple[PartitionNote, ...], tuple[PartitionNote, ...]]:
    """(gaps, trimmed ranges) that are new in this run."""
    own = [line for outcome in outcomes if not outcome.is_kept for line in outcome.lines]
    gaps = tuple(_note(line, gap.first, gap.next, gap.reason) for line in own for gap in line.gaps)
    trimmed = tuple(
        _note(line, line.trimmed_from, line.first, "trimmed") for line in own if line.trimmed_from is not None
    )
    return gaps, trimmed


def status_of(*, has_failures: bool, has_gaps: bool) -> Status:
    """partial before gaps before complete."""
    if has_failures:
        return "partial"
    return "gaps" if has_gaps else "complete"


def stalled_by_open_transaction(
    planned: Iterable[PlannedPartition], earlier: Mapping[Partition, Row]
) -> Iterator[PartitionNote]:
    """Partitions whose end is where it was at the newest point, since a transaction that was open then is open still.

    Readers of committed data get nothing behind its first record, so a transaction that nobody ends stops all backups
    of its partitions there.
    """
    for part in planned:
        row = earlier.get(part.source)
        if row is None or row.last_stable_offset != part.end:
            continue
        if _is_held(part.end, row.high_watermark) and _is_held(part.end, part.high_watermark):
            yield PartitionNote(
                topic=part.topic,
                topic_id=part.topic_id,
                partition=part.partition,
                reason="a transaction that was open at the last point already holds them back",
                first=part.end,
                next=part.high_watermark,
            )


def _is_held(last_stable_offset: int, high_watermark: int | None) -> bool:
    return high_watermark is not None and last_stable_offset < high_watermark


def _finished(planned: PlannedPartition, cover: Cover) -> Outcome:
    is_live = not any(gap.reason == TOPIC_GONE for line in cover.lines for gap in line.gaps)
    return Outcome(_row(planned, cover, is_live=is_live), cover.lines)


def _failed(
    planned: PlannedPartition, lines: Sequence[IndexLine], reason: str, earlier: Row | None, now_ms: int
) -> Outcome:
    if earlier is not None:
        return _behind(earlier, reason, now_ms)
    cover = contiguous(planned, lines)
    row = _row(planned, cover).model_copy(update={"failure": reason, "behind_since_ms": now_ms})
    return Outcome(row, cover.lines)


def _behind(earlier: Row, reason: str, now_ms: int) -> Outcome:
    since = earlier.behind_since_ms if earlier.behind_since_ms is not None else now_ms
    row = earlier.model_copy(update={"failure": reason, "behind_since_ms": since})
    return Outcome(row, is_kept=True)


def _row(planned: PlannedPartition, cover: Cover, *, is_live: bool = True) -> Row:
    epochs = [epoch for line in cover.lines for epoch, _ in line.epochs]
    return Row(
        topic=planned.topic,
        topic_id=planned.topic_id,
        partition=planned.partition,
        first=cover.first,
        next=cover.next,
        epoch=epochs[-1] if epochs else None,
        last_stable_offset=planned.end,
        high_watermark=planned.high_watermark,
        is_live=is_live,
    )


def _note(line: IndexLine, first: int, end: int, reason: str) -> PartitionNote:
    return PartitionNote(
        topic=line.topic, topic_id=line.topic_id, partition=line.partition, reason=reason, first=first, next=end
    )
