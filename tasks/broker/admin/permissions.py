"""Checks what this user is allowed to do, as the brokers report it. A cluster without authorizer allows everything."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from tasks.broker.admin.acl_codes import AclOperation
from tasks.broker.admin.admin import Admin
from tasks.broker.admin.admin_requests import values_or_raise
from tasks.broker.admin.groups import group_operations
from tasks.broker.translation import Action, Permission, is_forbidden, is_unknown_topic
from tasks.model.errors import AccessError, KafkaBackupError


def require_on_cluster(admin: Admin, action: Action) -> None:
    """Raises `AccessError` when the user lacks a permission on the cluster that the action needs."""
    allowed = _words(admin.cluster_operations())
    _raise_missing(action, [one for one in action.needs if one.kind == "Cluster" and one.operation not in allowed])


def require_on_topics(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` that names each missing operation by topic.

    Brokers do not report the allowed operations of topics that do not exist, so these are ignored. If the user is not
    allowed to describe such a topic, all its operations are missing.
    """
    _require("Topic", operations, admin.topic_operations(list(operations)), action)


def require_on_groups(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` that names each missing operation by group. The groups need not exist."""
    _require("Group", operations, group_operations(admin, list(operations)), action)


def _require(
    kind: Literal["Topic", "Group"],
    operations: Mapping[str, Sequence[str]],
    answers: Mapping[str, frozenset[int] | KafkaBackupError],
    action: Action,
) -> None:
    known = {name: answer for name, answer in answers.items() if not is_unknown_topic(answer)}
    # Read, Write, Delete and Alter imply Describe, so a user without Describe is treated as having no permission.
    found = values_or_raise({name: frozenset[int]() if is_forbidden(one) else one for name, one in known.items()})
    allowed = {name: _words(codes) for name, codes in found.items()}
    missing = [
        Permission(operation, kind, name)
        for name in allowed
        for operation in operations[name]
        if operation not in allowed[name]
    ]
    _raise_missing(action, missing)


def _words(codes: Collection[int]) -> set[str]:
    """Operations as ACLs name them: `DescribeConfigs` for the code of DESCRIBE_CONFIGS. Unknown codes are left out."""
    known = set(AclOperation)
    return {
        "".join(word.capitalize() for word in AclOperation(code).name.split("_")) for code in codes if code in known
    }


def _raise_missing(action: Action, missing: Sequence[Permission]) -> None:
    if missing:
        raise AccessError(
            f"Not allowed to {action}: that needs {', '.join(map(str, missing))}.", missing=tuple(missing)
        )
