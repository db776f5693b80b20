"""Restore drills with real processes on a real Kafka: the command, its death at random moments, and the flow."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prefect.client.schemas.objects import State, StateType

from flows.drill import restore_drill
from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.options import DrillOptions, TopicSelection
from tasks.engine.scratch_names import is_scratch
from tasks.store.local.local_store import LocalStore
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.positions import commit_positions
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all
from tests.support.round_trip import Backups

pytestmark = pytest.mark.kafka

SET = "drilled"
PARTITIONS = 3
RECORDS = 2000
COMMAND = (
    "from tasks.repository.leases import acquire\n"
    "acquire.__kwdefaults__['ttl_ms'] = 1000\n"
    "from tasks.cli.main import main\n"
    "main()\n"
)
"""The command as it is, except that the lease of a killed process ends soon."""


class Bed:
    """A backed-up topic with a group, and a file with which it is drilled on the same cluster."""

    def __init__(self, kafka: KafkaCluster, topic: str, folder: Path) -> None:
        self.kafka, self.topic = kafka, topic
        self.group = f"{topic}-readers"
        create_topic(kafka.bootstrap, topic, partitions=PARTITIONS, configs={"retention.ms": "-1"})
        for partition in range(PARTITIONS):
            records = [
                OutRecord(b"k%d" % number, os.urandom(50), headers=(("n", b"%d" % number),))
                for number in range(RECORDS)
            ]
            produce(kafka.bootstrap, topic, records, partition=partition)
        commit_positions(kafka.bootstrap, self.group, topic, {0: 7, 1: RECORDS})
        self.backups = Backups(
            bootstrap_servers=kafka.bootstrap_servers,
            store=LocalStore(folder / "repository", create=True),
            set_name=SET,
        )
        self.backups.back_up([topic])
        self.file = folder / "drill.yaml"
        self.write_file("")

    def write_file(self, more: str) -> None:
        """The file, with more lines in the section `drill`."""
        self.file.write_text(
            f"mode: drill\nbackup_id: {SET}\ntarget:\n  bootstrap_servers: ['{self.kafka.bootstrap}']\n"
            f"storage: {{backend: filesystem, path: {self.file.parent}/repository}}\n"
            f"drill:\n  topics: {{include: [{self.topic}]}}\n{more}"
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        """The command `drill` with the file."""
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, "drill", "--config", str(self.file), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *options: str, code: int = 0) -> dict[str, Any]:
        """The document that the command prints."""
        process = self.start("--json", *options)
        out, err = process.communicate(timeout=180)
        assert code == process.returncode, err
        document: dict[str, Any] = json.loads(out)
        return document

    def scratch(self) -> list[str]:
        """The topics and groups of drills that exist on the cluster."""
        with KafkaAdmin(ConnectionOptions(bootstrap_servers=self.kafka.bootstrap_servers)) as admin:
            names = [topic.name for topic in admin.describe_topics()]
            groups = [group.group_id for group in admin.list_groups()]
        return [name for name in (*names, *groups) if is_scratch(name) and self.topic in name]

    def recorded(self) -> list[str]:
        """What is recorded of restores in the repository."""
        return [info.key for prefix in ("restores/", "leases/_restore") for info in self.backups.store.list(prefix)]


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


@pytest.mark.parametrize("kills", [4, pytest.param(20, marks=pytest.mark.soak)])
def test_whatever_a_killed_drill_leaves_is_removed_and_nothing_else(bed: Bed, kills: int) -> None:
    """KILLS_SEED repeats the moments of a run that failed."""
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1 << 32))
    print(f"KILLS_SEED={seed}")
    moments = random.Random(seed)
    began = time.monotonic()
    bed.run()
    usual_s = time.monotonic() - began
    other = f"{bed.topic}-other"
    create_topic(bed.kafka.bootstrap, other)
    for _ in range(kills):
        process = bed.start()
        time.sleep(moments.uniform(0.3, usual_s))  # the moment of the kill
        process.kill()
        process.communicate()
        time.sleep(1.2)  # the lease of the killed process ends
        bed.run("--clean")
        assert [] == bed.scratch()
        assert [] == [key for key in bed.recorded() if "leases/" not in key]

    assert "passed" == bed.run()["verdict"]
    assert [] == read_all(bed.kafka.bootstrap, other)


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
