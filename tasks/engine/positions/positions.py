"""Group positions on the target: translated exactly, written only when asked for, read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.groups import commit_offsets, committed_offsets
from tasks.broker.admin_values import CommittedOffset
from tasks.engine.positions.rank import rank
from tasks.model.errors import AccessError, InterruptedRunError, KafkaBackupError
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import IndexLine
from tasks.repository.restores import RestorePlan, Targets
from tasks.repository.state_objects import GroupPosition, GroupsState, GroupState


@dataclass(frozen=True, slots=True, kw_only=True)
class TranslatedPosition:
    """A committed offset and what it becomes; `failure` is why it could not be written, `is_denied` that a permission
    is missing."""

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


def wanted_groups(state: GroupsState, names: Sequence[str] | None) -> list[GroupState]:
    """The groups asked for; None means all."""
    return [group for group in state.groups if names is None or group.group in names]


def translate(
    reader: FrameReader,
    plan: RestorePlan,
    targets: Targets,
    lines: Mapping[Partition, Sequence[IndexLine]],
    groups: Sequence[GroupState],
) -> list[TranslatedPosition]:
    """Each position on a restored partition: the first restored record at or after it, or the end of the log.

    A position on another incarnation of the topic, or on a partition that was not restored, is left out.
    """
    places = {copy.source: (copy, target) for copy, target in zip(plan.partitions, targets.partitions, strict=True)}
    by_name = {(source.topic, source.partition): source for source in places}
    found = []
    for group in groups:
        for position in group.positions:
            source = by_name.get((position.topic, position.partition))
            if source is None or position.topic_id not in (None, source.topic_id):
                continue
            copy, target = places[source]
            below = min(rank(reader, lines[source], position.offset), copy.records)
            found.append(_translated(group.group, position, target.topic, target.partition, target.base + below))
    return found


def write_positions(admin: Admin, positions: Sequence[TranslatedPosition]) -> list[TranslatedPosition]:
    """Commit them group by group and read them back. Each that is not there afterwards carries its failure."""
    written: list[TranslatedPosition] = []
    for group in sorted({position.group for position in positions}):
        own = [position for position in positions if position.group == group]
        failures = _commit(admin, group, own)
        standing = _standing(admin, group)
        written += [_with_failure(position, failures, standing) for position in own]
    return written


def _commit(
    admin: Admin, group: str, positions: Sequence[TranslatedPosition]
) -> Mapping[tuple[str, int], KafkaBackupError | None]:
    offsets = [
        CommittedOffset(
            topic=position.target_topic,
            partition=position.target_partition,
            offset=position.target_offset,
            metadata=position.metadata,
            leader_epoch=None,
        )
        for position in positions
    ]
    try:
        return commit_offsets(admin, group, offsets)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return {(one.topic, one.partition): error for one in offsets}


def _standing(admin: Admin, group: str) -> dict[tuple[str, int], int]:
    answer = committed_offsets(admin, [group])[group]
    if isinstance(answer, KafkaBackupError):
        return {}
    return {(one.topic, one.partition): one.offset for one in answer}


def _with_failure(
    position: TranslatedPosition,
    failures: Mapping[tuple[str, int], KafkaBackupError | None],
    standing: Mapping[tuple[str, int], int],
) -> TranslatedPosition:
    place = (position.target_topic, position.target_partition)
    error = failures.get(place)
    failure = str(error) if error else None
    if failure is None and standing.get(place) != position.target_offset:
        failure = f"read back as {standing.get(place, 'nothing')}"
    return replace(position, failure=failure, is_denied=isinstance(error, AccessError))


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
