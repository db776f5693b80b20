"""`continuous: true` with real processes: under load, ended by real signals, killed and taken over."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tasks.broker.admin.admin import Admin
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key
from tasks.store.local.local_store import LocalStore
from tests.support.command import COMMAND
from tests.support.kafka import KafkaCluster
from tests.support.load import steady_load
from tests.support.producing import OutRecord, add_partitions, create_topic, open_transaction, produce
from tests.support.round_trip import contents
from tests.support.running_backup import RunningBackup, running_backup

pytestmark = pytest.mark.kafka

PARTITIONS = 3


@dataclass
class Bed:
    """A topic and the file of its continuous backup. `program` is the command that runs it."""

    kafka: KafkaCluster
    topic: str
    file: Path
    program: Sequence[str] = (COMMAND,)

    @contextmanager
    def running(self) -> Iterator[RunningBackup]:
        """Run the backup. It is killed at the end if it still runs."""
        with running_backup(self.file, program=self.program) as running:
            yield running

    def load(self) -> AbstractContextManager[list[int]]:
        """Produce to every partition until the end of the body. The list has the number of records so far."""
        return steady_load(self.kafka.bootstrap, self.topic, partitions=PARTITIONS)

    def command(self, *arguments: str) -> str:
        """Run another command on the same repository. Returns its stdout."""
        done = subprocess.run(
            [COMMAND, *arguments, "--config", str(self.file)], capture_output=True, text=True, timeout=120, check=False
        )
        assert 0 == done.returncode, done.stderr
        return done.stdout

    def break_lease(self) -> None:
        """Release the lease of a killed process. Its time to live passes on a clock that runs fast."""
        store = LocalStore(self.file.parent / "repository", create=False)
        seconds = count(step=3600)
        acquire(store, capture_lease_key("stream"), clock=lambda: float(next(seconds))).release()

    def assert_whole(self) -> None:
        """The newest point restores to exactly the records of the topic and of those whose names begin so."""
        self.command("validate", "--backup-id", "stream")
        with Admin(self.kafka.connection) as admin:
            found = {topic.name: len(topic.partitions) for topic in admin.describe_topics()}
        topics = {name: partitions for name, partitions in found.items() if name.startswith(self.topic)}
        restore = self.file.with_name("restore.yaml")
        text = self.file.read_text().partition("\nbackup:")[0].replace("mode: backup", "mode: restore")
        mapping = json.dumps({name: f"{name}-restored" for name in topics})
        restore.write_text(text.replace("source:", "target:") + f"\nrestore: {{topic_mapping: {mapping}}}\n")
        done = subprocess.run(
            [COMMAND, "restore", "--config", str(restore)], capture_output=True, text=True, timeout=120, check=False
        )
        assert 0 == done.returncode, done.stderr
        for name, partitions in topics.items():
            for partition in range(partitions):
                assert contents(self.kafka.bootstrap, name, partition) == contents(
                    self.kafka.bootstrap, f"{name}-restored", partition
                )


def _has_points(running: RunningBackup) -> bool:
    return len(running.points) >= 1


@pytest.fixture
def bed(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Bed:
    """A topic with some records."""
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    file = tmp_path / "backup.yaml"
    file.write_text(
        f"mode: backup\nbackup_id: stream\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
        f"  topics: {{include: ['{topic_name}*'], exclude: ['*-restored']}}\n"
        f"storage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
        "backup: {continuous: true, checkpoint_interval_secs: 1}\n"
    )
    return Bed(kafka, topic_name, file)


def test_cycles_under_load_make_points_and_sigterm_commits_the_last_one(bed: Bed) -> None:
    with bed.load() as sent, bed.running() as running:
        running.wait_until(lambda: len(running.points) >= 3)
        assert sent[0] > 0
        began = time.monotonic()
        assert 0 == running.end(signal.SIGTERM), running.log
        ended_after_s = time.monotonic() - began

    assert ["snapshot", "continuous", "continuous"] == [point["point_kind"] for point in running.points[:3]]
    assert {"complete"} == {point["status"] for point in running.points}
    assert "The next run goes on where this one ended." in running.log[-1]
    assert ended_after_s < 10
    with bed.running() as running:
        running.wait_until(lambda: any("continuous backup" in line for line in running.log))
        running.wait_until(lambda: len(running.points) >= 1)
        running.end(signal.SIGINT)
    bed.assert_whole()


@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.soak)])
def test_kills_at_random_moments_lose_nothing_and_double_nothing(bed: Bed, kills: int) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    with bed.load():
        for _ in range(kills):
            with bed.running() as running:
                running.wait_until(partial(_has_points, running))
                time.sleep(chance.uniform(0, 1.5))  # the moment of the kill
                assert -signal.SIGKILL == running.end(signal.SIGKILL)
            bed.break_lease()
    with bed.running() as running:
        running.wait_until(lambda: len(running.points) >= 1)
        assert 0 == running.end(signal.SIGTERM)
    bed.assert_whole()


def test_a_consolidation_beside_a_running_backup_joins_its_objects_and_loses_nothing(bed: Bed) -> None:
    with bed.load(), bed.running() as running:
        running.wait_until(lambda: len(running.points) >= LEAST_OBJECTS)
        done = json.loads(bed.command("consolidate", "--json"))
        known = len(running.points)
        running.wait_until(lambda: len(running.points) >= known + 2)
        assert 0 == running.end(signal.SIGTERM), running.log

    point = done["point"]
    assert ("consolidated", []) == (point["point_kind"], done["left_out"])
    assert point["totals"]["objects"] < done["objects_before"]
    assert point["totals"]["objects"] < running.points[-1]["totals"]["objects"]
    bed.command("validate", "--backup-id", f"stream@{point['seq']}")
    bed.command("validate", "--backup-id", f"stream@{point['seq'] - 1}")
    with bed.running() as last:
        last.wait_until(lambda: len(last.points) >= 1)
        assert 0 == last.end(signal.SIGTERM)
    bed.assert_whole()


def test_a_second_process_takes_over_when_the_first_ends(bed: Bed) -> None:
    with bed.load(), bed.running() as first:
        first.wait_until(lambda: len(first.points) >= 2)
        with bed.running() as second:
            second.wait_until(lambda: any("takes over when it ends" in line for line in second.log))
            assert 0 == first.end(signal.SIGTERM)
            second.wait_until(lambda: len(second.points) >= 2)
            assert 0 == second.end(signal.SIGTERM)
    assert first.points[-1]["seq"] < second.points[0]["seq"]
    with bed.running() as last:
        last.wait_until(lambda: len(last.points) >= 1)
        assert 0 == last.end(signal.SIGTERM)
    bed.assert_whole()


def test_cycles_pick_up_topics_and_partitions_that_come_and_go_and_transactions_when_they_are_decided(
    bed: Bed,
) -> None:
    bootstrap, other = bed.kafka.bootstrap, f"{bed.topic}-other"
    records = [OutRecord(b"%d" % number, b"value") for number in range(20)]
    produce(bootstrap, bed.topic, records)

    def last(running: RunningBackup) -> Mapping[str, Any]:
        return running.points[-1]["totals"] if running.points else {}

    with bed.running() as running:
        running.wait_until(lambda: last(running).get("records") == 20)
        create_topic(bootstrap, other, partitions=1)
        with open_transaction(bootstrap, other, records, is_committed=True):
            running.wait_until(lambda: last(running)["topics"] == 2)
            add_partitions(bootstrap, other, 2)
            produce(bootstrap, other, records[:7], partition=1)
            running.wait_until(lambda: last(running)["records"] == 27)
        running.wait_until(lambda: last(running)["records"] == 47)
        with Admin(bed.kafka.connection) as admin:
            admin.delete_topics([other])
        running.wait_until(lambda: _ended(running, "topic deleted"))
        create_topic(bootstrap, other, partitions=1)
        produce(bootstrap, other, records[:3])
        running.wait_until(lambda: last(running)["records"] == 50)
        assert 0 == running.end(signal.SIGTERM)
    assert 3 == last(running)["topics"]
    bed.assert_whole()


def _ended(running: RunningBackup, reason: str) -> bool:
    return any(note["reason"] == reason for point in running.points for note in point.get("ended", ()))
