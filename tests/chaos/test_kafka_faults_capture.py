"""Faults under a running capture of one broker: what is lost is named with its range, what is only late is waited for.

Every fault strikes at a stored object or an acknowledged fetch, never at a time.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from tasks.broker.admin.admin import Admin
from tasks.broker.admin_values import NewTopicSpec, TopicDescription
from tasks.engine.options import BackupOptions
from tasks.model.errors import KafkaBackupError
from tasks.model.partition import Partition
from tasks.model.ranges import TOPIC_GONE, TRIMMED
from tasks.repository.entries import PartitionNote
from tasks.store.memory.memory_store import MemoryStore
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster, run_tool
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


def _produce_mb(kafka: KafkaCluster, topic: str, megabytes: int, *, partition: int = 0) -> int:
    """Incompressible records in batches of half a megabyte; returns the end offset."""
    records = (OutRecord(b"%d" % number, os.urandom(RECORD_BYTES)) for number in range(20 * megabytes))
    return producing.produce(kafka.bootstrap, topic, records, partition=partition, records_per_batch=BATCH_RECORDS) + 1


class _Once:
    """Runs the fault at the first write of such a key, or the first progress; in the thread that captures."""

    def __init__(self, fault: Callable[[], object], key_part: str = "data/") -> None:
        self._fault = fault
        self._key_part = key_part
        self._is_done = False

    def on_write(self, number: int, operation: str, key: str) -> None:
        if self._key_part in key:
            self._strike()

    def on_progress(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self._strike()

    def _strike(self) -> None:
        if not self._is_done:
            self._is_done = True
            self._fault()


def _striking_at(kafka: KafkaCluster, fault: Callable[[], object], key_part: str = "data/") -> Backups:
    store = FaultyStore(MemoryStore(), on_write=_Once(fault, key_part).on_write)
    return Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, workers=1)


def _ranges(notes: tuple[PartitionNote, ...]) -> list[tuple[int | None, int | None, str]]:
    return [(note.first, note.next, note.reason) for note in notes]


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


def test_records_deleted_before_the_first_batch_are_trimmed_and_the_point_is_complete(
    kafka: KafkaCluster, topic_name: str, admin: Admin
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    _produce_mb(kafka, topic_name, 1)
    backups = _striking_at(kafka, lambda: admin.delete_records({(topic_name, 0): 7}), "/plan.json")

    point = backups.back_up([topic_name])

    assert ("complete", (), 13) == (point.status, point.gaps, point.totals.records)
    assert [(0, 7, "trimmed")] == _ranges(point.trimmed)
    assert 7 == backups.row(point, topic_name).first


def test_everything_deleted_before_the_first_batch_is_trimmed_too(
    kafka: KafkaCluster, topic_name: str, admin: Admin
) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    _produce_mb(kafka, topic_name, 1)

    def pass_the_end() -> None:
        producing.produce(kafka.bootstrap, topic_name, [OutRecord(b"later", b"")] * 5)
        admin.delete_records({(topic_name, 0): 23})

    backups = _striking_at(kafka, pass_the_end, "/plan.json")

    point = backups.back_up([topic_name])

    assert ("complete", (), 0) == (point.status, point.gaps, point.totals.records)
    assert [(0, 23, "trimmed")] == _ranges(point.trimmed)


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


def test_a_topic_that_is_deleted_while_the_backup_is_planned_is_named_and_the_others_are_kept(
    kafka: KafkaCluster, topic_name: str, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    stays, goes = f"{topic_name}-stays", f"{topic_name}-goes"
    for topic in (stays, goes):
        producing.create_topic(kafka.bootstrap, topic)
        producing.produce(kafka.bootstrap, topic, [OutRecord(b"key", b"value")] * 10)
    describe = Admin.describe_topics

    def then_delete(asking: Admin, names: Sequence[str] | None = None) -> list[TopicDescription]:
        found = describe(asking, names)
        if names is None:
            admin.delete_topics([goes])
        return found

    monkeypatch.setattr(Admin, "describe_topics", then_delete)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    point = backups.back_up([stays, goes])

    assert ("partial", 10) == (point.status, point.totals.records)
    [failure] = point.failures
    assert goes == failure.topic
    assert f"Topic {goes} (" in failure.reason
    assert ") was deleted, or deleted and created again." in failure.reason
    assert () == backups.findings(point)


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


def test_a_partition_whose_only_backup_failed_is_named_by_its_restore(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name, partitions=2)
    for partition in range(2):
        producing.produce(kafka.bootstrap, topic_name, [OutRecord(b"k", b"v" * 50)], partition=partition)
    _flip_a_byte_of_the_last_batch(kafka, topic_name, partition=1)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers)
    backups.back_up([topic_name])

    restored = backups.restore({topic_name: f"{topic_name}-restored"})
    alone = backups.restore({topic_name: f"{topic_name}-alone"}, source_partitions=(0,))

    [missing] = [finding for finding in restored.findings if finding.is_missing_data]
    assert f"{topic_name}-1" == missing.subject
    assert "CRC" in missing.message
    assert (True, False) == (restored.is_partial, alone.is_partial)


def _flip_a_byte_of_the_last_batch(kafka: KafkaCluster, topic: str, *, partition: int = 0) -> None:
    """As a bad disk does; the broker serves the bytes as they stand in its file."""
    log = kafka.log_dir() / f"{topic}-{partition}" / "00000000000000000000.log"
    with open(log, "r+b") as file:
        file.seek(-5, os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-5, os.SEEK_END)
        file.write(bytes([byte ^ 1]))


def test_a_first_backup_whose_only_partition_fails_makes_no_point(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, [OutRecord(b"k", b"v" * 50)] * 10, records_per_batch=10)
    _flip_a_byte_of_the_last_batch(kafka, topic_name)

    with pytest.raises(KafkaBackupError, match=r"Nothing was captured: .*CRC"):
        Backups(bootstrap_servers=kafka.bootstrap_servers).back_up([topic_name])


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


def test_a_capture_stopped_at_an_object_leaves_no_point(kafka: KafkaCluster, topic_name: str) -> None:
    producing.create_topic(kafka.bootstrap, topic_name)
    _produce_mb(kafka, topic_name, 8)
    stop = threading.Event()
    backups = _striking_at(kafka, stop.set)

    with pytest.raises(KafkaBackupError):
        backups.back_up([topic_name], options=SMALL_FETCHES, stop=stop)

    assert 0 == backups.repository.log("set").state().seq
    assert "complete" == backups.back_up([topic_name], options=SMALL_FETCHES).status
