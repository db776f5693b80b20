"""The launcher and the second reader are what other tests stand on; these hold them to their own promises."""

from __future__ import annotations

import pytest

from tests.support import producing, reading
from tests.support.kafka import KafkaCluster, KafkaStartError
from tests.support.producing import OutRecord, Transaction

pytestmark = pytest.mark.kafka


def _numbered(first: int, count: int) -> list[OutRecord]:
    return [OutRecord(b"k%d" % n, b"v%d" % n, timestamp=1_600_000_000_000 + n) for n in range(first, first + count)]


def test_records_come_back_as_they_were_sent_whatever_the_codec(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, configs={"message.timestamp.after.max.ms": str(2**63 - 1)})
    headers = [("a", b"1"), ("a", None), ("", b""), ("ü", b"\xff")]
    sent = [
        OutRecord(None, b"", headers, 1),
        OutRecord(b"", None, (), 2_000_000_000_000),
        OutRecord(b"k", b"v" * 3000, (), -1),
    ]
    for codec in ("none", *producing.CODECS):
        producing.produce(kafka.bootstrap, topic_name, sent, compression=codec, records_per_batch=3)

    seen = reading.read_all(kafka.bootstrap, topic_name)

    assert list(range(15)) == [record.offset for record in seen]
    assert [(r.key, r.value, r.timestamp, tuple(r.headers)) for r in sent] * 5 == [
        (r.key, r.value, r.timestamp, r.headers) for r in seen
    ]


def test_the_reader_ends_at_markers_open_transactions_and_empty_partitions(
    kafka: KafkaCluster, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, partitions=2)
    committed, aborted, pending = _numbered(0, 3), _numbered(100, 3), _numbered(200, 3)
    producing.produce_transactions(
        kafka.bootstrap, topic_name, [Transaction(committed), Transaction(aborted, is_committed=False)]
    )

    with producing.open_transaction(kafka.bootstrap, topic_name, pending):
        seen = reading.read_all(kafka.bootstrap, topic_name)
        uncommitted = reading.read_all(kafka.bootstrap, topic_name, isolation="read_uncommitted")
        lso = reading.end_offset(kafka.bootstrap, topic_name, isolation="read_committed")

    assert [record.value for record in committed] == [record.value for record in seen]
    assert [r.value for r in committed + aborted + pending] == [record.value for record in uncommitted]
    assert lso == 8
    assert reading.read_all(kafka.bootstrap, topic_name, 1) == []


def test_a_compacted_topic_has_holes_after_the_cleaner_ran(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, configs=producing.COMPACTED)
    rewritten = [OutRecord(b"k%d" % (n % 2), b"v%d" % n) for n in range(10)]
    producing.produce(kafka.bootstrap, topic_name, rewritten)
    opened = producing.roll_segment(kafka.bootstrap, topic_name)
    producing.await_cleaner(kafka.log_dir(), topic_name, opened)

    seen = reading.read_all(kafka.bootstrap, topic_name)

    assert [(record.offset, record.value) for record in seen] == [(8, b"v8"), (9, b"v9"), (10, b"")]


def test_deleted_records_move_the_start_and_a_fully_deleted_topic_reads_as_empty(
    kafka: KafkaCluster, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(0, 10))

    producing.delete_records(kafka.bootstrap, topic_name, 7)
    assert [record.offset for record in reading.read_all(kafka.bootstrap, topic_name)] == [7, 8, 9]

    producing.delete_records(kafka.bootstrap, topic_name, 10)
    assert reading.read_all(kafka.bootstrap, topic_name) == []


def test_a_log_append_time_topic_says_so(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, configs={"message.timestamp.type": "LogAppendTime"})
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(b"k", b"v", timestamp=1)])

    (seen,) = reading.read_all(kafka.bootstrap, topic_name)

    assert seen.timestamp_type == 2
    assert seen.timestamp > 1_600_000_000_000


def test_a_node_that_cannot_start_says_why() -> None:
    with pytest.raises(KafkaStartError, match=r"log\.retention\.ms"), KafkaCluster(overrides={"log.retention.ms": "x"}):
        raise AssertionError("a broker with a wrong property started")


def test_a_killed_node_hands_over_and_comes_back_and_nothing_is_left_running() -> None:
    with KafkaCluster(nodes=3) as cluster:
        producing.create_topic(cluster.bootstrap, "t", partitions=3, replicas=3)
        for partition in range(3):
            producing.produce(cluster.bootstrap, "t", _numbered(0, 5), partition=partition)

        cluster.kill(1)
        assert [len(reading.read_all(cluster.bootstrap, "t", partition)) for partition in range(3)] == [5, 5, 5]
        cluster.start(1)
        alone = cluster.bootstrap_servers[0]
        assert [len(reading.read_all(alone, "t", partition)) for partition in range(3)] == [5, 5, 5]
        folder = cluster.folder
    assert not folder.exists()
