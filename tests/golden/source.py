"""The topics of the golden repository: small, and everything that Kafka's log can do to a reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.support import producing
from tests.support.positions import commit_positions
from tests.support.producing import CODECS, COMPACTED, OutRecord, Transaction

PARTITIONS = {
    "orders": 2,
    "payments": 1,
    "customers": 1,
    "audit": 1,
    "sensors": 5,
    "trimmed": 1,
    "large": 1,
    "quiet": 1,
}
"""Topics and how many partitions each has. `quiet` has no record."""

FIRST_MS = 1_783_000_000_000
LARGE_BYTES = 1_500_000


def fill(bootstrap: str, log_dir: Path) -> None:
    """Make all topics."""
    for topic in ("orders", "payments", "sensors", "trimmed", "large", "quiet"):
        configs = {"max.message.bytes": "2000000"} if topic == "large" else {}
        producing.create_topic(bootstrap, topic, partitions=PARTITIONS[topic], configs=configs)
    _orders(bootstrap)
    _payments(bootstrap)
    _customers(bootstrap, log_dir)
    producing.create_topic(bootstrap, "audit", configs={"message.timestamp.type": "LogAppendTime"})
    extend_audit(bootstrap, 0)
    for partition in range(PARTITIONS["sensors"]):
        readings = [OutRecord(None, b"%d" % number, (), FIRST_MS) for number in range(partition)]
        producing.produce(bootstrap, "sensors", readings, partition=partition)
    _trimmed(bootstrap)
    large = [OutRecord(b"%d" % number, b"%d" % number * LARGE_BYTES, (), FIRST_MS) for number in range(7)]
    producing.produce(bootstrap, "large", large, records_per_batch=1)
    commit_positions(bootstrap, "billing", "orders", {0: 31, 1: 7}, metadata="invoiced up to here")


def extend_orders(bootstrap: str) -> None:
    """What happens between two points: one partition goes on."""
    producing.produce(bootstrap, "orders", _order_records(1, 1_000), partition=1, compression="zstd")


def extend_audit(bootstrap: str, first: int) -> None:
    """Six records whose times the broker sets, whatever the producer says."""
    records = [OutRecord(b"login", b"user %d" % number, (), FIRST_MS) for number in range(first, first + 6)]
    producing.produce(bootstrap, "audit", records, compression="gzip", records_per_batch=3)


def _orders(bootstrap: str) -> None:
    for partition in range(PARTITIONS["orders"]):
        for number, codec in enumerate(("none", *CODECS)):
            records = _order_records(partition, number * 8)
            producing.produce(bootstrap, "orders", records, partition=partition, compression=codec)


def _order_records(partition: int, first: int) -> Iterator[OutRecord]:
    """Null and empty keys, a value that is not text, headers that repeat, are empty and null, times out of order."""
    for number in range(first, first + 8):
        yield OutRecord(
            key=(None, b"", b"customer-%d" % number)[number % 3],
            value=b"\x00\xff\xfe" if number % 7 == 0 else b"order %d of partition %d " % (number, partition) * 5,
            headers=[("trace", b"%d" % number), ("trace", b""), ("größe", None)] if number % 4 == 0 else (),
            timestamp=FIRST_MS + number * 1_000 - (number % 5) * 7_000,
        )


def _payments(bootstrap: str) -> None:
    transactions = [
        Transaction([OutRecord(b"%d" % number, b"paid", (), FIRST_MS) for number in range(start, start + 5)], is_kept)
        for start, is_kept in ((0, False), (5, True), (10, False), (15, True), (20, False))
    ]
    producing.produce_transactions(bootstrap, "payments", transactions, compression="lz4")


def _customers(bootstrap: str, log_dir: Path) -> None:
    """Cleaned: batches with holes, holes between batches; and a tombstone that the cleaner has not reached."""
    producing.create_topic(bootstrap, "customers", configs=COMPACTED)
    records = [OutRecord(b"%d" % (number % 11), b"version %d" % number, (), FIRST_MS) for number in range(40)]
    producing.produce(bootstrap, "customers", records, compression="snappy", records_per_batch=10)
    rolled = producing.roll_segment(bootstrap, "customers")
    producing.await_cleaner(log_dir, "customers", rolled)
    producing.produce(bootstrap, "customers", [OutRecord(b"7", None, (), FIRST_MS)])


def _trimmed(bootstrap: str) -> None:
    """The log starts in the middle of a batch."""
    records = [OutRecord(None, b"%d" % number, (), FIRST_MS) for number in range(30)]
    producing.produce(bootstrap, "trimmed", records, compression="zstd", records_per_batch=10)
    producing.delete_records(bootstrap, "trimmed", 14)
