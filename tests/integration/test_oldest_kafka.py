"""The oldest Kafka that docs/SECURITY.md promises, with ZooKeeper, as its clusters are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import producing
from tests.support.kafka_with_zookeeper import kafka_with_zookeeper
from tests.support.positions import commit_positions
from tests.support.producing import CODECS, OutRecord, Transaction
from tests.support.round_trip import Backups, contents

pytestmark = pytest.mark.kafka

OLD_MS = 1_600_000_000_000


@pytest.fixture(scope="module")
def bootstrap() -> Iterator[str]:
    one = {"transaction.state.log.replication.factor": "1", "transaction.state.log.min.isr": "1"}
    with kafka_with_zookeeper(one, "2.8.2") as bootstrap:
        yield bootstrap


@pytest.mark.tried("Kafka", "2.8.2 with ZooKeeper, as source and target")
def test_kafka_2_8_is_backed_up_restored_and_verified_with_positions(bootstrap: str) -> None:
    producing.create_topic(bootstrap, "orders", partitions=2, configs={"retention.ms": "-1"})
    for codec in ("none", *CODECS):
        records = [OutRecord(b"key-%d" % number, b"value", timestamp=OLD_MS + number) for number in range(100)]
        producing.produce(bootstrap, "orders", records, compression=codec)
    transactions = [Transaction(records[:10]), Transaction(records[10:20], is_committed=False)]
    producing.produce_transactions(bootstrap, "orders", transactions, partition=1)
    commit_positions(bootstrap, "billing", "orders", {0: 70})
    backups = Backups(bootstrap_servers=(bootstrap,))

    point = backups.back_up(["orders"])
    result = backups.restore(
        {"orders": "restored"}, consumer_group_strategy="header-based", reset_consumer_offsets=True
    )

    assert ("complete", ()) == (point.status, backups.findings(point))
    assert [] == result.mismatches
    for partition, count in enumerate((500, 10)):
        assert count == len(contents(bootstrap, "restored", partition))
        assert contents(bootstrap, "orders", partition) == contents(bootstrap, "restored", partition)
    assert [(70, None)] == [(one.target_offset, one.failure) for one in result.positions]


def test_kafka_2_8_is_backed_up_incrementally(bootstrap: str) -> None:
    producing.create_topic(bootstrap, "growing")
    producing.produce(bootstrap, "growing", [OutRecord(b"key", b"first")])
    backups = Backups(bootstrap_servers=(bootstrap,), set_name="growing")
    backups.back_up(["growing"])
    producing.produce(bootstrap, "growing", [OutRecord(b"key", b"second")])

    point = backups.back_up_changes(["growing"])

    assert ("incremental", "complete", 2) == (point.point_kind, point.status, point.totals.records)
    assert [] == backups.restore({"growing": "regrown"}).mismatches
    assert contents(bootstrap, "growing") == contents(bootstrap, "regrown")
