"""Permissions by the rules of Kafka's StandardAuthorizer with `allow.everyone.if.no.acl.found`.

A resource without any rule is open to all users. With one, a user may do what a rule allows and none denies.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.broker.admin_values import AclBinding
from tasks.broker.translation import Action, Permission
from tests.simulation.kafka.refusals import (
    CLUSTER_AUTHORIZATION_FAILED,
    GROUP_AUTHORIZATION_FAILED,
    TOPIC_AUTHORIZATION_FAILED,
    Refused,
)

CLUSTER = "kafka-cluster"
ANONYMOUS = "ANONYMOUS"

_WORDS = {
    "Read": "READ",
    "Write": "WRITE",
    "Create": "CREATE",
    "Delete": "DELETE",
    "Alter": "ALTER",
    "Describe": "DESCRIBE",
    "DescribeConfigs": "DESCRIBE_CONFIGS",
    "AlterConfigs": "ALTER_CONFIGS",
    "IdempotentWrite": "IDEMPOTENT_WRITE",
}
_IMPLIED_BY = {
    "DESCRIBE": {"READ", "WRITE", "DELETE", "ALTER"},
    "DESCRIBE_CONFIGS": {"ALTER_CONFIGS"},
}
"""A user who is allowed one of these operations is allowed the first as well."""

_REFUSALS = {
    "Topic": TOPIC_AUTHORIZATION_FAILED,
    "Group": GROUP_AUTHORIZATION_FAILED,
    "Cluster": CLUSTER_AUTHORIZATION_FAILED,
}


@dataclass(slots=True)
class Permissions:
    """The rules of the cluster. Without an authorizer there are none, and all users may do everything."""

    has_authorizer: bool = False
    rules: list[AclBinding] = field(default_factory=list)

    def allow_only(self, user: str, kind: str, name: str, *operations: str) -> None:
        """From now on this resource is for those who have a rule; `operations` in Kafka's words (`Read`)."""
        for operation in operations:
            self.add(user, kind, name, operation, permission="ALLOW")

    def deny(self, user: str, kind: str, name: str, operation: str) -> None:
        """Deny one operation. The resource is closed to all others then, unless rules allow them something."""
        self.add(user, kind, name, operation, permission="DENY")

    def add(self, user: str, kind: str, name: str, operation: str, *, permission: str) -> None:
        """Add a rule. Raises `AssertionError` on a cluster without an authorizer, which can keep none."""
        assert self.has_authorizer, "make the cluster with has_authorizer=True"
        self.rules.append(
            AclBinding(
                resource_type=kind.upper(),
                resource_name=name,
                pattern_type="LITERAL",
                principal=f"User:{user}",
                host="*",
                operation=_WORDS.get(operation, operation.upper()),
                permission=permission,
            )
        )

    def clear(self, kind: str, name: str) -> None:
        """Remove every rule of a resource, which is open to all users then."""
        self.rules = [rule for rule in self.rules if (rule.resource_type, rule.resource_name) != (kind.upper(), name)]

    def allows(self, user: str, permission: Permission) -> bool:
        """True if the user may do this."""
        own = [rule for rule in self.rules if self._concerns(rule, permission)]
        if not own:
            return True
        operation = _WORDS[permission.operation]
        mine = [rule for rule in own if rule.principal in (f"User:{user}", "User:*")]
        if any(rule.permission == "DENY" and rule.operation in (operation, "ALL") for rule in mine):
            return False
        enough = {operation, "ALL", *_IMPLIED_BY.get(operation, ())}
        return any(rule.permission == "ALLOW" and rule.operation in enough for rule in mine)

    def require(self, user: str, permission: Permission) -> None:
        """Raises `Refused` with the code of the resource's kind."""
        if not self.allows(user, permission):
            raise Refused(_REFUSALS[permission.kind])

    def missing(self, user: str, attempt: Action) -> list[Permission]:
        """The permissions on the cluster that the attempt needs and the user lacks."""
        return [one for one in attempt.needs if one.kind == "Cluster" and not self.allows(user, one)]

    def _concerns(self, rule: AclBinding, permission: Permission) -> bool:
        return rule.resource_type == permission.kind.upper() and rule.resource_name in (permission.name, "*")
