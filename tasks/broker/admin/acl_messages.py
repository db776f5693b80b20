"""DescribeAcls and CreateAcls: the request for all ACLs of a cluster, the request that adds ACLs, and the values of
their answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tasks.broker.admin.acl_codes import AclOperation, AclPatternType, AclPermission, AclResourceType
from tasks.broker.admin.admin_requests import Attempt, K
from tasks.broker.admin.topic_messages import Failed
from tasks.broker.messages.wire import CreateAclsRequest, DescribeAclsRequest

_DESCRIBE_ACLS = (1, 3)
_CREATE_ACLS = (1, 3)


class ListedAcl(NamedTuple):
    """One ACL of a DescribeAcls answer, with Kafka's numbers."""

    resource_type: int
    resource_name: str
    pattern_type: int
    principal: str
    host: str
    operation: int
    permission: int


def request_acls(attempt: Attempt) -> tuple[int, str | None, Sequence[ListedAcl]]:
    """(error code, the broker's message, every ACL of the cluster), from any broker."""
    request = DescribeAclsRequest(
        resource_type_filter=AclResourceType.ANY,
        resource_name_filter=None,
        pattern_type_filter=AclPatternType.ANY,
        principal_filter=None,
        host_filter=None,
        operation=AclOperation.ANY,
        permission_type=AclPermission.ANY,
    )
    answer = attempt.call(attempt.any_broker(), request, *_DESCRIBE_ACLS)
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


def request_new_acls(attempt: Attempt, acls: Mapping[K, ListedAcl]) -> dict[K, Failed | None]:
    """Ask any broker to add the ACLs. Returns None or the failure for each key. An ACL that exists is no failure."""
    creation = CreateAclsRequest.AclCreation
    request = CreateAclsRequest(
        creations=[
            creation(
                resource_type=acl.resource_type,
                resource_name=acl.resource_name,
                resource_pattern_type=acl.pattern_type,
                principal=acl.principal,
                host=acl.host,
                operation=acl.operation,
                permission_type=acl.permission,
            )
            for acl in acls.values()
        ]
    )
    answer = attempt.call(attempt.any_broker(), request, *_CREATE_ACLS)
    return {
        key: Failed(result.error_code, result.error_message) if result.error_code else None
        for key, result in zip(acls, answer.results, strict=True)
    }
