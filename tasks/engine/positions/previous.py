"""Reads the positions that groups have now, and stores them before a restore writes its own."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.ports import ClusterAdmin
from tasks.engine.positions.translate import TranslatedPosition
from tasks.model.errors import KafkaBackupError
from tasks.repository.previous_positions import PreviousPosition, write_previous
from tasks.repository.repository import Repository

PresentPositions = Mapping[str, Mapping[TopicPartition, CommittedOffset]]
"""The positions of each group by topic and partition."""


Answers = Mapping[str, Sequence[CommittedOffset] | KafkaBackupError]
"""The positions of each group, or the error of reading them."""


def committed_positions(admin: ClusterAdmin, groups: Collection[str]) -> Answers:
    """The positions of the groups, or the errors. A group that does not exist has none."""
    return admin.committed_offsets(sorted(groups)) if groups else {}


def readable_positions(answers: Answers) -> PresentPositions:
    """The positions of the groups without an error. Pure."""
    return {
        group: {(one.topic, one.partition): one for one in answer}
        for group, answer in answers.items()
        if not isinstance(answer, KafkaBackupError)
    }


def present_positions(admin: ClusterAdmin, groups: Collection[str]) -> PresentPositions:
    """The positions of all the groups. Raises the first error of reading them."""
    answers = committed_positions(admin, groups)
    for answer in answers.values():
        if isinstance(answer, KafkaBackupError):
            raise answer
    return readable_positions(answers)


def store_previous(
    repository: Repository, restore: str, positions: Sequence[TranslatedPosition], present: PresentPositions
) -> None:
    """Store what the groups have now on the target partitions of `positions`. Call it before they are written."""
    if positions:
        previous = [_previous(one, present[one.group]) for one in positions]
        write_previous(repository.restore_state, restore, previous, time_ms=repository.now_ms())


def target_place(position: TranslatedPosition) -> TopicPartition:
    """The target partition of a position."""
    return position.target_topic, position.target_partition


def _previous(position: TranslatedPosition, present: Mapping[TopicPartition, CommittedOffset]) -> PreviousPosition:
    found = present.get(target_place(position))
    return PreviousPosition(
        group=position.group,
        topic=position.target_topic,
        partition=position.target_partition,
        offset=found.offset if found else None,
        metadata=found.metadata if found else "",
    )
