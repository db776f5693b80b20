"""Snapshots of a real Kafka: the stored bytes are the broker's own, and only what was asked for is taken."""

from __future__ import annotations

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tasks.engine.options import BackupOptions
from tasks.model.partition import Partition
from tasks.store.local.local_store import LocalStore
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.kafka import KafkaCluster, run_tool
from tests.support.kafka_jars import dump_log_tool
from tests.support.positions import commit_positions
from tests.support.producing import CODECS, OutRecord, Transaction
from tests.support.round_trip import Backups, contents, own_settings

pytestmark = pytest.mark.kafka


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


@pytest.mark.tried("Kafka", "3.9.1 with KRaft, as source and target")
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
    assert re.search(r"\(producer id \d+, which wrote its last record \d+\.\d hours before\)", held.reason)
    assert () == backups.findings(second)
    assert 30 == third.totals.records


def test_a_backup_reads_at_the_rate_that_was_set_over_all_workers_within_ten_percent(
    kafka: KafkaCluster, topic_name: str
) -> None:
    """The times are the subject here: the figure is the ratio of the measured rate and the limit."""
    limit, size, count = 2_000_000, 20_000, 250
    producing.create_topic(kafka.bootstrap, topic_name, partitions=2)
    for partition in range(2):
        values = (OutRecord(None, os.urandom(size)) for _ in range(count))
        producing.produce(kafka.bootstrap, topic_name, values, partition=partition, records_per_batch=1)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    seen: list[tuple[float, int]] = []

    def progress(partition: Partition, *, records: int, log_bytes: int) -> None:
        seen.append((time.monotonic(), log_bytes))

    began = time.monotonic()
    backups.back_up([topic_name], options=BackupOptions(max_bytes_per_second=limit), progress=progress)

    received = sum(log_bytes for _, log_bytes in seen)
    assert 2 * size * count <= received
    assert 0.9 < received / (seen[-1][0] - began) / limit < 1.1
