"""Faults under a running capture of one broker: what is lost is named with its range, what is only late is waited for.

Every fault strikes at a stored object, never at a time. The rules of a capture are tested in `tests/simulation/rules`;
here are the answers that only a real broker gives.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import NewTopicSpec
from tasks.broker.messages.api_keys import ApiKey
from tasks.engine.options import BackupOptions
from tasks.model.ranges import TOPIC_GONE, TRIMMED
from tasks.store.memory.memory_store import MemoryStore
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster, run_tool
from tests.support.kafka_proxy import KAFKA_FAULTS, KafkaFault, KafkaProxy
from tests.support.producing import OutRecord
from tests.support.round_trip import Backups, contents

pytestmark = pytest.mark.kafka

BATCH_RECORDS = 10
RECORD_BYTES = 50_000
SMALL_FETCHES = BackupOptions(fetch_max_bytes=1 << 20, segment_max_bytes=1 << 20, compression="none")


@pytest.fixture
def admin(kafka: KafkaCluster) -> Iterator[Admin]:
    with Admin(kafka.connection) as admin:
        yield admin


def _produce_mb(kafka: KafkaCluster, topic: str, megabytes: int) -> int:
    """Incompressible records in batches of half a megabyte; returns the end offset."""
    records = (OutRecord(b"%d" % number, os.urandom(RECORD_BYTES)) for number in range(20 * megabytes))
    return producing.produce(kafka.bootstrap, topic, records, records_per_batch=BATCH_RECORDS) + 1


class _Once:
    """Runs the fault once the first data object is stored, in the thread that captures."""

    def __init__(self, fault: Callable[[], object]) -> None:
        self._fault = fault
        self._is_done = False

    def on_write(self, number: int, operation: str, key: str) -> None:
        if key.startswith("data/") and not self._is_done:
            self._is_done = True
            self._fault()


def _striking_at(kafka: KafkaCluster, fault: Callable[[], object]) -> Backups:
    store = FaultyStore(MemoryStore(), on_write=_Once(fault).on_write)
    return Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, workers=1)


def test_records_deleted_ahead_of_a_running_capture_are_a_gap_with_its_range(
    kafka: KafkaCluster, topic_name: str, admin: Admin
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    end = _produce_mb(kafka, topic_name, 24)
    start = end - 45  # in the middle of a batch
    backups = _striking_at(kafka, lambda: admin.delete_records({(topic_name, 0): start}))

    point = backups.back_up([topic_name], options=SMALL_FETCHES)

    [gap] = point.gaps
    assert ("gaps", start, TRIMMED) == (point.status, gap.next, gap.reason)
    assert 0 < (gap.first or 0) < start
    assert (gap.first or 0) + 45 == point.totals.records
    [line] = [line for line in backups.lines(point, topic_name) if line.gaps]
    assert (gap.first, gap.next, TRIMMED) == line.gaps[0]
    assert () == backups.findings(point)
    target = f"{topic_name}-restored"
    assert [] == backups.restore({topic_name: target}).mismatches
    keys = [int(key or b"") for _, key, _, _ in contents(kafka.bootstrap, target)]
    assert [*range(gap.first or 0), *range(start, end)] == keys


@pytest.mark.parametrize("is_created_again", [False, True], ids=["deleted", "created-again"])
def test_a_topic_that_goes_under_a_running_capture_is_named_and_its_rows_are_not_live(
    kafka: KafkaCluster, topic_name: str, admin: Admin, is_created_again: bool
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    end = _produce_mb(kafka, topic_name, 24)

    def delete() -> None:
        admin.delete_topics([topic_name])
        if is_created_again:
            admin.create_topics([NewTopicSpec(name=topic_name, partitions=1, replication_factor=1)])
            _produce_mb(kafka, topic_name, 25)  # longer than the old one was

    backups = _striking_at(kafka, delete)

    point = backups.back_up([topic_name], options=SMALL_FETCHES)

    [gap] = point.gaps
    assert ("gaps", end, TOPIC_GONE) == (point.status, gap.next, gap.reason)
    assert (gap.first, False) == (point.totals.records, backups.row(point, topic_name).is_live)
    assert () == backups.findings(point)
    target = f"{topic_name}-restored"
    restored = backups.restore({topic_name: target})
    assert ([], True) == (restored.mismatches, restored.is_partial)
    assert f"offsets {gap.first} to {end - 1} are not in the point: {TOPIC_GONE}." in [
        finding.message for finding in restored.findings
    ]
    assert point.totals.records == len(contents(kafka.bootstrap, target))


def test_one_failing_partition_makes_the_point_partial_and_keeps_its_earlier_row(
    kafka: KafkaCluster, topic_name: str
) -> None:
    bad = f"{topic_name}-bad"
    for topic in (topic_name, bad):
        producing.create_topic(kafka.bootstrap, topic)
        producing.produce(kafka.bootstrap, topic, [OutRecord(b"k", b"v")] * 10, records_per_batch=10)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    first = backups.back_up([topic_name, bad])
    for topic in (topic_name, bad):
        producing.produce(kafka.bootstrap, topic, [OutRecord(b"k", b"v" * 50)] * 10, records_per_batch=10)
    _flip_a_byte_of_the_last_batch(kafka, bad)

    second = backups.back_up([topic_name, bad])

    assert ("complete", "partial") == (first.status, second.status)
    [failure] = second.failures
    assert (bad, 0) == (failure.topic, failure.partition)
    assert "CRC" in failure.reason
    good, kept = backups.row(second, topic_name), backups.row(second, bad)
    assert (20, 10) == (good.next, kept.next)
    assert (None, failure.reason) == (good.failure, kept.failure)
    assert 30 == second.totals.records
    target = f"{topic_name}-restored"
    restored = backups.restore({bad: target})
    assert ([], True) == (restored.mismatches, restored.is_partial)
    [missing] = [finding for finding in restored.findings if finding.is_missing_data]
    assert f"{bad}-0" == missing.subject
    assert missing.message.startswith("the point contains only a part of it, because it failed: ")
    assert 10 == len(contents(kafka.bootstrap, target))


def _flip_a_byte_of_the_last_batch(kafka: KafkaCluster, topic: str) -> None:
    """As a bad disk does; the broker serves the bytes as they are in its file."""
    log = kafka.log_dir() / f"{topic}-0" / "00000000000000000000.log"
    with open(log, "r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-5, os.SEEK_END)
        file.write(bytes([byte ^ 1]))


def test_throttled_fetches_are_waited_for_until_the_target_is_reached(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    end = _produce_mb(kafka, topic_name, 6)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, workers=1)

    _set_fetch_quota(kafka, "--add-config", "consumer_byte_rate=1000000")
    try:
        point = backups.back_up([topic_name], options=SMALL_FETCHES)
    finally:
        _set_fetch_quota(kafka, "--delete-config", "consumer_byte_rate")

    assert ("complete", end) == (point.status, point.totals.records)


def _set_fetch_quota(kafka: KafkaCluster, action: str, value: str) -> None:
    """For all clients of our own client id; librdkafka's, which the tests read with, are not slowed down."""
    entity = ("--entity-type", "clients", "--entity-name", "kafka-backup")
    command = ("--bootstrap-server", kafka.bootstrap, "--alter", *entity, action, value)
    run_tool(KAFKA_VERSION, "kafka.admin.ConfigCommand", *command)


@pytest.mark.parametrize("fault", KAFKA_FAULTS)
@pytest.mark.parametrize("request_kind", [ApiKey.FETCH, ApiKey.LIST_OFFSETS], ids=["fetch", "offsets"])
def test_a_connection_that_is_cut_or_goes_silent_under_an_incremental_run_costs_nothing(
    kafka: KafkaCluster, topic_name: str, fault: KafkaFault, request_kind: ApiKey
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    _produce_mb(kafka, topic_name, 2)
    with KafkaProxy(int(kafka.bootstrap.rpartition(":")[2])) as proxy:
        backups = Backups(bootstrap_servers=(f"127.0.0.1:{proxy.port}",), request_timeout_ms=2_000, workers=1)
        backups.back_up_changes([topic_name], options=SMALL_FETCHES)
        end = _produce_mb(kafka, topic_name, 4)
        proxy.arm(request_kind, fault, times=2)

        point = backups.back_up_changes([topic_name], options=SMALL_FETCHES)

        assert [(request_kind, fault)] * 2 == proxy.struck
        assert ("complete", end, ()) == (point.status, point.totals.records, point.gaps)
        assert backups.fetched_batches(topic_name) == backups.stored_batches(point, topic_name)
        assert () == backups.findings(point)
