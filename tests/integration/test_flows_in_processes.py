"""The same flow with its tasks in other processes: the same point, and the same end when it ends early."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tasks.backup import capture_bin, plan_backup
from tasks.engine.commit.runs import run_lease
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import RunContext
from tasks.flow_support.backup_work import BackupWork
from tasks.flow_support.bin_tasks import BinTask
from tasks.model.errors import InterruptedRunError
from tasks.repository.names import new_run_id
from tasks.repository.restore_point import RestorePoint
from tasks.store.local.local_store import LocalStore
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups, contents, now_ms

pytestmark = pytest.mark.kafka

CLUSTER, REPOSITORY = "production", "local-repository/production"
PARTITIONS = 3


@pytest.fixture
def topic(installation: Installation, kafka: KafkaCluster, topic_name: str) -> Iterator[str]:
    """A topic, while flows and tasks of this process are clients of the installation."""
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        records = (OutRecord(b"%d" % number, b"value %d" % number * 50) for number in range(500))
        produce(kafka.bootstrap, topic_name, records, partition=partition)
    with installation.as_client():
        yield topic_name


def _backups(kafka: KafkaCluster, folder: Path, set_name: str) -> Backups:
    store = LocalStore(folder, create=True)
    return Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, set_name=set_name)


PROGRAM = """
import sys
from prefect.task_runners import ProcessPoolTaskRunner
from flows.backup import snapshot_backup
from flows.restore import restore
from flows.validate import validate

here, there, topic = sys.argv[1:]


def ended(flow, *names, **parameters):
    state = flow(*names, return_state=True, **parameters)
    assert ("COMPLETED", "Completed") == (state.type.value, state.name), state
    return state.state_details.flow_run_id


def in_processes(flow, *names, **parameters):
    return ended(flow.with_options(task_runner=ProcessPoolTaskRunner(max_workers=2)), *names, **parameters)


if __name__ == "__main__":
    ended(snapshot_backup, here, "production", "production", topics={"include": [topic]})
    print(in_processes(snapshot_backup, there, "production", "production", topics={"include": [topic]}))
    in_processes(validate, there, "production")
    in_processes(restore, there, "production", "production", options={"topic_mapping": {topic: f"{topic}-restored"}})
"""


def test_tasks_in_other_processes_make_the_same_point_and_restore_it(
    installation: Installation, kafka: KafkaCluster, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    sets = [f"{topic}-here", f"{topic}-there"]
    printed = installation.server.run("python", str(tmp_path / "program.py"), *sets, topic)

    one, other = (_backups(kafka, installation.repository, name) for name in sets)
    own, others = one.repository.log(one.set_name).point(1).entry, other.repository.log(other.set_name).point(1).entry
    assert RestorePoint(one.store, own).rows == RestorePoint(other.store, others).rows
    assert (own.totals.records, own.totals.log_bytes) == (others.totals.records, others.totals.log_bytes)
    for partition in range(PARTITIONS):
        assert one.stored_batches(own, topic, partition) == other.stored_batches(others, topic, partition)
        assert contents(kafka.bootstrap, topic, partition) == contents(kafka.bootstrap, f"{topic}-restored", partition)
    run = UUID(re.findall(r"^[0-9a-f-]{36}$", printed, re.M)[0])
    captures = {f"{topic}-{partition}" for partition in range(PARTITIONS)}
    assert captures | {"plan", "commit"} == {one.name for one in installation.task_runs(run, at_least=PARTITIONS + 2)}
    [progress] = [artifact for artifact in installation.artifacts(run) if artifact.type == "progress"]
    assert (100, True) == (progress.data, "1,500 records" in (progress.description or ""))


def test_a_task_of_another_process_ends_with_its_flow_run(
    installation: Installation, kafka: KafkaCluster, topic: str
) -> None:
    """This process is the other one: no flow runs in it, only the lease tells its tasks of one."""
    backups = _backups(kafka, installation.repository, topic)
    work = BackupWork(str(uuid4()), CLUSTER, REPOSITORY, topic, new_run_id(now_ms()))
    part = BinTask(0, f"{topic}-0")
    with run_lease(RunContext(repository=backups.repository), topic, work.run):
        plan_backup.fn(work, TopicSelection(include=(topic,)), BackupOptions())
        assert 500 == capture_bin.fn(work, part).ranges[0].records

    with pytest.raises(InterruptedRunError, match="not held for this run"):
        capture_bin.fn(work, part)
    assert [] == list(backups.repository.log(topic).entries())
