"""The messages about groups and ACLs, against a scripted broker of one version."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from kafka.protocol.admin.acl import DescribeAclsRequest, DescribeAclsResponse
from kafka.protocol.admin.groups import ListGroupsResponse
from kafka.protocol.consumer import OffsetCommitRequest, OffsetCommitResponse, OffsetFetchRequest, OffsetFetchResponse
from kafka.protocol.metadata import FindCoordinatorRequest, FindCoordinatorResponse

from tasks.broker.admin.acl_codes import AclOperation, AclPatternType, AclPermission, AclResourceType
from tasks.broker.admin.acl_messages import ListedAcl, request_acls
from tasks.broker.admin.acls import binding
from tasks.broker.admin.admin_requests import Attempt
from tasks.broker.admin.group_messages import (
    GroupPositions,
    ListedGroup,
    request_commit,
    request_coordinators,
    request_groups,
    request_positions,
)
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.admin_values import AclBinding, CommittedOffset
from tasks.broker.error_codes import ErrorCode
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.raw.cluster import Cluster
from tests.unit.broker.scripted_broker import Answer, ReceivedRequest, ScriptedBroker, options, versions

STRANGE = ["", "nul\0", "two\nlines", "é/..%2e", "x" * 1_000]


@contextmanager
def attempt_at(broker: ScriptedBroker, **supported: int) -> Iterator[Attempt]:
    """An attempt at a broker that supports each of these requests up to a version."""
    broker.answers[ApiKey.API_VERSIONS] = versions({ApiKey[name]: (0, high) for name, high in supported.items()})
    with broker, Cluster(options(broker.address)) as cluster:
        yield Attempt(cluster)


@pytest.mark.parametrize(
    ("version", "state", "kind"), [(5, "Stable", "share"), (4, "Stable", ""), (0, "", "")], ids=["v5", "v4", "v0"]
)
def test_groups_are_listed_with_the_state_and_type_that_the_version_contains(
    version: int, state: str, kind: str
) -> None:
    group = ListGroupsResponse.ListedGroup(
        group_id="g\0", protocol_type="consumer", group_state="Stable", group_type="share"
    )
    broker = ScriptedBroker(
        {ApiKey.LIST_GROUPS: lambda received: ListGroupsResponse(throttle_time_ms=0, error_code=0, groups=[group])}
    )
    with attempt_at(broker, LIST_GROUPS=version) as attempt:
        assert [ListedGroup("g\0", "consumer", state, kind)] == request_groups(attempt, attempt.any_broker())


def test_a_failed_list_of_groups_is_not_an_empty_list() -> None:
    broker = ScriptedBroker(
        {ApiKey.LIST_GROUPS: lambda received: ListGroupsResponse(throttle_time_ms=0, error_code=14, groups=[])}
    )
    with attempt_at(broker, LIST_GROUPS=5) as attempt:
        assert Failed(14) == request_groups(attempt, attempt.any_broker())


def _coordinators(received: ReceivedRequest) -> Any:
    request = received.decoded(FindCoordinatorRequest)
    if received.version < 4:
        code = ErrorCode.COORDINATOR_NOT_AVAILABLE if not request.key else 0
        return FindCoordinatorResponse(
            throttle_time_ms=0, error_code=code, error_message=None, node_id=len(request.key), host="h", port=1
        )
    coordinator = FindCoordinatorResponse.Coordinator
    return FindCoordinatorResponse(
        throttle_time_ms=0,
        coordinators=[
            coordinator(
                key=key,
                node_id=len(key),
                host="h",
                port=1,
                error_code=0 if key else ErrorCode.COORDINATOR_NOT_AVAILABLE,
                error_message=None,
            )
            for key in request.coordinator_keys
        ],
    )


@pytest.mark.parametrize(("version", "requests"), [(4, 1), (6, 1), (3, len(STRANGE))])
def test_coordinators_of_all_groups_come_with_one_request_where_the_version_allows_it(
    version: int, requests: int
) -> None:
    broker = ScriptedBroker({ApiKey.FIND_COORDINATOR: _coordinators})
    with attempt_at(broker, FIND_COORDINATOR=version) as attempt:
        found = request_coordinators(attempt, STRANGE)

    assert requests == len(broker.requests(ApiKey.FIND_COORDINATOR))
    assert {name: len(name) or Failed(ErrorCode.COORDINATOR_NOT_AVAILABLE) for name in STRANGE} == found


def _fetched(received: ReceivedRequest) -> Any:
    """Position 7 on partition 0, an open transaction on 1, nothing on 2, an error on 3."""
    request = received.decoded(OffsetFetchRequest)
    response = OffsetFetchResponse
    kind = response.OffsetFetchResponseGroup.OffsetFetchResponseTopics if received.version >= 8 else None
    topic_class = kind or response.OffsetFetchResponseTopic
    part_class: Any = getattr(topic_class, "OffsetFetchResponsePartitions", None) or getattr(
        topic_class, "OffsetFetchResponsePartition", None
    )
    unstable = ErrorCode.UNSTABLE_OFFSET_COMMIT if request.require_stable else 0
    values = [(7, 2, "m\0é", 0), (-1 if unstable else 5, -1, "", unstable), (-1, -1, None, 0), (-1, -1, "", 29)]
    parts = [
        part_class(
            partition_index=number,
            committed_offset=offset,
            committed_leader_epoch=epoch,
            metadata=metadata,
            error_code=code,
        )
        for number, (offset, epoch, metadata, code) in enumerate(values)
    ]
    topics = [topic_class(name="t", partitions=parts)]
    if received.version < 8:
        return response(throttle_time_ms=0, error_code=0, topics=topics)
    group = response.OffsetFetchResponseGroup
    return response(
        throttle_time_ms=0,
        groups=[
            group(group_id=one.group_id, topics=topics, error_code=0)
            if one.group_id
            else group(group_id="", topics=[], error_code=ErrorCode.NOT_COORDINATOR)
            for one in request.groups
        ],
    )


@pytest.mark.parametrize(("version", "requests"), [(9, 1), (8, 1), (7, 2)])
def test_positions_of_all_groups_come_with_one_request_where_the_version_allows_it(version: int, requests: int) -> None:
    broker = ScriptedBroker({ApiKey.OFFSET_FETCH: _fetched})
    names = ["g", "two\nlines"]
    kept = CommittedOffset(topic="t", partition=0, offset=7, metadata="m\0é", leader_epoch=2)
    before = CommittedOffset(topic="t", partition=1, offset=5)
    failed = [(("t", 3), Failed(ErrorCode.TOPIC_AUTHORIZATION_FAILED))]
    with attempt_at(broker, OFFSET_FETCH=version) as attempt:
        stable = request_positions(attempt, attempt.any_broker(), names, is_stable=True)
        last = request_positions(attempt, attempt.any_broker(), names, is_stable=False)

    assert dict.fromkeys(names, GroupPositions([kept], [("t", 1)], failed)) == stable
    assert dict.fromkeys(names, GroupPositions([kept, before], [], failed)) == last
    assert 2 * requests == len(broker.requests(ApiKey.OFFSET_FETCH))


def test_the_error_of_one_group_is_its_own() -> None:
    broker = ScriptedBroker({ApiKey.OFFSET_FETCH: _fetched})
    with attempt_at(broker, OFFSET_FETCH=9) as attempt:
        found = request_positions(attempt, attempt.any_broker(), ["", "g"], is_stable=True)

    assert Failed(ErrorCode.NOT_COORDINATOR) == found[""]
    assert isinstance(found["g"], GroupPositions)


def _committed(received: ReceivedRequest) -> Any:
    topic_class = OffsetCommitResponse.OffsetCommitResponseTopic
    part_class = topic_class.OffsetCommitResponsePartition
    return OffsetCommitResponse(
        throttle_time_ms=0,
        topics=[
            topic_class(
                name=topic.name,
                partitions=[
                    part_class(partition_index=part.partition_index, error_code=12 * part.partition_index)
                    for part in topic.partitions
                ],
            )
            for topic in received.decoded(OffsetCommitRequest).topics
        ],
    )


@pytest.mark.parametrize("version", [6, 9])
def test_a_commit_sends_the_metadata_as_it_is_and_no_member(version: int) -> None:
    broker = ScriptedBroker({ApiKey.OFFSET_COMMIT: _committed})
    wanted = [
        CommittedOffset(topic="t", partition=0, offset=7, metadata="m\0é", leader_epoch=2),
        CommittedOffset(topic="t", partition=1, offset=1 << 40),
    ]
    with attempt_at(broker, OFFSET_COMMIT=version) as attempt:
        found = request_commit(attempt, attempt.any_broker(), "nul\0", wanted)

    assert {("t", 0): None, ("t", 1): Failed(ErrorCode.OFFSET_METADATA_TOO_LARGE)} == found
    [received] = broker.requests(ApiKey.OFFSET_COMMIT)
    request = received.decoded(OffsetCommitRequest)
    assert ("nul\0", -1, "") == (request.group_id, request.generation_id_or_member_epoch, request.member_id)
    assert [(7, 2, "m\0é"), (1 << 40, -1, "")] == [
        (part.committed_offset, part.committed_leader_epoch, part.committed_metadata)
        for part in request.topics[0].partitions
    ]


def _acls(code: int) -> Answer:
    described = DescribeAclsResponse.DescribeAclsResource
    acl = described.AclDescription(
        principal="User:a", host="*", operation=AclOperation.READ, permission_type=AclPermission.DENY
    )
    resource = described(
        resource_type=AclResourceType.TOPIC, resource_name="t", pattern_type=AclPatternType.PREFIXED, acls=[acl]
    )
    return lambda received: DescribeAclsResponse(
        throttle_time_ms=0, error_code=code, error_message="none", resources=[resource]
    )


@pytest.mark.parametrize("version", [1, 2, 3])
def test_all_acls_are_requested_and_an_error_is_not_an_empty_list(version: int) -> None:
    broker = ScriptedBroker({ApiKey.DESCRIBE_ACLS: _acls(ErrorCode.SECURITY_DISABLED)})
    with attempt_at(broker, DESCRIBE_ACLS=version) as attempt:
        received = request_acls(attempt)

    assert (ErrorCode.SECURITY_DISABLED, "none", [ListedAcl(2, "t", 4, "User:a", "*", 3, 2)]) == received
    [sent] = broker.requests(ApiKey.DESCRIBE_ACLS)
    request = sent.decoded(DescribeAclsRequest)
    assert request.resource_name_filter is None
    assert (1, 1, 1, 1) == (
        request.resource_type_filter,
        request.pattern_type_filter,
        request.operation,
        request.permission_type,
    )


def test_a_binding_has_kafkas_words_and_an_unknown_kind_stays_a_number() -> None:
    words = {"resource_name": "x", "principal": "User:a", "host": "*"}
    assert binding(ListedAcl(4, "x", 3, "User:a", "*", 12, 3)) == AclBinding(
        resource_type="CLUSTER", pattern_type="LITERAL", operation="IDEMPOTENT_WRITE", permission="ALLOW", **words
    )
    assert binding(ListedAcl(99, "x", 4, "User:a", "*", 77, 2)) == AclBinding(
        resource_type="99", pattern_type="PREFIXED", operation="77", permission="DENY", **words
    )
