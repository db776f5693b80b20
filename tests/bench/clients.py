"""What we compare with: librdkafka clients that count and that replay, each a process of its own.

`python -m tests.bench.clients count BOOTSTRAP TOPIC PARTITIONS`
`python -m tests.bench.clients fetch BOOTSTRAP TOPIC PARTITIONS`    raw answers, thrown away: the broker itself
`python -m tests.bench.clients load BOOTSTRAP TOPIC PARTITIONS RECORDS CODEC`
`python -m tests.bench.clients load-large BOOTSTRAP TOPIC PARTITIONS RECORDS SIZE_BYTES`
`python -m tests.bench.clients replay BOOTSTRAP SOURCE TARGET PARTITIONS CODEC`  prints its CPU seconds
`python -m tests.bench.clients stream BOOTSTRAP TOPIC PARTITIONS BYTES_PER_SECOND SECONDS FILE`  a producer with a rate
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import ConnectionOptions
from tasks.broker.raw.fetch import Fetcher
from tasks.broker.raw.offsets import list_offsets
from tasks.engine.capture.scan import scan
from tasks.model.partition import Partition

Text = str | bytes | None

REPLAY_CHUNK = 200_000

STREAMED_ORDERS = 20_000
"""So many different records are sent again and again by `stream`: 10 MB, more than a frame has, so that a compressor
does not find them again."""

STREAM_BATCH_BYTES = 16_000
"""A producer's batch with Kafka's default settings (`batch.size`)."""


def count(bootstrap: str, topic: str, partitions: int) -> int:
    """Consume everything; returns how many records there were."""
    return sum(len(messages) for messages in _messages(bootstrap, topic, partitions))


def fetch(bootstrap: str, topic: str, partitions: int) -> int:
    """Fetch everything as raw answers; returns their bytes."""
    from tasks.broker.admin.admin import Admin

    with Admin(ConnectionOptions(bootstrap_servers=(bootstrap,))) as admin:
        [described] = admin.describe_topics([topic])
    total = 0
    with Cluster(ConnectionOptions(bootstrap_servers=(bootstrap,))) as cluster:
        for number in range(partitions):
            source = Partition(topic, described.topic_id, number)
            end = list_offsets(cluster, [source], "latest").offsets[source]
            fetcher, position = Fetcher(cluster, stop=threading.Event()), 0
            while position < end:
                fetcher.send(source, position, None)
                records = fetcher.receive().records
                total += len(records)
                position = scan(records, position, end, None, where=topic).next
    return total


def load(bootstrap: str, topic: str, partitions: int, records: int, codec: str) -> None:
    """Fill a topic with order-like JSON of about 500 bytes."""
    producer = _producer(bootstrap, codec)
    for number, value in enumerate(_orders(records)):
        _send(
            producer,
            topic,
            number % partitions,
            f"customer-{number % 9973}".encode(),
            value,
            1_783_000_000_000 + number,
        )
    producer.flush()


def stream(bootstrap: str, topic: str, partitions: int, bytes_per_second: int, seconds: float, file: Path) -> None:
    """Produce at this rate, to one partition after the other, as much to each as a batch has: Kafka's own producer does
    the same with records without keys.

    Writes to the file: the number of records, the bytes per second that were reached, and a line for the last record of
    each batch with partition, offset and timestamp.
    """
    producer, orders = _producer(bootstrap, "none"), list(_orders(STREAMED_ORDERS))
    lines: list[str] = []

    def delivered(error: KafkaError | None, message: Message) -> None:
        assert error is None, error
        lines.append(f"{message.partition()} {message.offset()} {message.timestamp()[1]}")

    sent, records, batch, began = 0, 0, 0, time.monotonic()
    while sent < bytes_per_second * seconds:
        end = sent + STREAM_BATCH_BYTES
        while sent < end:
            value = orders[records % STREAMED_ORDERS]
            sent, records = sent + len(value), records + 1
            _send(producer, topic, batch % partitions, None, value, 0, delivered if sent >= end else None)
        batch += 1
        producer.poll(0)
        time.sleep(max(0.0, began + sent / bytes_per_second - time.monotonic()))
    producer.flush()
    reached = round(sent / (time.monotonic() - began))
    file.write_text("\n".join([str(records), str(reached), *lines]))


def load_large(bootstrap: str, topic: str, partitions: int, records: int, size_bytes: int) -> None:
    """Fill a topic with incompressible records."""
    producer = Producer({"bootstrap.servers": bootstrap, "message.max.bytes": 2 * size_bytes, "log_level": 0})
    for number in range(records):
        _send(
            producer, topic, number % partitions, None, random.Random(number).randbytes(size_bytes), 1_783_000_000_000
        )
        producer.flush()


def replay(bootstrap: str, source: str, target: str, partitions: int, codec: str) -> float:
    """Read the source and produce the same records to the target; returns CPU seconds spent in producing alone."""
    spent = 0.0
    pending: list[Message] = []
    for messages in _messages(bootstrap, source, partitions):
        pending += messages
        if len(pending) >= REPLAY_CHUNK:
            spent += _replay(bootstrap, target, pending, codec)
            pending = []
    return spent + _replay(bootstrap, target, pending, codec)


def _replay(bootstrap: str, target: str, messages: list[Message], codec: str) -> float:
    started = time.process_time()
    producer = _producer(bootstrap, codec)
    for message in messages:
        _send(producer, target, message.partition() or 0, message.key(), message.value(), message.timestamp()[1])
    producer.flush()
    return time.process_time() - started


def _send(
    producer: Producer,
    topic: str,
    partition: int,
    key: Text,
    value: Text,
    timestamp: int,
    delivered: Callable[[KafkaError | None, Message], None] | None = None,
) -> None:
    """A `timestamp` of 0 is the current time."""
    while True:
        try:
            producer.produce(topic, value, key, partition, delivered, timestamp=timestamp)
            return
        except BufferError:
            producer.poll(0.05)


def _producer(bootstrap: str, codec: str) -> Producer:
    return Producer(
        {
            "bootstrap.servers": bootstrap,
            "compression.type": codec,
            "enable.idempotence": True,
            "linger.ms": 5,
            "queue.buffering.max.messages": 500_000,
            "log_level": 0,
        }
    )


def _orders(records: int) -> Iterator[bytes]:
    chance = random.Random(7)
    cities = ["Lisbon", "Osaka", "Quito", "Nairobi", "Tallinn", "Perth", "Lyon"]
    for number in range(records):
        yield json.dumps(
            {
                "order_id": number,
                "customer": {"id": chance.randrange(10_000), "city": chance.choice(cities), "tier": number % 4},
                "items": [
                    {
                        "sku": f"SKU-{chance.randrange(5000):05d}",
                        "qty": chance.randrange(1, 9),
                        "price": chance.randrange(99_99),
                    }
                    for _ in range(7)
                ],
                "paid": number % 3 == 0,
                "trace": f"{chance.getrandbits(128):032x}",
            }
        ).encode()


def _messages(bootstrap: str, topic: str, partitions: int) -> Iterator[list[Message]]:
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": "bench", "log_level": 0, "enable.auto.commit": False}
    )
    ends = {number: consumer.get_watermark_offsets(TopicPartition(topic, number))[1] for number in range(partitions)}
    consumer.assign([TopicPartition(topic, number, 0) for number, end in ends.items() if end])
    positions = dict.fromkeys(ends, 0)
    while any(positions[number] < end for number, end in ends.items()):
        messages = consumer.consume(10_000, timeout=1.0)
        for message in messages:
            positions[message.partition() or 0] = (message.offset() or 0) + 1
        yield messages
    consumer.close()


def _wait_for_topic(bootstrap: str, topic: str) -> None:
    AdminClient({"bootstrap.servers": bootstrap}).list_topics(topic, timeout=30)


def main(arguments: list[str]) -> None:
    """One of the clients, by its name."""
    what, bootstrap, *rest = arguments
    _wait_for_topic(bootstrap, rest[0])
    if what == "count":
        print(count(bootstrap, rest[0], int(rest[1])))
    elif what == "fetch":
        print(fetch(bootstrap, rest[0], int(rest[1])))
    elif what == "load":
        load(bootstrap, rest[0], int(rest[1]), int(rest[2]), rest[3])
    elif what == "load-large":
        load_large(bootstrap, rest[0], int(rest[1]), int(rest[2]), int(rest[3]))
    elif what == "stream":
        stream(bootstrap, rest[0], int(rest[1]), int(rest[2]), float(rest[3]), Path(rest[4]))
    else:
        print(replay(bootstrap, rest[0], rest[1], int(rest[2]), rest[3]))


if __name__ == "__main__":
    main(sys.argv[1:])
