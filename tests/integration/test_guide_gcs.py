"""The guide's walk-through on Google Cloud Storage: its files with a key file and an endpoint. Also the check of a
file, and a flow with the block."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from blocks import GcsRepository
from tests.conftest import KAFKA_VERSION
from tests.support.command import COMMAND
from tests.support.fake_gcs import FakeGcs
from tests.support.google_tokens import private_key
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.fake_gcs]

STORAGE = """\
storage:
  backend: gcs
  bucket: {bucket}
  service_account_path: gcs-key.json
  endpoint: {endpoint}
  prefix: backups/production
"""
BACKUP = """\
mode: backup
backup_id: "first-backup-orders"
source:
  bootstrap_servers: [{bootstrap}]
  topics:
    include: [orders]
{storage}backup:
  compression: zstd
  stop_at_current_offsets: true
  consumer_group_snapshot: true
"""
RESTORE = """\
mode: restore
backup_id: "first-backup-orders"
target:
  bootstrap_servers: [{bootstrap}]
{storage}restore:
  topic_mapping: {{orders: orders_restored}}
  consumer_group_strategy: header-based
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[KafkaCluster]:
    """A cluster of its own, since the files say what their topics are called."""
    with KafkaCluster(KAFKA_VERSION) as cluster:
        create_topic(cluster.bootstrap, "orders", partitions=2)
        for partition in range(2):
            produce(cluster.bootstrap, "orders", (OutRecord(b"k", b"%d" % n) for n in range(500)), partition=partition)
        yield cluster


def _run(folder: Path, command: str) -> str:
    done = subprocess.run(
        [COMMAND, *command.split()], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert private_key().splitlines()[1] not in done.stdout + done.stderr
    return done.stdout


def test_the_guides_walk_through_runs_on_google_cloud_storage(
    cluster: KafkaCluster, fake_gcs_tls: FakeGcs, tmp_path: Path
) -> None:
    bucket = fake_gcs_tls.new_bucket()
    storage = STORAGE.format(bucket=bucket, endpoint=fake_gcs_tls.endpoint)
    for name, text in (("backup.yaml", BACKUP), ("restore.yaml", RESTORE)):
        (tmp_path / name).write_text(text.format(bootstrap=cluster.bootstrap, storage=storage))
    (tmp_path / "gcs-key.json").write_text(fake_gcs_tls.tokens.key_text)

    _run(tmp_path, "check --config backup.yaml")
    assert [] == fake_gcs_tls.names(bucket), "a check leaves nothing"
    _run(tmp_path, "backup --config backup.yaml")
    assert "first-backup-orders@1" in _run(tmp_path, "list --config backup.yaml")
    validated = _run(tmp_path, "validate --config backup.yaml --backup-id first-backup-orders")
    assert "no damage found" in validated
    assert "1,000 records" in validated
    _run(tmp_path, "restore --config restore.yaml")

    for partition in range(2):
        expected = [(record.key, record.value) for record in read_all(cluster.bootstrap, "orders", partition)]
        restored = read_all(cluster.bootstrap, "orders_restored", partition)
        assert expected == [(record.key, record.value) for record in restored]
        assert 500 == len(expected)
    stored = fake_gcs_tls.names(bucket)
    assert stored
    assert all(name.startswith("backups/production/") for name in stored)


def test_a_flow_backs_up_into_the_bucket_of_a_block(
    installation: Installation, fake_gcs: FakeGcs, topic_name: str, kafka: KafkaCluster
) -> None:
    create_topic(kafka.bootstrap, topic_name)
    produce(kafka.bootstrap, topic_name, [OutRecord(b"key", b"value")] * 100)
    bucket = fake_gcs.new_bucket()
    fields = fake_gcs.settings(bucket).model_dump(exclude={"backend"})
    with installation.as_client():
        GcsRepository(**fields).save("fake-gcs", overwrite=True)

    run = installation.run(
        "snapshot-backup/nightly",
        backup_id=topic_name,
        topics={"include": [topic_name]},
        repository="gcs-repository/fake-gcs",
    )

    assert StateType.COMPLETED == run.state_type, run.state
    names = fake_gcs.names(bucket)
    assert "repository.json" in names
    assert any(name.startswith("data/") for name in names)
