"""Consumer groups: lists them, describes their use, reads and writes their positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_messages import ListedGroup, request_groups
from tasks.broker.admin.admin_requests import future_of, values_or_raise
from tasks.broker.admin.raw_admin import call_every_broker
from tasks.broker.admin_values import CommittedOffset, GroupDescription, GroupListing, TopicPartition
from tasks.broker.raw.connection import Connection
from tasks.broker.translation import Action, Permission, error_for, error_for_code
from tasks.model.errors import BrokerError, ConfigError, KafkaBackupError

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition as ClientTopicPartition

_GROUPS_IN_FLIGHT = 200
_NO_OFFSET = -1001
"""librdkafka's `RD_KAFKA_OFFSET_INVALID`: nothing is committed."""

_STATES = {
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
    "STABLE": "Stable",
    "DEAD": "Dead",
    "EMPTY": "Empty",
}
"""Kafka's words for the states, by confluent-kafka's."""


def list_groups(admin: Admin) -> list[GroupListing]:
    """Every group of every type that this user is allowed to see, by id. Raises unless all brokers answered."""
    action = Action("list the groups of", admin.location)

    def request(connection: Connection) -> Sequence[ListedGroup]:
        code, groups = request_groups(connection)
        if code:
            raise error_for_code(code, action)
        return groups

    answers = call_every_broker(admin, action, request)
    # While a coordinator moves, two brokers can list the same group.
    found = {group.group_id: _listing(group) for groups in answers for group in groups}
    return [found[group_id] for group_id in sorted(found)]


def _listing(group: ListedGroup) -> GroupListing:
    return GroupListing(
        group_id=group.group_id,
        group_type=group.group_type.lower() or "classic",  # brokers that report no type have classic groups only
        state=group.state,
        protocol_type=group.protocol_type,
    )


def describe_groups(admin: Admin, group_ids: Sequence[str]) -> list[GroupDescription]:
    """State and member count of each group, in the given order. Raises the first group's error."""

    def send(groups: list[str]) -> Mapping[str, Future[Any]]:
        return admin.sdk.describe_consumer_groups(groups, request_timeout=admin.timeout_s)

    answers = admin.call_each(list(group_ids), send, _description, _group_action("describe"))
    return list(values_or_raise(answers).values())


def _description(group_id: str, found: Any) -> GroupDescription:
    return GroupDescription(
        group_id=group_id,
        group_type=found.type.name.lower(),
        state=_STATES.get(found.state.name, "Unknown"),
        members=len(found.members),
    )


def committed_offsets(admin: Admin, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
    """All positions of each group, or the error. One failed partition fails its group.

    Waits for positions that a transaction is committing. A group that does not exist has no positions.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions

    def send(groups: list[str]) -> Mapping[str, Future[Any]]:
        return {group_id: future_of(partial(send_one, group_id)) for group_id in groups}

    def send_one(group_id: str) -> Future[Any]:
        wanted = [ConsumerGroupTopicPartitions(group_id)]  # confluent-kafka accepts one group per call
        futures = admin.sdk.list_consumer_group_offsets(wanted, require_stable=True, request_timeout=admin.timeout_s)
        return futures[group_id]

    found: dict[str, list[CommittedOffset] | KafkaBackupError] = {}
    for start in range(0, len(group_ids), _GROUPS_IN_FLIGHT):
        chunk = group_ids[start : start + _GROUPS_IN_FLIGHT]
        found |= admin.call_each(chunk, send, _positions, _group_action("read the positions of"))
    return found


def _positions(group_id: str, answer: Any) -> list[CommittedOffset]:
    for one in answer.topic_partitions:
        if one.error is not None:
            position = f"the position of group {group_id} on {one.topic}-{one.partition}"
            needs = (Permission("Describe", "Group", group_id), Permission("Describe", "Topic", one.topic))
            raise error_for(one.error, Action("read", position, needs))
    return [_position(one) for one in answer.topic_partitions if one.offset != _NO_OFFSET]


def _position(found: ClientTopicPartition) -> CommittedOffset:
    epoch = found.leader_epoch
    return CommittedOffset(
        topic=found.topic,
        partition=found.partition,
        offset=found.offset,
        metadata=found.metadata or "",
        leader_epoch=None if epoch is None or epoch < 0 else epoch,
    )


def commit_offsets(
    admin: Admin, group_id: str, offsets: Sequence[CommittedOffset]
) -> dict[TopicPartition, KafkaBackupError | None]:
    """Write positions of a group without members. Returns None or the error for each partition. Not atomic.

    Creates a classic group if there is none. Kafka accepts offsets beyond the end, so the caller has to clamp them. If
    the group has a member, every partition gets a `BrokerError` with the code UNKNOWN_MEMBER_ID. A negative offset is a
    `ConfigError` and is not sent.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions

    by_partition = {(one.topic, one.partition): one for one in offsets}
    negative: dict[TopicPartition, KafkaBackupError | None] = {
        (topic, partition): ConfigError(f"Group {group_id} cannot have the offset {one.offset} on {topic}-{partition}.")
        for (topic, partition), one in by_partition.items()
        if one.offset < 0
    }

    def send(partitions: list[TopicPartition]) -> Mapping[TopicPartition, Future[Any]]:
        positions = [_client_position(by_partition[key]) for key in partitions]
        wanted = [ConsumerGroupTopicPartitions(group_id, positions)]
        future = admin.sdk.alter_consumer_group_offsets(wanted, request_timeout=admin.timeout_s)[group_id]
        return dict.fromkeys(partitions, future)

    def action(key: TopicPartition) -> Action:
        topic, partition = key
        needs = (Permission("Read", "Group", group_id), Permission("Read", "Topic", topic))
        return Action("commit", f"the offset of group {group_id} on {topic}-{partition}", needs)

    def check(key: TopicPartition, answer: Any) -> None:
        """The future succeeds although partitions failed, so only the partition's own error counts."""
        own = [one for one in answer.topic_partitions if (one.topic, one.partition) == key]
        if not own:
            raise BrokerError(f"Cannot {action(key)}: Kafka's answer does not contain this partition.")
        if own[0].error is not None:
            raise error_for(own[0].error, action(key))

    to_send = [key for key in by_partition if key not in negative]
    return negative | admin.call_each(to_send, send, check, action)


def _client_position(offset: CommittedOffset) -> ClientTopicPartition:
    from confluent_kafka import TopicPartition as ClientTopicPartition

    epoch = {} if offset.leader_epoch is None else {"leader_epoch": offset.leader_epoch}
    return ClientTopicPartition(offset.topic, offset.partition, offset.offset, offset.metadata, **epoch)


def _group_action(verb: str) -> Callable[[str], Action]:
    return lambda group_id: Action(verb, f"group {group_id}", (Permission("Describe", "Group", group_id),))
