"""Writes translated positions of consumer groups to the target cluster and reads them back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.ports import ClusterAdmin
from tasks.engine.positions.translate import TranslatedPosition
from tasks.model.errors import AccessError, InterruptedRunError, KafkaBackupError


def write_positions(admin: ClusterAdmin, positions: Sequence[TranslatedPosition]) -> list[TranslatedPosition]:
    """Commit the positions group by group and read them back. Returns all of them, ordered by group. A position that
    could not be written, or was read back with another offset, has its `failure`. May be called again. Raises
    `InterruptedRunError` on the stop event of `admin`."""
    written: list[TranslatedPosition] = []
    for group in sorted({position.group for position in positions}):
        of_group = [position for position in positions if position.group == group]
        failures = _commit(admin, group, of_group)
        present = _read_back(admin, group)
        written += [_with_failure(position, failures, present) for position in of_group]
    return written


def _commit(
    admin: ClusterAdmin, group: str, positions: Sequence[TranslatedPosition]
) -> Mapping[TopicPartition, KafkaBackupError | None]:
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
        return admin.commit_offsets(group, offsets)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return {(one.topic, one.partition): error for one in offsets}


def _read_back(admin: ClusterAdmin, group: str) -> dict[TopicPartition, int]:
    answer = admin.committed_offsets([group])[group]
    if isinstance(answer, KafkaBackupError):
        return {}
    return {(one.topic, one.partition): one.offset for one in answer}


def _with_failure(
    position: TranslatedPosition,
    failures: Mapping[TopicPartition, KafkaBackupError | None],
    present: Mapping[TopicPartition, int],
) -> TranslatedPosition:
    place = (position.target_topic, position.target_partition)
    error = failures.get(place)
    failure = str(error) if error else None
    if failure is None and present.get(place) != position.target_offset:
        failure = f"after the write the group's position is {present.get(place, 'not set')}"
    return replace(position, failure=failure, is_denied=isinstance(error, AccessError))
