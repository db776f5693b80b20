"""Parts of a new point that are the same for every kind of run: its captured lines, failures, missing positions, and
what it contains less than the newest point."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.shrinkage import find_shrinkage
from tasks.model.partition import Partition
from tasks.repository.entries import PartitionNote, Totals
from tasks.repository.fragments import read_fragments
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan
from tasks.repository.repository import Repository
from tasks.repository.restore_point import RestorePoint
from tasks.repository.shrinkage import Shrinkage
from tasks.repository.state_objects import GroupsState, read_state

NOTHING_ADOPTED: Mapping[Partition, Sequence[IndexLine]] = {}


def captured_lines(
    repository: Repository,
    plan: Plan,
    captured: Sequence[CaptureResult],
    adopted: Mapping[Partition, Sequence[IndexLine]],
) -> dict[Partition, list[IndexLine]]:
    """The index lines that the given attempts have stored, by partition, in capture order. The `adopted` ones of an
    earlier process come first."""
    lines: dict[Partition, list[IndexLine]] = defaultdict(list)
    for source, own in adopted.items():
        lines[source] += own
    for fragment in read_fragments(
        repository.store,
        repository_id=repository.root.repository_id,
        set_name=plan.set,
        run=plan.run,
        writers=[(result.writer, result.fragments) for result in captured],
    ):
        for line in fragment.lines:
            lines[line.source].append(line)
    return lines


def has_missing_positions(repository: Repository, plan: Plan) -> bool:
    """Whether positions were configured and could not be read, of one group or of all. Then the point is partial."""
    if plan.groups_failure is not None or plan.groups is None:
        return plan.groups_failure is not None
    return any(group.failure for group in read_state(repository.store, plan.groups, GroupsState).groups)


def failure_notes(plan: Plan, failures: Mapping[Partition, str]) -> tuple[PartitionNote, ...]:
    """Notes on the partitions that could not be planned or captured."""
    reasons: Iterable[tuple[Partition, str]] = [
        *((failure.source, failure.reason) for failure in plan.failures),
        *sorted(failures.items()),
    ]
    return tuple(
        PartitionNote(topic=source.topic, topic_id=source.topic_id, partition=source.partition, reason=reason)
        for source, reason in reasons
    )


def shrinkage(plan: Plan, newest: RestorePoint | None, rows: Iterable[Row], totals: Totals) -> Shrinkage | None:
    """What a point with these rows and totals contains less than the newest point before it. None if that is nothing,
    or if there is no point before it."""
    if newest is None:
        return None
    return find_shrinkage(
        newest.seq,
        newest.rows,
        rows,
        records_before=newest.entry.totals.records,
        records=totals.records,
        not_selected=plan.not_selected,
    )


def first_reason(plan: Plan, failures: Mapping[Partition, str]) -> str:
    """Why nothing was captured."""
    reasons = [*failures.values(), *(failure.reason for failure in plan.failures)]
    return reasons[0] if reasons else "the plan has no partitions."
