"""What this user is allowed to do, as the brokers say when asked. Where they keep no ACLs, everything is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import values
from tasks.broker.translation import Action, Permission, is_forbidden, is_unknown_topic
from tasks.model.errors import AccessError

if TYPE_CHECKING:
    from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]

_WORDS = {
    "READ": "Read",
    "WRITE": "Write",
    "CREATE": "Create",
    "DELETE": "Delete",
    "ALTER": "Alter",
    "DESCRIBE": "Describe",
    "DESCRIBE_CONFIGS": "DescribeConfigs",
    "ALTER_CONFIGS": "AlterConfigs",
    "IDEMPOTENT_WRITE": "IdempotentWrite",
}


def require_on_cluster(admin: Admin, action: Action) -> None:
    """Raises `AccessError` when the user lacks one of the action's permissions on the cluster."""

    def request() -> Future[Any]:
        return admin.sdk.describe_cluster(include_authorized_operations=True, request_timeout=admin.timeout_s)

    found = admin.call(Action("describe", admin.location), request)
    allowed = _words(found.authorized_operations)
    _refuse(action, [one for one in action.needs if one.kind == "Cluster" and one.operation not in allowed])


def require_on_topics(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` that names all that is missing of these operations by topic. Of topics that do not exist
    brokers do not say what would be allowed: they are passed over, unless one may not even know that."""
    from confluent_kafka import TopicCollection

    def request(some: list[str]) -> Mapping[str, Future[Any]]:
        topics = TopicCollection(some)
        return admin.sdk.describe_topics(topics, include_authorized_operations=True, request_timeout=admin.timeout_s)

    _require(admin, "Topic", operations, request, action)


def require_on_groups(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Likewise by group, which need not exist."""

    def request(some: list[str]) -> Mapping[str, Future[Any]]:
        return admin.sdk.describe_consumer_groups(
            some, include_authorized_operations=True, request_timeout=admin.timeout_s
        )

    _require(admin, "Group", operations, request, action)


def _require(
    admin: Admin,
    kind: Literal["Topic", "Group"],
    operations: Mapping[str, Sequence[str]],
    request: Callable[[list[str]], Mapping[str, Future[Any]]],
    action: Action,
) -> None:
    def described(name: str) -> Action:
        return Action("describe", f"{kind.lower()} {name}", (Permission("Describe", kind, name),))

    answers = admin.call_each(
        list(operations), request, lambda name, found: _words(found.authorized_operations), described
    )
    known = {name: said for name, said in answers.items() if not is_unknown_topic(said)}
    # Who may not even describe a thing may do nothing with it.
    allowed = values({name: set() if is_forbidden(said) else said for name, said in known.items()})
    wanted = [(name, one) for name in allowed for one in operations[name]]
    _refuse(action, [Permission(one, kind, name) for name, one in wanted if one not in allowed[name]])


def _words(operations: Sequence[AclOperation] | None) -> set[str]:
    return {_WORDS.get(operation.name, operation.name) for operation in operations or ()}


def _refuse(action: Action, missing: Sequence[Permission]) -> None:
    if missing:
        raise AccessError(f"Not allowed to {action}: that needs {', '.join(map(str, missing))}.")
