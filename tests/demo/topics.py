"""Topics that are not easy, as a real cluster has them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.support import producing
from tests.support.positions import commit_positions
from tests.support.producing import CODECS, COMPACTED, OutRecord, Transaction

PARTITIONS = {"orders": 3, "payments": 1, "customers": 1}
"""The demo's topics and how many partitions each has."""

GROUP = "billing"
"""A consumer group that is in the middle of the orders."""

FIRST_MS = 1_783_000_000_000


def fill(bootstrap: str, log_dir: Path) -> None:
    """Make the topics: four codecs, headers, transactions, tombstones, a cleaned log, and a group's positions."""
    _orders(bootstrap)
    _payments(bootstrap)
    _customers(bootstrap, log_dir)
    commit_positions(bootstrap, GROUP, "orders", {0: 700, 1: 1_500}, metadata="invoiced up to here")


def _orders(bootstrap: str) -> None:
    producing.create_topic(bootstrap, "orders", partitions=3, configs={"retention.ms": "31536000000"})
    for partition in range(3):
        for number, codec in enumerate(("none", *CODECS)):
            records = _order_records(partition, number * 500)
            producing.produce(bootstrap, "orders", records, partition=partition, compression=codec)


def _order_records(partition: int, first: int) -> Iterator[OutRecord]:
    for number in range(first, first + 500):
        order = {"order": number, "partition": partition, "items": [{"sku": f"SKU-{number % 97}", "quantity": 3}] * 4}
        yield OutRecord(
            key=None if number % 10 == 0 else f"customer-{number % 41}".encode(),
            value=json.dumps(order).encode(),
            headers=[("trace", str(number).encode()), ("trace", b"again"), ("note", None)] if number % 5 == 0 else (),
            timestamp=FIRST_MS + number * 1_000,
        )


def _payments(bootstrap: str) -> None:
    producing.create_topic(bootstrap, "payments")
    transactions = [
        Transaction([OutRecord(b"%d" % number, b"paid %d" % number) for number in range(start, start + 50)], is_kept)
        for start, is_kept in ((0, True), (50, False), (100, True), (150, False), (200, True))
    ]
    producing.produce_transactions(bootstrap, "payments", transactions, compression="lz4")


def _customers(bootstrap: str, log_dir: Path) -> None:
    producing.create_topic(bootstrap, "customers", configs=COMPACTED)
    records = [OutRecord(b"customer-%d" % (number % 40), b"version %d" % number) for number in range(400)]
    producing.produce(bootstrap, "customers", records, compression="zstd", records_per_batch=20)
    producing.produce(bootstrap, "customers", [OutRecord(b"customer-7", None)])
    rolled = producing.roll_segment(bootstrap, "customers")
    producing.await_cleaner(log_dir, "customers", rolled)
