"""Consumer groups: which there are, whether they are in use, and their positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_messages import ListedGroup, request_groups
from tasks.broker.admin.admin_requests import values
from tasks.broker.admin.client import started
from tasks.broker.admin.raw_admin import call_every_broker
from tasks.broker.admin_values import CommittedOffset, GroupDescription, GroupListing, Place
from tasks.broker.translation import Action, Permission, error_for, error_for_code
from tasks.model.errors import BrokerError, ConfigError, KafkaBackupError

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition

_GROUPS_IN_FLIGHT = 200
_NO_OFFSET = -1001
"""What librdkafka puts where nothing is committed."""

_STATES = {
    "PREPARING_REBALANCING": "PreparingRebalance",
    "COMPLETING_REBALANCING": "CompletingRebalance",
    "STABLE": "Stable",
    "DEAD": "Dead",
    "EMPTY": "Empty",
}


def list_groups(admin: Admin) -> list[GroupListing]:
    """Every group of every kind that this user may see, by id. Raises unless all brokers answered."""
    action = Action("list the groups of", admin.location)

    def question(connection: Any) -> Sequence[ListedGroup]:
        code, groups = request_groups(connection)
        if code:
            raise error_for_code(code, action)
        return groups

    answers = call_every_broker(admin, action, question)
    # While a coordinator moves, two brokers may list the same group.
    found = {group.group_id: _listing(group) for groups in answers for group in groups}
    return [found[group_id] for group_id in sorted(found)]


def _listing(group: ListedGroup) -> GroupListing:
    return GroupListing(
        group_id=group.group_id,
        group_type=group.group_type.lower() or "classic",  # brokers that do not say know no other kind
        state=group.state,
        protocol_type=group.protocol_type,
    )


def describe_groups(admin: Admin, group_ids: Sequence[str]) -> list[GroupDescription]:
    """State and member count of each group, in the order asked. Raises the first group's error."""

    def request(some: list[str]) -> Mapping[str, Future[Any]]:
        return admin.sdk.describe_consumer_groups(some, request_timeout=admin.timeout_s)

    return list(values(admin.call_each(list(group_ids), request, _description, _group("describe"))).values())


def _description(group_id: str, found: Any) -> GroupDescription:
    return GroupDescription(
        group_id=group_id,
        group_type=found.type.name.lower(),
        state=_STATES.get(found.state.name, "Unknown"),
        members=len(found.members),
    )


def committed_offsets(admin: Admin, group_ids: Sequence[str]) -> dict[str, list[CommittedOffset] | KafkaBackupError]:
    """All positions of each group, or why they could not be read: one failed partition fails its group.

    Positions that a transaction is just committing are waited for. A group that does not exist has none.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions

    def request(some: list[str]) -> Mapping[str, Future[Any]]:
        return {group_id: started(partial(request_one, group_id)) for group_id in some}

    def request_one(group_id: str) -> Future[Any]:
        wanted = [ConsumerGroupTopicPartitions(group_id)]  # the library takes one group per call
        futures = admin.sdk.list_consumer_group_offsets(wanted, require_stable=True, request_timeout=admin.timeout_s)
        return futures[group_id]

    found: dict[str, list[CommittedOffset] | KafkaBackupError] = {}
    for start in range(0, len(group_ids), _GROUPS_IN_FLIGHT):
        some = group_ids[start : start + _GROUPS_IN_FLIGHT]
        found |= admin.call_each(some, request, _positions, _group("read the positions of"))
    return found


def _positions(group_id: str, answer: Any) -> list[CommittedOffset]:
    for place in answer.topic_partitions:
        if place.error is not None:
            where = f"the position of group {group_id} on {place.topic}-{place.partition}"
            needs = (Permission("Describe", "Group", group_id), Permission("Describe", "Topic", place.topic))
            raise error_for(place.error, Action("read", where, needs))
    return [_position(place) for place in answer.topic_partitions if place.offset != _NO_OFFSET]


def _position(place: TopicPartition) -> CommittedOffset:
    epoch = place.leader_epoch
    return CommittedOffset(
        topic=place.topic,
        partition=place.partition,
        offset=place.offset,
        metadata=place.metadata or "",
        leader_epoch=None if epoch is None or epoch < 0 else epoch,
    )


def commit_offsets(
    admin: Admin, group_id: str, offsets: Sequence[CommittedOffset]
) -> dict[Place, KafkaBackupError | None]:
    """Write positions of a group that nobody uses; per partition None or why it was not written. Not atomic.

    Makes a classic group if there is none. Kafka accepts offsets beyond the end, so clamp before. A member anywhere
    in the group: `BrokerError` with code 25 for every partition. A negative offset is a `ConfigError` and is not sent.
    """
    from confluent_kafka import ConsumerGroupTopicPartitions

    by_place = {(one.topic, one.partition): one for one in offsets}
    refused: dict[Place, KafkaBackupError | None] = {
        place: ConfigError(f"Group {group_id} cannot have the offset {one.offset} on {place[0]}-{place[1]}.")
        for place, one in by_place.items()
        if one.offset < 0
    }

    def request(some: list[Place]) -> Mapping[Place, Future[Any]]:
        wanted = [ConsumerGroupTopicPartitions(group_id, [_client_position(by_place[place]) for place in some])]
        answer = admin.sdk.alter_consumer_group_offsets(wanted, request_timeout=admin.timeout_s)[group_id]
        return dict.fromkeys(some, answer)

    def action(place: Place) -> Action:
        needs = (Permission("Read", "Group", group_id), Permission("Read", "Topic", place[0]))
        return Action("commit", f"the offset of group {group_id} on {place[0]}-{place[1]}", needs)

    def read(place: Place, answer: Any) -> None:
        """The call succeeds although partitions failed: only the partition's own answer counts."""
        own = [one for one in answer.topic_partitions if (one.topic, one.partition) == place]
        if not own:
            raise BrokerError(f"Kafka did not answer to: {action(place)}.")
        if own[0].error is not None:
            raise error_for(own[0].error, action(place))

    sent = [place for place in by_place if place not in refused]
    return refused | admin.call_each(sent, request, read, action)


def _client_position(offset: CommittedOffset) -> TopicPartition:
    from confluent_kafka import TopicPartition

    epoch = {} if offset.leader_epoch is None else {"leader_epoch": offset.leader_epoch}
    return TopicPartition(offset.topic, offset.partition, offset.offset, offset.metadata, **epoch)


def _group(verb: str) -> Any:
    return lambda group_id: Action(verb, f"group {group_id}", (Permission("Describe", "Group", group_id),))
