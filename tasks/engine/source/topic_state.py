"""Topics with their settings and ACLs, as a point keeps them."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin_values import TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.model.errors import BrokerUnavailableError
from tasks.repository.state_objects import AclState, Setting, TopicsState, TopicState


def read_topics(admin: ClusterAdmin, topics: Sequence[TopicDescription]) -> TopicsState:
    """The topics with every config entry and its source, and all ACLs or the reason why there are none.

    A topic that was deleted since it was described has no settings any more; its partitions will say so when they are
    asked for their offsets.
    """
    configs = admin.known_topic_configs([topic.name for topic in topics])
    _require_gone(admin, [topic for topic in topics if topic.name not in configs])
    acls, absent = admin.read_acls()
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
                    for entry in sorted(configs.get(topic.name, ()), key=lambda entry: entry.name)
                ),
            )
            for topic in sorted(topics, key=lambda topic: topic.name)
        ),
        acls=tuple(AclState.model_validate(acl, from_attributes=True) for acl in acls),
        acls_absent=absent,
    )


def _require_gone(admin: ClusterAdmin, topics: Sequence[TopicDescription]) -> None:
    """No topic is backed up without its settings because of a broker that lags behind."""
    present = {topic.topic_id for topic in admin.describe_topics([topic.name for topic in topics])}
    for topic in topics:
        if topic.topic_id in present:
            raise BrokerUnavailableError(f"The brokers know topic {topic.name} and do not tell its settings.")
