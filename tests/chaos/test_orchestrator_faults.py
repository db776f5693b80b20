"""What Prefect, its workers and its server do to a backup: nothing is lost, nothing half-done counts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from prefect.client.schemas.objects import StateType
from prefect.states import Cancelling

from deployments.automations import NO_HEARTBEAT_FOR
from tasks.config.adapters import store_of
from tasks.repository.document import unseal
from tasks.repository.leases import LeaseRecord
from tasks.repository.names import capture_lease_key
from tasks.store.local.local_store import LocalStore
from tasks.store.protocol import ObjectStore
from tests.support.faults import FaultyStore, Operation
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.prefect_server import PROGRAMS, ROOT
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.quotas import fetch_quota, produce_quota
from tests.support.reading import end_offset
from tests.support.round_trip import Backups, contents, own_settings

pytestmark = pytest.mark.kafka

DEPLOYMENT = "snapshot-backup/nightly"
PARTITIONS = 2
RECORDS = 2_000
"""In each partition, of 8 KiB: four data objects of a frame, which is 4 MiB."""

SMALL_OBJECTS = {"segment_max_bytes": 1 << 20, "fetch_max_bytes": 1 << 20}
SLOWLY = 1_000_000
"""Bytes a second: the first objects come at once, the others take some 20 s."""

STOP_LIMIT_S = 10.0
"""Less than the 11 s for which a throttling broker leaves a request unanswered, because a stop is not allowed to wait
for that answer."""


@pytest.fixture
def topic(kafka: KafkaCluster, topic_name: str) -> str:
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS, configs={"retention.ms": "3600000"})
    for partition in range(PARTITIONS):
        values = (os.urandom(8_192) for _ in range(RECORDS))
        produce(kafka.bootstrap, topic_name, (OutRecord(None, value) for value in values), partition=partition)
    return topic_name


class Set:
    """The backup set of one test in the installation's repository, named like its topic."""

    def __init__(self, installation: Installation, kafka: KafkaCluster, topic: str) -> None:
        store = LocalStore(installation.repository, create=True)
        self._installation = installation
        self._topic = topic
        self.backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, set_name=topic)

    def start(self) -> UUID:
        """A run of the backup, once its first data object is stored and a fragment names it: there is more to come."""
        run = self._installation.start(DEPLOYMENT, **self.parameters)
        self.await_object(run, "fragments/{set}/**/*.json")
        return run

    @property
    def parameters(self) -> dict[str, object]:
        """What to run the deployment with."""
        return {"backup_id": self._topic, "topics": {"include": [self._topic]}, "options": SMALL_OBJECTS}

    def await_object(self, run: UUID, pattern: str) -> Path:
        """An object of the set that fits the pattern, as soon as there is one and while the run goes on."""
        pattern = pattern.format(set=self._topic)
        _await(self._installation, lambda: any(self._installation.repository.glob(pattern)))
        return next(self._installation.repository.glob(pattern))

    def kinds(self) -> list[str]:
        """What the set's log says, an entry each."""
        log = self.backups.repository.log(self._topic)
        return [entry.kind for entry in log.entries()]

    def is_locked(self) -> bool:
        """Whether a writer has not given the set's lease back."""
        key = capture_lease_key(self._topic)
        return not LeaseRecord.from_json(unseal(self.backups.store.get(key)[0], key=key), key=key).is_released

    def assert_exact(self, seq: int) -> None:
        """The newest point is that one, complete, with every record once, and not a byte of it is wrong."""
        log = self.backups.repository.log(self._topic)
        newest = log.state().newest_point
        assert newest is not None
        point = log.point(newest).entry
        assert (seq, "complete", PARTITIONS * RECORDS) == (point.seq, point.status, point.totals.records)
        assert () == self.backups.findings(point)


@pytest.fixture
def backup_set(installation: Installation, kafka: KafkaCluster, topic: str) -> Set:
    return Set(installation, kafka, topic)


def test_a_cancelled_run_stops_in_seconds_and_the_next_finishes_it_first(
    installation: Installation, kafka: KafkaCluster, backup_set: Set
) -> None:
    with fetch_quota(kafka.connection, SLOWLY):
        run = backup_set.start()
        installation.client.set_flow_run_state(run, Cancelling())  # as the UI's button does
        _await_end_of_processes(installation, run)
    cancelled = installation.ended(run)

    assert StateType.CANCELLED == cancelled.state_type
    assert [] == backup_set.kinds()
    assert not backup_set.is_locked()
    again = installation.run(DEPLOYMENT, **backup_set.parameters)
    assert StateType.COMPLETED == again.state_type, again.state
    assert ["point", "point"] == backup_set.kinds(), "the run that ended is finished first"
    backup_set.assert_exact(2)


def test_a_cancelled_continuous_run_commits_what_it_has_read_and_the_next_goes_on_there(
    installation: Installation, kafka: KafkaCluster, backup_set: Set, topic: str
) -> None:
    backup_set.backups.back_up([topic])
    for partition in range(PARTITIONS):
        values = (os.urandom(8_192) for _ in range(RECORDS))
        produce(kafka.bootstrap, topic, (OutRecord(None, value) for value in values), partition=partition)
    with fetch_quota(kafka.connection, SLOWLY):
        run = installation.start("continuous-backup/always", **backup_set.parameters)
        _await(installation, lambda: len(list(installation.repository.glob(f"data/{topic}/*"))) > 1)
        installation.client.set_flow_run_state(run, Cancelling())
        _await_end_of_processes(installation, run)
    cancelled = installation.ended(run)

    assert StateType.CANCELLED == cancelled.state_type
    assert not backup_set.is_locked()
    again = installation.run("incremental-backup/hourly", **backup_set.parameters)
    assert StateType.COMPLETED == again.state_type, again.state
    log = backup_set.backups.repository.log(topic)
    newest = log.newest_point()
    assert newest is not None
    assert ("complete", 2 * PARTITIONS * RECORDS) == (newest.entry.status, newest.entry.totals.records)
    assert () == backup_set.backups.findings(newest.entry)


def test_a_cancelled_restore_stops_in_seconds_and_the_next_run_continues_it(
    installation: Installation, kafka: KafkaCluster, backup_set: Set, topic: str
) -> None:
    backup_set.backups.back_up([topic])
    target = f"{topic}-restored"
    asked: dict[str, object] = {"topic_mapping": {topic: target}}
    where = {"backup_id": topic, "target": "disaster-recovery", "repository": "production"}

    with produce_quota(kafka.connection, SLOWLY):
        run = installation.start("restore/on-demand", **where, options=asked)
        logs = f"{target}-[0-9]/*.log"
        _await(installation, lambda: any(log.stat().st_size for log in kafka.log_dir().glob(logs)))
        installation.client.set_flow_run_state(run, Cancelling())
        _await_end_of_processes(installation, run)
    cancelled = installation.ended(run)

    assert StateType.CANCELLED == cancelled.state_type
    held = [end_offset(kafka.bootstrap, target, partition) for partition in range(PARTITIONS)]
    assert 0 < sum(held) < PARTITIONS * RECORDS
    assert "-1" == own_settings(kafka.bootstrap_servers, target)["retention.ms"], "Kafka deletes nothing of it"
    again = installation.run("restore/on-demand", **where, options=asked)
    assert StateType.COMPLETED == again.state_type, again.state
    for partition in range(PARTITIONS):
        assert contents(kafka.bootstrap, topic, partition) == contents(kafka.bootstrap, target, partition)


def test_a_killed_run_is_reported_by_its_worker_and_the_next_finishes_it_first(
    installation: Installation, kafka: KafkaCluster, backup_set: Set
) -> None:
    """Takes 20 s: the time to live of a lease that was not released."""
    with fetch_quota(kafka.connection, SLOWLY):
        run = backup_set.start()
        installation.kill_processes_of(run)
        crashed = installation.ended(run, timeout_s=STOP_LIMIT_S)

    assert StateType.CRASHED == crashed.state_type
    assert [] == backup_set.kinds()
    again = installation.run(DEPLOYMENT, **backup_set.parameters)
    assert StateType.COMPLETED == again.state_type, again.state
    assert ["point", "point"] == backup_set.kinds(), "the run that ended is finished first"
    backup_set.assert_exact(2)


@pytest.mark.soak
def test_a_run_that_died_with_its_worker_is_marked_when_its_heartbeats_are_missed(
    installation: Installation, kafka: KafkaCluster, backup_set: Set
) -> None:
    with fetch_quota(kafka.connection, SLOWLY):
        run = backup_set.start()
        installation.worker.end(signal.SIGKILL)
        installation.kill_processes_of(run)
    with installation.worker:
        crashed = installation.ended(run, timeout_s=NO_HEARTBEAT_FOR.total_seconds() + 60)
        again = installation.run(DEPLOYMENT, **backup_set.parameters)

    assert StateType.CRASHED == crashed.state_type
    assert crashed.state is not None
    assert "No heartbeat" in (crashed.state.message or "")
    assert StateType.COMPLETED == again.state_type, again.state
    backup_set.assert_exact(2)


@pytest.mark.parametrize("outage_s", [0, pytest.param(60, marks=pytest.mark.soak)])
def test_a_server_that_is_away_in_the_middle_fails_no_run(
    installation: Installation, kafka: KafkaCluster, backup_set: Set, outage_s: float
) -> None:
    """It stays away until the point is made, and for `outage_s` at least."""
    with fetch_quota(kafka.connection, SLOWLY):
        run = backup_set.start()
        installation.server.kill()
        back = time.monotonic() + outage_s
        assert [] == backup_set.kinds()
    try:
        backup_set.await_object(run, "meta/{set}/log/0000000001.json")  # the point: made without the server
        time.sleep(max(0.0, back - time.monotonic()))
    finally:
        installation.server.start()

    ended = installation.ended(run)
    assert (StateType.COMPLETED, "Completed") == (ended.state_type, ended.state_name), ended.state
    assert ["point"] == backup_set.kinds()
    backup_set.assert_exact(1)
    assert {"table", "markdown"} <= {artifact.type for artifact in installation.artifacts(run)}


def test_a_task_that_raises_half_way_is_tried_again_and_the_point_is_exact(
    installation: Installation, backup_set: Set, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flows.backup import snapshot_backup

    monkeypatch.setattr(
        "tasks.config.new_repository.store_of", lambda section, **how: _failing_once(store_of(section, **how))
    )
    with installation.as_client():
        state = snapshot_backup(
            source="production", repository="production", **backup_set.parameters, return_state=True
        )

    assert StateType.COMPLETED == state.type, state
    backup_set.assert_exact(1)
    assert state.state_details.flow_run_id is not None
    runs = installation.task_runs(state.state_details.flow_run_id, at_least=PARTITIONS + 2)
    assert sorted([1] * (PARTITIONS + 1) + [2]) == sorted(one.run_count for one in runs)


def _await(installation: Installation, is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_so():
        assert time.monotonic() < deadline, installation.worker_output()
        time.sleep(0.01)  # another process's file has no event to wait for


def _await_end_of_processes(installation: Installation, run: UUID) -> None:
    """Not the run's state: Prefect looks for the end of a process only every few seconds."""
    deadline = time.monotonic() + STOP_LIMIT_S
    while installation.processes_of(run):
        assert time.monotonic() < deadline, installation.worker_output()
        time.sleep(0.05)  # another's child: there is nothing to wait on


def _failing_once(store: ObjectStore) -> ObjectStore:
    """Away for one request, after the first data object was stored."""

    def strike(_number: int, _operation: Operation, key: str) -> None:
        if key.startswith("data/") and not struck:
            struck.append(key)
            faulty.fail_before("put_if_absent")

    struck: list[str] = []
    faulty = FaultyStore(store, on_write=strike)
    return faulty


ZOMBIE = """
import sys
from tasks.backup import capture_bin
from tasks.flow_support.backup_work import BackupWork
from tasks.flow_support.bin_tasks import BinTask

flow_run, set_name, run = sys.argv[1:]
work = BackupWork(
    flow_run=flow_run, source="production", repository="local-repository/production", set_name=set_name, run=run
)
capture_bin.fn(work, BinTask(0, "again"))
"""


def test_a_task_that_ran_twice_in_two_processes_does_no_harm(
    installation: Installation, kafka: KafkaCluster, backup_set: Set, topic: str
) -> None:
    with fetch_quota(kafka.connection, SLOWLY):
        flow_run = backup_set.start()
        plan = backup_set.await_object(flow_run, "meta/{set}/runs/*/plan.json")
        zombie = _start(installation, ZOMBIE, str(flow_run), topic, plan.parent.name)
        _await(installation, lambda: 1 + PARTITIONS == len(_writers(installation, topic)) or zombie.poll() is not None)
        assert zombie.poll() is None, "it ended before it could do harm"
    ended = installation.ended(flow_run)
    zombie.wait(60)  # to its end, or until it sees that the run is over

    assert StateType.COMPLETED == ended.state_type, ended.state
    assert ["point"] == backup_set.kinds()
    backup_set.assert_exact(1)


def _start(installation: Installation, program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """A Python of its own, ended with the installation at the latest."""
    command = [str(PROGRAMS / "python"), "-c", program, *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=installation.server.environment)


def _writers(installation: Installation, set_name: str) -> set[str]:
    """Who wrote data objects of the set: each attempt at a task has an id of its own."""
    objects = installation.repository.glob(f"data/{set_name}/**/*.zst")
    return {path.name.rpartition("-")[0] for path in objects}
