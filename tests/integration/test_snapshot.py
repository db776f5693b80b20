"""Snapshots of a real Kafka: the stored bytes are the broker's own, and only what was asked for is taken."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from tasks.engine.options import BackupOptions
from tasks.model.errors import ConfigError, InterruptedRunError, LockedError, NotFoundError
from tasks.repository.entries import PointEntry
from tasks.repository.points import PointReference
from tasks.store.local.local_store import LocalStore
from tasks.store.memory.memory_store import MemoryStore
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster, run_tool
from tests.support.kafka_jars import dump_log_tool
from tests.support.positions import commit_positions
from tests.support.producing import CODECS, OutRecord, Transaction
from tests.support.round_trip import Backups, contents, own_settings

pytestmark = pytest.mark.kafka
PLAN = "/plan.json"


@pytest.fixture
def backups(kafka: KafkaCluster) -> Backups:
    return Backups(bootstrap_servers=kafka.bootstrap_servers)


def _numbered(count: int) -> list[OutRecord]:
    return [OutRecord(b"key-%d" % number, b"value %d" % number) for number in range(count)]


def test_an_unpacked_object_is_the_brokers_own_log_file_and_kafkas_tool_reads_it(
    kafka: KafkaCluster, topic_name: str, tmp_path: Path
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    for codec in ("none", *CODECS):
        producing.produce(kafka.bootstrap, topic_name, _numbered(100), compression=codec, records_per_batch=10)
    store = LocalStore(tmp_path / "repository", create=True)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store)

    [line] = backups.lines(backups.back_up([topic_name]), topic_name)

    stored = tmp_path / "repository" / (line.object or "")
    unpacked = tmp_path / "00000000000000000000.log"
    subprocess.run(["zstd", "-q", "-d", str(stored), "-o", str(unpacked)], check=True)
    assert (kafka.log_dir() / f"{topic_name}-0" / unpacked.name).read_bytes() == unpacked.read_bytes()
    dumped = run_tool(KAFKA_VERSION, dump_log_tool(KAFKA_VERSION), "--deep-iteration", "--files", str(unpacked))
    assert 500 == dumped.count("| offset: ")
    assert "false" not in [line.partition("isvalid: ")[2][:5] for line in dumped.splitlines()]


def test_internal_topics_are_taken_only_when_asked_for(kafka: KafkaCluster, backups: Backups, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    transactions = [Transaction(_numbered(1))]
    producing.produce_transactions(kafka.bootstrap, topic_name, transactions)  # makes __transaction_state
    ours = [topic_name, "__transaction_st*"]

    without = backups.back_up(ours)
    asked = BackupOptions(include_internal_topics=True, internal_topics=("__transaction_state",))
    internal = backups.back_up(ours, options=asked)

    assert (1, 1) == (without.totals.topics, without.totals.partitions)
    assert (2, 5) == (internal.totals.topics, internal.totals.partitions)


def test_a_topic_that_does_not_exist_is_an_error_and_makes_no_point(backups: Backups, topic_name: str) -> None:
    with pytest.raises(ConfigError, match=topic_name):
        backups.back_up([topic_name])

    with pytest.raises(NotFoundError):
        backups.repository.point(PointReference(backups.set_name))


def test_a_topic_with_nothing_in_it_is_a_complete_point(kafka: KafkaCluster, backups: Backups, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, partitions=3)

    point = backups.back_up([topic_name])

    assert ("complete", 3, 0, 0) == (point.status, point.totals.partitions, point.totals.records, point.totals.objects)


def test_what_arrives_after_the_plan_is_the_next_points(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))

    def grow(number: int, operation: str, key: str) -> None:
        if key.endswith(PLAN):
            producing.produce(kafka.bootstrap, topic_name, _numbered(5))

    store = FaultyStore(MemoryStore(), on_write=grow)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store)
    first, second = backups.back_up([topic_name]), backups.back_up([topic_name])

    assert (10, 15) == (first.totals.records, second.totals.records)


def test_of_two_runs_of_one_set_at_once_one_is_locked_out_and_the_other_is_whole(
    kafka: KafkaCluster, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))
    store = FaultyStore(MemoryStore())
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store)
    assert backups.repository.root
    stall = store.stall("put_if_absent")  # the first run stands still with its lease
    points: list[PointEntry] = []
    first = threading.Thread(target=lambda: points.append(backups.back_up([topic_name])))
    first.start()
    assert stall.reached.wait(30)

    with pytest.raises(LockedError):
        backups.back_up([topic_name])

    stall.release.set()
    first.join(60)
    assert [10] == [point.totals.records for point in points]


def test_a_stopped_run_leaves_no_point_and_is_voided_by_the_next(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    stop = threading.Event()
    stop.set()

    with pytest.raises(InterruptedRunError):
        backups.back_up([topic_name], stop=stop)
    with pytest.raises(NotFoundError):
        backups.repository.point(PointReference(backups.set_name))
    point = backups.back_up([topic_name])

    assert ("complete", 2) == (point.status, point.seq)
    assert point.run not in [
        run for run, seq in backups.repository.state(backups.set_name).closed_runs.items() if not seq
    ]


def test_a_round_trip_on_kafka_3_9_brings_everything_back(topic_name: str) -> None:
    with KafkaCluster("3.9.1") as old:
        producing.create_topic(old.bootstrap, topic_name, configs={"retention.ms": "86400000"})
        producing.produce(old.bootstrap, topic_name, _numbered(100), compression="zstd", records_per_batch=10)
        producing.produce_transactions(
            old.bootstrap, topic_name, [Transaction(_numbered(5), False), Transaction(_numbered(5))]
        )
        commit_positions(old.bootstrap, f"{topic_name}-group", topic_name, {0: 42}, metadata="here")
        backups = Backups(bootstrap_servers=old.bootstrap_servers)
        target = f"{topic_name}-restored"

        point = backups.back_up([topic_name])
        result = backups.restore(
            {topic_name: target}, consumer_group_strategy="header-based", reset_consumer_offsets=True
        )

        assert ("complete", 105, []) == (point.status, point.totals.records, result.mismatches)
        assert contents(old.bootstrap, topic_name) == contents(old.bootstrap, target)
        assert [(42, 42, None)] == [(one.source_offset, one.target_offset, one.failure) for one in result.positions]
        assert {"retention.ms": "86400000"} == own_settings(old.bootstrap_servers, target)


def test_a_transaction_that_nobody_ends_makes_the_next_point_partial_and_says_what_it_holds_back(
    kafka: KafkaCluster, topic_name: str
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(10))
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    with producing.open_transaction(kafka.bootstrap, topic_name, _numbered(5)):
        first = backups.back_up([topic_name])
        producing.produce(kafka.bootstrap, topic_name, _numbered(20))
        second = backups.back_up([topic_name])
    third = backups.back_up([topic_name])

    assert ["complete", "partial", "complete"] == [first.status, second.status, third.status]
    [held] = second.failures
    assert (10, 35, 10) == (held.first, held.next, second.totals.records)
    assert "a transaction that was already open at the last point" in held.reason
    assert () == backups.findings(second)
    assert 30 == third.totals.records
