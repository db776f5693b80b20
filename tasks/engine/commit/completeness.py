"""Whether a point has everything that was asked for. Whoever made it, the command or a flow, judges it by this."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tasks.engine.capture.capture_result import CaptureResult
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition
from tasks.repository.entries import PointEntry
from tasks.repository.plans import Plan
from tasks.repository.restore_point import RestorePoint

Completeness = Literal["complete", "incomplete", "denied"]
"""complete: nothing is missing that was planned · incomplete: gaps, failed partitions, missing positions · denied:
incomplete for want of a permission, and will be so again until someone grants it. Trimmed ranges are not missing."""


class GroupNotes(NamedTuple):
    """What there is to say of the groups of a point: positions that were asked for and are not in it, and groups of a
    kind whose positions cannot be read."""

    failures: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()


class HeldRange(NamedTuple):
    """What a point holds of a partition. `is_kept`: from an earlier run, because this one failed there."""

    source: Partition
    first: int
    next: int
    is_kept: bool


class NewPoint(NamedTuple):
    """A new point, what it holds, and the verdict on it."""

    point: PointEntry
    ranges: tuple[HeldRange, ...]
    groups: GroupNotes
    verdict: Completeness


def describe_new_point(plan: Plan, point: RestorePoint, captured: Sequence[CaptureResult]) -> NewPoint:
    """Read back what a commit has made."""
    groups = group_notes(point)
    return NewPoint(
        point=point.entry,
        ranges=tuple(
            HeldRange(row.source, row.first, row.next, row.base_seq != point.seq) for row in point.rows.values()
        ),
        groups=groups,
        verdict=completeness(point.entry, groups, denied_reasons(plan, captured)),
    )


def group_notes(point: RestorePoint) -> GroupNotes:
    """By what the point says, and by its state object, read back."""
    if point.entry.groups_failure is not None:
        return GroupNotes((f"group positions are not in this point: {point.entry.groups_failure}",))
    try:
        state = point.groups
    except KafkaBackupError as error:  # the point stands, and is to be reported
        return GroupNotes((f"group positions cannot be read back: {error}",))
    if state is None:
        return GroupNotes()
    failures = (f"group {one.group} is not in this point: {one.failure}" for one in state.groups if one.failure)
    return GroupNotes(tuple(failures), state.not_covered)


def denied_reasons(plan: Plan, captured: Sequence[CaptureResult]) -> tuple[str, ...]:
    """What of the plan could not be read for want of a permission. Pure."""
    reasons = [failure.reason for bin_ in captured for failure in bin_.failures if failure.is_denied]
    return (*plan.denied, *reasons)


def completeness(point: PointEntry, groups: GroupNotes, denied: Sequence[str] = ()) -> Completeness:
    """The verdict on a new point. Pure."""
    if denied:
        return "denied"
    return "complete" if point.status == "complete" and not groups.failures else "incomplete"
