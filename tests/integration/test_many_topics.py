"""A backup and a restore of more topics and partitions than one request to a controller can have, on a real Kafka."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tasks.broker.admin_values import NewTopicSpec
from tasks.broker.kafka_access import KafkaAdmin
from tasks.engine.options import BackupOptions
from tasks.repository.restore_point import RestorePoint
from tasks.store.memory.memory_store import MemoryStore
from tests.conftest import KAFKA_VERSION
from tests.support.counting_store import CountingStore
from tests.support.kafka import KafkaCluster
from tests.support.processes import temporary_folder
from tests.support.round_trip import Backups

pytestmark = [pytest.mark.kafka]

_MEMORY = Path("/dev/shm")


@pytest.fixture
def quick_folder() -> Iterator[Path]:
    """In memory where there is such a folder: a broker syncs a file to the disk for each partition that it creates."""
    folder = temporary_folder("kafka-", str(_MEMORY) if _MEMORY.is_dir() else None)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.soak
@pytest.mark.tried("partitions", "1,100 topics, and 11 topics with 1,000 partitions each, in one backup and restore")
@pytest.mark.timeout(900)
@pytest.mark.parametrize(("topics", "partitions"), [(1_100, 1), (11, 1_000)])
def test_many_topics_are_backed_up_restored_and_verified(topics: int, partitions: int, quick_folder: Path) -> None:
    """On two brokers of its own. A broker has a file open for each partition and maps two: 22,000 partitions on one
    broker would be more than the 20,000 open files that many machines allow a process, and a broker ends then."""
    names = [f"topic-{number:04}" for number in range(topics)]
    specs = [NewTopicSpec(name=name, partitions=partitions, replication_factor=1, configs={}) for name in names]
    with KafkaCluster(KAFKA_VERSION, nodes=2, heap_mb=768, folder=quick_folder) as cluster:
        with KafkaAdmin(cluster.connection) as admin:
            assert dict.fromkeys(names) == admin.create_topics(specs)
        producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
        for name in names:
            for partition in range(partitions):
                producer.produce(name, b"value", str(partition).encode(), partition)
                producer.poll(0)
        assert 0 == producer.flush(120)
        backups = Backups(bootstrap_servers=cluster.bootstrap_servers)

        point = backups.back_up(names, options=BackupOptions())
        result = backups.restore({name: f"{name}-restored" for name in names})

    assert ("complete", topics * partitions) == (point.status, point.totals.records)
    assert [] == result.mismatches
    assert topics * partitions == len(result.plan.partitions)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("topics", [300, pytest.param(3_000, marks=pytest.mark.soak)])
def test_of_many_topics_a_run_reads_the_five_that_changed(topics: int, quick_folder: Path) -> None:
    """And stores no more objects than for five topics."""
    names = [f"topic-{number:04}" for number in range(topics)]
    changed = names[7 :: topics // 5]
    store = CountingStore(MemoryStore())
    with KafkaCluster(KAFKA_VERSION, nodes=2, heap_mb=768, folder=quick_folder) as cluster:
        _fill(cluster, names)
        backups = Backups(bootstrap_servers=cluster.bootstrap_servers, store=store)
        first = backups.back_up_changes(["topic-*"])
        _produce(cluster, changed, b"new")
        store.requests.clear()

        second = backups.back_up_changes(["topic-*"])

    written = [one.key for one in store.requests if one.operation == "put_if_absent"]
    assert 5 == len(changed)
    assert ("complete", topics, topics + 5) == (second.status, first.totals.records, second.totals.records)
    assert len([key for key in written if key.startswith("data/")]) <= 5
    assert len(written) <= 20
    rows = RestorePoint(store, second).rows.values()
    assert sorted(changed) == sorted(row.topic for row in rows if row.next == 2)


def _fill(cluster: KafkaCluster, names: list[str]) -> None:
    specs = [NewTopicSpec(name=name, partitions=1, replication_factor=1, configs={}) for name in names]
    with KafkaAdmin(cluster.connection) as admin:
        assert dict.fromkeys(names) == admin.create_topics(specs)
    _produce(cluster, names, b"first")


def _produce(cluster: KafkaCluster, names: list[str], value: bytes) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap, "log_level": 0})
    for name in names:
        producer.produce(name, value, b"key", 0)
        producer.poll(0)
    assert 0 == producer.flush(120)
