"""Topics that are hard to back up, made by real producers: codecs, headers, timestamps, transactions, compaction, and a
moved log start.

Timestamp 0 and header keys that are not UTF-8 need a raw produce: confluent-kafka sends timestamp 0 as the current time
and accepts only UTF-8 keys.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

CODECS = ("gzip", "snappy", "lz4", "zstd")
COMPACTED = {
    "cleanup.policy": "compact",
    "segment.ms": "100",
    "min.cleanable.dirty.ratio": "0.0",
    "min.compaction.lag.ms": "0",
    "delete.retention.ms": "0",
}
Headers = Sequence[tuple[str, bytes | None]]
Delivered = Callable[[KafkaError | None, Message], None]


class OutRecord(NamedTuple):
    """A record to send. `timestamp` is in Unix milliseconds and not 0; None is the time of sending."""

    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    timestamp: int | None = None


class Transaction(NamedTuple):
    """Records of one transaction, and whether it commits or aborts."""

    records: Sequence[OutRecord]
    is_committed: bool = True


def create_topic(
    bootstrap: str, topic: str, *, partitions: int = 1, replicas: int = 1, configs: Mapping[str, str] | None = None
) -> None:
    """Create the topic and wait until each of its partitions has a leader in the metadata."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(topic, partitions, replicas, config=dict(configs or {}))])[topic].result(30)
    deadline = time.monotonic() + 30
    while not _has_leaders(admin, topic, partitions):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic} has no leaders")
        time.sleep(0.02)


def add_partitions(bootstrap: str, topic: str, total: int) -> None:
    """Raise the number of partitions to `total`, and wait until each has a leader."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    [done] = admin.create_partitions([NewPartitions(topic, total)]).values()
    done.result(30)
    while not _has_leaders(admin, topic, total):
        time.sleep(0.05)  # Kafka has no event for this: each broker learns of a partition at another time


def _has_leaders(admin: AdminClient, topic: str, partitions: int) -> bool:
    found = admin.list_topics(timeout=10).topics.get(topic)
    return found is not None and sum(partition.leader >= 0 for partition in found.partitions.values()) == partitions


def produce(
    bootstrap: str,
    topic: str,
    records: Iterable[OutRecord],
    *,
    partition: int = 0,
    compression: str = "none",
    records_per_batch: int | None = None,
    settings: Mapping[str, str | int] | None = None,
) -> int:
    """Send the records in order and wait for all acknowledgements. Returns the offset of the last (-1: no record).

    With `records_per_batch` each batch has this many records; otherwise the producer decides. Raises `KafkaException`
    for a rejected record.
    """
    # A batch that is not full waits for the flush, so that a slow machine cuts the same batches.
    limits = {"batch.num.messages": records_per_batch, "linger.ms": 60_000} if records_per_batch else {"linger.ms": 5}
    producer = _producer(bootstrap, {"compression.type": compression, **limits, **(settings or {})})
    return _send(producer, topic, partition, records)


def _producer(bootstrap: str, settings: Mapping[str, str | int]) -> Producer:
    basics: dict[str, str | int] = {"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 0}
    room = {"message.max.bytes": 100_000_000, "queue.buffering.max.kbytes": 1 << 20}
    return Producer({**basics, **room, **settings})


def _send(producer: Producer, topic: str, partition: int, records: Iterable[OutRecord]) -> int:
    last, refused = -1, list[KafkaError]()

    def delivered(error: KafkaError | None, message: Message) -> None:
        nonlocal last
        if error is not None:
            refused.append(error)
        last = max(last, message.offset() or 0) if error is None else last

    for record in records:
        _enqueue(producer, topic, partition, record, delivered)
    producer.flush()
    if refused:
        raise KafkaException(refused[0])
    return last


def _enqueue(producer: Producer, topic: str, partition: int, record: OutRecord, delivered: Delivered) -> None:
    if record.timestamp == 0:
        raise ValueError("confluent-kafka sends timestamp 0 as the current time")
    timestamp = record.timestamp or 0
    headers: list[tuple[str, str | bytes | None]] = list(record.headers)
    while True:
        try:
            producer.produce(topic, record.value, record.key, partition, delivered, None, timestamp, headers)
            producer.poll(0)
            return
        except BufferError:
            producer.poll(0.1)


def produce_transactions(
    bootstrap: str, topic: str, transactions: Sequence[Transaction], *, partition: int = 0, compression: str = "none"
) -> None:
    """Run the transactions one after the other with one transactional producer. Each writes its marker."""
    producer = _transactional(bootstrap, compression)
    for transaction in transactions:
        producer.begin_transaction()
        _send(producer, topic, partition, transaction.records)
        if transaction.is_committed:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


@contextmanager
def open_transaction(
    bootstrap: str, topic: str, records: Sequence[OutRecord], *, partition: int = 0, is_committed: bool = False
) -> Iterator[None]:
    """The records are in the log and their transaction is open until the end of the `with`. Then it aborts or
    commits."""
    producer = _transactional(bootstrap, "none")
    producer.begin_transaction()
    _send(producer, topic, partition, records)
    try:
        yield
    finally:
        if is_committed:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)


def _transactional(bootstrap: str, compression: str) -> Producer:
    settings: dict[str, str | int] = {"transactional.id": f"tx-{uuid.uuid4().hex}", "transaction.timeout.ms": 120_000}
    producer = _producer(bootstrap, {**settings, "compression.type": compression, "linger.ms": 5})
    producer.init_transactions(60)
    return producer


def roll_segment(bootstrap: str, topic: str, *, partition: int = 0, key: bytes = b"roll") -> int:
    """Close the active segment of a topic with the configs `COMPACTED`, so that the cleaner can compact it.

    Returns the offset of the record that opened the new segment. The cleaner does not remove this record.
    """
    time.sleep(0.15)  # segments roll by age (segment.ms = 100), and only when a record is appended
    return produce(bootstrap, topic, [OutRecord(key, b"")], partition=partition)


def await_cleaner(log_dir: Path, topic: str, offset: int, *, partition: int = 0) -> None:
    """Wait until the log cleaner has cleaned the partition up to `offset`, according to its checkpoint file in
    `log_dir`."""
    deadline = time.monotonic() + 60
    while _cleaned_up_to(log_dir / "cleaner-offset-checkpoint", topic, partition) < offset:
        if time.monotonic() > deadline:
            raise TimeoutError(f"the cleaner did not reach {offset} in {topic}-{partition}")
        time.sleep(0.05)  # the broker reports this in that file only


def _cleaned_up_to(checkpoint: Path, topic: str, partition: int) -> int:
    """Lines are `topic partition offset`, after a version and a count. The broker replaces the file as a whole."""
    if not checkpoint.exists():
        return -1
    rows = (line.split() for line in checkpoint.read_text().splitlines()[2:])
    return max((int(row[2]) for row in rows if row[:2] == [topic, str(partition)]), default=-1)


def delete_records(bootstrap: str, topic: str, before: int, *, partition: int = 0) -> None:
    """Move the log start to `before`."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    for future in admin.delete_records([TopicPartition(topic, partition, before)]).values():
        future.result(30)
