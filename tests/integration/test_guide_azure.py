"""The guide's walk-through on Azure: its files as printed, but for hosts and the endpoint, with a key of the
environment. Also the check of a file, and a flow with the block."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from tests.conftest import KAFKA_VERSION
from tests.support.azurite import ACCOUNT, ACCOUNT_KEY, Azurite
from tests.support.command import COMMAND
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all

pytestmark = [pytest.mark.kafka, pytest.mark.azurite]

STORAGE = """\
storage:
  backend: azure
  account_name: {account}
  container_name: my-kafka-backups
  account_key: ${{AZURE_STORAGE_KEY}}
  endpoint: {endpoint}
  allow_http: true
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


@pytest.fixture
def folder(cluster: KafkaCluster, azurite: Azurite, tmp_path: Path) -> Path:
    storage = STORAGE.format(account=ACCOUNT, endpoint=azurite.endpoint)
    for name, text in (("backup.yaml", BACKUP), ("restore.yaml", RESTORE)):
        (tmp_path / name).write_text(text.format(bootstrap=cluster.bootstrap, storage=storage))
    return tmp_path


def _run(folder: Path, command: str) -> str:
    done = subprocess.run(
        [COMMAND, *command.split()],
        cwd=folder,
        env={**os.environ, "AZURE_STORAGE_KEY": ACCOUNT_KEY},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert ACCOUNT_KEY not in done.stdout + done.stderr
    return done.stdout


def test_the_guides_walk_through_runs_on_azure(folder: Path, cluster: KafkaCluster, azurite: Azurite) -> None:
    azurite.client.create_container("my-kafka-backups")

    _run(folder, "check --config backup.yaml")
    assert [] == [blob.name for blob in azurite.container("my-kafka-backups").list_blobs()]
    _run(folder, "backup --config backup.yaml")
    assert "first-backup-orders@1" in _run(folder, "list --config backup.yaml")
    validated = _run(folder, "validate --config backup.yaml --backup-id first-backup-orders")
    assert "no damage found" in validated
    assert "1,000 records" in validated
    _run(folder, "restore --config restore.yaml")

    for partition in range(2):
        expected = [(record.key, record.value) for record in read_all(cluster.bootstrap, "orders", partition)]
        restored = read_all(cluster.bootstrap, "orders_restored", partition)
        assert expected == [(record.key, record.value) for record in restored]
        assert 500 == len(expected)
    stored = [blob.name for blob in azurite.container("my-kafka-backups").list_blobs()]
    assert stored
    assert all(name.startswith("backups/production/") for name in stored)


def test_a_flow_backs_up_into_the_container_of_a_block(
    installation: Installation, azurite: Azurite, topic_name: str, kafka: KafkaCluster
) -> None:
    from blocks import AzureRepository

    create_topic(kafka.bootstrap, topic_name)
    produce(kafka.bootstrap, topic_name, [OutRecord(b"key", b"value")] * 100)
    container = azurite.new_container()
    fields = azurite.settings(container).model_dump(exclude={"backend"})
    with installation.as_client():
        AzureRepository(**fields).save("azurite", overwrite=True)

    run = installation.run(
        "snapshot-backup/nightly",
        backup_id=topic_name,
        topics={"include": [topic_name]},
        repository="azure-repository/azurite",
    )

    assert StateType.COMPLETED == run.state_type, run.state
    names = [blob.name for blob in azurite.container(container).list_blobs()]
    assert "repository.json" in names
    assert any(name.startswith("data/") for name in names)
