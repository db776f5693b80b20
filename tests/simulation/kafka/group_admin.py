"""The part of `ClusterAdmin` about consumer groups."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from tasks.broker.admin.admin_requests import values_or_raise
from tasks.broker.admin.positions import UNSETTLED_WAIT_MS, java_length
from tasks.broker.admin_values import CommittedOffset, GroupDescription, GroupListing, TopicPartition
from tasks.broker.translation import Action, Permission
from tasks.model.errors import ConfigError, KafkaBackupError
from tasks.model.quoting import quoted
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.clock import SimulatedDeadline
from tests.simulation.kafka.groups import LONGEST_METADATA, Group
from tests.simulation.kafka.refusals import (
    GROUP_ID_NOT_FOUND,
    NON_EMPTY_GROUP,
    OFFSET_METADATA_TOO_LARGE,
    UNKNOWN_MEMBER_ID,
    UNKNOWN_TOPIC_OR_PARTITION,
    Refused,
)

_SHARE = "share"


def list_groups(client: Client) -> list[GroupListing]:
    """Groups whose coordinator leads. The others are missing, and the answer does not show it."""

    def listed(attempt: int) -> list[GroupListing]:
        return [
            GroupListing(
                group_id=group.group_id,
                group_type=group.group_type,
                state=group.state,
                protocol_type=group.protocol_type,
            )
            for group_id, group in sorted(client.kafka.groups.by_id.items())
            if _has_coordinator(client, group_id) and _is_visible(client, group_id)
        ]

    return client.call("admin.list_groups", "", listed)


def _has_coordinator(client: Client, group_id: str) -> bool:
    try:
        client.kafka.coordinator(group_id)
    except Refused:
        return False
    return True


def _is_visible(client: Client, group_id: str) -> bool:
    return client.may("Describe", "Cluster") or client.may("Describe", "Group", group_id)


def describe_groups(client: Client, group_ids: Sequence[str]) -> list[GroupDescription]:
    """In the order given. A group that does not exist is dead; a share group is described as dead."""

    def described(group_id: str, attempt: int) -> GroupDescription:
        client.kafka.permissions.require(client.user, Permission("Describe", "Group", group_id))
        client.kafka.coordinator(group_id)
        group = client.kafka.groups.by_id.get(group_id)
        if group is None or group.group_type == _SHARE:
            return GroupDescription(group_id=group_id, group_type="classic", state="Dead", members=0)
        return GroupDescription(
            group_id=group_id, group_type=group.group_type, state=group.state, members=group.members
        )

    answers = client.call_each("admin.describe_groups", list(group_ids), described, _group("describe"))
    return list(values_or_raise(answers).values())


def committed_offsets(client: Client, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
    """All positions of each group, without those on topics that the user is not allowed to describe, as in Kafka.

    Pending commits are waited for as the real port does, and are then unsettled.
    """

    def positions(group_id: str, attempt: int) -> list[CommittedOffset]:
        client.kafka.permissions.require(client.user, Permission("Describe", "Group", group_id))
        client.kafka.coordinator(group_id)
        group = client.kafka.groups.by_id.get(group_id)
        if group is None:
            return []
        if group.refusal:
            raise Refused(group.refusal)
        return [one for one in _with_pending(group) if client.may("Describe", "Topic", one.topic)]

    def read(groups: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
        return client.call_each("admin.committed_offsets", groups, positions, _group("read the positions of"))

    answers = read(group_ids)
    deadline = SimulatedDeadline(client.kafka.clock, min(UNSETTLED_WAIT_MS, client.deadline_ms), client.stop)
    while (unsettled := [one for one in group_ids if _is_unsettled(answers[one])]) and deadline.wait():
        answers |= read(unsettled)
    return answers


def _with_pending(group: Group) -> list[CommittedOffset]:
    """Kafka leaves out what was never committed, also if a transaction is about to commit it."""
    return [replace(one, is_unsettled=place in group.pending) for place, one in group.positions.items()]


def _is_unsettled(answer: list[CommittedOffset] | KafkaBackupError) -> bool:
    return not isinstance(answer, KafkaBackupError) and any(one.is_unsettled for one in answer)


def commit_offsets(
    client: Client, group_id: str, offsets: Sequence[CommittedOffset]
) -> dict[TopicPartition, KafkaBackupError | None]:
    """Each position by itself: those that cannot be written do not keep the others out."""
    by_place = {(one.topic, one.partition): one for one in offsets}
    refused: dict[TopicPartition, KafkaBackupError | None] = {
        place: ConfigError(f"Group {group_id} cannot have the offset {one.offset} on {place[0]}-{place[1]}.")
        for place, one in by_place.items()
        if one.offset < 0
    }

    def attempt(place: TopicPartition) -> Action:
        needs = (Permission("Read", "Group", group_id), Permission("Read", "Topic", place[0]))
        return Action("commit", f"the offset of group {quoted(group_id)} on {place[0]}-{place[1]}", needs)

    def commit(place: TopicPartition, number: int) -> None:
        _commit(client, group_id, by_place[place])

    sent = [place for place in by_place if place not in refused]
    return refused | client.call_each("admin.commit_offsets", sent, commit, attempt)


def _commit(client: Client, group_id: str, position: CommittedOffset) -> None:
    client.kafka.permissions.require(client.user, Permission("Read", "Group", group_id))
    client.kafka.permissions.require(client.user, Permission("Read", "Topic", position.topic))
    if client.kafka.topics.place((position.topic, position.partition)) is None:
        raise Refused(UNKNOWN_TOPIC_OR_PARTITION)
    client.kafka.coordinator(group_id)
    group = client.kafka.groups.by_id.get(group_id)
    if group is not None and group.group_type == _SHARE:
        raise Refused(GROUP_ID_NOT_FOUND)
    if group is not None and group.members:
        raise Refused(UNKNOWN_MEMBER_ID)
    if (size := java_length(position.metadata)) > LONGEST_METADATA:
        raise Refused(
            OFFSET_METADATA_TOO_LARGE, f"its metadata has {size:,} characters, {LONGEST_METADATA:,} are taken"
        )
    client.kafka.groups.commit(group_id, [position])


def delete_groups(client: Client, group_ids: Sequence[str]) -> dict[str, KafkaBackupError | None]:
    """Each group by itself. After a lost answer a group that is not there counts as deleted."""

    def action(group_id: str) -> Action:
        return Action("delete", f"group {quoted(group_id)}", (Permission("Delete", "Group", group_id),))

    def delete(group_id: str, attempt: int) -> None:
        client.kafka.permissions.require(client.user, Permission("Delete", "Group", group_id))
        client.kafka.coordinator(group_id)
        group = client.kafka.groups.by_id.get(group_id)
        if group is None:
            if attempt == 1:
                raise Refused(GROUP_ID_NOT_FOUND)
            return
        if group.members:
            raise Refused(NON_EMPTY_GROUP)
        del client.kafka.groups.by_id[group_id]

    return client.call_each("admin.delete_groups", list(dict.fromkeys(group_ids)), delete, action)


def _group(verb: str) -> Callable[[str], Action]:
    return lambda group_id: Action(verb, f"group {quoted(group_id)}", (Permission("Describe", "Group", group_id),))
