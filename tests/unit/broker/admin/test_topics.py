"""Comparison of a topic's settings with the wanted ones."""

from __future__ import annotations

import pytest

from tasks.broker.admin.topics import is_as_specified, is_in_force
from tasks.broker.admin_values import (
    DEFAULT_REPLICATION_FACTOR,
    ConfigEntry,
    ConfigSource,
    NewTopicSpec,
    PartitionDescription,
    TopicDescription,
)


def _entry(
    name: str,
    value: str | None,
    source: ConfigSource = ConfigSource.DYNAMIC_TOPIC_CONFIG,
    *,
    is_sensitive: bool = False,
) -> ConfigEntry:
    return ConfigEntry(name=name, value=value, source=source, is_sensitive=is_sensitive, is_read_only=False)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        ("compact,delete", "compact, delete"),
        ("true", "TRUE"),
        ("100", "0100"),
        ("0.5", "0.50"),
        ("", ""),
        ("9223372036854775807", "9223372036854775807"),
    ],
)
def test_a_value_that_kafka_normalizes_is_in_force(shown: str, wanted: str) -> None:
    assert is_in_force([_entry("x", shown)], {"x": wanted}, ())


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [("compact", "compact,delete"), ("9223372036854775806", "9223372036854775807"), ("", "0")],
)
def test_another_value_is_not_in_force(shown: str, wanted: str) -> None:
    assert not is_in_force([_entry("x", shown)], {"x": wanted}, ())


def test_a_brokers_value_does_not_count_as_set_and_remains_after_a_deletion() -> None:
    inherited = [_entry("x", "1", source=ConfigSource.DEFAULT_CONFIG)]
    assert not is_in_force(inherited, {"x": "1"}, ())
    assert is_in_force(inherited, {}, ["x"])
    assert not is_in_force([_entry("x", "1")], {}, ["x"])


def test_a_sensitive_value_is_not_compared_and_counts_if_it_is_set() -> None:
    assert is_in_force([_entry("x", None, is_sensitive=True)], {"x": "secret"}, ())


def _topic(partitions: int, replicas: tuple[int, ...]) -> TopicDescription:
    described = tuple(
        PartitionDescription(partition=n, leader=1, replicas=replicas, isr=replicas) for n in range(partitions)
    )
    return TopicDescription(name="t", topic_id="x" * 22, is_internal=False, partitions=described)


def test_an_existing_topic_is_as_specified_only_if_counts_and_own_settings_are_equal() -> None:
    spec = NewTopicSpec(name="t", partitions=2, replication_factor=3, configs={"x": "1"})
    entries = [_entry("x", "1"), _entry("y", "2", source=ConfigSource.DEFAULT_CONFIG)]

    assert is_as_specified(spec, _topic(2, (1, 2, 3)), entries)
    assert not is_as_specified(spec, _topic(3, (1, 2, 3)), entries)
    assert not is_as_specified(spec, _topic(2, (1, 2)), entries)
    assert not is_as_specified(spec, _topic(2, (1, 2, 3)), [*entries, _entry("z", "1")])
    assert not is_as_specified(spec, _topic(2, (1, 2, 3)), entries[1:])
    by_default = NewTopicSpec(name="t", partitions=2, replication_factor=DEFAULT_REPLICATION_FACTOR, configs={"x": "1"})
    assert is_as_specified(by_default, _topic(2, (1, 2)), entries)


def test_a_topic_has_leaders_only_if_every_partition_has_one() -> None:
    topic = _topic(1, (1,))
    leaderless = PartitionDescription(partition=1, leader=None, replicas=(1,), isr=())
    assert topic.has_leaders
    assert not TopicDescription(
        name="t", topic_id="x", is_internal=False, partitions=(*topic.partitions, leaderless)
    ).has_leaders
