"""The requests about groups, and the values of their answers.

Each function sends one request, or one for each group if its docstring says so. It returns error codes as values
(`Failed`) and raises the connection's errors.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

from tasks.broker.admin.admin_requests import Attempt
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.described_groups import (
    CONSUMER_GROUP_DESCRIBE_VERSIONS,
    STREAMS_GROUP_DESCRIBE_VERSIONS,
    DescribedGroup,
    encode_describe_request,
)
from tasks.broker.messages.wire import (
    DeleteGroupsRequest,
    DescribeGroupsRequest,
    FindCoordinatorRequest,
    ListGroupsRequest,
    OffsetCommitRequest,
    OffsetFetchRequest,
)
from tasks.broker.raw.connection import Connection

_LIST_GROUPS = (0, 5)
_FIND_COORDINATOR = (1, 5)
_FIRST_WITH_MANY_KEYS = 4
_DESCRIBE_GROUPS = (3, 5)
"""Version 6 and later are not used: there, a group that is not a classic one is an error, and the answer does not
contain the operations that are allowed on it."""

_DELETE_GROUPS = (0, 2)
_OFFSET_FETCH = (7, 9)
_FIRST_WITH_MANY_GROUPS = 8
_OFFSET_COMMIT = (6, 9)
_NO_EPOCH = -1
_NO_GENERATION = -1
_GROUP_KEY = 0


class ListedGroup(NamedTuple):
    """One group of a ListGroups answer. `group_type` is empty before version 5, `state` before version 4."""

    group_id: str
    protocol_type: str
    state: str
    group_type: str


def request_groups(attempt: Attempt, connection: Connection) -> list[ListedGroup] | Failed:
    """ListGroups: the groups of every type and state that this broker coordinates, or its error."""
    request = ListGroupsRequest(states_filter=[], types_filter=[])
    answer = attempt.call(connection, request, *_LIST_GROUPS)
    if answer.error_code:
        return Failed(answer.error_code)
    return [
        ListedGroup(group.group_id, group.protocol_type, group.group_state or "", group.group_type or "")
        for group in answer.groups
    ]


def request_coordinators(attempt: Attempt, group_ids: Sequence[str]) -> dict[str, int | Failed]:
    """FindCoordinator: the node id of each group's coordinator, or its error. Brokers that do not support version 4
    of the request get one request for each group."""
    connection = attempt.any_broker()
    if connection.pick(ApiKey.FIND_COORDINATOR, *_FIND_COORDINATOR) < _FIRST_WITH_MANY_KEYS:
        return {group_id: _coordinator(attempt, connection, group_id) for group_id in group_ids}
    request = FindCoordinatorRequest(key_type=_GROUP_KEY, coordinator_keys=list(group_ids))
    answer = attempt.call(connection, request, *_FIND_COORDINATOR)
    return {
        one.key: Failed(one.error_code, one.error_message) if one.error_code else one.node_id
        for one in answer.coordinators
    }


def _coordinator(attempt: Attempt, connection: Connection, group_id: str) -> int | Failed:
    request = FindCoordinatorRequest(key=group_id, key_type=_GROUP_KEY)
    answer = attempt.call(connection, request, *_FIND_COORDINATOR)
    return Failed(answer.error_code, answer.error_message) if answer.error_code else int(answer.node_id)


class ClassicGroup(NamedTuple):
    """One group of a DescribeGroups answer. `state` is `Dead` if the group does not exist or is not a classic one.
    `operations` are the codes of the operations that this user is allowed to do; empty if they were not requested."""

    state: str
    members: int
    operations: frozenset[int]


def request_classic_groups(
    attempt: Attempt, connection: Connection, group_ids: Sequence[str], *, with_operations: bool = False
) -> dict[str, ClassicGroup | Failed]:
    """DescribeGroups, at the coordinator of these groups: each group, or its error."""
    request = DescribeGroupsRequest(groups=list(group_ids), include_authorized_operations=with_operations)
    answer = attempt.call(connection, request, *_DESCRIBE_GROUPS)
    return {
        one.group_id: Failed(one.error_code)
        if one.error_code
        else ClassicGroup(one.group_state, len(one.members), frozenset(one.authorized_operations or ()))
        for one in answer.groups
    }


def request_consumer_groups(
    attempt: Attempt, connection: Connection, group_ids: Sequence[str]
) -> dict[str, DescribedGroup]:
    """ConsumerGroupDescribe, at the coordinator of these groups. Empty if the broker does not have this request."""
    return _described(attempt, connection, group_ids, ApiKey.CONSUMER_GROUP_DESCRIBE, CONSUMER_GROUP_DESCRIBE_VERSIONS)


def request_streams_groups(
    attempt: Attempt, connection: Connection, group_ids: Sequence[str]
) -> dict[str, DescribedGroup]:
    """StreamsGroupDescribe, at the coordinator of these groups. Empty if the broker does not have this request."""
    return _described(attempt, connection, group_ids, ApiKey.STREAMS_GROUP_DESCRIBE, STREAMS_GROUP_DESCRIBE_VERSIONS)


def _described(
    attempt: Attempt, connection: Connection, group_ids: Sequence[str], api_key: ApiKey, versions: tuple[int, int]
) -> dict[str, DescribedGroup]:
    if not group_ids or api_key not in connection.versions:
        return {}
    version = connection.pick(api_key, *versions)

    def encode(correlation_id: int) -> list[bytes]:
        return [
            encode_describe_request(
                group_ids,
                api_key=api_key,
                api_version=version,
                correlation_id=correlation_id,
                client_id=attempt.cluster.options.client_id,
            )
        ]

    connection.send_encoded(encode, api_key, version)
    answer = attempt.received(connection.receive(attempt.cluster.stop))
    return {group.group_id: group for group in answer.groups}


class GroupPositions(NamedTuple):
    """The positions of one group. `unsettled` are the partitions whose position an open transaction is about to
    replace; their positions are not in `positions`. `failed` are the partitions with an error."""

    positions: list[CommittedOffset]
    unsettled: list[TopicPartition]
    failed: list[tuple[TopicPartition, Failed]]


def request_positions(
    attempt: Attempt, connection: Connection, group_ids: Sequence[str], *, is_stable: bool
) -> dict[str, GroupPositions | Failed]:
    """OffsetFetch, at the coordinator of these groups: all positions of each group, or its error. Brokers before Kafka
    3.0 get one request for each group.

    With `is_stable`, a position that an open transaction is about to replace is in `unsettled`. Without it, the last
    committed position is returned.
    """
    if connection.pick(ApiKey.OFFSET_FETCH, *_OFFSET_FETCH) < _FIRST_WITH_MANY_GROUPS:
        return {group_id: _old_positions(attempt, connection, group_id, is_stable) for group_id in group_ids}
    group_class = OffsetFetchRequest.OffsetFetchRequestGroup
    groups = [
        group_class(group_id=group_id, member_id=None, member_epoch=_NO_EPOCH, topics=None) for group_id in group_ids
    ]
    answer = attempt.call(connection, OffsetFetchRequest(groups=groups, require_stable=is_stable), *_OFFSET_FETCH)
    return {one.group_id: Failed(one.error_code) if one.error_code else _positions(one.topics) for one in answer.groups}


def _old_positions(attempt: Attempt, connection: Connection, group_id: str, is_stable: bool) -> GroupPositions | Failed:
    request = OffsetFetchRequest(group_id=group_id, topics=None, require_stable=is_stable)
    answer = attempt.call(connection, request, *_OFFSET_FETCH)
    return Failed(answer.error_code) if answer.error_code else _positions(answer.topics)


def _positions(topics: Collection[Any]) -> GroupPositions:
    found = GroupPositions([], [], [])
    for topic, part in _parts(topics):
        place = (topic, part.partition_index)
        if part.error_code == ErrorCode.UNSTABLE_OFFSET_COMMIT:
            found.unsettled.append(place)
        elif part.error_code:
            found.failed.append((place, Failed(part.error_code)))
        elif part.committed_offset >= 0:
            found.positions.append(_position(topic, part))
    return found


def _parts(topics: Collection[Any]) -> Iterator[tuple[str, Any]]:
    for topic in topics:
        for part in topic.partitions:
            yield topic.name, part


def _position(topic: str, part: Any) -> CommittedOffset:
    epoch = part.committed_leader_epoch
    return CommittedOffset(
        topic=topic,
        partition=part.partition_index,
        offset=part.committed_offset,
        metadata=part.metadata or "",
        leader_epoch=None if epoch < 0 else epoch,
    )


def request_commit(
    attempt: Attempt, connection: Connection, group_id: str, offsets: Collection[CommittedOffset]
) -> dict[TopicPartition, Failed | None]:
    """OffsetCommit, at the coordinator of the group, by a client that is not a member: for each partition None or its
    error."""
    topic_class = OffsetCommitRequest.OffsetCommitRequestTopic
    by_topic: dict[str, list[Any]] = defaultdict(list)
    for one in offsets:
        by_topic[one.topic].append(
            topic_class.OffsetCommitRequestPartition(
                partition_index=one.partition,
                committed_offset=one.offset,
                committed_leader_epoch=_NO_EPOCH if one.leader_epoch is None else one.leader_epoch,
                committed_metadata=one.metadata,
            )
        )
    request = OffsetCommitRequest(
        group_id=group_id,
        generation_id_or_member_epoch=_NO_GENERATION,
        member_id="",
        group_instance_id=None,
        topics=[topic_class(name=name, partitions=parts) for name, parts in by_topic.items()],
    )
    answer = attempt.call(connection, request, *_OFFSET_COMMIT)
    return {
        (topic, part.partition_index): Failed(part.error_code) if part.error_code else None
        for topic, part in _parts(answer.topics)
    }


def request_group_deletion(
    attempt: Attempt, connection: Connection, group_ids: Sequence[str]
) -> dict[str, Failed | None]:
    """DeleteGroups, at the coordinator of these groups: for each group None or its error."""
    answer = attempt.call(connection, DeleteGroupsRequest(groups_names=list(group_ids)), *_DELETE_GROUPS)
    return {one.group_id: Failed(one.error_code) if one.error_code else None for one in answer.results}
