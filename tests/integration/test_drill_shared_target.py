"""Drills on a cluster that others use too: topics are created automatically, a consumer follows all topics by pattern,
and a quota limits changes of topics."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer

from tests.conftest import KAFKA_VERSION
from tests.support.drill_bed import PARTITIONS, RECORDS, Bed
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.quotas import mutation_quota
from tests.support.reading import read_all

pytestmark = pytest.mark.kafka

WATCHED_S = 10
"""How long it is watched that scratch topics stay away after the drill."""


@pytest.fixture(scope="module")
def shared() -> Iterator[KafkaCluster]:
    """A cluster that creates a topic when a client asks for it."""
    with KafkaCluster(KAFKA_VERSION, overrides={"auto.create.topics.enable": "true"}) as cluster:
        yield cluster


@contextmanager
def _follower(cluster: KafkaCluster, refresh_ms: int) -> Iterator[set[str]]:
    """A consumer of all topics that there are and will be, which is allowed to create topics. Yields the names of the
    topics that it has read."""
    consumer = Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": f"follower-{refresh_ms}",
            "auto.offset.reset": "earliest",
            "allow.auto.create.topics": True,
            "topic.metadata.refresh.interval.ms": refresh_ms,
            "log_level": 0,
        }
    )
    consumer.subscribe(["^.*"])
    done, read = threading.Event(), set[str]()

    def follow() -> None:
        while not done.is_set():
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                read.add(str(message.topic()))

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield read
    finally:
        done.set()
        thread.join()
        consumer.close()


def test_scratch_topics_stay_away_although_a_consumer_follows_all_topics(
    shared: KafkaCluster, topic_name: str, tmp_path: Path
) -> None:
    """The consumer looks for new topics every five minutes, as it does by default."""
    bed = Bed(shared, topic_name, tmp_path)
    other = _other_topic(bed)

    with _follower(shared, refresh_ms=300_000) as read:
        _await(lambda: other in read)
        result = bed.run()
        found = _seen_within(bed, WATCHED_S)

    assert ("passed", set()) == (result["verdict"], found)
    assert 1 == len(read_all(shared.bootstrap, other))
    assert RECORDS == len(read_all(shared.bootstrap, topic_name))


def test_topics_that_a_consumer_creates_again_without_end_are_empty_and_named_and_removed_when_it_has_gone(
    shared: KafkaCluster, topic_name: str, tmp_path: Path
) -> None:
    """The consumer finds the scratch topics within a second. The check of the owner lasts until it reads one."""
    bed = Bed(shared, topic_name, tmp_path)
    other = _other_topic(bed)
    seen = tmp_path / "seen"
    wait = f"for i in $(seq 600); do [ -e {seen} ] && exit 0; sleep 0.1; done; exit 1"
    bed.write_file(f"  checks:\n  - {{name: followed, command: [sh, -c, '{wait}']}}\n")

    with _follower(shared, refresh_ms=1_000) as read:
        process = bed.start("--json")
        name = bed.await_scratch()
        _await(lambda: name in read)
        seen.touch()
        out, err = process.communicate(timeout=180)
    result = json.loads(out)

    assert [name] == result["clean_up"]["came_back"], err
    assert all("come back empty after each removal" in failure for failure in result["failures"])
    assert (process.returncode == 0) == (not result["failures"])
    bed.run("--clean")
    assert set() == _seen_within(bed, 3)
    assert [] == bed.recorded()
    assert 1 == len(read_all(shared.bootstrap, other))
    assert RECORDS == len(read_all(shared.bootstrap, topic_name))


def _other_topic(bed: Bed) -> str:
    """A topic that the drill does not concern, with one record."""
    name = f"{bed.topic}-other"
    create_topic(bed.kafka.bootstrap, name)
    produce(bed.kafka.bootstrap, name, [OutRecord(b"k", b"v")])
    return name


def _await(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _seen_within(bed: Bed, seconds: float) -> set[str]:
    """The scratch topics and groups that exist within this time."""
    deadline, found = time.monotonic() + seconds, set[str]()
    while time.monotonic() < deadline:
        found.update(bed.scratch())
        time.sleep(0.2)
    return found


def test_a_drill_waits_for_a_quota_on_changes_of_topics(shared: KafkaCluster, topic_name: str, tmp_path: Path) -> None:
    bed = Bed(shared, topic_name, tmp_path)
    for number in range(4):
        create_topic(shared.bootstrap, f"{topic_name}-{number}", partitions=PARTITIONS)
    bed.backups.back_up([topic_name, *(f"{topic_name}-{number}" for number in range(4))])
    bed.file.write_text(bed.file.read_text().replace(f"[{topic_name}]", f"['{topic_name}*']"))

    with mutation_quota(shared.connection, 1):
        result = bed.run()

    assert ("passed", []) == (result["verdict"], result["failures"])
    assert 5 == len(result["clean_up"]["topics"])
    assert [] == bed.scratch()
