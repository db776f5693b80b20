"""Decides whether a new point contains everything that was configured, and names the group positions and permissions
that are missing. The command and the flows use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from tasks.engine.capture.capture_result import CaptureResult
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition
from tasks.model.quoting import quoted, some_of
from tasks.repository.entries import PointEntry
from tasks.repository.plans import Plan
from tasks.repository.restore_point import RestorePoint
from tasks.repository.state_objects import GroupState

Completeness = Literal["complete", "incomplete", "denied"]
"""complete: nothing that was planned is missing · incomplete: there are gaps, failed or stalled partitions, or missing
positions · denied: incomplete because a permission is missing, so the next run will be incomplete too. Trimmed ranges
are not missing."""


class MissingPositions(NamedTuple):
    """Group positions that a point does not contain. Each is a sentence or a group's name, for reports.

    `failures`: positions that were configured and could not be read. `not_covered`: groups of a kind whose positions
    are not committed offsets. `unsettled`: groups with positions that an open transaction was about to replace, so that
    the point contains the ones before.
    """

    failures: tuple[str, ...] = ()
    not_covered: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()

    def notes(self) -> tuple[str, ...]:
        """A sentence about each of them."""
        return (*self.failures, *(f"not covered: {name}" for name in self.not_covered), *self.unsettled)


class PointRange(NamedTuple):
    """The offsets that a point contains of a partition. `is_kept`: they are an earlier run's, because this run failed
    for the partition."""

    source: Partition
    first: int
    next: int
    is_kept: bool


class NewPoint(NamedTuple):
    """A new point with its ranges, its missing group positions and the verdict on it."""

    point: PointEntry
    ranges: tuple[PointRange, ...]
    groups: MissingPositions
    verdict: Completeness
    read_records: int = 0

    @property
    def has_news(self) -> bool:
        """Whether the run has read something or changed a row."""
        entry = self.point
        return bool(self.read_records or entry.gaps or entry.truncated or entry.ended or entry.failures)


def describe_new_point(plan: Plan, point: RestorePoint, captured: Sequence[CaptureResult]) -> NewPoint:
    """Read the partition table and the groups of a new point back, and make the verdict on it. Raises `DamagedError` if
    the table cannot be read."""
    groups = missing_positions(point)
    return NewPoint(
        point=point.entry,
        ranges=tuple(
            PointRange(row.source, row.first, row.next, row.failure is not None and row.base_seq != point.seq)
            for row in point.rows.values()
        ),
        groups=groups,
        verdict=completeness(point.entry, groups, denied_reasons(plan, captured)),
        read_records=sum(one.records for bin_ in captured for one in bin_.ranges),
    )


def missing_positions(point: RestorePoint) -> MissingPositions:
    """The group positions that a point does not contain, by its entry and its state object of the groups.

    A state object that cannot be read is a failure in the result, because the point was committed and has to be
    reported.
    """
    if point.entry.groups_failure is not None:
        return MissingPositions((f"group positions are not in this point: {point.entry.groups_failure}",))
    try:
        state = point.groups
    except KafkaBackupError as error:
        return MissingPositions((f"group positions cannot be read back: {error}",))
    if state is None:
        return MissingPositions()
    failures = (f"group {quoted(one.group)} is not in this point: {one.failure}" for one in state.groups if one.failure)
    unsettled = (_unsettled(one) for one in state.groups if one.unsettled)
    return MissingPositions(tuple(failures), state.not_covered, tuple(unsettled))


def _unsettled(group: GroupState) -> str:
    places = some_of([f"{one.topic}-{one.partition}" for one in group.unsettled])
    return (
        f"group {quoted(group.group)}: an open transaction is about to replace its positions on {places}; this point "
        "contains the last ones that were committed"
    )


def denied_reasons(plan: Plan, captured: Sequence[CaptureResult]) -> tuple[str, ...]:
    """The reasons for everything of a plan that could not be read because a permission is missing. Pure."""
    reasons = [failure.reason for bin_ in captured for failure in bin_.failures if failure.is_denied]
    return (*plan.denied, *reasons)


def completeness(point: PointEntry, groups: MissingPositions, denied: Sequence[str] = ()) -> Completeness:
    """The verdict on a new point. Pure."""
    if denied:
        return "denied"
    return "complete" if point.status == "complete" and not groups.failures else "incomplete"
