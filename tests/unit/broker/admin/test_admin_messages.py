"""The messages of kafka-python that the administrative side uses, encoded and decoded by its own codec."""

from __future__ import annotations

from typing import Any, cast

from kafka.protocol.admin.acl import DescribeAclsRequest, DescribeAclsResponse
from kafka.protocol.admin.groups import ListGroupsRequest, ListGroupsResponse

from tasks.broker.admin.acls import binding
from tasks.broker.admin.admin_messages import ListedAcl, ListedGroup, request_acls, request_groups
from tasks.broker.admin_values import AclBinding
from tasks.broker.raw.connection import Connection


class Replies:
    """A broker of one version that answers with one response, through the bytes that a real one would send."""

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


def _ask_groups(version: int) -> tuple[int, list[ListedGroup]]:
    group = ListGroupsResponse.ListedGroup(
        group_id="g", protocol_type="consumer", group_state="Stable", group_type="share"
    )
    broker = Replies(version, ListGroupsResponse(throttle_time_ms=0, error_code=14, groups=[group]))
    code, groups = request_groups(cast(Connection, broker))
    assert isinstance(broker.request, ListGroupsRequest)
    return code, list(groups)


def test_groups_are_listed_with_state_and_type_as_far_as_the_broker_tells() -> None:
    assert _ask_groups(5) == (14, [ListedGroup("g", "consumer", "Stable", "share")])
    assert _ask_groups(4) == (14, [ListedGroup("g", "consumer", "Stable", "")])
    assert _ask_groups(0) == (14, [ListedGroup("g", "consumer", "", "")])


def test_acls_are_asked_for_without_any_filter_and_an_error_is_not_an_empty_list() -> None:
    described = DescribeAclsResponse.DescribeAclsResource
    acl = described.AclDescription(principal="User:a", host="*", operation=3, permission_type=2)
    resource = described(resource_type=2, resource_name="t", pattern_type=4, acls=[acl])
    for version in (1, 2, 3):
        answer = DescribeAclsResponse(throttle_time_ms=0, error_code=54, error_message="none", resources=[resource])
        broker = Replies(version, answer)

        asked = request_acls(cast(Connection, broker))

        assert asked == (54, "none", [ListedAcl(2, "t", 4, "User:a", "*", 3, 2)])
        assert isinstance(broker.request, DescribeAclsRequest)
        assert broker.request.resource_name_filter is None
        assert (
            broker.request.resource_type_filter,
            broker.request.pattern_type_filter,
            broker.request.operation,
            broker.request.permission_type,
        ) == (1, 1, 1, 1)


def test_a_binding_is_in_the_words_of_kafka_and_an_unknown_kind_is_its_number() -> None:
    words = {"resource_name": "x", "principal": "User:a", "host": "*"}
    assert binding(ListedAcl(4, "x", 3, "User:a", "*", 12, 3)) == AclBinding(
        resource_type="CLUSTER", pattern_type="LITERAL", operation="IDEMPOTENT_WRITE", permission="ALLOW", **words
    )
    assert binding(ListedAcl(99, "x", 4, "User:a", "*", 77, 2)) == AclBinding(
        resource_type="99", pattern_type="PREFIXED", operation="77", permission="DENY", **words
    )
