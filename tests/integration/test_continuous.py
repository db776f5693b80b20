"""`continuous: true` with real processes: under load, ended by real signals, killed and taken over."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key
from tasks.store.local.local_store import LocalStore
from tests.support.command import COMMAND
from tests.support.kafka import KafkaCluster
from tests.support.load import steady_load
from tests.support.producing import create_topic
from tests.support.round_trip import contents

pytestmark = pytest.mark.kafka

PARTITIONS = 3
LINES_S = 60
"""The longest wait for a line of a process, in seconds."""


@dataclass
class Running:
    """A continuous backup. `points` are the entries that it has printed, `log` is its stderr."""

    process: subprocess.Popen[str]
    points: list[dict[str, Any]]
    log: list[str]

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Wait until it is so. Fails if the process ends before."""
        deadline = time.monotonic() + LINES_S
        while not is_so():
            assert self.process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.01)  # no event exists for the output of another process

    def end(self, number: signal.Signals) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(LINES_S)


@dataclass
class Bed:
    """A topic and the file of its continuous backup. `program` is the command that runs it."""

    kafka: KafkaCluster
    topic: str
    file: Path
    program: Sequence[str] = (COMMAND,)

    @contextmanager
    def running(self) -> Iterator[Running]:
        """Run the backup. It is killed at the end if it still runs."""
        command = [*self.program, "backup", "--config", str(self.file), "--json"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            running = Running(process, [], [])
            assert process.stdout is not None
            assert process.stderr is not None
            for stream, take in (
                (process.stdout, lambda line: running.points.append(json.loads(line)["point"])),
                (process.stderr, running.log.append),
            ):
                threading.Thread(target=_read, args=(stream, take), daemon=True).start()
            try:
                yield running
            finally:
                process.kill()

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
        """The newest point restores to exactly the records of the topic."""
        self.command("validate", "--backup-id", "stream")
        target = f"{self.topic}-restored"
        restore = self.file.with_name("restore.yaml")
        text = self.file.read_text().partition("\nbackup:")[0].replace("mode: backup", "mode: restore")
        restore.write_text(
            text.replace("source:", "target:") + f"\nrestore: {{topic_mapping: {{{self.topic}: {target}}}}}\n"
        )
        done = subprocess.run(
            [COMMAND, "restore", "--config", str(restore)], capture_output=True, text=True, timeout=120, check=False
        )
        assert 0 == done.returncode, done.stderr
        for partition in range(PARTITIONS):
            assert contents(self.kafka.bootstrap, self.topic, partition) == contents(
                self.kafka.bootstrap, target, partition
            )


def _has_points(running: Running) -> bool:
    return len(running.points) >= 1


def _read(stream: Any, take: Callable[[str], object]) -> None:
    for line in stream:
        take(line)


@pytest.fixture
def bed(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Bed:
    """A topic with some records."""
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    file = tmp_path / "backup.yaml"
    file.write_text(
        f"mode: backup\nbackup_id: stream\nsource:\n  bootstrap_servers: ['{kafka.bootstrap}']\n"
        f"  topics: {{include: [{topic_name}]}}\nstorage: {{backend: filesystem, path: {tmp_path}/repository}}\n"
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


def test_five_kills_lose_nothing_and_double_nothing(bed: Bed) -> None:
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    with bed.load():
        for _ in range(5):
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
