"""Groups with positions, made by real consumers: classic, KIP-848 and share groups."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from confluent_kafka import Consumer, Producer, ShareConsumer, TopicPartition

_PATIENCE_S = 60


@contextmanager
def group_member(bootstrap: str, group: str, topic: str, *, protocol: str = "classic") -> Iterator[Consumer]:
    """A live member of the group that owns all partitions of the topic; `protocol` is `classic` or `consumer`."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": group,
            "group.protocol": protocol,
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "log_level": 0,
        }
    )
    try:
        consumer.subscribe([topic])
        _await_assignment(consumer, group)
        yield consumer
    finally:
        consumer.close()


def _await_assignment(consumer: Consumer, group: str) -> None:
    deadline = time.monotonic() + 60
    while not consumer.assignment():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{group} assigned nothing")
        consumer.poll(0.1)


def commit_positions(
    bootstrap: str,
    group: str,
    topic: str,
    positions: Mapping[int, int],
    *,
    protocol: str = "classic",
    metadata: str = "",
) -> None:
    """Commit `positions` (partition → offset) as a member of the group, which is empty afterwards."""
    offsets = [TopicPartition(topic, partition, offset, metadata) for partition, offset in positions.items()]
    with group_member(bootstrap, group, topic, protocol=protocol) as consumer:
        for answer in consumer.commit(offsets=offsets, asynchronous=False) or ():
            if answer.error is not None:
                raise RuntimeError(f"{group}: {answer.error}")


@contextmanager
def pending_commits(bootstrap: str, groups: Sequence[str], topic: str, offset: int) -> Iterator[None]:
    """A transaction is open that is about to commit this position of partition 0 for each group. Then it aborts."""
    name = f"tx-{uuid.uuid4().hex}"
    producer = Producer(
        {
            "bootstrap.servers": bootstrap,
            "transactional.id": name,
            "transaction.timeout.ms": 300_000,
            "log_level": 0,
        }
    )
    producer.init_transactions(_PATIENCE_S)
    producer.begin_transaction()
    for group in groups:
        member = Consumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0})
        place = TopicPartition(topic, 0, offset)
        producer.send_offsets_to_transaction([place], member.consumer_group_metadata(), _PATIENCE_S)
        member.close()
    try:
        yield
    finally:
        producer.abort_transaction(_PATIENCE_S)


@contextmanager
def share_group_member(bootstrap: str, group: str, topic: str) -> Iterator[None]:
    """A live member of a share group, on brokers that have them (4.x)."""
    with ShareConsumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 0}) as consumer:
        consumer.subscribe([topic])
        consumer.poll(1)
        yield
