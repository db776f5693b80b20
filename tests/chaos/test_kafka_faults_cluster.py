"""Brokers that die or restart under a backup and a restore, in a cluster of three.

Each fault strikes at a stored object or an acknowledged batch, never at a time.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tasks.broker.admin.admin import Admin
from tasks.engine.options import BackupOptions
from tasks.model.partition import Partition
from tasks.model.ranges import TRUNCATED
from tasks.store.local.local_store import LocalStore
from tasks.store.memory.memory_store import MemoryStore
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord
from tests.support.round_trip import Backups, contents
from tests.support.running_backup import running_backup

pytestmark = pytest.mark.kafka

RECORD_BYTES = 50_000
BATCH_RECORDS = 10
PARTITIONS = 2
RECORDS = 300
"""In each partition: some 15 MB, hence four objects."""

SMALL_FETCHES = BackupOptions(fetch_max_bytes=1 << 20, segment_max_bytes=1 << 20, compression="none")


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with KafkaCluster(KAFKA_VERSION, nodes=3) as cluster:
        yield cluster


@pytest.fixture
def admin(cluster: KafkaCluster) -> Iterator[Admin]:
    with Admin(cluster.connection) as admin:
        yield admin


def _produce(cluster: KafkaCluster, topic: str, count: int, *, first: int = 0, partition: int = 0) -> None:
    records = (OutRecord(b"%d" % number, os.urandom(RECORD_BYTES)) for number in range(first, first + count))
    producing.produce(cluster.bootstrap, topic, records, partition=partition, records_per_batch=BATCH_RECORDS)


def _source(cluster: KafkaCluster, topic: str) -> None:
    producing.create_topic(
        cluster.bootstrap, topic, partitions=PARTITIONS, replicas=3, configs={"min.insync.replicas": "2"}
    )
    for partition in range(PARTITIONS):
        _produce(cluster, topic, RECORDS, partition=partition)


def _leader(admin: Admin, topic: str, partition: int = 0) -> int:
    [described] = admin.describe_topics([topic])
    leader = described.partitions[partition].leader
    assert leader is not None
    return leader


class _AtNth:
    """Runs the fault at the n-th stored data object (one frame of 4 MiB each), or at the n-th acknowledged batch."""

    def __init__(self, number: int, fault: Callable[[], object]) -> None:
        self._left = number
        self._fault = fault
        self._lock = threading.Lock()
        self.has_struck = False

    def on_write(self, number: int, operation: str, key: str) -> None:
        if key.startswith("data/"):
            self._count()

    def on_progress(self, partition: Partition, *, records: int, log_bytes: int) -> None:
        self._count()

    def _count(self) -> None:
        with self._lock:
            self._left -= 1
            is_due = self._left == 0
        if is_due:
            self._fault()
            self.has_struck = True


def _kill(cluster: KafkaCluster, node: int) -> None:
    cluster.kill(node)


def _restart(cluster: KafkaCluster, node: int) -> None:
    cluster.stop(node)
    cluster.start(node)


@pytest.mark.parametrize("fault", [_kill, _restart], ids=["killed", "restarted"])
def test_a_backup_survives_its_leader_and_holds_every_record_once(
    cluster: KafkaCluster, topic_name: str, admin: Admin, fault: Callable[[KafkaCluster, int], None]
) -> None:
    _source(cluster, topic_name)
    leader = _leader(admin, topic_name)
    strike = _AtNth(3, lambda: fault(cluster, leader))
    store = FaultyStore(MemoryStore(), on_write=strike.on_write)
    backups = Backups(bootstrap_servers=cluster.bootstrap_servers, store=store)

    try:
        point = backups.back_up([topic_name], options=SMALL_FETCHES)
    finally:
        cluster.start(leader)

    assert strike.has_struck
    assert ("complete", PARTITIONS * RECORDS) == (point.status, point.totals.records)
    assert () == backups.findings(point)
    for partition in range(PARTITIONS):
        served = backups.fetched_batches(topic_name, partition)
        assert served == backups.stored_batches(point, topic_name, partition)


def test_a_continuous_backup_goes_on_through_a_rolling_restart_under_load(
    cluster: KafkaCluster, topic_name: str, tmp_path: Path
) -> None:
    producing.create_topic(
        cluster.bootstrap, topic_name, partitions=PARTITIONS, replicas=3, configs={"min.insync.replicas": "2"}
    )
    file = tmp_path / "backup.yaml"
    file.write_text(
        f"mode: backup\nbackup_id: set\nsource:\n  bootstrap_servers: {list(cluster.bootstrap_servers)}\n"
        f"  topics: {{include: [{topic_name}]}}\nstorage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
        "backup: {continuous: true, checkpoint_interval_secs: 1}\n"
    )
    with _load(cluster, topic_name) as sent, running_backup(file) as running:
        running.wait_until(lambda: len(running.points) >= 1)
        for node in cluster.node_ids:
            _restart(cluster, node)
            batches, points = sent[0], len(running.points)
            running.wait_until(partial(_has_moved, sent, batches))
            running.wait_until(partial(_has_more, running.points, points))
        assert 0 == running.end(signal.SIGTERM), running.log

    store = LocalStore(tmp_path / "repository", create=False)
    backups = Backups(bootstrap_servers=cluster.bootstrap_servers, store=store)
    last = backups.back_up_changes([topic_name], options=BackupOptions())
    assert ([], [], "complete") == ([*last.gaps], [*last.truncated], last.status)
    assert not [point for point in running.points if point["gaps"] or point.get("truncated")]
    assert [] == backups.restore({topic_name: f"{topic_name}-restored"}).mismatches
    for partition in range(PARTITIONS):
        source = contents(cluster.bootstrap, topic_name, partition)
        assert [b"%d" % number for number in range(len(source))] == [key for _, key, _, _ in source]
        assert source == contents(cluster.bootstrap, f"{topic_name}-restored", partition)


def _has_moved(sent: list[int], before: int) -> bool:
    return sent[0] > before


def _has_more(points: Sequence[object], before: int) -> bool:
    return len(points) > before


@contextmanager
def _load(cluster: KafkaCluster, topic: str) -> Iterator[list[int]]:
    """Produce small batches to every partition until the end of the body. The list has the number of them so far."""
    done, sent = threading.Event(), [0]

    def send() -> None:
        while not done.wait(0.05):
            for partition in range(PARTITIONS):
                _produce(cluster, topic, 1, first=sent[0], partition=partition)
            sent[0] += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield sent
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("fault", [_kill, _restart], ids=["killed", "restarted"])
def test_a_restore_survives_its_leader_and_writes_every_record_once_and_in_order(
    cluster: KafkaCluster, topic_name: str, admin: Admin, fault: Callable[[KafkaCluster, int], None]
) -> None:
    target = f"{topic_name}-restored"
    _source(cluster, topic_name)
    backups = Backups(bootstrap_servers=cluster.bootstrap_servers)
    backups.back_up([topic_name])
    struck: list[int] = []

    def strike_leader() -> None:
        struck.append(_leader(admin, target))
        fault(cluster, struck[0])

    strike = _AtNth(10, strike_leader)
    try:
        result = backups.restore({topic_name: target}, progress=strike.on_progress)
    finally:
        for node in struck:
            cluster.start(node)

    assert strike.has_struck
    assert [] == result.mismatches
    for partition in range(PARTITIONS):
        restored = contents(cluster.bootstrap, target, partition)
        assert [b"%d" % number for number in range(RECORDS)] == [key for _, key, _, _ in restored]
        assert contents(cluster.bootstrap, topic_name, partition) == restored


def test_what_an_unclean_leader_election_loses_under_a_capture_is_named_truncated(
    cluster: KafkaCluster, topic_name: str, admin: Admin
) -> None:
    producing.create_topic(
        cluster.bootstrap, topic_name, replicas=2, configs={"unclean.leader.election.enable": "true"}
    )
    _produce(cluster, topic_name, 100)
    leader = _leader(admin, topic_name)
    behind = _follower(admin, topic_name, leader)
    cluster.kill(behind)
    _await_alone_in_sync(admin, topic_name, leader)
    _produce(cluster, topic_name, 200, first=100)

    def elect_the_one_behind() -> None:
        cluster.kill(leader)
        cluster.start(behind)

    strike = _AtNth(2, elect_the_one_behind)
    store = FaultyStore(MemoryStore(), on_write=strike.on_write)
    backups = Backups(bootstrap_servers=cluster.bootstrap_servers, store=store, workers=1)
    try:
        point = backups.back_up([topic_name], options=SMALL_FETCHES)
    finally:
        cluster.start(behind)
        cluster.start(leader)

    assert strike.has_struck
    assert [(100, 300, TRUNCATED)] == [(gap.first, gap.next, gap.reason) for gap in point.gaps]
    assert ("gaps", 100) == (point.status, point.totals.records)
    assert backups.fetched_batches(topic_name) == backups.stored_batches(point, topic_name)[:10]
    assert [] == backups.restore({topic_name: f"{topic_name}-restored"}).mismatches
    assert contents(cluster.bootstrap, topic_name) == contents(cluster.bootstrap, f"{topic_name}-restored")


def test_after_an_unclean_leader_election_the_next_run_reads_the_new_lineage_from_where_it_differs(
    cluster: KafkaCluster, topic_name: str, admin: Admin
) -> None:
    """Although the log is longer than the stored offset by then."""
    producing.create_topic(
        cluster.bootstrap, topic_name, replicas=2, configs={"unclean.leader.election.enable": "true"}
    )
    _produce(cluster, topic_name, 20)
    leader = _leader(admin, topic_name)
    behind = _follower(admin, topic_name, leader)
    backups = Backups(bootstrap_servers=cluster.bootstrap_servers, workers=1)
    cluster.kill(behind)
    try:
        _await_alone_in_sync(admin, topic_name, leader)
        _produce(cluster, topic_name, 20, first=100)
        first = backups.back_up_changes([topic_name], options=SMALL_FETCHES)
        lost = contents(cluster.bootstrap, topic_name)
        cluster.kill(leader)
        cluster.start(behind)
        _produce(cluster, topic_name, 50, first=1000)
    finally:
        cluster.start(behind)
        cluster.start(leader)

    point = backups.back_up_changes([topic_name], options=SMALL_FETCHES)

    assert (0, 40) == (backups.row(first, topic_name).first, backups.row(first, topic_name).next)
    assert [(20, 40, TRUNCATED)] == [(note.first, note.next, note.reason) for note in point.truncated]
    assert ("complete", 70, 70) == (point.status, point.totals.records, backups.row(point, topic_name).next)
    assert [] == backups.restore({topic_name: f"{topic_name}-new"}).mismatches
    assert contents(cluster.bootstrap, topic_name) == contents(cluster.bootstrap, f"{topic_name}-new")
    assert [] == backups.restore({topic_name: f"{topic_name}-old"}, seq=first.seq).mismatches
    assert lost == contents(cluster.bootstrap, f"{topic_name}-old")
    assert () == backups.findings(point)


def _follower(admin: Admin, topic: str, leader: int) -> int:
    [described] = admin.describe_topics([topic])
    [follower] = [node for node in described.partitions[0].replicas if node != leader]
    return follower


def _await_alone_in_sync(admin: Admin, topic: str, leader: int) -> None:
    deadline = time.monotonic() + 60
    while admin.describe_topics([topic])[0].partitions[0].isr != (leader,):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{topic} still counts its dead replica as in sync")
        time.sleep(0.1)  # Kafka has no event for a change of the in-sync replicas


def test_a_broker_that_dies_leaves_an_administrator_who_knew_it_with_the_others(
    cluster: KafkaCluster, topic_name: str
) -> None:
    producing.create_topic(cluster.bootstrap, topic_name, replicas=3)
    with Admin(cluster.connection) as admin:
        before = admin.topic_configs([topic_name])
        cluster.kill(1)
        try:
            assert before == admin.topic_configs([topic_name])
            assert [topic_name] == [topic.name for topic in admin.describe_topics([topic_name])]
        finally:
            cluster.start(1)
