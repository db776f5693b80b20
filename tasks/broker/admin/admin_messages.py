"""Two administrative requests as raw messages of kafka-python, because confluent-kafka returns incomplete answers.

ListGroups: confluent-kafka omits share groups without an error. DescribeAcls: confluent-kafka returns an empty list for
an error (no authorizer, not authorized), as if there were no ACLs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tasks.broker.admin.acl_codes import AclOperation, AclPatternType, AclPermission, AclResourceType
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.messages.wire import DescribeAclsRequest, ListGroupsRequest
from tasks.broker.raw.connection import Connection


class ListedGroup(NamedTuple):
    """One group of a ListGroups answer. `group_type` is empty before version 5, `state` before version 4."""

    group_id: str
    protocol_type: str
    state: str
    group_type: str


class ListedAcl(NamedTuple):
    """One binding of a DescribeAcls answer, with Kafka's numbers."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


def request_groups(connection: Connection) -> tuple[int, Sequence[ListedGroup]]:
    """(error code, the groups that this broker coordinates, of every type and state). ListGroups v0–v5."""
    request = ListGroupsRequest(states_filter=[], types_filter=[])
    request.API_VERSION = connection.pick(ApiKey.LIST_GROUPS, 0, 5)
    answer = connection.call(request)
    return answer.error_code, [
        ListedGroup(group.group_id, group.protocol_type, group.group_state or "", group.group_type or "")
        for group in answer.groups
    ]


def request_acls(connection: Connection) -> tuple[int, str | None, Sequence[ListedAcl]]:
    """(error code, message, every ACL of the cluster). DescribeAcls v1–v3."""
    request = DescribeAclsRequest(
        resource_type_filter=AclResourceType.ANY,
        resource_name_filter=None,
        pattern_type_filter=AclPatternType.ANY,
        principal_filter=None,
        host_filter=None,
        operation=AclOperation.ANY,
        permission_type=AclPermission.ANY,
    )
    request.API_VERSION = connection.pick(ApiKey.DESCRIBE_ACLS, 1, 3)
    answer = connection.call(request)
    return (
        answer.error_code,
        answer.error_message,
        [_acl(resource, acl) for resource in answer.resources for acl in resource.acls],
    )


def _acl(resource: Any, acl: Any) -> ListedAcl:
    return ListedAcl(
        resource.resource_type,
        resource.resource_name,
        resource.pattern_type,
        acl.principal,
        acl.host,
        acl.operation,
        acl.permission_type,
    )
