"""Converts topics and their settings between confluent-kafka's objects and the values of the ports."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from tasks.broker.admin_values import (
    DEFAULT_REPLICATION_FACTOR,
    DYNAMIC_TOPIC_CONFIG,
    ConfigEntry,
    NewTopicSpec,
    PartitionDescription,
    TopicDescription,
)

if TYPE_CHECKING:
    from confluent_kafka import Node, TopicPartitionInfo
    from confluent_kafka.admin import ConfigEntry as ClientConfigEntry  # type: ignore[attr-defined]
    from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]
    from confluent_kafka.admin import TopicDescription as ClientTopicDescription  # type: ignore[attr-defined]
    from confluent_kafka.cimpl import NewTopic


def client_topic(spec: NewTopicSpec) -> NewTopic:
    """The client's object for a topic to create."""
    from confluent_kafka.cimpl import NewTopic

    return NewTopic(spec.name, spec.partitions, spec.replication_factor, config=dict(spec.configs))


def client_resource(
    topic: str, to_set: Mapping[str, str] | None = None, to_delete: Collection[str] = ()
) -> ConfigResource:
    """The client's object for a topic's settings, with the changes to make."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigResource, ResourceType  # type: ignore[attr-defined]
    from confluent_kafka.admin import ConfigEntry as Change  # type: ignore[attr-defined]

    changes = [
        *(Change(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in (to_set or {}).items()),
        *(Change(name, None, incremental_operation=AlterConfigOpType.DELETE) for name in sorted(to_delete)),
    ]
    return ConfigResource(ResourceType.TOPIC, topic, incremental_configs=changes)


def topic_description(topic: ClientTopicDescription) -> TopicDescription:
    """The port's value for the client's description of a topic."""
    partitions = sorted((_partition(info) for info in topic.partitions), key=lambda one: one.partition)
    return TopicDescription(
        name=topic.name,
        topic_id=_kafka_id(str(topic.topic_id)),
        is_internal=topic.is_internal,
        partitions=tuple(partitions),
    )


def _kafka_id(text: str) -> str:
    """The id as Kafka prints it. librdkafka prints standard base64, Kafka URL-safe base64; one id in three differs."""
    return text.replace("+", "-").replace("/", "_")


def _partition(info: TopicPartitionInfo) -> PartitionDescription:
    return PartitionDescription(
        partition=info.id, leader=_node_id(info.leader), replicas=_node_ids(info.replicas), isr=_node_ids(info.isr)
    )


def _node_id(node: Node | None) -> int | None:
    return None if node is None or node.id < 0 else node.id


def _node_ids(nodes: list[Node]) -> tuple[int, ...]:
    return tuple(node.id for node in nodes)


def config_entries(entries: Mapping[str, ClientConfigEntry]) -> tuple[ConfigEntry, ...]:
    """The port's values for the client's settings of a topic, ordered by name."""
    return tuple(_entry(entries[name]) for name in sorted(entries))


def _entry(entry: ClientConfigEntry) -> ConfigEntry:
    source: Any = entry.source  # a number, although the client declares an enum
    return ConfigEntry(
        name=entry.name,
        value=None if entry.is_sensitive else entry.value,
        source=int(source),
        is_sensitive=entry.is_sensitive,
        is_read_only=entry.is_read_only,
    )


def is_in_force(entries: Sequence[ConfigEntry], to_set: Mapping[str, str], to_delete: Collection[str]) -> bool:
    """Whether the topic's own settings show the change. Kafka normalizes some values (`TRUE`, `compact, delete`)."""
    own = {entry.name: entry for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
    is_set = all(name in own and _is_equal(own[name], value) for name, value in to_set.items())
    return is_set and not own.keys() & set(to_delete)


def is_as_specified(spec: NewTopicSpec, topic: TopicDescription, entries: Sequence[ConfigEntry]) -> bool:
    """Whether an existing topic matches `spec`: the counts, and exactly these settings on the topic itself."""
    replicas = {len(partition.replicas) for partition in topic.partitions}
    own = {entry.name for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
    return (
        len(topic.partitions) == spec.partitions
        and (spec.replication_factor == DEFAULT_REPLICATION_FACTOR or replicas == {spec.replication_factor})
        and own == set(spec.configs)
        and is_in_force(entries, spec.configs, ())
    )


def _is_equal(entry: ConfigEntry, value: str) -> bool:
    return entry.is_sensitive or _normalized(entry.value or "") == _normalized(value)


def _normalized(value: str) -> str:
    text = ",".join(part.strip() for part in value.split(",")).lower()
    try:
        return str(Decimal(text).normalize())
    except InvalidOperation:
        return text
