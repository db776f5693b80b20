"""An independent reader: records as librdkafka delivers them, to compare with what this program stored or restored.

It cannot read all header keys: a key that is not UTF-8 raises an error, and a key with a NUL byte is cut there, because
confluent-kafka passes keys as C strings. Compare such records through the stored bytes.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from tasks.broker.auth.security import UNPROTECTED, Security
from tests.support.client_settings import client_settings

IDLE_LIMIT_S = 20.0
BOUNDS_LIMIT_S = 40.0


class SeenRecord(NamedTuple):
    """One record. `timestamp_type` is 1 (CreateTime) or 2 (LogAppendTime), `timestamp` is in Unix milliseconds."""

    offset: int
    timestamp_type: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


class StoppedShortError(Exception):
    """No more records arrived although the end was not reached."""


def read_all(
    bootstrap: str,
    topic: str,
    partition: int = 0,
    isolation: str = "read_committed",
    *,
    check_crcs: bool = True,
    security: Security = UNPROTECTED,
) -> list[SeenRecord]:
    """Every record of the partition up to its current end, in order.

    The end is the last stable offset, or the high watermark for `read_uncommitted`. Markers, aborted records and gaps
    that compaction left are skipped.
    """
    return list(read_each(bootstrap, topic, partition, isolation, check_crcs=check_crcs, security=security))


def read_each(
    bootstrap: str,
    topic: str,
    partition: int = 0,
    isolation: str = "read_committed",
    *,
    check_crcs: bool = True,
    security: Security = UNPROTECTED,
) -> Iterator[SeenRecord]:
    """Same as `read_all`, but one record at a time, for partitions that do not fit into memory."""
    first, end = _bounds(bootstrap, topic, partition, isolation, security)
    if first == end:
        return
    consumer = _consumer(bootstrap, isolation, security, check_crcs=check_crcs)
    try:
        consumer.assign([TopicPartition(topic, partition, first)])
        yield from _records_below(consumer, end, f"{topic}-{partition}")
    finally:
        consumer.close()


def _bounds(
    bootstrap: str, topic: str, partition: int, isolation: str, security: Security = UNPROTECTED
) -> tuple[int, int]:
    """First offset and end. Each attempt uses a new client, because a client can keep sending to a dead leader."""
    deadline = time.monotonic() + BOUNDS_LIMIT_S
    while True:
        consumer = _consumer(bootstrap, isolation, security, check_crcs=False)
        try:
            first, end = consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=5)
            return int(first), int(end)
        except KafkaException:
            if time.monotonic() > deadline:
                raise
        finally:
            consumer.close()


def _records_below(consumer: Consumer, end: int, name: str) -> Iterator[SeenRecord]:
    last_arrival_s = time.monotonic()
    while True:
        messages = consumer.consume(1000, timeout=0.5)
        if messages:
            last_arrival_s = time.monotonic()
        elif time.monotonic() - last_arrival_s > IDLE_LIMIT_S:
            raise StoppedShortError(f"{name}: nothing more after {IDLE_LIMIT_S} s, before the end {end}")
        for message in messages:
            if _position(message) < end and message.error() is None:
                yield _seen(message)
            if _position(message) + (message.error() is None) >= end:
                return


def _position(message: Message) -> int:
    """A record's offset; or the end of the partition, which is beyond markers and gaps that are not delivered as
    records."""
    error, offset = message.error(), message.offset()
    if (error is not None and error.code() != KafkaError._PARTITION_EOF) or offset is None:
        raise KafkaException(error)
    return offset


def _consumer(bootstrap: str, isolation: str, security: Security, *, check_crcs: bool) -> Consumer:
    return Consumer(
        {
            **client_settings(security),
            "bootstrap.servers": bootstrap,
            "group.id": f"reader-{uuid.uuid4().hex}",  # never joined and never committed to
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "isolation.level": isolation,
            "check.crcs": check_crcs,
            "auto.offset.reset": "error",
            "fetch.message.max.bytes": 16 << 20,
            "log_level": 0,
        }
    )


def _seen(message: Message) -> SeenRecord:
    kind, timestamp = message.timestamp()
    headers = cast(Sequence[tuple[str, bytes | None]], message.headers() or ())
    return SeenRecord(_position(message), kind, timestamp, message.key(), message.value(), tuple(headers))


def end_offset(bootstrap: str, topic: str, partition: int = 0, isolation: str = "read_uncommitted") -> int:
    """The high watermark, or the last stable offset for `read_committed`."""
    return _bounds(bootstrap, topic, partition, isolation)[1]


def partition_count(bootstrap: str, topic: str) -> int:
    """The number of the topic's partitions; 0 if the topic does not exist."""
    metadata = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(timeout=30)
    return len(metadata.topics[topic].partitions) if topic in metadata.topics else 0
