"""The rows about ACLs: those of the README's tables that a job needs, and the optional ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from tasks.broker.admin_values import DEFAULT_REPLICATION_FACTOR, NewTopicSpec
from tasks.broker.ports import ClusterAdmin, ClusterProbe
from tasks.broker.translation import SEES_ALL_GROUPS, Action, Permission, is_unknown_topic
from tasks.engine.checks.items import CheckItem, error_item, missing, ok, optional, rows
from tasks.engine.checks.jobs import BackupJob, RestoreJob
from tasks.engine.positions.translate import selected_groups
from tasks.engine.source.permissions import BACKUP_OPERATIONS
from tasks.engine.target.permissions import restore_operations
from tasks.engine.topic_selection import is_literal, is_selected, select_topics
from tasks.model.errors import AccessError, InterruptedRunError, KafkaBackupError
from tasks.repository.restore_point import RestorePoint

_POSITIONS_TOPIC = "__consumer_offsets"
_READS_BROKER_SETTINGS = Permission("DescribeConfigs", "Cluster")


def backup_permission_items(admin: ClusterAdmin, job: BackupJob) -> list[CheckItem]:
    """The rows about the topics that a backup selects and about the ACLs that it needs. Raises
    `InterruptedRunError`."""
    return [
        *rows("topics", "selection", lambda: _backup_topic_items(admin, job)),
        *_backup_group_items(admin, job),
        *(
            optional(item)
            for item in rows(
                f"Topic {_POSITIONS_TOPIC}",
                "Describe",
                lambda: topic_items(admin, [_POSITIONS_TOPIC], ("Describe",)),
            )
        ),
    ]


def restore_permission_items(
    admin: ClusterAdmin, probe: ClusterProbe, job: RestoreJob, point: RestorePoint, targets: Sequence[str]
) -> list[CheckItem]:
    """The rows about the ACLs that a restore of these target topics needs. Raises `InterruptedRunError`."""
    options = job.request.options
    operations = restore_operations(is_purging=options.purge_topics)
    return [
        *rows("topics", "ACLs", lambda: _restore_topic_items(admin, probe, targets, operations)),
        *rows("groups", "Read", lambda: _restore_group_items(admin, job, point)),
        *map(optional, rows("Cluster", "DescribeConfigs", lambda: cluster_items(admin, _READS_BROKER_SETTINGS))),
    ]


def topic_items(admin: ClusterAdmin, names: Sequence[str], operations: Sequence[str]) -> Iterator[CheckItem]:
    """The rows about operations on topics. Topics that do not exist count as allowed, unless the user is not allowed to
    know that."""
    action = Action("use", ", ".join(names))
    yield from acl_items(
        "Topic", names, operations, lambda: admin.require_on_topics(dict.fromkeys(names, operations), action)
    )


def group_items(admin: ClusterAdmin, names: Sequence[str], operations: Sequence[str]) -> Iterator[CheckItem]:
    """The rows about operations on groups, which need not exist."""
    action = Action("use", "groups")
    yield from acl_items(
        "Group", names, operations, lambda: admin.require_on_groups(dict.fromkeys(names, operations), action)
    )


def cluster_items(admin: ClusterAdmin, permission: Permission) -> Iterator[CheckItem]:
    """The row about an operation on the cluster."""
    action = Action("use", admin.location, (permission,))
    yield from acl_items("Cluster", [permission.name], [permission.operation], lambda: admin.require_on_cluster(action))


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
        allowed = [name for name in names if name not in denied]
        if allowed:
            subject = f"{kind} {allowed[0]}" if len(allowed) == 1 else f"{len(allowed):,} {kind.lower()}s"
            yield ok(subject, operation, "allowed")


def missing_acl(kind: str, name: str, operation: str) -> CheckItem:
    """The row of an ACL that is missing."""
    return missing(
        f"{kind} {name}", operation, "not allowed", f"Add an ACL: {operation} on {kind} {name}.", AccessError
    )


def _missing_permissions(require: Callable[[], None]) -> Collection[tuple[str, str, str]]:
    try:
        require()
    except AccessError as error:
        if not error.missing:
            raise
        return error.missing
    return ()


def _backup_topic_items(admin: ClusterAdmin, job: BackupJob) -> Iterator[CheckItem]:
    visible = {topic.name: topic.is_internal for topic in admin.describe_topics()}
    hidden = [name for name in job.topics.include if is_literal(name) and name not in visible]
    denied = list(topic_items(admin, hidden, BACKUP_OPERATIONS))
    yield from (item for item in denied if item.status != "ok")
    if any(item.status != "ok" for item in denied):  # these topics exist, so the selection would name them as unknown
        chosen = [name for name, is_internal in visible.items() if not is_internal and is_selected(name, job.topics)]
    else:
        chosen = select_topics(
            visible,
            job.topics,
            include_internal=job.options.include_internal_topics,
            internal_topics=job.options.internal_topics,
        )
        yield ok("topics", "selection", f"{len(chosen):,} topics are selected")
    yield from topic_items(admin, chosen, BACKUP_OPERATIONS)


def _backup_group_items(admin: ClusterAdmin, job: BackupJob) -> list[CheckItem]:
    sees_all = rows("Cluster kafka-cluster", SEES_ALL_GROUPS.operation, lambda: cluster_items(admin, SEES_ALL_GROUPS))
    if not job.options.consumer_group_snapshot:
        return [optional(item) for item in sees_all]

    def describable() -> Iterator[CheckItem]:
        yield from group_items(admin, sorted(one.group_id for one in admin.list_groups()), ("Describe",))

    return [*sees_all, *rows("groups", "Describe", describable)]


def _restore_topic_items(
    admin: ClusterAdmin, probe: ClusterProbe, targets: Sequence[str], operations: Sequence[str]
) -> Iterator[CheckItem]:
    visible = {topic.name for topic in admin.describe_topics()}
    present, others = [name for name in targets if name in visible], [name for name in targets if name not in visible]
    hidden = _hidden_topics(admin, others, operations)
    yield from topic_items(admin, [*present, *hidden], operations)
    new = [name for name in others if name not in hidden]
    if new:
        yield from _new_topic_items(admin, probe, new)


def _hidden_topics(admin: ClusterAdmin, names: Sequence[str], operations: Sequence[str]) -> list[str]:
    """Those of the topics that this user is not allowed to describe. They can exist."""
    return sorted({item.subject.removeprefix("Topic ") for item in topic_items(admin, names, operations) if item.error})


def _new_topic_items(admin: ClusterAdmin, probe: ClusterProbe, new: Sequence[str]) -> Iterator[CheckItem]:
    """The rows about topics that do not exist: brokers check a permission before they look for the topic, and none of
    these requests changes anything."""
    specs = [NewTopicSpec(name=name, partitions=1, replication_factor=DEFAULT_REPLICATION_FACTOR) for name in new]
    yield from _tried_items("Create", admin.create_topics(specs, validate_only=True))
    yield from _tried_items("AlterConfigs", {name: _alteration_error(admin, name) for name in new})
    denied = probe.denied_on_new_topics(new)
    for operation in ("Write", "Read"):
        errors = {name: AccessError("") if operation in denied[name] else None for name in new}
        yield from _tried_items(operation, errors)


def _alteration_error(admin: ClusterAdmin, name: str) -> KafkaBackupError | None:
    try:
        admin.alter_topic_configs(name, {"retention.ms": "-1"}, (), validate_only=True)
    except InterruptedRunError:
        raise
    except KafkaBackupError as error:
        return None if is_unknown_topic(error) else error
    return None


def _tried_items(operation: str, answers: Mapping[str, KafkaBackupError | None]) -> Iterator[CheckItem]:
    """Only missing permissions and passing failures are rows here. The preflight of the restore reports the others."""
    allowed = []
    for name, error in answers.items():
        if isinstance(error, AccessError):
            yield missing_acl("Topic", name, operation)
        elif error is not None and error.retryable:
            yield error_item(f"Topic {name}", operation, error)
        else:
            allowed.append(name)
    if allowed:
        subject = f"Topic {allowed[0]}" if len(allowed) == 1 else f"{len(allowed):,} topics"
        yield ok(subject, operation, "allowed")


def _restore_group_items(admin: ClusterAdmin, job: RestoreJob, point: RestorePoint) -> Iterator[CheckItem]:
    options = job.request.options
    if options.reset_consumer_offsets and options.consumer_group_strategy != "skip" and point.groups is not None:
        names = [group.group for group in selected_groups(point.groups, options.consumer_groups)]
        yield from group_items(admin, names, ("Read",))
