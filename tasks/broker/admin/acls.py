"""Reads the cluster's access control lists, and decides which reasons for missing lists are no error: no authorizer, no
permission, an old broker."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from tasks.broker.admin.acl_codes import AclOperation, AclPatternType, AclPermission, AclResourceType
from tasks.broker.admin.acl_messages import ListedAcl, request_acls
from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import AclBinding
from tasks.broker.error_codes import ErrorCode
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import AccessError, UnsupportedError

NO_AUTHORIZER = "the cluster has no authorizer, so it keeps no ACLs"


def read_acls(admin: Admin) -> tuple[tuple[AclBinding, ...], str | None]:
    """(all ACLs of the cluster in a fixed order, None); or (no ACLs, the reason why they could not be read).

    These are reasons: the cluster has no authorizer, this user does not have the permission, or the broker does not
    support the request. Every other error is raised.
    """
    action = Action("describe the ACLs of", admin.location, (Permission("Describe", "Cluster"),))
    try:
        listed = admin.answer(action, lambda attempt: _checked(*request_acls(attempt), action))
    except (AccessError, UnsupportedError) as error:
        return (), str(error)
    return ((), NO_AUTHORIZER) if listed is None else (tuple(sorted(map(binding, listed))), None)


def _checked(code: int, message: str | None, listed: Sequence[ListedAcl], action: Action) -> Sequence[ListedAcl] | None:
    """The listed ACLs; None if the cluster has no authorizer. Raises the error for every other error code."""
    if code == ErrorCode.SECURITY_DISABLED:
        return None
    if code:
        raise error_for_code(code, action, message)
    return listed


def binding(listed: ListedAcl) -> AclBinding:
    """The ACL with Kafka's names instead of Kafka's numbers. A number without a known name stays a number."""
    return AclBinding(
        resource_type=_word(AclResourceType, listed.resource_type),
        resource_name=listed.resource_name,
        pattern_type=_word(AclPatternType, listed.pattern_type),
        principal=listed.principal,
        host=listed.host,
        operation=_word(AclOperation, listed.operation),
        permission=_word(AclPermission, listed.permission),
    )


def _word(kind: type[IntEnum], number: int) -> str:
    try:
        return kind(number).name
    except ValueError:
        return str(number)
