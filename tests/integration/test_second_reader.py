"""Restores on a real Kafka, compared with the backup by librdkafka: compressed, transactional and LogAppendTime topics,
and faults that were planted in the restored topic."""

from __future__ import annotations

import pytest

from tasks.engine.drilling.comparison import compare_partition
from tasks.engine.drilling.drill_result import CompareLevel, PartitionComparison
from tasks.engine.restore_steps import restore_targets, started_restore
from tests.support import producing
from tests.support.kafka import KafkaCluster
from tests.support.producing import CODECS, OutRecord, Transaction
from tests.support.round_trip import Backups

pytestmark = pytest.mark.kafka

_HEADERS = (("a", b"1"), ("b", None), ("a", b""))
_ODD = [
    OutRecord(b"", None, _HEADERS, 5),
    OutRecord(None, b"", (), 4),
    OutRecord(None, None, _HEADERS[::-1], 7),
]


@pytest.fixture
def backups(kafka: KafkaCluster) -> Backups:
    return Backups(bootstrap_servers=kafka.bootstrap_servers)


def _records(count: int, *, first: int = 0) -> list[OutRecord]:
    return [OutRecord(b"%d" % number, b"v" * (number % 300), (), 1_000 + number) for number in range(first, count)]


def _compared(
    backups: Backups, restore: str, level: CompareLevel = "full", share: float = 10
) -> dict[str, PartitionComparison]:
    """The comparison of every partition, by its target."""
    context = backups.context()
    started, targets = started_restore(context.repository, restore), restore_targets(context.repository, restore)
    found = [
        compare_partition(context, started, copy, target, level, share)
        for copy, target in zip(started.plan.partitions, targets.partitions, strict=True)
    ]
    return {str(one.target): one for one in found}


def test_restores_of_every_kind_of_topic_are_equal_to_the_backup(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    bootstrap, expected = kafka.bootstrap, dict[str, int]()
    for codec in ("none", *CODECS):
        topic = f"{topic_name}-{codec}"
        producing.create_topic(bootstrap, topic)
        producing.produce(bootstrap, topic, [*_records(900), *_ODD], compression=codec, records_per_batch=100)
        expected[topic] = 903
    transactional = f"{topic_name}-transactions"
    producing.create_topic(bootstrap, transactional)
    producing.produce_transactions(
        bootstrap, transactional, [Transaction([*_records(20), *_ODD], number % 3 != 1) for number in range(6)]
    )
    expected[transactional] = 4 * 23
    stamped = f"{topic_name}-stamped"
    producing.create_topic(bootstrap, stamped, configs={"message.timestamp.type": "LogAppendTime"})
    producing.produce(bootstrap, stamped, [*_records(50), *_ODD], records_per_batch=7)
    expected[stamped] = 53
    backups.back_up(list(expected))

    result = backups.restore({topic: f"{topic}-copy" for topic in expected})

    for level in ("full", "sample", "counts"):
        found = _compared(backups, result.plan.restore, level)
        assert {f"{topic}-copy-0": None for topic in expected} == {name: one.problem for name, one in found.items()}
        counts = {name: (one.expected_records, one.found_records) for name, one in found.items()}
        assert {f"{topic}-copy-0": (count, count) for topic, count in expected.items()} == counts
        assert all(one.expected_digest == one.found_digest for one in found.values())
        assert (level == "counts") == all(one.compared_records == 0 for one in found.values())


def test_faults_in_a_restored_topic_are_found_by_the_second_reader(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    bootstrap, copy = kafka.bootstrap, f"{topic_name}-copy"
    producing.create_topic(bootstrap, topic_name, partitions=1)
    producing.produce(bootstrap, topic_name, _records(100))
    backups.back_up([topic_name])
    restore = backups.restore({topic_name: copy}).plan.restore

    producing.produce(bootstrap, copy, [OutRecord(b"stranger", b"")])
    [result] = _compared(backups, restore).values()
    assert "the target has a record at offset 100 that the backup does not have." == result.problem
    assert (100, 101) == (result.expected_records, result.found_records)
    assert result.expected_digest != result.found_digest

    with backups.context().admin() as admin:
        admin.delete_records({(copy, 0): 3})
    [result] = _compared(backups, restore).values()
    assert "record 1 (source offset 0) is missing in the target." == result.problem

    with backups.context().admin() as admin:
        [topic] = admin.describe_topics([copy])
        assert {topic.topic_id: None} == admin.delete_topics_by_id([topic.topic_id])
    [result] = _compared(backups, restore).values()
    assert "was deleted" in (result.problem or "")
