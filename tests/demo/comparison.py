"""Compares source and target through librdkafka, which shares no code with the program that made the copy."""

from __future__ import annotations

from confluent_kafka import Consumer, TopicPartition

from tests.support.reading import SeenRecord, read_all


def compare(bootstrap: str, source: str, target: str, partitions: int) -> int:
    """How many records both have, equal in key, value, headers, timestamp and order. Raises when they differ."""
    total = 0
    for partition in range(partitions):
        expected = [_content(record) for record in read_all(bootstrap, source, partition)]
        actual = [_content(record) for record in read_all(bootstrap, target, partition)]
        if expected != actual:
            raise SystemExit(f"{target}-{partition} is not {source}-{partition}")
        total += len(actual)
    return total


def next_record(bootstrap: str, group: str, topic: str, partition: int) -> tuple[int, bytes | None]:
    """(position, value) of the record that the group would read next."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
    try:
        [position] = consumer.committed([TopicPartition(topic, partition)], timeout=30)
        records = read_all(bootstrap, topic, partition)
        value = next((record.value for record in records if record.offset >= position.offset), None)
        return position.offset, value
    finally:
        consumer.close()


def _content(record: SeenRecord) -> tuple[object, ...]:
    return record.timestamp, record.key, record.value, record.headers
