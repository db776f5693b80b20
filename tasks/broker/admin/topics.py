"""Compares topics and their settings with what was requested, and decides which different texts are the same value of a
setting. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation

from tasks.broker.admin_values import (
    DEFAULT_REPLICATION_FACTOR,
    DYNAMIC_TOPIC_CONFIG,
    ConfigEntry,
    NewTopicSpec,
    TopicDescription,
)


def is_in_force(entries: Sequence[ConfigEntry], to_set: Mapping[str, str], to_delete: Collection[str]) -> bool:
    """Whether the topic's own settings contain the change. Values are compared in a normalized form, because Kafka
    changes the form of some (`TRUE`, `compact, delete`). A sensitive value counts as equal, because it cannot be
    read."""
    own = {entry.name: entry for entry in entries if entry.source == DYNAMIC_TOPIC_CONFIG}
    is_set = all(name in own and _is_equal(own[name], value) for name, value in to_set.items())
    return is_set and not own.keys() & set(to_delete)


def is_as_specified(spec: NewTopicSpec, topic: TopicDescription, entries: Sequence[ConfigEntry]) -> bool:
    """Whether an existing topic has the number of partitions and replicas of `spec`, and exactly its settings on the
    topic itself."""
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
