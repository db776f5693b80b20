"""The positions of a restore after it: compares them with what the groups have, writes them later, and puts back what
the groups had before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.broker.ports import ClusterAdmin
from tasks.broker.retry import RetryDeadline
from tasks.engine.positions.previous import PresentPositions, present_positions, store_previous, target_place
from tasks.engine.positions.rollback import RollbackStep, rollback_steps
from tasks.engine.positions.shared_targets import one_for_each_target
from tasks.engine.positions.translate import TranslatedPosition, selected_groups, translate
from tasks.engine.positions.write import write_positions
from tasks.engine.restore_steps import restore_targets, started_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.counting import counted
from tasks.model.errors import KafkaBackupError, RefusedError
from tasks.model.partition import Partition
from tasks.model.quoting import quoted, some_of
from tasks.model.suggestions import did_you_mean
from tasks.repository.previous_positions import read_previous
from tasks.repository.restore_point import RestorePoint
from tasks.repository.restores import StepDone, Targets, read_part
from tasks.repository.state_objects import GroupPosition, GroupsState, GroupState

PositionState = Literal["equal", "ahead", "behind", "missing"]
"""The position of a group compared with the one that the restore gives it."""


@dataclass(frozen=True, slots=True)
class ComparedPosition:
    """A position of a restore, and the offset that the group has now; None if it has none."""

    position: TranslatedPosition
    present: int | None

    @property
    def state(self) -> PositionState:
        """How the group's position compares."""
        if self.present is None:
            return "missing"
        if self.present == self.position.target_offset:
            return "equal"
        return "ahead" if self.present > self.position.target_offset else "behind"


@dataclass(frozen=True, slots=True)
class CapturedPosition:
    """A position of a group in a point. `lag` is the number of offsets of the point that follow it, None if the point
    does not contain the partition. `topic` can be another one of this name."""

    group: str
    topic: str
    partition: int
    offset: int
    lag: int | None
    metadata: str


def captured_positions(point: RestorePoint, groups: Sequence[str] = ()) -> list[CapturedPosition]:
    """The positions of a point, without `groups` those of all groups. Raises `RefusedError` if the point has no
    positions, or none of a named group."""
    ends = {row.source: row.next for row in point.rows.values()}
    found = []
    for group in _named_groups(point.groups, point.name, groups):
        for one in group.positions:
            end = _end(ends, one)
            lag = None if end is None else max(0, end - one.offset)
            found.append(CapturedPosition(group.group, one.topic, one.partition, one.offset, lag, one.metadata))
    return found


def _end(ends: Mapping[Partition, int], position: GroupPosition) -> int | None:
    """The end of the position's partition in the point. Without a topic id the only topic of this name is meant."""
    if position.topic_id is not None:
        return ends.get(Partition(position.topic, position.topic_id, position.partition))
    same = [end for one, end in ends.items() if (one.topic, one.partition) == (position.topic, position.partition)]
    return same[0] if len(same) == 1 else None


def _named_groups(state: GroupsState | None, point: str, names: Sequence[str]) -> list[GroupState]:
    if state is None:
        raise RefusedError(f"{point} has no positions of groups.")
    known = [group.group for group in state.groups]
    for name in names:
        if name not in known:
            near = did_you_mean(name, known) or f" It has those of {some_of(sorted(known))}."
            raise RefusedError(f"{point} has no positions of group {quoted(name)}.{near}")
    return selected_groups(state, names or None)


def compare_offsets(
    context: ClusterContext, admin: ClusterAdmin, restore: str, groups: Sequence[str] = ()
) -> list[ComparedPosition]:
    """The positions of a verified restore beside those that the groups have. Without `groups` those of all groups of
    the point. Nothing is written.

    Raises `NotFoundError` for an unknown restore, and `RefusedError` if it is not verified, if a target topic is not
    the restored one, and for a group of which the point has no positions. Raises the first error of reading positions.
    """
    positions = _translated(context, admin, restore, groups)
    present = present_positions(admin, {one.group for one in positions})
    return [
        ComparedPosition(one, found.offset if (found := present[one.group].get(target_place(one))) else None)
        for one in positions
    ]


def apply_offsets(
    context: ClusterContext,
    admin: ClusterAdmin,
    restore: str,
    groups: Sequence[str] = (),
    *,
    wait_ms: int = 0,
    waiting: Callable[[Sequence[str]], None] = lambda groups: None,
) -> list[TranslatedPosition]:
    """Write the positions of a verified restore. Those of a group with active members get a `failure`, after `wait_ms`
    at most; `waiting` is called once with these groups. May be called again.

    What the groups had before is stored first, so that `roll_back_offsets` can put it back. Raises what
    `compare_offsets` raises, and `InterruptedRunError` if the stop event of the context is set while it waits.
    """
    positions = _translated(context, admin, restore, groups)
    active = _await_inactive(context, admin, {one.group for one in positions}, wait_ms, waiting)
    writable = [one for one in positions if one.group not in active]
    present = present_positions(admin, {one.group for one in writable})
    store_previous(context.repository, restore, writable, present)
    refused = [replace(one, failure=_active_text(active[one.group])) for one in positions if one.group in active]
    return [*write_positions(admin, writable), *refused]


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A step of a rollback, and the reason if it could not be done."""

    step: RollbackStep
    failure: str | None = None


def roll_back_offsets(
    context: ClusterContext,
    admin: ClusterAdmin,
    restore: str,
    groups: Sequence[str] = (),
    *,
    also_moved: bool = False,
) -> list[RolledBack]:
    """Put back the positions that groups had before this restore wrote theirs, also days later. A position that has
    moved since is left alone unless `also_moved`. May be called again.

    A group that had no position at all is deleted, if it has only positions of this restore. Raises what
    `compare_offsets` raises.
    """
    positions = _translated(context, admin, restore, groups)
    written = {(one.group, *target_place(one)): one.target_offset for one in positions}
    present = present_positions(admin, {one.group for one in positions})
    recorded = read_previous(context.repository.restore_state, restore)
    steps = rollback_steps(recorded, written, present, also_moved=also_moved)
    metadata = {(one.group, *target_place(one)): one for one in positions}
    done = [*_put_back(admin, steps, metadata), *_removed(admin, steps, present)]
    order = {id(step): number for number, step in enumerate(steps)}
    return sorted(done, key=lambda one: order[id(one.step)])


def _put_back(
    admin: ClusterAdmin, steps: Sequence[RollbackStep], positions: Mapping[tuple[str, str, int], TranslatedPosition]
) -> list[RolledBack]:
    """Write the previous offsets. Steps without a write are returned as they are, except removals."""
    to_write = {_place_of(step): step for step in steps if step.kind == "put back"}
    old = [
        replace(positions[place], target_offset=step.previous.offset or 0, metadata=step.previous.metadata)
        for place, step in to_write.items()
    ]
    found = {(one.group, *target_place(one)): one.failure for one in write_positions(admin, old)} if old else {}
    return [
        *(RolledBack(step, found[place]) for place, step in to_write.items()),
        *(RolledBack(step) for step in steps if step.kind in ("is back", "moved")),
    ]


def _removed(
    admin: ClusterAdmin,
    steps: Sequence[RollbackStep],
    present: PresentPositions,
) -> list[RolledBack]:
    """Delete the groups that consist of positions to remove alone. Kafka deletes single positions only by its own
    tool, so the others are named."""
    removals: dict[str, list[RollbackStep]] = defaultdict(list)
    for step in steps:
        if step.kind == "remove":
            removals[step.previous.group].append(step)
    whole = [
        group
        for group, own in removals.items()
        if {(one.previous.topic, one.previous.partition) for one in own} == present[group].keys()
    ]
    errors = admin.delete_groups(whole) if whole else {}
    return [
        RolledBack(step, _removal_failure(step, errors, is_whole=group in whole))
        for group, own in removals.items()
        for step in own
    ]


def _removal_failure(
    step: RollbackStep, errors: Mapping[str, KafkaBackupError | None], *, is_whole: bool
) -> str | None:
    if is_whole:
        error = errors[step.previous.group]
        return None if error is None else str(error)
    return (
        "the group had no position on this partition, and has others that are not of this restore: remove it with "
        "Kafka's tool kafka-consumer-groups.sh --delete-offsets"
    )


def _translated(
    context: ClusterContext, admin: ClusterAdmin, restore: str, groups: Sequence[str]
) -> list[TranslatedPosition]:
    repository = context.repository
    started, targets = started_restore(repository, restore), restore_targets(repository, restore)
    _require_verified(context, started)
    _require_same_topics(admin, started, targets)
    names = groups or started.options.consumer_groups or ()
    chosen = _named_groups(started.groups, f"{started.plan.set}@{started.plan.point}", names)
    return one_for_each_target(translate(started, targets, chosen), started.plan, targets)


def _require_verified(context: ClusterContext, started: StartedRestore) -> None:
    restore = started.plan.restore
    verified = read_part(context.repository.restore_state, restore, "verified", StepDone)
    if verified is None or verified.report.get("mismatches"):
        found = "is not verified yet" if verified is None else "found mismatches"
        raise RefusedError(f"The restore {restore} {found}, so its positions are not used.")


def _require_same_topics(admin: ClusterAdmin, started: StartedRestore, targets: Targets) -> None:
    """Raises `RefusedError` if a target topic was deleted or created again: its offsets are others."""
    names = [topic.target for topic in started.plan.topics]
    present = {topic.name: topic.topic_id for topic in admin.describe_topics(names)}
    for target in targets.partitions:
        if present.get(target.topic) != target.topic_id:
            what = "does not exist any more" if target.topic not in present else "was deleted and created again"
            raise RefusedError(f"{target.topic} {what} since the restore, so its positions mean nothing there.")


def _await_inactive(
    context: ClusterContext,
    admin: ClusterAdmin,
    groups: Collection[str],
    wait_ms: int,
    waiting: Callable[[Sequence[str]], None],
) -> dict[str, int]:
    """The groups that still have members after the wait, with their numbers."""
    active = _active(admin, groups)
    if not active or not wait_ms:
        return active
    waiting(sorted(active))
    deadline = RetryDeadline(wait_ms, context.stop, context.clock)
    while active and deadline.wait():
        active = _active(admin, active)
    return active


def _active(admin: ClusterAdmin, groups: Collection[str]) -> dict[str, int]:
    described = admin.describe_groups(sorted(groups)) if groups else []
    return {one.group_id: one.members for one in described if one.members}


def _active_text(members: int) -> str:
    return f"not written, because the group has {counted(members, 'active member')}: stop its consumers, and try again"


def _place_of(step: RollbackStep) -> tuple[str, str, int]:
    return step.previous.group, step.previous.topic, step.previous.partition
