"""Translates the positions of consumer groups from source offsets to target offsets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.engine.positions.rank import rank
from tasks.engine.started_restore import StartedRestore
from tasks.repository.restores import Targets
from tasks.repository.state_objects import GroupPosition, GroupsState, GroupState


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedPosition:
    """A position of a group, with its source offset and its target offset. `failure` is the reason why it could not be
    written. `is_denied`: a permission is missing."""

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


def selected_groups(state: GroupsState, names: Sequence[str] | None) -> list[GroupState]:
    """The groups with these names, in the order of the state. Names that the state does not contain are left out. None
    means all groups."""
    return [group for group in state.groups if names is None or group.group in names]


def translate(started: StartedRestore, targets: Targets, groups: Sequence[GroupState]) -> list[TranslatedPosition]:
    """Translate each position of the groups on a restored partition. The target offset is that of the first restored
    record at or after the position, or the end of the target's log if there is no such record.

    A position on another incarnation of the topic, or on a partition that was not restored, is left out. Raises
    `DamagedError` if a frame that has to be decoded cannot be read.
    """
    pairs = zip(started.plan.partitions, targets.partitions, strict=True)
    copies = {copy.source: (copy, target) for copy, target in pairs}
    by_name = {(source.topic, source.partition): source for source in copies}
    found = []
    for group in groups:
        for position in group.positions:
            source = by_name.get((position.topic, position.partition))
            if source is None or position.topic_id not in (None, source.topic_id):
                continue
            copy, target = copies[source]
            below = min(rank(started.reader, started.lines[source], position.offset), copy.records)
            found.append(_translated(group.group, position, target.topic, target.partition, target.base + below))
    return found


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
