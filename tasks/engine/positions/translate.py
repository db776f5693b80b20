"""Translates the positions of groups from source offsets to target offsets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.engine.options import RestoreOptions
from tasks.engine.positions.rank import rank
from tasks.engine.started_restore import StartedRestore
from tasks.repository.lines import IndexLine
from tasks.repository.restores import PartitionCopy, RestorePlan, Targets
from tasks.repository.state_objects import GroupPosition, GroupsState, GroupState


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedPosition:
    """A position of a group, with its source offset and its target offset. `failure` is the reason if it could not be
    written. `is_denied`: a missing permission is the reason. `note` is a text if the source offset is outside the
    backed-up offsets: then the target offset is that of the first restored record, or the end."""

    group: str
    source_topic: str
    source_partition: int
    source_offset: int
    target_topic: str
    target_partition: int
    target_offset: int
    metadata: str
    failure: str | None = None
    is_denied: bool = False
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPosition:
    """A position of a group on a partition of a restore that has not begun. Its target offset is known only when the
    target partition is prepared."""

    group: str
    source_topic: str
    source_partition: int
    source_offset: int
    target_topic: str
    target_partition: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutPosition:
    """A position of a group on a restored topic that cannot be translated, and the reason."""

    group: str
    topic: str
    partition: int
    offset: int
    reason: str


def selected_groups(state: GroupsState, names: Sequence[str] | None) -> list[GroupState]:
    """The groups with these names, in the order of the state. Names that the state does not contain are left out. None
    means all groups."""
    return [group for group in state.groups if names is None or group.group in names]


def restored_groups(state: GroupsState | None, options: RestoreOptions) -> list[GroupState]:
    """The groups whose positions a restore with these options translates. Empty if the point has no positions."""
    if state is None or options.consumer_group_strategy == "skip":
        return []
    return selected_groups(state, options.consumer_groups)


def recorded_positions(
    report: Mapping[str, object],
) -> tuple[list[TranslatedPosition], list[LeftOutPosition]]:
    """The positions and the left-out positions in the result of the step `groups`. Pure."""
    positions, left_out = report.get("positions"), report.get("left_out")
    return (
        [TranslatedPosition(**one) for one in positions] if isinstance(positions, list) else [],
        [LeftOutPosition(**one) for one in left_out] if isinstance(left_out, list) else [],
    )


def planned_positions(plan: RestorePlan, groups: Sequence[GroupState]) -> list[PlannedPosition]:
    """The positions of the groups that `translate` will translate. Pure."""
    return [
        PlannedPosition(
            group=group,
            source_topic=position.topic,
            source_partition=position.partition,
            source_offset=position.offset,
            target_topic=plan.partitions[index].target_topic,
            target_partition=plan.partitions[index].target_partition,
        )
        for group, position, index in _placed(plan, groups)
    ]


def translate(started: StartedRestore, targets: Targets, groups: Sequence[GroupState]) -> list[TranslatedPosition]:
    """Translate each position of the groups on a restored partition. The target offset is that of the first restored
    record at or after the position, or the end of the restored records if there is no such record.

    A position on another incarnation of the topic, or on a partition that was not restored, is left out: see
    `left_out_positions`. Raises `DamagedError` if a frame that has to be decoded is missing or damaged, and the errors
    of the store.
    """
    found = []
    for group, position, index in _placed(started.plan, groups):
        copy, target = started.plan.partitions[index], targets.partitions[index]
        lines, wanted = started.lines[copy.source], started.filter_of(copy.source)
        below = min(rank(started.reader, lines, position.offset, wanted, copy.section_records), copy.records)
        translated = _translated(group, position, target.topic, target.partition, target.base + below)
        found.append(replace(translated, note=_clamped(position.offset, lines) or _left_out(position, copy, below)))
    return found


def _placed(plan: RestorePlan, groups: Sequence[GroupState]) -> Iterator[tuple[str, GroupPosition, int]]:
    """(group, position, index in the plan's partitions) of each position on a partition of the restore."""
    by_name = {(copy.topic, copy.partition): index for index, copy in enumerate(plan.partitions)}
    for group in groups:
        for position in group.positions:
            index = by_name.get((position.topic, position.partition))
            if index is not None and position.topic_id in (None, plan.partitions[index].topic_id):
                yield group.group, position, index


def left_out_positions(plan: RestorePlan, groups: Sequence[GroupState]) -> list[LeftOutPosition]:
    """The positions of the groups on topics of this restore that `translate` leaves out. Positions on partitions that
    the option `source_partitions` leaves out are not included, unless they are on another incarnation. Pure."""
    ids = {copy.topic: copy.topic_id for copy in plan.partitions}
    restored = {(copy.topic, copy.partition) for copy in plan.partitions}
    chosen = RestoreOptions.model_validate(plan.options).source_partitions
    found = []
    for group in groups:
        for position in group.positions:
            if position.topic not in ids:
                continue
            is_other = position.topic_id not in (None, ids[position.topic])
            is_chosen = chosen is None or position.partition in chosen
            if is_other:
                reason = "it belongs to another topic that had this name"
            elif is_chosen and (position.topic, position.partition) not in restored:
                reason = "the backup does not have this partition"
            else:
                continue
            found.append(
                LeftOutPosition(
                    group=group.group,
                    topic=position.topic,
                    partition=position.partition,
                    offset=position.offset,
                    reason=reason,
                )
            )
    return found


def _clamped(offset: int, lines: Sequence[IndexLine]) -> str | None:
    """The note for a position outside the backed-up offsets. None if it is inside, or if nothing was backed up."""
    if not lines:
        return None
    first, end = lines[0].first, lines[-1].next
    if offset > end:
        return f"{offset} is beyond the end of the backup at {end}, so the position is the end"
    if offset < first:
        return f"{offset} is before the start of the backup at {first}, so the position is the first record"
    return None


def _left_out(position: GroupPosition, copy: PartitionCopy, below: int) -> str | None:
    """The note for a position after which the rules of the restore leave out all records."""
    if copy.selection is None or not copy.selection.left_out or below < copy.records:
        return None
    return f"no record at or after {position.offset} is restored, so the position is the end of the restored records"


def _translated(group: str, position: GroupPosition, topic: str, partition: int, offset: int) -> TranslatedPosition:
    return TranslatedPosition(
        group=group,
        source_topic=position.topic,
        source_partition=position.partition,
        source_offset=position.offset,
        target_topic=topic,
        target_partition=partition,
        target_offset=offset,
        metadata=position.metadata,
    )
