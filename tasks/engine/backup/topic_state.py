"""Topics with their settings and ACLs, as a point keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.acls import read_acls
from tasks.broker.admin import Admin
from tasks.broker.topics import TopicDescription
from tasks.repository.state_objects import AclState, Setting, TopicsState, TopicState


def read_topics(admin: Admin, topics: Sequence[TopicDescription]) -> TopicsState:
    """The topics with every config entry and its source, and all ACLs or the reason why there are none."""
    configs = admin.topic_configs([topic.name for topic in topics])
    acls, absent = read_acls(admin)
    return TopicsState(
        topics=tuple(
            TopicState(
                topic=topic.name,
                topic_id=topic.topic_id,
                is_internal=topic.is_internal,
                partitions=len(topic.partitions),
                replication_factor=len(topic.partitions[0].replicas),
                settings=tuple(
                    Setting(name=entry.name, value=entry.value, source=entry.source)
                    for entry in sorted(configs[topic.name], key=lambda entry: entry.name)
                ),
            )
            for topic in sorted(topics, key=lambda topic: topic.name)
        ),
        acls=tuple(AclState.model_validate(acl, from_attributes=True) for acl in acls),
        acls_absent=absent,
    )
