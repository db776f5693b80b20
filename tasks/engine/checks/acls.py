"""The rows about operations that ACLs allow, on topics, groups and the cluster, as the brokers report them or as
harmless requests show them.

Brokers report nothing about topics that this user is not allowed to describe, and nothing about topics that do not
exist. For some operations the answer to a harmless request shows it, because brokers check the permission first.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import Action, Permission, is_unknown_topic
from tasks.engine.checks.items import CheckItem, missing, ok
from tasks.model.errors import AccessError, InterruptedRunError, KafkaBackupError


def topic_items(admin: ClusterAdmin, names: Sequence[str], operations: Sequence[str]) -> Iterator[CheckItem]:
    """The rows about operations on topics. Topics that do not exist count as allowed, unless the user is not allowed to
    describe them."""
    action = Action("use", ", ".join(names))
    yield from acl_items(
        "Topic", names, operations, lambda: admin.require_on_topics(dict.fromkeys(names, operations), action)
    )


def group_items(admin: ClusterAdmin, names: Sequence[str], operations: Sequence[str]) -> Iterator[CheckItem]:
    """The rows about operations on groups, also on groups that do not exist."""
    action = Action("use", "groups")
    yield from acl_items(
        "Group", names, operations, lambda: admin.require_on_groups(dict.fromkeys(names, operations), action)
    )


def cluster_items(admin: ClusterAdmin, permission: Permission) -> Iterator[CheckItem]:
    """The row about an operation on the cluster."""
    action = Action("use", admin.location, (permission,))
    yield from acl_items("Cluster", [permission.name], [permission.operation], lambda: admin.require_on_cluster(action))


def hidden_topic_items(admin: ClusterAdmin, names: Sequence[str], operations: Sequence[str]) -> Iterator[CheckItem]:
    """The missing operations on those of the topics that this user is not allowed to describe. They can exist.

    Brokers do not report the allowed operations of such topics. Reading and writing them is not allowed, because that
    would include the right to describe them. The two operations on settings do not include it, so they are tried.
    """
    for item in topic_items(admin, names, operations):
        tried = _SETTINGS_TRIALS.get(item.name)
        if item.status == "ok":
            continue
        if tried is None or isinstance(tried(admin, item.subject.removeprefix("Topic ")), AccessError):
            yield item


def acl_items(
    kind: str, names: Sequence[str], operations: Sequence[str], require: Callable[[], None]
) -> Iterator[CheckItem]:
    """A row for each missing operation on each resource, and one for all resources on which an operation is allowed."""
    if not names:
        return
    lacking = _missing_permissions(require)
    for operation in operations:
        denied = {name for found, _, name in lacking if found == operation}
        yield from (missing_acl(kind, name, operation) for name in names if name in denied)
        yield from allowed_acls(kind, [name for name in names if name not in denied], operation)


def missing_acl(kind: str, name: str, operation: str) -> CheckItem:
    """The row of an ACL that is missing."""
    return missing(
        f"{kind} {name}", operation, "not allowed", f"Add an ACL: {operation} on {kind} {name}.", AccessError
    )


def allowed_acls(kind: str, names: Sequence[str], operation: str) -> Iterator[CheckItem]:
    """One row for all resources on which an operation is allowed. None without a resource."""
    if names:
        subject = f"{kind} {names[0]}" if len(names) == 1 else f"{len(names):,} {kind.lower()}s"
        yield ok(subject, operation, "allowed")


def alteration_error(admin: ClusterAdmin, name: str) -> KafkaBackupError | None:
    """The error of a change of a topic's settings that the brokers only check. None if only the topic is missing."""
    return _error_of(lambda: admin.alter_topic_configs(name, {"retention.ms": "-1"}, (), validate_only=True))


def _description_error(admin: ClusterAdmin, name: str) -> KafkaBackupError | None:
    return _error_of(lambda: admin.known_topic_configs([name]))


_SETTINGS_TRIALS: Mapping[str, Callable[[ClusterAdmin, str], KafkaBackupError | None]] = {
    "AlterConfigs": alteration_error,
    "DescribeConfigs": _description_error,
}


def _error_of(attempt: Callable[[], object]) -> KafkaBackupError | None:
    """The error of an attempt. None if only the topic does not exist, because brokers check the permission before
    that."""
    try:
        attempt()
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return None if is_unknown_topic(error) else error
    return None


def _missing_permissions(require: Callable[[], None]) -> Collection[tuple[str, str, str]]:
    try:
        require()
    except AccessError as error:
        if not error.missing:
            raise
        return error.missing
    return ()
