"""Writes translated positions of groups to the target cluster, and reads them back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.ports import ClusterAdmin
from tasks.engine.positions.translate import TranslatedPosition
from tasks.model.errors import AccessError, BrokerUnavailableError, InterruptedRunError, KafkaBackupError

Failures = Mapping[TopicPartition, KafkaBackupError | None]
"""For each position of a group None, or the error of the write."""


def write_positions(admin: ClusterAdmin, positions: Sequence[TranslatedPosition]) -> list[TranslatedPosition]:
    """Commit the positions group by group, and then read the positions of all groups back. Returns all positions,
    ordered by group.

    A position has a `failure` if it could not be written or read back, or was read back with another offset or other
    metadata. If the cluster does not answer for one group until the deadline, the groups after it are not tried,
    because each would wait as long. May be called again. Raises `InterruptedRunError` soon after the stop event of
    `admin` is set.
    """
    by_group: dict[str, list[TranslatedPosition]] = defaultdict(list)
    for position in sorted(positions, key=lambda position: position.group):
        by_group[position.group].append(position)
    failures = _commit_all(admin, by_group)
    answers = admin.committed_offsets(list(by_group))
    return [
        _with_failure(position, failures[group], answers[group]) for group, own in by_group.items() for position in own
    ]


def _commit_all(admin: ClusterAdmin, by_group: Mapping[str, Sequence[TranslatedPosition]]) -> dict[str, Failures]:
    failures: dict[str, Failures] = {}
    silent: KafkaBackupError | None = None
    for group, positions in by_group.items():
        failures[group] = _commit(admin, group, positions) if silent is None else _not_tried(positions, silent)
        silent = silent or next(
            (error for error in failures[group].values() if isinstance(error, BrokerUnavailableError)), None
        )
    return failures


def _not_tried(positions: Sequence[TranslatedPosition], error: KafkaBackupError) -> Failures:
    failure = BrokerUnavailableError(f"not tried, because an earlier group failed: {error}")
    return {(one.target_topic, one.target_partition): failure for one in positions}


def _commit(admin: ClusterAdmin, group: str, positions: Sequence[TranslatedPosition]) -> Failures:
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


def _with_failure(
    position: TranslatedPosition,
    failures: Mapping[TopicPartition, KafkaBackupError | None],
    answer: Sequence[CommittedOffset] | KafkaBackupError,
) -> TranslatedPosition:
    error = failures.get((position.target_topic, position.target_partition))
    failure = _difference(position, answer) if error is None else str(error)
    if error is None and isinstance(answer, KafkaBackupError):
        error = answer
    return replace(position, failure=failure, is_denied=isinstance(error, AccessError))


def _difference(position: TranslatedPosition, answer: Sequence[CommittedOffset] | KafkaBackupError) -> str | None:
    """The difference between the position that was written and the one that was read back; None if there is none."""
    if isinstance(answer, KafkaBackupError):
        return f"written, but not confirmed: {answer}"
    place = (position.target_topic, position.target_partition)
    present = {(one.topic, one.partition): one for one in answer}.get(place)
    if present is None or present.offset != position.target_offset:
        return f"after the write the group's position is {'not set' if present is None else present.offset}"
    return None if present.metadata == position.metadata else "after the write the position has other metadata"
