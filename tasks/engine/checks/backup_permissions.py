"""The rows about the topics that a backup selects, and about the ACLs of the README's table that it needs."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.broker.admin_values import POSITIONS_TOPIC
from tasks.broker.ports import ClusterAdmin
from tasks.broker.translation import SEES_ALL_GROUPS, Permission
from tasks.engine.checks.acls import cluster_items, group_items, hidden_topic_items, topic_items
from tasks.engine.checks.items import CheckItem, ok, optional, rows
from tasks.engine.checks.jobs import BackupJob
from tasks.engine.source.permissions import BACKUP_OPERATIONS
from tasks.engine.topic_selection import is_literal, is_selected, select_topics
from tasks.model.counting import counted


def backup_permission_items(admin: ClusterAdmin, job: BackupJob) -> list[CheckItem]:
    """The rows about the topics that a backup selects, and about its permissions on topics, groups and the cluster.
    Raises `InterruptedRunError`."""
    positions = rows(
        f"Topic {POSITIONS_TOPIC}", "Describe", lambda: topic_items(admin, [POSITIONS_TOPIC], ("Describe",))
    )
    return [
        *rows("topics", "selection", lambda: _topic_items(admin, job)),
        *_group_items(admin, job),
        *_client_items(admin, job),
        *map(optional, positions),
    ]


def _topic_items(admin: ClusterAdmin, job: BackupJob) -> Iterator[CheckItem]:
    visible = {topic.name: topic.is_internal for topic in admin.describe_topics()}
    hidden = [name for name in job.topics.include if is_literal(name) and name not in visible]
    denied = list(hidden_topic_items(admin, hidden, BACKUP_OPERATIONS))
    yield from denied
    if denied:  # these topics exist, so the selection would name them as unknown
        chosen = [name for name, is_internal in visible.items() if not is_internal and is_selected(name, job.topics)]
    else:
        chosen = select_topics(
            visible,
            job.topics,
            include_internal=job.options.include_internal_topics,
            internal_topics=job.options.internal_topics,
        )
        yield ok("topics", "selection", f"{counted(len(chosen), 'topic is', 'topics are')} selected")
    yield from topic_items(admin, chosen, BACKUP_OPERATIONS)


def _group_items(admin: ClusterAdmin, job: BackupJob) -> list[CheckItem]:
    sees_all = rows("Cluster kafka-cluster", SEES_ALL_GROUPS.operation, lambda: cluster_items(admin, SEES_ALL_GROUPS))
    if not job.options.consumer_group_snapshot:
        return [optional(item) for item in sees_all]

    def describable() -> Iterator[CheckItem]:
        yield from group_items(admin, sorted(one.group_id for one in admin.list_groups()), ("Describe",))

    return [*sees_all, *rows("groups", "Describe", describable)]


def _client_items(admin: ClusterAdmin, job: BackupJob) -> list[CheckItem]:
    """Optional rows, because a point without quotas and users has all records. The users need the permission that the
    groups need, which has a row."""
    if not job.options.client_state_snapshot:
        return []
    quotas = Permission("DescribeConfigs", "Cluster")
    found = rows("Cluster kafka-cluster", quotas.operation, lambda: cluster_items(admin, quotas))
    return [optional(item) for item in found]
