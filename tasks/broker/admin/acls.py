"""Access control lists, read from the cluster."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_messages import ListedAcl, request_acls
from tasks.broker.admin.raw_admin import call_broker
from tasks.broker.admin_values import AclBinding
from tasks.broker.error_codes import ErrorCode
from tasks.broker.translation import Action, Permission, error_for_code
from tasks.model.errors import AccessError

NO_AUTHORIZER = "the cluster has no authorizer, so it keeps no ACLs"

_RESOURCE_TYPES = ("TOPIC", "GROUP", "CLUSTER", "TRANSACTIONAL_ID", "DELEGATION_TOKEN", "USER")
_PATTERN_TYPES = ("MATCH", "LITERAL", "PREFIXED")
_PERMISSIONS = ("DENY", "ALLOW")
_OPERATIONS = (
    *("ALL", "READ", "WRITE", "CREATE", "DELETE", "ALTER", "DESCRIBE", "CLUSTER_ACTION", "DESCRIBE_CONFIGS"),
    *("ALTER_CONFIGS", "IDEMPOTENT_WRITE", "CREATE_TOKENS", "DESCRIBE_TOKENS", "TWO_PHASE_COMMIT"),
)
_FIRST = 2
"""In each of Kafka's four enumerations 0 is UNKNOWN and 1 is ANY, which no binding has."""


def read_acls(admin: Admin) -> tuple[tuple[AclBinding, ...], str | None]:
    """All ACLs in a fixed order and None; or none and the reason why they could not be read.

    Having no authorizer and not being allowed to look are reasons, not errors; anything else raises.
    """
    action = Action("describe the ACLs of", admin.location, (Permission("Describe", "Cluster"),))
    try:
        listed = call_broker(admin, action, lambda connection: _answer(*request_acls(connection), action))
    except AccessError as error:
        return (), str(error)
    return ((), NO_AUTHORIZER) if listed is None else (tuple(sorted(map(binding, listed))), None)


def _answer(code: int, message: str | None, listed: Sequence[ListedAcl], action: Action) -> Sequence[ListedAcl] | None:
    if code == ErrorCode.SECURITY_DISABLED:
        return None
    if code:
        raise error_for_code(code, action, message)
    return listed


def binding(listed: ListedAcl) -> AclBinding:
    """Kafka's numbers in Kafka's words."""
    return AclBinding(
        resource_type=_word(_RESOURCE_TYPES, listed.resource_type),
        resource_name=listed.resource_name,
        pattern_type=_word(_PATTERN_TYPES, listed.pattern_type),
        principal=listed.principal,
        host=listed.host,
        operation=_word(_OPERATIONS, listed.operation),
        permission=_word(_PERMISSIONS, listed.permission),
    )


def _word(words: tuple[str, ...], number: int) -> str:
    return words[number - _FIRST] if _FIRST <= number < _FIRST + len(words) else str(number)
