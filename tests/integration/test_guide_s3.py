"""The guide's walk-through with S3: its two files as printed, but for hosts and the window; the rest is ambient."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import KAFKA_VERSION
from tests.support.kafka import KafkaCluster
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

COMMAND = str(Path(sys.executable).with_name("kafka-backup"))
BACKUP = """\
mode: backup
backup_id: "first-backup-orders"
source:
  bootstrap_servers: [kafka:9092]
  topics:
    include: [orders]
storage:
  backend: s3
  bucket: my-kafka-backups
  region: us-west-2
  prefix: backups/production
backup:
  compression: zstd
  stop_at_current_offsets: true
  consumer_group_snapshot: true
"""
RESTORE = """\
mode: restore
backup_id: "prod-backup-20260704"
target:
  bootstrap_servers: [dr-broker-1:9092]
storage: {backend: s3, bucket: company-kafka-backups, region: us-west-2}
restore:
  topic_mapping: {orders: orders_restored}
  consumer_group_strategy: header-based
"""
"""Without the two lines of its time window, which this version refuses."""


HOSTS = ("kafka:9092", "dr-broker-1:9092")


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """A cluster of its own, since the files say what their topics are called."""
    with KafkaCluster(KAFKA_VERSION) as cluster:
        create_topic(cluster.bootstrap, "orders", partitions=2)
        for partition in range(2):
            produce(cluster.bootstrap, "orders", (OutRecord(b"k", b"%d" % n) for n in range(500)), partition=partition)
        yield cluster


@pytest.fixture
def folder(cluster: KafkaCluster, minio_tls: MinIO, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files, and a store over TLS that only the environment knows of."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", minio_tls.endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ROOT_CREDENTIALS.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ROOT_CREDENTIALS.secret_key)
    for name, text in (("backup.yaml", BACKUP), ("restore.yaml", RESTORE), ("company.yaml", _company(BACKUP))):
        for host in HOSTS:
            text = text.replace(host, cluster.bootstrap)
        (tmp_path / name).write_text(text)
    return tmp_path


def _company(text: str) -> str:
    """The backup that the guide's restore speaks of."""
    text = text.replace("first-backup-orders", "prod-backup-20260704").replace("  prefix: backups/production\n", "")
    return text.replace("my-kafka-backups", "company-kafka-backups")


def _run(folder: Path, command: str) -> str:
    done = subprocess.run(
        [COMMAND, *command.split()], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout


def test_the_guides_walk_through_runs_on_s3_as_printed(folder: Path, cluster: KafkaCluster, minio_tls: MinIO) -> None:
    for bucket in ("my-kafka-backups", "company-kafka-backups"):
        minio_tls.client.create_bucket(Bucket=bucket)

    _run(folder, "backup --config backup.yaml")
    assert "first-backup-orders@1" in _run(folder, "list --config backup.yaml")
    validated = _run(folder, "validate --config backup.yaml --backup-id first-backup-orders")
    assert "no damage found" in validated
    assert "1,000 records" in validated
    _run(folder, "backup --config company.yaml")
    _run(folder, "restore --config restore.yaml")

    for partition in range(2):
        expected = [(record.key, record.value) for record in read_all(cluster.bootstrap, "orders", partition)]
        restored = read_all(cluster.bootstrap, "orders_restored", partition)
        assert expected == [(record.key, record.value) for record in restored]
        assert 500 == len(expected)
    stored = minio_tls.client.list_objects_v2(Bucket="my-kafka-backups")["Contents"]
    assert all(one["Key"].startswith("backups/production/") for one in stored)
