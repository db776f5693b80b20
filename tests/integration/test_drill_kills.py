"""Drills whose processes are killed at random moments: the next drill, or `drill --clean`, removes everything that the
killed one has made, and nothing else. KILLS_SEED repeats the moments of a run that failed."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest
from prefect.client.schemas.objects import StateType

from tasks.broker.kafka_access import KafkaAdmin
from tasks.store.local.local_store import LocalStore
from tests.support.drill_bed import RECORDS, Bed
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.reading import read_all
from tests.support.round_trip import Backups

pytestmark = pytest.mark.kafka

KILLS = pytest.mark.parametrize("kills", [4, pytest.param(10, marks=pytest.mark.soak)])


@pytest.fixture
def bed(kafka: KafkaCluster, topic_name: str, tmp_path: Path) -> Bed:
    return Bed(kafka, topic_name, tmp_path)


@pytest.fixture
def moments() -> random.Random:
    seed = int(os.environ.get("KILLS_SEED") or random.randrange(1 << 32))
    print(f"KILLS_SEED={seed}")
    return random.Random(seed)


@KILLS
def test_whatever_a_killed_command_leaves_is_removed_and_nothing_else(
    bed: Bed, moments: random.Random, kills: int
) -> None:
    """Half of the left-overs are removed by `drill --clean`, the others by the next drill."""
    began = time.monotonic()
    bed.run()
    usual_s = time.monotonic() - began
    other = f"{bed.topic}-other"
    create_topic(bed.kafka.bootstrap, other)
    for number in range(kills):
        process = bed.start()
        time.sleep(moments.uniform(0.3, usual_s))  # the moment of the kill
        process.kill()
        process.communicate()
        bed.run(*(["--clean"] if number % 2 else []))
        assert [] == bed.scratch()
        assert [] == bed.recorded()

    assert [] == read_all(bed.kafka.bootstrap, other)
    assert RECORDS == len(read_all(bed.kafka.bootstrap, bed.topic)), "the topic itself is as it was"


@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.soak)])
def test_what_somebody_made_again_under_the_name_of_a_killed_drill_stays(
    bed: Bed, moments: random.Random, kills: int
) -> None:
    for _ in range(kills):
        process = bed.start()
        name = bed.await_scratch()
        time.sleep(moments.uniform(0, 0.5))  # the moment of the kill
        process.kill()
        process.communicate()
        with KafkaAdmin(bed.kafka.connection) as admin:
            admin.delete_topics([name])
        create_topic(bed.kafka.bootstrap, name)
        produce(bed.kafka.bootstrap, name, [OutRecord(b"k", b"of somebody else")])

        bed.run("--clean")

        assert [name] == bed.scratch()
        assert [] == bed.recorded()
        assert [b"of somebody else"] == [record.value for record in read_all(bed.kafka.bootstrap, name)]
        with KafkaAdmin(bed.kafka.connection) as admin:
            admin.delete_topics([name])


@pytest.mark.parametrize("kills", [1, pytest.param(5, marks=pytest.mark.soak)])
@pytest.mark.parametrize("victim", ["flow run", "worker"])
def test_whatever_a_killed_flow_run_or_worker_leaves_is_removed_by_the_next_run(
    bed: Bed, installation: Installation, topic_name: str, moments: random.Random, victim: str, kills: int
) -> None:
    """Takes 20 s for each kill: the time to live of a lease that was not released."""
    store = LocalStore(installation.repository, create=True)
    backups = Backups(bootstrap_servers=bed.kafka.bootstrap_servers, store=store, set_name=topic_name)
    backups.back_up([bed.topic])
    bed.backups = backups
    of_other_tests = set(bed.recorded())  # the installation has one repository for all
    asked = {"backup_id": topic_name, "target": "production", "options": {"topics": {"include": [bed.topic]}}}
    for _ in range(kills):
        run = installation.start("restore-drill/on-demand", **asked)
        bed.await_scratch()
        time.sleep(moments.uniform(0, 2))  # the moment of the kill
        if victim == "worker":
            installation.worker.end(signal.SIGKILL)
        for pid in installation.processes_of(run):  # none if the run has just ended
            os.kill(pid, signal.SIGKILL)
        if victim == "worker":
            installation.worker.__enter__()

        again = installation.run("restore-drill/on-demand", **asked)

        assert StateType.COMPLETED == again.state_type, again.state
        assert [] == bed.scratch()
        assert set(bed.recorded()) <= of_other_tests
