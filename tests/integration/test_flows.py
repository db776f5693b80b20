"""The flows against a real Kafka and a real Prefect server, run in this process and read back through the API."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
import yaml
from prefect.client.schemas.objects import State, StateType, TaskRun
from prefect.states import AwaitingRetry

import flows.backup
from blocks import LocalRepository
from flows.backup import incremental_backup, snapshot_backup
from flows.consolidate import consolidate
from flows.continuous import continuous_backup
from flows.restore import restore, validate_restore
from flows.retention import retention
from flows.validate import validate
from tasks.broker.admin.admin import Admin
from tasks.engine.backup_steps import capture_bins
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.options import BackupOptions, RestoreOptions, RetentionPolicy, TopicSelection
from tasks.engine.source.snapshot_plan import SnapshotRequest, plan_snapshot
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key, new_run_id
from tasks.store.local.local_store import LocalStore
from tests.support.command import Command
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, delete_records, open_transaction, produce
from tests.support.round_trip import Backups, contents, now_ms

pytestmark = pytest.mark.kafka

CLUSTER = REPOSITORY = "production"
RECORDS = 50


class Flows:
    """What one test runs: topics and a set of its own."""

    def __init__(self, installation: Installation, kafka: KafkaCluster, stem: str) -> None:
        self.installation = installation
        self.kafka = kafka
        self.stem = stem
        self.topics = TopicSelection(include=(f"{stem}*",), exclude=("*-restored",))
        self.backups = Backups(
            bootstrap_servers=kafka.bootstrap_servers,
            store=LocalStore(installation.repository, create=True),
            set_name=stem,
        )

    def fill(self, topic: str, partitions: int, **how: Any) -> str:
        """A topic whose partitions hold records, but the last one."""
        create_topic(self.kafka.bootstrap, topic, partitions=partitions, **how)
        for partition in range(partitions - 1):
            records = [OutRecord(b"%d" % number, b"value") for number in range(RECORDS)]
            produce(self.kafka.bootstrap, topic, records, partition=partition)
        return topic

    def back_up(self, **options: Any) -> State[Any]:
        """One run of `snapshot-backup`."""
        chosen = BackupOptions(**options)
        state: State[Any] = snapshot_backup(
            self.stem, CLUSTER, REPOSITORY, topics=self.topics, options=chosen, return_state=True
        )
        return state

    def back_up_changes(self, **options: Any) -> State[Any]:
        """One run of `incremental-backup`."""
        chosen = BackupOptions(**options)
        state: State[Any] = incremental_backup(
            self.stem, CLUSTER, REPOSITORY, topics=self.topics, options=chosen, return_state=True
        )
        return state

    def task_runs(self, state: State[Any], count: int) -> dict[str, TaskRun]:
        """The task runs by their names, once all have arrived."""
        deadline = time.monotonic() + 30
        while len(found := self.installation.task_runs(_run(state))) < count or not all(one.end_time for one in found):
            assert time.monotonic() < deadline, [one.name for one in found]
            time.sleep(0.05)  # they come as events, some time after the run
        assert count == len(found)
        return {one.name: one for one in found}

    def artifacts(self, state: State[Any]) -> dict[str | None, Any]:
        """Kind → data; there is one of each."""
        found = self.installation.artifacts(_run(state))
        assert 3 >= len(found) == len({one.type for one in found})
        return {one.type: one.data for one in found}

    def rows(self, state: State[Any]) -> list[dict[str, Any]]:
        """The table."""
        rows: list[dict[str, Any]] = json.loads(self.artifacts(state)["table"])
        return rows


@pytest.fixture
def of_test(installation: Installation, kafka: KafkaCluster, topic_name: str) -> Iterator[Flows]:
    with installation.as_client():
        yield Flows(installation, kafka, topic_name)


def _run(state: State[Any]) -> UUID:
    run = state.state_details.flow_run_id
    assert run is not None
    return run


def _parents(task_run: TaskRun) -> set[UUID]:
    return {one.id for inputs in task_run.task_inputs.values() for one in inputs if hasattr(one, "id")}


def test_a_backup_is_a_graph_of_plan_a_task_for_each_partition_and_commit(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 4)

    state = of_test.back_up()

    assert (StateType.COMPLETED, "Completed") == (state.type, state.name), state
    assert re.fullmatch(rf"{topic}@1 is complete: 4 partitions, {3 * RECORDS} records", state.message or "")
    runs = of_test.task_runs(state, 6)
    captures = [f"{topic}-{partition}" for partition in range(4)]
    assert {"plan", *captures, "commit"} == runs.keys()
    assert [{runs["plan"].id}] * 4 == [_parents(runs[name]) for name in captures]
    assert {runs[name].id for name in captures} == _parents(runs["commit"])
    name = of_test.installation.client.read_flow_run(_run(state)).name
    assert re.fullmatch(rf"{topic} 20\d\d-\d\d-\d\dT\d\d:\d\dZ", name)


def test_a_first_backup_that_selects_nothing_makes_no_repository(of_test: Flows, tmp_path: Path) -> None:
    LocalRepository(path=str(tmp_path / "new")).save(name := of_test.stem.lower().replace("_", "-"))
    nothing = TopicSelection(include=(f"{of_test.stem}-nothing*",))

    state = snapshot_backup(of_test.stem, CLUSTER, name, topics=nothing, return_state=True)

    assert (StateType.FAILED, True) == (state.type, "matches no topic" in (state.message or ""))
    assert [] == list(tmp_path.iterdir())


def test_the_table_of_a_backup_is_what_the_point_holds(of_test: Flows) -> None:
    of_test.fill(of_test.stem, 3)
    of_test.fill(f"{of_test.stem}-other", 2)

    state = of_test.back_up()

    point = of_test.backups.repository.log(of_test.stem).point(1).entry
    for row in of_test.rows(state):
        held = of_test.backups.row(point, row["topic"], row["partition"])
        lines = of_test.backups.lines(point, row["topic"], row["partition"])
        assert (held.first, held.next) == (row["first"], row["next"])
        assert sum(line.records for line in lines) == row["records"]
        assert sum(line.log_bytes for line in lines) == row["bytes"]
        assert "" == row["gaps and failures"]
        assert row["seconds"] >= 0
    assert point.totals.partitions == len(of_test.rows(state)) == 5


def test_the_summary_of_a_backup_says_how_to_restore_it_and_both_ways_work(of_test: Flows, tmp_path: Path) -> None:
    topic = of_test.fill(of_test.stem, 2)
    summary = of_test.artifacts(of_test.back_up())["markdown"]
    [words, file] = re.findall(r"```(?:yaml)?\n(.*?)\n```", summary, re.S)

    of_test.installation.server.run(*shlex.split(words), "--watch")
    assert contents(of_test.kafka.bootstrap, topic) == contents(of_test.kafka.bootstrap, f"{topic}-restored")

    document = yaml.safe_load(file)
    assert {"topic_mapping": {topic: f"{topic}-restored"}} == document["restore"]
    document["restore"]["topic_mapping"] = {topic: f"{topic}-by-command"}
    (tmp_path / "restore.yaml").write_text(yaml.safe_dump(document))
    Command(folder=tmp_path).restore()
    assert contents(of_test.kafka.bootstrap, topic) == contents(of_test.kafka.bootstrap, f"{topic}-by-command")


def test_a_point_that_lacks_something_ends_as_partial_with_an_event(
    of_test: Flows, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lost = (of_test.fill(f"{of_test.stem}-{which}", 2) for which in ("a", "b"))
    told: list[CaptureResult] = []

    def first_delete(work: Any, captured: CaptureResult) -> None:
        if not told:
            with Admin(of_test.backups.connection) as admin:
                admin.delete_topics([lost])
        told.append(captured)

    monkeypatch.setattr(flows.backup, "report_captured_bin", first_delete)
    state = of_test.back_up(max_concurrent_partitions=1)

    assert (StateType.COMPLETED, "Partial") == (state.type, state.name), state
    assert "has gaps" in (state.message or "")
    rows = of_test.rows(state)
    assert lost == rows[0]["topic"]
    assert "topic deleted" in rows[0]["gaps and failures"]
    assert {""} == {row["gaps and failures"] for row in rows if row["topic"] == kept}
    assert "topic deleted" in of_test.artifacts(state)["markdown"]
    assert [state.message] == _events(of_test.installation, "kafka-backup.point.partial", _run(state))


def test_a_point_that_contains_less_than_the_one_before_emits_an_event_and_names_the_topics(of_test: Flows) -> None:
    kept, lost = (of_test.fill(f"{of_test.stem}-{which}", 2) for which in ("a", "b"))
    of_test.back_up()
    with Admin(of_test.backups.connection) as admin:
        admin.delete_topics([lost])

    state = of_test.back_up()

    sentence = f"1 topic of {of_test.stem}@1 is gone; {2 * RECORDS} → {RECORDS} records"
    assert (StateType.COMPLETED, "Completed") == (state.type, state.name), state
    assert (state.message or "").endswith(sentence)
    told = _events(of_test.installation, "kafka-backup.point.shrunk", _run(state))
    assert [f"{of_test.stem}@2: {sentence}"] == told
    assert f"gone: {lost}" in of_test.artifacts(state)["markdown"]
    assert {kept} == {row["topic"] for row in of_test.rows(state)}


def test_what_happened_to_the_topics_of_a_set_emits_events(of_test: Flows) -> None:
    """A log that was truncated needs several brokers: see `tests/unit/flows/test_backup_events.py`."""
    stem, bootstrap = of_test.stem, of_test.kafka.bootstrap
    gap, deleted, again, stalled = (of_test.fill(f"{stem}-{which}", 2) for which in ("a", "b", "c", "d"))
    with open_transaction(bootstrap, stalled, [OutRecord(b"k", b"open")] * 5):
        of_test.back_up_changes()
        produce(bootstrap, gap, [OutRecord(b"k", b"v")] * 10)
        delete_records(bootstrap, gap, RECORDS + 4)
        with Admin(of_test.backups.connection) as admin:
            admin.delete_topics([deleted, again])
        of_test.fill(again, 2)

        state = of_test.back_up_changes()

    expected = {
        "kafka-backup.gap.found": f"{gap}: 4 offsets (first: partition 0, {RECORDS} to {RECORDS + 3}) are not in",
        "kafka-backup.topic.deleted": f"topic deleted: {deleted} (",
        "kafka-backup.topic.recreated": f"topic created again: {again} (",
        "kafka-backup.transaction.stalled": f"{stalled}: 5 offsets (first: partition 0, {RECORDS} to {RECORDS + 4})",
    }
    for event, sentence in expected.items():
        [told] = _events(of_test.installation, event, _run(state))
        assert f"{stem}@2: {sentence}" in told


def _events(installation: Installation, name: str, run: UUID) -> list[str]:
    """The messages of the run's events of that name, once there are any."""
    wanted = {"filter": {"event": {"name": [name]}, "resource": {"id": [f"prefect.flow-run.{run}"]}}}
    deadline = time.monotonic() + 30
    while not (found := httpx.post(f"{installation.server.api_url}/events/filter", json=wanted).json()["events"]):
        assert time.monotonic() < deadline, f"there is no event {name}"
        time.sleep(0.1)  # events are told by asking
    return [event["payload"]["message"] for event in found]


def test_a_validation_checks_each_partition_in_a_task_and_reads_every_record(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 3)
    of_test.back_up()

    state: State[Any] = validate(topic, REPOSITORY, return_state=True)

    assert StateType.COMPLETED == state.type
    assert f"{2 * RECORDS} records read" in (state.message or "")
    assert {"inspect", f"{topic}-0", f"{topic}-1", "conclude"} == of_test.task_runs(state, 4).keys()
    assert [RECORDS, RECORDS, 0] == [row["records"] for row in of_test.rows(state)]


def test_a_restore_brings_everything_back_and_says_where_every_group_stands(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 3, configs={"retention.ms": "1000", "cleanup.policy": "compact"})
    target, group = f"{topic}-restored", f"{topic}-group"
    commit_positions(of_test.kafka.bootstrap, group, topic, {0: 20})
    of_test.back_up(consumer_group_snapshot=True)

    options = RestoreOptions(
        topic_mapping={topic: target}, consumer_group_strategy="header-based", reset_consumer_offsets=True
    )
    state: State[Any] = restore(topic, CLUSTER, REPOSITORY, options=options, return_state=True)

    assert (StateType.COMPLETED, "Completed") == (state.type, state.name), state
    for partition in range(3):
        assert contents(of_test.kafka.bootstrap, topic, partition) == contents(
            of_test.kafka.bootstrap, target, partition
        )
    assert [(0, RECORDS), (0, RECORDS), (0, 0)] == [(row["first"], row["next"]) for row in of_test.rows(state)]
    summary = of_test.artifacts(state)["markdown"]
    assert f"| {group} | {topic}-0 | 20 | {target}-0 | 20 | written |" in summary
    run = of_test.installation.client.read_flow_run(_run(state))
    assert run.name.startswith(f"{topic} to {CLUSTER} 20")
    assert {"plan", "prepare topics", "verify", "finish"} < of_test.task_runs(state, 7).keys()


def test_settings_that_would_delete_what_was_restored_wait_for_the_command_in_the_summary(
    of_test: Flows, tmp_path: Path
) -> None:
    topic = of_test.fill(of_test.stem, 2, configs={"retention.ms": "86400000"})
    of_test.back_up()

    options = RestoreOptions(topic_mapping={topic: f"{topic}-restored"}, finalize="defer")
    state: State[Any] = restore(topic, CLUSTER, REPOSITORY, options=options, return_state=True)

    assert f"to finalize: {topic}-restored" in (state.message or "")
    summary = of_test.artifacts(state)["markdown"]
    *_, words = re.findall(r"`kafka-backup (finalize [^`]*)`", summary)
    [file] = re.findall(r"```yaml\n(.*?)\n```", summary, re.S)
    (tmp_path / "restore.yaml").write_text(file)
    assert f"{topic}-restored: " in Command(folder=tmp_path).run(*shlex.split(words)).stdout


def test_a_restore_that_is_refused_fails_with_every_reason_and_changes_nothing(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 3)
    of_test.back_up()
    before = contents(of_test.kafka.bootstrap, topic)

    preview: State[Any] = validate_restore(topic, CLUSTER, REPOSITORY, return_state=True)
    refused: State[Any] = restore(topic, CLUSTER, REPOSITORY, return_state=True)

    for state in (preview, refused):
        assert StateType.FAILED == state.type
        assert "REFUSED, 2 reasons" in (state.message or "")
        assert 2 == of_test.artifacts(state)["markdown"].count("it is not empty")
        assert [True, True, False] == ["not empty" in row["findings"] for row in of_test.rows(state)]
    assert before == contents(of_test.kafka.bootstrap, topic)
    assert {"plan"} == of_test.task_runs(refused, 1).keys()


def test_a_dry_run_and_a_preview_of_what_would_work_say_so(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 2)
    of_test.back_up()
    options = {"topic_mapping": {topic: f"{topic}-restored"}}

    preview: State[Any] = validate_restore(
        topic, CLUSTER, REPOSITORY, options=RestoreOptions.model_validate(options), return_state=True
    )
    dry = RestoreOptions.model_validate({**options, "dry_run": True})
    dry_run: State[Any] = restore(topic, CLUSTER, REPOSITORY, options=dry, return_state=True)

    expected = f"{topic}@1 into 1 topic, 2 partitions: it would not be refused"
    assert [expected, expected] == [preview.message, dry_run.message]
    with Admin(of_test.backups.connection) as admin:
        assert [] == admin.describe_topics([f"{topic}-restored"])


def test_a_restore_purges_topics_only_with_a_second_consent(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 2)
    of_test.back_up()
    before = contents(of_test.kafka.bootstrap, topic)

    options = RestoreOptions(purge_topics=True)
    refused: State[Any] = restore(topic, CLUSTER, REPOSITORY, options=options, return_state=True)
    assert StateType.FAILED == refused.type
    assert "confirm it with purge_confirmed" in (refused.message or "")
    assert before == contents(of_test.kafka.bootstrap, topic)

    done: State[Any] = restore(topic, CLUSTER, REPOSITORY, options=options, purge_confirmed=True, return_state=True)
    assert StateType.COMPLETED == done.type, done
    assert before == contents(of_test.kafka.bootstrap, topic)


def test_retry_in_the_ui_voids_the_failed_run_and_makes_a_new_one(of_test: Flows) -> None:
    topic, installation = of_test.fill(of_test.stem, 2), of_test.installation
    in_the_way = installation.repository / "data" / topic
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.touch()  # where the folder of the set's data objects belongs

    failed = installation.run("snapshot-backup/nightly", backup_id=topic, topics={"include": [topic]})
    assert StateType.FAILED == failed.state_type, failed.state
    in_the_way.unlink()
    installation.client.set_flow_run_state(failed.id, AwaitingRetry())  # as the UI's button does
    ended = installation.ended(failed.id)

    assert (StateType.COMPLETED, 2) == (ended.state_type, ended.run_count), ended.state
    log = of_test.backups.repository.log(topic)
    assert ["void", "point"] == [entry.kind for entry in log.entries()]
    point = log.point(2).entry
    assert (2, RECORDS, ()) == (point.totals.partitions, point.totals.records, of_test.backups.findings(point))


def test_an_incremental_run_has_a_task_for_each_partition_with_news_and_alternates_with_the_command(
    of_test: Flows,
) -> None:
    topic = of_test.fill(of_test.stem, 4)
    first = of_test.back_up_changes()
    of_test.backups.back_up_changes([topic])
    produce(of_test.kafka.bootstrap, topic, [OutRecord(b"k", b"new")], partition=2)
    with_news = of_test.back_up_changes()
    idle = of_test.back_up_changes()

    assert [("Completed", "snapshot"), ("Completed", "incremental"), ("Completed", "incremental")] == [
        (state.name, kind)
        for state, kind in zip((first, with_news, idle), ("snapshot", "incremental", "incremental"), strict=True)
    ]
    assert {"plan", f"{topic}-2", "commit"} == set(of_test.task_runs(with_news, 3))
    assert "1 record new" in (with_news.message or "")
    assert {"plan", "commit"} == set(of_test.task_runs(idle, 2))
    assert "nothing new" in (idle.message or "")
    points = of_test.backups.repository.state(of_test.stem).points.values()
    assert ["snapshot", *["incremental"] * 3] == [point.point_kind for point in points]
    assert [] == of_test.backups.restore({topic: f"{topic}-restored"}).mismatches
    for number in range(4):
        assert contents(of_test.kafka.bootstrap, topic, number) == contents(
            of_test.kafka.bootstrap, f"{topic}-restored", number
        )


def test_a_continuous_run_has_a_task_for_each_cycle_with_news_and_ends_when_its_time_is_over(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 2)
    made = partial(_points, of_test)

    def produce_between_cycles() -> None:
        _await_count(made, 1)
        produce(of_test.kafka.bootstrap, topic, [OutRecord(b"k", b"new")], partition=1)

    with ThreadPoolExecutor(1) as pool:
        producing = pool.submit(produce_between_cycles)
        state: State[Any] = continuous_backup(
            of_test.stem,
            CLUSTER,
            REPOSITORY,
            topics=of_test.topics,
            cycle_seconds=1,
            run_for="10s",
            return_state=True,
        )
        producing.result()

    assert ("Completed", ["snapshot", "continuous"]) == (state.name, made())
    assert f"The newest point is {of_test.stem}@2" in (state.message or "")
    points = list(of_test.backups.repository.state(of_test.stem).points.values())
    assert {f"cycle {point.run}" for point in points} == set(of_test.task_runs(state, 2))
    assert RECORDS + 1 == points[-1].totals.records


def test_a_consolidation_has_a_task_for_each_group_of_small_objects(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 2)
    for _ in range(LEAST_OBJECTS):
        produce(of_test.kafka.bootstrap, topic, [OutRecord(b"k", b"new")], partition=1)
        of_test.backups.back_up_changes([topic])

    joined: State[Any] = consolidate(of_test.stem, REPOSITORY, return_state=True)
    again: State[Any] = consolidate(of_test.stem, REPOSITORY, return_state=True)

    assert ("Completed", "Completed") == (joined.name, again.name)
    assert "instead of" in (joined.message or "")
    assert {"plan", f"{topic}-0 and 1 more", "commit"} == set(of_test.task_runs(joined, 3))
    assert "too few small objects" in (again.message or "")
    assert "consolidated" == _points(of_test)[-1]
    assert [] == of_test.backups.restore({topic: f"{topic}-restored"}).mismatches


def test_retention_asks_for_an_approval_expires_points_and_says_what_it_did(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 1)
    for _ in range(4):
        of_test.backups.back_up([topic])
    policy = RetentionPolicy(keep_last=1, grace="1h")

    asked: State[Any] = retention(of_test.stem, REPOSITORY, policy, return_state=True)
    digest = (asked.message or "").split()[-1].rstrip(".")
    assert 4 == len(_points(of_test))
    done: State[Any] = retention(of_test.stem, REPOSITORY, policy, approval=digest, return_state=True)
    again: State[Any] = retention(of_test.stem, REPOSITORY, policy, return_state=True)

    assert ("Failed", "Completed", "Completed") == (asked.name, done.name, again.name)
    assert "3 of 4 points would expire" in (asked.message or "")
    assert "3 points expired" in (done.message or "")
    assert "0 points expired" in (again.message or "")
    assert 1 == len(_points(of_test))
    assert {"plan", "expire"} == set(of_test.task_runs(done, 2))
    assert [] == of_test.backups.restore({topic: f"{topic}-restored"}).mismatches


def _points(of_test: Flows) -> list[str]:
    points = of_test.backups.repository.log(of_test.stem).without_memory().state().points.values()
    return [point.point_kind for point in points]


def _await_count(found: Callable[[], Sequence[object]], count: int) -> None:
    deadline = time.monotonic() + 60
    while len(found()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # another thread's entry in the log has no event to wait for


def test_a_flow_finishes_a_run_that_died(of_test: Flows) -> None:
    topic = of_test.fill(of_test.stem, 2)
    context = of_test.backups.context()
    request = SnapshotRequest(
        set_name=of_test.stem, run=new_run_id(now_ms()), topics=of_test.topics, options=BackupOptions(), most_bins=4
    )
    lease = acquire(context.repository.store, capture_lease_key(of_test.stem), ttl_ms=300)
    lease.enter_run(request.run, begun_after=0)
    capture_bins(context, plan_snapshot(context, request), workers=1)

    state = of_test.back_up_changes()

    assert "Completed" == state.name
    points = list(of_test.backups.repository.state(of_test.stem).points.values())
    assert [(request.run, "snapshot", RECORDS), (points[1].run, "incremental", RECORDS)] == [
        (point.run, point.point_kind, point.totals.records) for point in points
    ]
    [line] = of_test.backups.lines(of_test.backups.repository.log(of_test.stem).point(points[0].seq).entry, topic)
    assert f"/{request.run}/" in (line.object or "")
