"""The part of `ClusterAdmin` about permissions: the rules themselves, and the operations that a user lacks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from tasks.broker.admin.acls import NO_AUTHORIZER, unknown_words
from tasks.broker.admin_values import AclBinding, acl_text
from tasks.broker.translation import Action, Permission
from tasks.model.errors import AccessError, KafkaBackupError
from tests.simulation.kafka.calls import Client
from tests.simulation.kafka.refusals import SECURITY_DISABLED, Refused


def read_acls(client: Client, location: str) -> tuple[tuple[AclBinding, ...], str | None]:
    """All rules and None, or none and the reason."""

    def rules(attempt: int) -> tuple[tuple[AclBinding, ...], str | None]:
        permissions = client.kafka.permissions
        if not permissions.has_authorizer:
            return (), NO_AUTHORIZER
        try:
            client.require(Permission("Describe", "Cluster"), "describe", f"the ACLs of {location}")
        except AccessError as error:
            return (), str(error)
        return tuple(sorted(permissions.rules)), None

    return client.call("admin.read_acls", "", rules)


def create_acls(client: Client, bindings: Collection[AclBinding]) -> dict[AclBinding, KafkaBackupError | None]:
    """Add the rules that do not exist."""

    def add(acl: AclBinding, attempt: int) -> None:
        permissions, unknown = client.kafka.permissions, unknown_words(acl)
        if unknown is not None:
            raise unknown
        if not permissions.has_authorizer:
            raise Refused(SECURITY_DISABLED)
        permissions.require(client.user, Permission("Alter", "Cluster"))
        if acl not in permissions.rules:
            permissions.rules.append(acl)

    def action(acl: AclBinding) -> Action:
        return Action("add", f"the ACL {acl_text(acl)}", (Permission("Alter", "Cluster"),))

    return client.call_each("admin.create_acls", sorted(set(bindings)), add, action)


def require_on_cluster(client: Client, attempt: Action) -> None:
    """Raises `AccessError` that names the missing permissions."""
    missing = client.call(
        "admin.require_on_cluster", "", lambda number: client.kafka.permissions.missing(client.user, attempt)
    )
    _refuse(attempt, missing)


def require_on_topics(client: Client, operations: Mapping[str, Sequence[str]], attempt: Action) -> None:
    """A topic that does not exist is ignored, unless the user is not allowed to describe it."""

    def is_known(name: str) -> bool:
        return name in client.kafka.topics.by_name or not client.may("Describe", "Topic", name)

    _require(client, "Topic", {name: some for name, some in operations.items() if is_known(name)}, attempt)


def require_on_groups(client: Client, operations: Mapping[str, Sequence[str]], attempt: Action) -> None:
    """Groups that do not exist are checked too. A user that is not allowed to describe a group has no rights on it."""
    _require(client, "Group", operations, attempt)


def _require(
    client: Client, kind: Literal["Topic", "Group"], operations: Mapping[str, Sequence[str]], attempt: Action
) -> None:
    def missing(number: int) -> list[Permission]:
        wanted = [Permission(one, kind, name) for name, some in operations.items() for one in some]
        return [one for one in wanted if not (client.may("Describe", kind, one.name) and client.allows(one))]

    _refuse(attempt, client.call(f"admin.require_on_{kind.lower()}s", ", ".join(operations), missing))


def _refuse(attempt: Action, missing: Sequence[Permission]) -> None:
    if missing:
        raise AccessError(
            f"Not allowed to {attempt}: that needs {', '.join(map(str, missing))}.", missing=tuple(missing)
        )
