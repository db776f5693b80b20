"""The guide's walk-through with S3: its two files as printed, but for hosts; the rest is ambient."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kafka import KafkaCluster
from tests.support.object_stores import ROOT_CREDENTIALS, MinIO
from tests.support.producing import OutRecord, produce
from tests.support.reading import read_all
from tests.support.walk_through import back_up_list_and_validate, guides_cluster, run_command

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

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
  time_window_start: 1783159200000
  time_window_end: 1783173600000
  topic_mapping: {orders: orders_restored}
  consumer_group_strategy: header-based
"""
WINDOW = (1783159200000, 1783173600000)

HOSTS = ("kafka:9092", "dr-broker-1:9092")


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    with guides_cluster() as cluster:
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


def test_the_guides_walk_through_runs_on_s3_as_printed(folder: Path, cluster: KafkaCluster, minio_tls: MinIO) -> None:
    for bucket in ("my-kafka-backups", "company-kafka-backups"):
        minio_tls.client.create_bucket(Bucket=bucket)

    back_up_list_and_validate(lambda command: run_command(folder, command))
    for partition in range(2):
        times = [at + step for at in WINDOW for step in (1, 0, -1)]
        produce(
            cluster.bootstrap,
            "orders",
            (OutRecord(b"w", b"%d" % at, timestamp=at) for at in times),
            partition=partition,
        )
    run_command(folder, "backup --config company.yaml")
    preview = run_command(folder, "validate-restore --config restore.yaml")
    run_command(folder, "restore --config restore.yaml")

    assert "times of the restored records: 2026-07-04T10:00:00Z to 2026-07-04T14:00:00Z" in preview
    for partition in range(2):
        expected = [WINDOW[0] + 1, WINDOW[0], WINDOW[1], WINDOW[1] - 1]
        assert expected == [one.timestamp for one in read_all(cluster.bootstrap, "orders_restored", partition)]
    stored = minio_tls.client.list_objects_v2(Bucket="my-kafka-backups")["Contents"]
    assert all(one["Key"].startswith("backups/production/") for one in stored)
