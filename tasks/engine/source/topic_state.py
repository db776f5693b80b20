"""Reads topics with their settings, and the ACLs, in the form in which a point contains them. Refuses a topic whose
settings a broker does not know yet."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.broker.admin_values import TopicDescription
from tasks.broker.ports import ClusterAdmin
from tasks.model.errors import BrokerUnavailableError
from tasks.repository.state_objects import AclState, Setting, TopicsState, TopicState


def read_topics(admin: ClusterAdmin, topics: Sequence[TopicDescription]) -> TopicsState:
    """The topics with every setting and its source, and all ACLs of the cluster or the reason why they could not be
    read.

    A topic that was deleted after it was described has no settings; its partitions fail later, when their offsets are
    listed. Raises `BrokerUnavailableError` if the brokers still list a topic but do not return its settings, and the
    errors of `ClusterAdmin`.
    """
    configs = admin.known_topic_configs([topic.name for topic in topics])
    _require_deleted(admin, [topic for topic in topics if topic.name not in configs])
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


def _require_deleted(admin: ClusterAdmin, topics: Sequence[TopicDescription]) -> None:
    """Raises `BrokerUnavailableError` if one of the topics still exists: then its settings come from a broker that does
    not know it yet, and a topic must not be backed up without its settings."""
    present = {topic.topic_id for topic in admin.describe_topics([topic.name for topic in topics])}
    for topic in topics:
        if topic.topic_id in present:
            raise BrokerUnavailableError(f"The brokers list topic {topic.name} but do not return its settings.")
