"""Everything of `deployments/` on a real Prefect server with a real worker, read back through its API."""

from __future__ import annotations

import time
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from prefect.client.schemas.filters import FlowRunFilter
from prefect.client.schemas.objects import FlowRun, StateType

from deployments.prefect_file import entries, flow_of
from tasks.repository.entries import ExpireEntry
from tasks.store.local.local_store import LocalStore
from tests.support.installation import POOL, Installation
from tests.support.kafka import KafkaCluster
from tests.support.made_backup import SET, back_up, make_repository
from tests.support.made_logs import plain_log
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import contents

pytestmark = pytest.mark.kafka

PARTITIONS = 3


@pytest.fixture
def filled(kafka: KafkaCluster, topic_name: str) -> str:
    """A topic of three partitions with 100 records each, and a group in the middle of the first."""
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    for partition in range(PARTITIONS):
        records = [OutRecord(b"%d" % number, b"value %d" % number) for number in range(100)]
        produce(kafka.bootstrap, topic_name, records, partition=partition)
    commit_positions(kafka.bootstrap, f"{topic_name}-group", topic_name, {0: 50})
    return topic_name


def test_every_deployment_is_there_with_its_pool_and_its_form(installation: Installation) -> None:
    for entry in entries():
        deployment = installation.client.read_deployment_by_name(f"{flow_of(entry).name}/{entry['name']}")

        assert POOL == deployment.work_pool_name
        assert entry["parameters"] == deployment.parameters
        assert None is deployment.global_concurrency_limit
        assert deployment.enforce_parameter_schema
        assert not deployment.pull_steps
        form = (deployment.parameter_openapi_schema or {})["properties"]
        assert set(entry["parameters"]) <= set(form)
        assert entry["description"] == deployment.description
        assert entry["tags"] == deployment.tags


def test_a_schedule_produces_scheduled_runs_at_its_time_in_its_zone(installation: Installation) -> None:
    deployment = installation.client.read_deployment_by_name("snapshot-backup/nightly")
    [schedule] = deployment.schedules
    installation.client.update_deployment_schedule(deployment.id, schedule.id, active=True)
    try:
        runs = _scheduled(installation, deployment.id)
    finally:
        installation.client.update_deployment_schedule(deployment.id, schedule.id, active=False)

    assert {StateType.SCHEDULED} == {run.state_type for run in runs}
    starts = [run.expected_start_time for run in runs if run.expected_start_time]
    assert {(1, 15)} == {(at.hour, at.minute) for at in (at.astimezone(ZoneInfo("Europe/Berlin")) for at in starts)}
    assert 3 <= len(starts) == len(set(starts))


def _scheduled(installation: Installation, deployment: UUID) -> list[FlowRun]:
    """The runs that the scheduler has made of the deployment, once there are any."""
    wanted = {"deployment_id": {"any_": [deployment]}, "state": {"type": {"any_": [StateType.SCHEDULED]}}}
    deadline = time.monotonic() + 60
    while not (runs := installation.client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(wanted))):
        assert time.monotonic() < deadline, "the scheduler made no runs"
        time.sleep(0.1)
    return runs


def test_a_backup_its_validation_and_its_restore_run_by_deployment(
    installation: Installation, kafka: KafkaCluster, filled: str
) -> None:
    target = f"{filled}-restored"
    mapping = {"topic_mapping": {filled: target}}
    positions = {"consumer_group_strategy": "header-based", "reset_consumer_offsets": True}

    backup = installation.run("snapshot-backup/nightly", backup_id=filled, topics={"include": [filled]})
    validation = installation.run("validate/daily", backup_id=f"{filled}@1")
    check = installation.run("validate-restore/daily", backup_id=filled, options=mapping)
    restore = installation.run(
        "restore/on-demand", backup_id=filled, target="production", options={**mapping, **positions}
    )

    for run in (backup, validation, check, restore):
        assert StateType.COMPLETED == run.state_type, f"{run.name}: {run.state}\n{installation.worker_output()}"
    captures = [f"{filled}-{partition}" for partition in range(PARTITIONS)]
    runs = installation.task_runs(backup.id, at_least=PARTITIONS + 2)
    assert sorted(["plan", *captures, "commit"]) == sorted(one.name for one in runs)
    assert filled in backup.name
    assert {"progress", "table", "markdown"} <= {artifact.type for artifact in installation.artifacts(backup.id)}
    for partition in range(PARTITIONS):
        assert contents(kafka.bootstrap, filled, partition) == contents(kafka.bootstrap, target, partition)
    assert 0 < len(installation.logs(backup.id)) < 30


def test_retention_waits_without_a_process_until_its_plan_is_approved(installation: Installation) -> None:
    repository = make_repository(LocalStore(installation.repository, create=True))
    first, *_ = [back_up(repository, [plain_log("orders", batches=2)]).seq for _ in range(3)]
    policy = {"keep_last": 1}

    run = installation.start("retention/daily", backup_id=SET, policy=policy)
    installation.awaited(run, lambda one: one.state_name == "Suspended")
    installation.awaited(run, lambda one: not installation.processes_of(one.id))
    assert first in repository.state(SET).points
    assert "kafka-backup.retention.approval-needed" in _events(installation, run, "approval-needed")
    answered = installation.client.resume_flow_run(run, run_input={"approve": True, "approved_by": "Ada Lovelace"})
    ended = installation.ended(run)

    assert "ACCEPT" == answered.status.value
    assert StateType.COMPLETED == ended.state_type, f"{ended.state}\n{installation.worker_output()}"
    assert 1 == len(repository.state(SET).points)
    [expiry] = [one for one in repository.log(SET).entries() if isinstance(one, ExpireEntry)]
    assert "Ada Lovelace" == expiry.approved_by
    assert "kafka-backup.retention.pruned" in _events(installation, run, "pruned")
    assert ["plan", "plan", "expire"] == [one.name for one in installation.task_runs(run, at_least=3)]


def _events(installation: Installation, run: UUID, awaited: str) -> set[str]:
    """The names of the run's own events, as soon as one of them ends with `awaited`."""
    wanted = {"filter": {"any_resource": {"id": [f"prefect.flow-run.{run}"]}, "event": {"prefix": ["kafka-backup."]}}}
    deadline = time.monotonic() + 60
    while True:
        found = installation.client.request("POST", "/events/filter", json=wanted).json()["events"]
        if any(one["event"].endswith(awaited) for one in found):
            return {one["event"] for one in found}
        assert time.monotonic() < deadline, found
        time.sleep(0.1)  # the server stores events later


def test_a_run_in_which_something_is_wrong_fails_with_a_sentence(installation: Installation, topic_name: str) -> None:
    run = installation.run("validate/daily", backup_id=topic_name)

    assert StateType.FAILED == run.state_type
    assert run.state is not None
    assert topic_name in (run.state.message or "")
