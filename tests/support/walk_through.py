"""The guide's walk-through: its topic, its two files around a `storage` section, and its commands. And a flow with a
repository's block."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prefect.blocks.core import Block
from prefect.client.schemas.objects import StateType

from tests.conftest import KAFKA_VERSION
from tests.support.command import COMMAND
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all

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


@contextmanager
def guides_cluster() -> Iterator[KafkaCluster]:
    """A cluster of its own, since the files say what their topics are called."""
    with KafkaCluster(KAFKA_VERSION) as cluster:
        create_topic(cluster.bootstrap, "orders", partitions=2)
        for partition in range(2):
            produce(cluster.bootstrap, "orders", (OutRecord(b"k", b"%d" % n) for n in range(500)), partition=partition)
        yield cluster


def run_command(folder: Path, command: str, *, hidden: str | None = None, **variables: str) -> str:
    """What the command prints. It has to succeed, and no output contains the text `hidden`."""
    done = subprocess.run(
        [COMMAND, *command.split()],
        cwd=folder,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert 0 == done.returncode, done.stdout + done.stderr
    assert hidden is None or hidden not in done.stdout + done.stderr
    return done.stdout


def back_up_list_and_validate(run: Callable[[str], str]) -> None:
    """The guide's commands up to the restore. `run` runs one of them."""
    run("backup --config backup.yaml")
    assert "first-backup-orders@1" in run("list --config backup.yaml")
    validated = run("validate --config backup.yaml --backup-id first-backup-orders")
    assert "no damage found" in validated
    assert "1,000 records" in validated


def assert_restored(cluster: KafkaCluster) -> None:
    """The restored topic has the records of the topic."""
    for partition in range(2):
        expected = [(record.key, record.value) for record in read_all(cluster.bootstrap, "orders", partition)]
        restored = read_all(cluster.bootstrap, "orders_restored", partition)
        assert expected == [(record.key, record.value) for record in restored]
        assert 500 == len(expected)


def walk_through(
    folder: Path,
    cluster: KafkaCluster,
    storage: str,
    stored: Callable[[], Sequence[str]],
    *,
    hidden: str,
    **variables: str,
) -> None:
    """Check, back up, list, validate and restore. `storage` is the section of both files, and `stored` returns the
    names of all objects in the bucket. No output contains the text `hidden`."""
    for name, text in (("backup.yaml", BACKUP), ("restore.yaml", RESTORE)):
        (folder / name).write_text(text.format(bootstrap=cluster.bootstrap, storage=storage))

    def run(command: str) -> str:
        return run_command(folder, command, hidden=hidden, **variables)

    run("check --config backup.yaml")
    assert [] == stored(), "a check leaves nothing"
    back_up_list_and_validate(run)
    run("restore --config restore.yaml")
    assert_restored(cluster)
    names = stored()
    assert names
    assert all(name.startswith("backups/production/") for name in names)


def back_up_by_flow(
    installation: Installation, kafka: KafkaCluster, topic: str, block: Block, stored: Callable[[], Sequence[str]]
) -> None:
    """Back a new topic up with a flow whose repository is the block."""
    create_topic(kafka.bootstrap, topic)
    produce(kafka.bootstrap, topic, [OutRecord(b"key", b"value")] * 100)
    with installation.as_client():
        block.save("walk-through", overwrite=True)

    run = installation.run(
        "snapshot-backup/nightly",
        backup_id=topic,
        topics={"include": [topic]},
        repository=f"{block._block_type_slug}/walk-through",
    )

    assert StateType.COMPLETED == run.state_type, run.state
    names = stored()
    assert "repository.json" in names
    assert any(name.startswith("data/") for name in names)
