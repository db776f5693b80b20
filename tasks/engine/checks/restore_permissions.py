"""The rows about the ACLs of the README's table that a restore needs, on topics that exist and on those that do not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tasks.broker.admin_values import DEFAULT_REPLICATION_FACTOR, NewTopicSpec
from tasks.broker.ports import ClusterAdmin, ClusterProbe
from tasks.broker.translation import Permission
from tasks.engine.checks.acls import (
    allowed_acls,
    alteration_error,
    cluster_items,
    group_items,
    hidden_topic_items,
    missing_acl,
    topic_items,
)
from tasks.engine.checks.items import CheckItem, error_item, optional, rows
from tasks.engine.checks.jobs import RestoreJob
from tasks.engine.positions.translate import selected_groups
from tasks.engine.target.permissions import restore_operations
from tasks.model.errors import AccessError, KafkaBackupError
from tasks.repository.restore_point import RestorePoint

_READS_BROKER_SETTINGS = Permission("DescribeConfigs", "Cluster")


def restore_permission_items(
    admin: ClusterAdmin, probe: ClusterProbe, job: RestoreJob, point: RestorePoint, targets: Sequence[str]
) -> list[CheckItem]:
    """The rows about the ACLs that a restore of these target topics needs. Raises `InterruptedRunError`."""
    return [
        *rows("topics", "ACLs", lambda: _topic_items(admin, probe, job, targets)),
        *rows("groups", "Read", lambda: _group_items(admin, job, point)),
        *rows("Cluster", "ACLs and quotas", lambda: _access_items(admin, job)),
        *map(optional, rows("Cluster", "DescribeConfigs", lambda: cluster_items(admin, _READS_BROKER_SETTINGS))),
    ]


def _access_items(admin: ClusterAdmin, job: RestoreJob) -> Iterator[CheckItem]:
    options = job.request.options
    for mode, operation in ((options.acls, "Alter"), (options.quotas, "AlterConfigs")):
        if mode == "apply":
            yield from cluster_items(admin, Permission(operation, "Cluster"))


def _topic_items(
    admin: ClusterAdmin, probe: ClusterProbe, job: RestoreJob, targets: Sequence[str]
) -> Iterator[CheckItem]:
    operations = restore_operations(is_purging=job.request.options.purge_topics)
    visible = {topic.name for topic in admin.describe_topics()}
    yield from topic_items(admin, [name for name in targets if name in visible], operations)
    absent = [name for name in targets if name not in visible]
    denied = list(hidden_topic_items(admin, absent, operations))
    yield from denied
    if job.request.options.create_topics:
        yield from _creation_items(admin, absent)
    hidden = {item.subject for item in denied}
    yield from _new_topic_items(admin, probe, [name for name in absent if f"Topic {name}" not in hidden])


def _creation_items(admin: ClusterAdmin, absent: Sequence[str]) -> Iterator[CheckItem]:
    specs = [NewTopicSpec(name=name, partitions=1, replication_factor=DEFAULT_REPLICATION_FACTOR) for name in absent]
    if specs:
        yield from _tried_items("Create", admin.create_topics(specs, validate_only=True))


def _new_topic_items(admin: ClusterAdmin, probe: ClusterProbe, new: Sequence[str]) -> Iterator[CheckItem]:
    """The rows about topics that do not exist. They can be determined because brokers check a permission before they
    look for the topic. None of these requests changes anything."""
    if not new:
        return
    yield from _tried_items("AlterConfigs", {name: alteration_error(admin, name) for name in new})
    denied = probe.denied_on_new_topics(new)
    for operation in ("Write", "Read"):
        yield from (missing_acl("Topic", name, operation) for name in new if operation in denied[name])
        yield from allowed_acls("Topic", [name for name in new if operation not in denied[name]], operation)


def _tried_items(operation: str, answers: Mapping[str, KafkaBackupError | None]) -> Iterator[CheckItem]:
    """The rows about an operation that was tried on each topic: missing permissions, passing failures, and one row for
    all allowed topics. A topic with any other error counts as allowed, because brokers check the permission first; the
    preflight of the restore reports that error."""
    allowed = []
    for name, error in answers.items():
        if isinstance(error, AccessError):
            yield missing_acl("Topic", name, operation)
        elif error is not None and error.retryable:
            yield error_item(f"Topic {name}", operation, error)
        else:
            allowed.append(name)
    yield from allowed_acls("Topic", allowed, operation)


def _group_items(admin: ClusterAdmin, job: RestoreJob, point: RestorePoint) -> Iterator[CheckItem]:
    options = job.request.options
    if options.reset_consumer_offsets and options.consumer_group_strategy != "skip" and point.groups is not None:
        names = [group.group for group in selected_groups(point.groups, options.consumer_groups)]
        yield from group_items(admin, names, ("Read",))
