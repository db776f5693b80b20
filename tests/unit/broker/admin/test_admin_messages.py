"""The raw messages of the administrative side, encoded and decoded by kafka-python's codec."""

from __future__ import annotations

from typing import Any, cast

from kafka.protocol.admin.acl import DescribeAclsRequest, DescribeAclsResponse
from kafka.protocol.admin.groups import ListGroupsRequest, ListGroupsResponse

from tasks.broker.admin.acl_codes import AclOperation, AclPatternType, AclPermission, AclResourceType
from tasks.broker.admin.acls import binding
from tasks.broker.admin.admin_messages import ListedAcl, ListedGroup, request_acls, request_groups
from tasks.broker.admin_values import AclBinding
from tasks.broker.error_codes import ErrorCode
from tasks.broker.raw.connection import Connection


class FakeConnection:
    """A connection to a broker of one version, which encodes and decodes its only answer as a real one does."""

    def __init__(self, version: int, response: Any) -> None:
        self.version = version
        self.response = response
        self.request: Any = None

    def pick(self, api_key: int, lowest: int, highest: int) -> int:
        assert lowest <= self.version <= highest
        return self.version

    def call(self, request: Any) -> Any:
        sent = type(request)[self.version]
        self.request = sent.decode(request.encode())
        self.response.API_VERSION = self.version
        return type(self.response)[self.version].decode(self.response.encode())


def _listed_groups(version: int) -> tuple[int, list[ListedGroup]]:
    group = ListGroupsResponse.ListedGroup(
        group_id="g", protocol_type="consumer", group_state="Stable", group_type="share"
    )
    broker = FakeConnection(
        version,
        ListGroupsResponse(throttle_time_ms=0, error_code=ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, groups=[group]),
    )
    code, groups = request_groups(cast(Connection, broker))
    assert isinstance(broker.request, ListGroupsRequest)
    return code, list(groups)


def test_groups_are_listed_with_the_state_and_type_that_the_version_contains() -> None:
    assert _listed_groups(5) == (
        ErrorCode.COORDINATOR_LOAD_IN_PROGRESS,
        [ListedGroup("g", "consumer", "Stable", "share")],
    )
    assert _listed_groups(4) == (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, [ListedGroup("g", "consumer", "Stable", "")])
    assert _listed_groups(0) == (ErrorCode.COORDINATOR_LOAD_IN_PROGRESS, [ListedGroup("g", "consumer", "", "")])


def test_all_acls_are_requested_and_an_error_is_not_an_empty_list() -> None:
    described = DescribeAclsResponse.DescribeAclsResource
    acl = described.AclDescription(
        principal="User:a", host="*", operation=AclOperation.READ, permission_type=AclPermission.DENY
    )
    resource = described(
        resource_type=AclResourceType.TOPIC, resource_name="t", pattern_type=AclPatternType.PREFIXED, acls=[acl]
    )
    for version in (1, 2, 3):
        answer = DescribeAclsResponse(
            throttle_time_ms=0, error_code=ErrorCode.SECURITY_DISABLED, error_message="none", resources=[resource]
        )
        broker = FakeConnection(version, answer)

        received = request_acls(cast(Connection, broker))

        assert received == (ErrorCode.SECURITY_DISABLED, "none", [ListedAcl(2, "t", 4, "User:a", "*", 3, 2)])
        assert isinstance(broker.request, DescribeAclsRequest)
        assert broker.request.resource_name_filter is None
        assert (
            broker.request.resource_type_filter,
            broker.request.pattern_type_filter,
            broker.request.operation,
            broker.request.permission_type,
        ) == (1, 1, 1, 1)


def test_a_binding_has_kafkas_words_and_an_unknown_kind_stays_a_number() -> None:
    words = {"resource_name": "x", "principal": "User:a", "host": "*"}
    assert binding(ListedAcl(4, "x", 3, "User:a", "*", 12, 3)) == AclBinding(
        resource_type="CLUSTER", pattern_type="LITERAL", operation="IDEMPOTENT_WRITE", permission="ALLOW", **words
    )
    assert binding(ListedAcl(99, "x", 4, "User:a", "*", 77, 2)) == AclBinding(
        resource_type="99", pattern_type="PREFIXED", operation="77", permission="DENY", **words
    )
