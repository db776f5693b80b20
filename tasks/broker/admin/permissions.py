"""Checks the operations that this user is allowed to do. The brokers report them. A cluster without authorizer allows
all operations."""

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
    """Raises `AccessError` if a permission on the cluster that `action.needs` contains is missing. The message names
    each missing permission."""
    allowed = _words(admin.cluster_operations())
    _raise_missing(action, [one for one in action.needs if one.kind == "Cluster" and one.operation not in allowed])


def require_on_topics(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` if an operation is not allowed. The message names each missing operation with its topic.
    `operations` are the operations as ACLs name them (`Read`), by topic.

    Topics that do not exist are ignored, because brokers do not report allowed operations for them. If the user is not
    allowed to describe a topic, all its operations are missing, also if the topic does not exist.
    """
    _require("Topic", operations, admin.topic_operations(list(operations)), action)


def require_on_groups(admin: Admin, operations: Mapping[str, Sequence[str]], action: Action) -> None:
    """Raises `AccessError` if an operation is not allowed. The message names each missing operation with its group.
    Groups that do not exist are checked too."""
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
    """The operations as ACLs name them, for example `DescribeConfigs`. Codes that this version does not know are left
    out."""
    known = set(AclOperation)
    return {
        "".join(word.capitalize() for word in AclOperation(code).name.split("_")) for code in codes if code in known
    }


def _raise_missing(action: Action, missing: Sequence[Permission]) -> None:
    if missing:
        raise AccessError(
            f"Not allowed to {action}: that needs {', '.join(map(str, missing))}.", missing=tuple(missing)
        )
