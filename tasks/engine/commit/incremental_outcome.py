"""The outcome of each partition of an incremental run: its row in the new point, and the new lines for it. Also the
notes on records of earlier points that the cluster lost. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tasks.engine.commit.outcome import Outcome, is_live, keep_earlier, last_epoch, new_row
from tasks.engine.commit.tiling import Cover, contiguous, tile
from tasks.model.partition import Partition
from tasks.model.ranges import TRUNCATED
from tasks.repository.entries import PartitionNote
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan, PlannedPartition


def decide_incremental(
    plan: Plan,
    lines: Mapping[Partition, Sequence[IndexLine]],
    failures: Mapping[Partition, str],
    earlier: Mapping[Partition, Row],
    *,
    now_ms: int,
) -> list[Outcome]:
    """The outcome of every partition whose row changes, in plan order. `failures` are the reasons of partitions that
    failed, `earlier` the rows of the newest point.

    A finished partition gets a row that continues the earlier one, or a new base if everything was read again. A failed
    partition keeps its earlier row; without an earlier row it gets a row of the contiguous part that was captured. The
    row of an ended partition is not live. Raises `CommitError` if the lines of a finished partition do not tile its
    planned range.
    """
    outcomes = []
    for planned in plan.partitions:
        row, captured = earlier.get(planned.source), lines.get(planned.source, ())
        reason = failures.get(planned.source)
        if reason is None:
            outcomes.append(_finished(planned, tile(planned, captured), row))
        elif row is not None:
            outcomes.append(keep_earlier(row, reason, now_ms))
        else:
            cover = contiguous(planned, captured)
            behind = new_row(planned, cover).model_copy(update={"failure": reason, "behind_since_ms": now_ms})
            outcomes.append(Outcome(behind, cover.lines))
    failed = [failure for failure in plan.failures if failure.source in earlier]
    ended = [earlier[one.source] for one in plan.ended if one.source in earlier]
    return [
        *outcomes,
        *(keep_earlier(earlier[failure.source], failure.reason, now_ms) for failure in failed),
        *(Outcome(row.model_copy(update={"is_live": False})) for row in ended),
    ]


def truncated_notes(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[PartitionNote, ...]:
    """Notes on ranges of earlier points that the cluster lost: the run read again from an offset below the stored one,
    because the log has another lineage from there on."""
    finished = {outcome.row.source: outcome for outcome in outcomes if outcome.row.failure is None}
    notes = []
    for planned in plan.partitions:
        outcome, stored = finished.get(planned.source), planned.stored_next
        if outcome is None or stored is None or planned.start_kind == "unconfirmed":
            continue
        first = min([planned.start, *(line.first for line in outcome.lines[:1])])
        if first < stored:
            notes.append(
                PartitionNote(
                    topic=planned.topic,
                    topic_id=planned.topic_id,
                    partition=planned.partition,
                    reason=TRUNCATED,
                    first=first,
                    next=stored,
                )
            )
    return tuple(notes)


def _finished(planned: PlannedPartition, cover: Cover, earlier: Row | None) -> Outcome:
    row = new_row(planned, cover, is_live=is_live(cover))
    if earlier is not None and cover.first > earlier.first:
        was_rewound = planned.stored_next is not None and cover.first < planned.stored_next
        before = planned.start_epoch if was_rewound and cover.first == planned.start else None
        epoch = last_epoch(cover.lines)
        if epoch is None:
            epoch = before if was_rewound else earlier.epoch
        row = row.model_copy(update={"base_seq": earlier.base_seq, "first": earlier.first, "epoch": epoch})
    return Outcome(row, cover.lines)
