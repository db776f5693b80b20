"""Checks what this user is allowed to do, as the brokers report it. A cluster without authorizer allows everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import values_or_raise
from tasks.broker.translation import Action, Permission, is_forbidden, is_unknown_topic
from tasks.model.errors import AccessError

if TYPE_CHECKING:
    from confluent_kafka.admin import AclOperation  # type: ignore[attr-defined]


def require_on_cluster(admin: Admin, action: Action) -> None:
    """Raises `AccessError` when the user lacks a permission on the cluster that the action needs."""

    def send() -> Future[Any]:
        return admin.sdk.describe_cluster(include_authorized_operations=True, request_timeout=admin.timeout_s)

    found = admin.call(Action("describe", admin.location), send)
    allowed = _operations(found.authorized_operations)
    _raise_missing(action, [one for one in action.needs if one.kind == "Cluster" and one.operation not in allowed])


def require_on_topics(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` that names each missing operation by topic.

    Brokers do not report the allowed operations of topics that do not exist, so these are ignored. If the user is not
    allowed to describe such a topic, all its operations are missing.
    """
    from confluent_kafka import TopicCollection

    def send(names: list[str]) -> Mapping[str, Future[Any]]:
        topics = TopicCollection(names)
        return admin.sdk.describe_topics(topics, include_authorized_operations=True, request_timeout=admin.timeout_s)

    _require(admin, "Topic", operations, send, action)


def require_on_groups(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` that names each missing operation by group. The groups need not exist."""

    def send(groups: list[str]) -> Mapping[str, Future[Any]]:
        return admin.sdk.describe_consumer_groups(
            groups, include_authorized_operations=True, request_timeout=admin.timeout_s
        )

    _require(admin, "Group", operations, send, action)


def _require(
    admin: Admin,
    kind: Literal["Topic", "Group"],
    operations: Mapping[str, Sequence[str]],
    send: Callable[[list[str]], Mapping[str, Future[Any]]],
    action: Action,
) -> None:
    def describe(name: str) -> Action:
        return Action("describe", f"{kind.lower()} {name}", (Permission("Describe", kind, name),))

    answers = admin.call_each(
        list(operations), send, lambda name, found: _operations(found.authorized_operations), describe
    )
    known = {name: answer for name, answer in answers.items() if not is_unknown_topic(answer)}
    # Read, Write, Delete and Alter imply Describe, so a user without Describe is treated as having no permission.
    allowed = values_or_raise({name: set() if is_forbidden(answer) else answer for name, answer in known.items()})
    missing = [
        Permission(operation, kind, name)
        for name in allowed
        for operation in operations[name]
        if operation not in allowed[name]
    ]
    _raise_missing(action, missing)


def _operations(reported: Sequence[AclOperation] | None) -> set[str]:
    """Operations as ACLs name them: `DescribeConfigs` for confluent-kafka's `DESCRIBE_CONFIGS`."""
    return {"".join(word.capitalize() for word in operation.name.split("_")) for operation in reported or ()}


def _raise_missing(action: Action, missing: Sequence[Permission]) -> None:
    if missing:
        raise AccessError(
            f"Not allowed to {action}: that needs {', '.join(map(str, missing))}.", missing=tuple(missing)
        )
