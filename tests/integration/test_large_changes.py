"""Changes of many topics on a real controller: within its limits, and within a quota on changes of topics."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tasks.broker.admin_values import DYNAMIC_TOPIC_CONFIG, ConfigChange, NewTopicSpec
from tasks.broker.kafka_access import KafkaAdmin
from tests.conftest import KAFKA_VERSION
from tests.support.kafka import KafkaCluster
from tests.support.quotas import mutation_quota

pytestmark = pytest.mark.kafka

SETTINGS = {
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "cleanup.policy": "delete",
    "max.message.bytes": "2097152",
    "segment.ms": "604800000",
    "min.insync.replicas": "1",
    "compression.type": "producer",
    "message.timestamp.before.max.ms": str((1 << 63) - 1),
}
"""As many as a restore sets."""


@pytest.fixture
def admin(kafka: KafkaCluster) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(kafka.connection) as admin:
        yield admin


def _specs(topics: int, partitions: int) -> list[NewTopicSpec]:
    stem = uuid.uuid4().hex[:8]
    return [
        NewTopicSpec(name=f"{stem}-{number:04}", partitions=partitions, replication_factor=1, configs=SETTINGS)
        for number in range(topics)
    ]


def test_more_topics_than_a_controller_takes_at_once_are_created_changed_and_deleted(admin: KafkaAdmin) -> None:
    _create_change_and_delete(admin, 1_100, 1)


@pytest.mark.soak
@pytest.mark.parametrize(("topics", "partitions"), [(11, 1_000), (1, 10_500)])
def test_more_partitions_than_a_controller_takes_at_once_are_created_changed_and_deleted(
    topics: int, partitions: int
) -> None:
    """On a broker of its own: each partition maps two files, of which a process can have about 65,000."""
    with KafkaCluster(KAFKA_VERSION, heap_mb=1_024) as cluster, KafkaAdmin(cluster.connection) as admin:
        _create_change_and_delete(admin, topics, partitions)


def _create_change_and_delete(admin: KafkaAdmin, topics: int, partitions: int) -> None:
    specs = _specs(topics, partitions)
    names = [spec.name for spec in specs]
    none = dict.fromkeys(names)
    try:
        assert none == admin.create_topics(specs, validate_only=True)
        assert none == admin.create_topics(specs)
        change = ConfigChange(to_set={"flush.ms": "5"}, to_delete=[*SETTINGS])
        assert none == admin.alter_topics(dict.fromkeys(names, change))

        described = admin.describe_topics(names)
        assert names == [topic.name for topic in described]
        for topic in described:
            assert list(range(partitions)) == [part.partition for part in topic.partitions]
        own = {
            name: {entry.name: entry.value for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
            for name, entries in admin.topic_configs(names).items()
        }
        assert {name: {"flush.ms": "5"} for name in names} == own
    finally:
        answers = admin.delete_topics(names)
    assert none == answers
    assert [] == admin.describe_topics(names)


def test_a_quota_on_changes_of_topics_is_waited_for(kafka: KafkaCluster, topic_name: str) -> None:
    connection = replace(kafka.connection, client_id=topic_name)
    specs = _specs(8, 3)
    names = [spec.name for spec in specs]
    with KafkaAdmin(connection, deadline_ms=15_000) as admin, mutation_quota(connection, 8):
        assert dict.fromkeys(names) == admin.create_topics(specs, validate_only=True)
        assert dict.fromkeys(names) == admin.create_topics(specs)
        assert names == [topic.name for topic in admin.describe_topics(names)]
    with KafkaAdmin(kafka.connection) as admin:
        admin.delete_topics(names)


def test_past_the_deadline_of_a_quota_the_topics_that_are_not_created_say_quota(
    kafka: KafkaCluster, topic_name: str
) -> None:
    connection = replace(kafka.connection, client_id=topic_name)
    specs = _specs(6, 40)
    with KafkaAdmin(connection, deadline_ms=300) as admin, mutation_quota(connection, 1):
        while not any(admin.create_topics(specs, validate_only=True).values()):
            pass  # the broker learns of the quota a moment later; checks are charged as well
        answers = admin.create_topics(specs)
    with KafkaAdmin(kafka.connection) as admin:
        made = [topic.name for topic in admin.describe_topics([spec.name for spec in specs])]
        admin.delete_topics(made)

    assert made == [name for name, error in answers.items() if error is None]
    refused = [str(error) for error in answers.values() if error is not None]
    assert refused
    assert all("a quota of the cluster on changes of topics is used up" in one for one in refused)
