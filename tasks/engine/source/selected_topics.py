"""Finds the topics of a cluster that a selection and the options of a backup choose."""

from __future__ import annotations

from tasks.broker.admin_values import TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.source.permissions import require_visible
from tasks.engine.topic_selection import select_topics
from tasks.model.partition import require_topic_ids


def selected_topics(
    admin: ClusterAdmin, selection: TopicSelection, options: BackupOptions
) -> tuple[list[TopicDescription], list[TopicDescription]]:
    """(all topics that the cluster lists for this user, those that are selected). Raises `AccessError` if the user is
    not allowed to describe a topic that is included by its name, and what `select_topics` raises."""
    described = admin.describe_topics()
    require_topic_ids((topic.name, topic.topic_id) for topic in described)
    require_visible(admin, selection, {topic.name for topic in described})
    chosen = set(
        select_topics(
            {topic.name: topic.is_internal for topic in described},
            selection,
            include_internal=options.include_internal_topics,
            internal_topics=options.internal_topics,
        )
    )
    return described, [topic for topic in described if topic.name in chosen]
