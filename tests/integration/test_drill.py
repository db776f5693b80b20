"""Restore drills with real processes on a real Kafka: the command and the flow."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from flows.drill import restore_drill
from tasks.engine.options import DrillOptions, TopicSelection
from tasks.store.local.local_store import LocalStore
from tests.support.drill_bed import COMMAND, PARTITIONS, RECORDS, Bed
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.reading import read_all
from tests.support.round_trip import Backups

pytestmark = pytest.mark.kafka


@pytest.fixture
def bed(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Bed:
    return Bed(kafka, topic_name, tmp_path)


def test_a_drill_compares_every_record_and_leaves_nothing(bed: Bed) -> None:
    bed.write_file("  rto: 1h\n  rpo: 1h\n  checks:\n  - {name: topics, command: [sh, -c, 'echo $DRILL_TOPICS']}\n")

    result = bed.run()

    assert ("passed", []) == (result["verdict"], result["failures"])
    assert [(RECORDS, RECORDS, RECORDS)] * PARTITIONS == [
        (one["expected_records"], one["found_records"], one["compared_records"]) for one in result["partitions"]
    ]
    assert all(one["expected_digest"] == one["found_digest"] for one in result["partitions"])
    assert [2] == [group["positions"] for group in result["groups"]]
    [check] = result["checks"]
    assert bed.topic in check["output"]
    assert 1 == len(result["clean_up"]["topics"])
    assert [] == bed.scratch()
    assert [] == bed.recorded()
    assert RECORDS == len(read_all(bed.kafka.bootstrap, bed.topic)), "the topic itself is as it was"


def test_the_report_of_a_drill_is_signed_and_verifies_until_a_byte_is_changed(bed: Bed, tmp_path: Path) -> None:
    key, public = tmp_path / "key.pem", tmp_path / "key.pem.pub"
    _command("evidence", "keygen", "--out", str(key))
    bed.write_file(f"  compare: sample 10%\n  every: 7d\n  signing_key_file: {key}\n  evidence: {{ticket: CHG-7}}\n")

    evidence = bed.run()["evidence"]

    assert evidence["is_signed"]
    envelope = next(path for path in (tmp_path / "repository/reports").rglob("envelope.json"))
    _command("evidence", "verify", str(envelope), "--key", str(public))
    storage = f"file://{tmp_path}/repository"
    [row] = json.loads(_command("evidence", "list", "--storage", storage, "--json"))["topics"]
    assert (bed.topic, "passed with remarks") == (row["topic"], row["verdict"]), "not every record was compared"
    report = json.loads((tmp_path / "repository" / evidence["keys"][0]).read_bytes())
    assert "CHG-7" == report["who"]["ticket"]
    envelope.write_bytes(envelope.read_bytes().replace(b'"payload":"ey', b'"payload":"fy', 1))
    _command("evidence", "verify", str(envelope), "--key", str(public), code=20)


def _command(*arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert code == done.returncode, done.stderr
    return done.stdout


def test_a_failed_check_of_the_owner_fails_the_drill(bed: Bed) -> None:
    bed.write_file("  compare: counts\n  checks:\n  - {name: ledger, command: ['false']}\n")

    assert ["check ledger: it failed"] == bed.run(code=1)["failures"]
    assert [] == bed.scratch()


def test_a_stopped_drill_removes_what_it_made(bed: Bed) -> None:
    process = bed.start()
    deadline = time.monotonic() + 60
    while not bed.scratch():
        assert time.monotonic() < deadline
        time.sleep(0.05)

    process.terminate()
    _, err = process.communicate(timeout=60)

    assert process.returncode in (0, 130, 143), err
    assert [] == bed.scratch()


def test_the_flow_shows_a_task_for_each_partition_and_publishes_what_was_compared(
    bed: Bed, installation: Installation, topic_name: str
) -> None:
    backups = Backups(
        bootstrap_servers=bed.kafka.bootstrap_servers,
        store=LocalStore(installation.repository, create=True),
        set_name=topic_name,
    )
    backups.back_up([bed.topic])
    with installation.as_client():
        options = DrillOptions(topics=TopicSelection(include=(bed.topic,)), rto="1h")
        state: State[Any] = restore_drill(topic_name, "production", "production", options=options, return_state=True)
        run = state.state_details.flow_run_id
        assert run is not None
        assert StateType.COMPLETED == state.type, state.message
        assert f"{RECORDS * PARTITIONS:,} records compared" in (state.message or "")
        found = {artifact.type: artifact.data for artifact in installation.artifacts(run)}
        rows = json.loads(str(found["table"]))
        names = _task_names(installation, run)

    assert [RECORDS] * PARTITIONS == [row["compared"] for row in rows]
    labels = [f"{bed.topic}-{number}" for number in range(PARTITIONS)]
    assert {f"{step} {label}" for step in ("restore", "compare") for label in labels} <= names
    assert {"plan", "positions", "bounds", "settings", "clean up", "report"} <= names
    assert [] == bed.scratch()


def _task_names(installation: Installation, run: Any) -> set[str]:
    """The names of the task runs, once the last of them has arrived: they come as events, some time after the run."""
    deadline = time.monotonic() + 30
    while "report" not in (names := {one.name for one in installation.task_runs(run)}):
        assert time.monotonic() < deadline, names
        time.sleep(0.05)
    return names
