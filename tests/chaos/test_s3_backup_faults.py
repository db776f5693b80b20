"""Whole backups of a real Kafka on S3 that fails in every way it can: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.engine.options import BackupOptions
from tasks.model.errors import DamagedError
from tasks.repository.entries import PointEntry
from tasks.repository.restore_point import RestorePoint
from tasks.store.protocol import ObjectStore
from tasks.store.retrying import RetryingStore
from tasks.store.s3.s3_store import S3Store
from tests.support.damaged_backup import DAMAGES
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster
from tests.support.made_backup import keys, make_repository
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups, contents
from tests.support.tcp_proxy import Answer, Fault, TcpProxy

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
PARTITIONS, RECORDS, RECORD_BYTES = 3, 240, 50_000
SMALL_OBJECTS = BackupOptions(
    fetch_max_bytes=1 << 20, segment_max_bytes=1 << 20, compression="none", consumer_group_snapshot=True
)
STORM: tuple[Fault, ...] = (
    *("cut-before", "cut-midway", "cut-after", "cut-answer", "stall", "swallow"),
    *(Answer(503, "SlowDown"), Answer(409, "ConditionalRequestConflict"), Answer(500, "InternalError", is_late=True)),
)


@pytest.fixture
def topic(kafka: KafkaCluster, topic_name: str) -> str:
    """A topic of three partitions with 12 MB of incompressible records each."""
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        records = (OutRecord(b"%d" % number, os.urandom(RECORD_BYTES)) for number in range(RECORDS))
        produce(kafka.bootstrap, topic_name, records, partition=partition, records_per_batch=10)
    return topic_name


def _patient(store: ObjectStore) -> ObjectStore:
    return RetryingStore(store, deadline_ms=60_000, first_wait_ms=1, longest_wait_ms=50)


def _backups(kafka: KafkaCluster, store: ObjectStore) -> Backups:
    return Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, workers=PARTITIONS)


def _assert_whole(backups: Backups, direct: ObjectStore, point: PointEntry) -> None:
    """The point is complete and sound as its owner's connection shows it, and what is stored is what it names."""
    assert ("complete", PARTITIONS * RECORDS) == (point.status, point.totals.records)
    sound = Backups(bootstrap_servers=backups.bootstrap_servers, store=direct)
    assert () == sound.findings(point)
    assert [point.seq] == [one.seq for one in sound.repository.log("set").entries() if isinstance(one, PointEntry)]
    opened = RestorePoint(direct, point)
    lines = opened.lines(opened.rows.values())
    named = {line.object for own in lines.values() for line in own}
    assert sorted(key for key in named if key) == keys(direct, "data/")
    assert len(named) > 2 * PARTITIONS


def test_a_backup_and_its_restore_through_a_storm_lose_and_double_nothing(
    kafka: KafkaCluster, topic: str, minio: MinIO
) -> None:
    bucket = minio.new_bucket()
    direct = S3Store(minio.settings(bucket, "team"))
    with TcpProxy(minio.port) as proxy:
        through = minio.settings(bucket, "team", endpoint=proxy.endpoint)
        backups = _backups(kafka, _patient(S3Store(through, connect_timeout_s=1, read_timeout_s=1)))
        proxy.storm(STORM, share=0.15, seed=3)

        point = backups.back_up([topic], options=SMALL_OBJECTS)
        assert () == backups.findings(point)
        restored = backups.restore({topic: f"{topic}-restored"})

        assert set(STORM) == set(proxy.struck), "every kind of fault struck"
    assert [] == restored.mismatches
    _assert_whole(backups, direct, point)
    for partition in range(PARTITIONS):
        expected = contents(kafka.bootstrap, topic, partition)
        assert expected == contents(kafka.bootstrap, f"{topic}-restored", partition)


@pytest.fixture
def own_minio(tmp_path: Path) -> Iterator[MinIO]:
    """A server that the test may kill."""
    with MinIO(tmp_path) as server:
        yield server


class _Once:
    """Strikes at the n-th write of a data object, in the thread that writes it."""

    def __init__(self, fault: Callable[[], None], at: int) -> None:
        self._fault = fault
        self._left = at

    def __call__(self, number: int, operation: str, key: str) -> None:
        if key.startswith("data/"):
            self._left -= 1
            if self._left == 0:
                self._fault()

    @property
    def has_struck(self) -> bool:
        return self._left <= 0


def test_a_store_that_is_killed_and_comes_back_costs_a_backup_nothing(
    kafka: KafkaCluster, topic: str, own_minio: MinIO
) -> None:
    def restart() -> None:
        own_minio.kill()
        own_minio.start()

    location = own_minio.settings(own_minio.new_bucket())
    at_fourth = _Once(restart, at=4)
    backups = _backups(kafka, FaultyStore(_patient(S3Store(location)), on_write=at_fourth))

    point = backups.back_up([topic], options=SMALL_OBJECTS)

    assert at_fourth.has_struck
    _assert_whole(backups, S3Store(location), point)


def test_a_backup_ends_at_the_first_signal_and_one_that_s3_does_not_answer_at_the_second(
    kafka: KafkaCluster, topic: str, minio: MinIO, tmp_path: Path
) -> None:
    bucket = minio.new_bucket()
    with TcpProxy(minio.port) as proxy:
        section = minio.settings(bucket, endpoint=proxy.endpoint)
        (tmp_path / "backup.yaml").write_text(
            f"mode: backup\nbackup_id: set\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
            f"  topics: {{include: [{topic}]}}\nbackup: {{segment_max_bytes: 1048576, fetch_max_bytes: 1048576}}\n"
            f"storage: {{backend: s3, bucket: {bucket}, region: {section.region}, endpoint: '{section.endpoint}',\n"
            f"  path_style: true, allow_http: true, access_key: {ROOT_CREDENTIALS.access_key},"
            f" secret_key: {ROOT_CREDENTIALS.secret_key}}}\n"
        )
        proxy.arm(Answer(503, "SlowDown"), method="PUT", folder="data/")
        assert "stopped" in _interrupted(tmp_path, proxy, times=1).lower()
        proxy.struck.clear()
        proxy.arm(Answer(503, "SlowDown"), method="PUT", folder="data/", times=1000)
        assert "stopped" in _interrupted(tmp_path, proxy, times=1).lower()
        proxy.calm()
        proxy.struck.clear()
        proxy.arm("stall", method="PUT", folder="data/", times=1000)
        assert "kafka-backup: Interrupted.\n" == _interrupted(tmp_path, proxy, times=2)
    entries = make_repository(S3Store(minio.settings(bucket))).log("set").entries()
    assert [] == [entry for entry in entries if isinstance(entry, PointEntry)]


def _interrupted(folder: Path, proxy: TcpProxy, *, times: int) -> str:
    """Back up, and interrupt it when a fault has struck; what it says after the last signal."""
    command = [COMMAND, "backup", "--config", str(folder / "backup.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            while not proxy.struck:
                assert process.poll() is None, process.stderr.read()
                time.sleep(0.01)  # another process's request has no event to wait for
            process.send_signal(signal.SIGINT)
            assert any("stopping. A second signal ends the command at once" in line for line in process.stderr)
            if times == 2:
                process.send_signal(signal.SIGINT)
            assert 130 == process.wait(15)
            return process.stderr.read()
        finally:
            process.kill()


@pytest.fixture(scope="module")
def stored(kafka: KafkaCluster, minio: MinIO) -> tuple[Backups, PointEntry]:
    """A backup on S3."""
    name = f"damaged-{os.urandom(4).hex()}"
    create_topic(kafka.bootstrap, name)
    produce(kafka.bootstrap, name, [OutRecord(b"%d" % number, os.urandom(1000)) for number in range(100)])
    backups = _backups(kafka, S3Store(minio.settings(minio.new_bucket())))
    return backups, backups.back_up([name])


@pytest.mark.parametrize("damage", [*DAMAGES, "removed"])
@pytest.mark.parametrize(
    "kind", ["data/", "meta/set/log/", "meta/set/index/", "meta/set/partitions/", "meta/set/state/"]
)
def test_damage_on_s3_is_named(stored: tuple[Backups, PointEntry], kind: str, damage: str) -> None:
    backups, point = stored
    key = keys(backups.store, kind)[0]
    whole, _ = backups.store.get(key)
    if damage == "removed":
        backups.store.delete([key])
    else:
        backups.store.put(key, [DAMAGES[damage](whole)])
    try:
        assert key in _named(backups, point)
    finally:
        backups.store.put(key, [whole])
    assert () == backups.findings(point)


def _named(backups: Backups, point: PointEntry) -> list[str]:
    try:
        return [finding.object for finding in backups.findings(point)]
    except DamagedError as error:
        return [error.key or ""]
