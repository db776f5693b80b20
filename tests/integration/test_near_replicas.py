"""Reading from the replica in the client's rack, on three real brokers."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator

import pytest
from confluent_kafka.admin import AdminClient

from tasks.broker.messages.fetch_answer import FetchAnswer
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.connection import Connection
from tasks.broker.raw.fetch import Fetcher
from tasks.engine.options import BackupOptions
from tasks.model.partition import Partition
from tests.conftest import KAFKA_VERSION
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups, contents

pytestmark = pytest.mark.kafka

TOPIC = "orders"
SIZE, COUNT = 20_000, 300
RACKS = {
    "broker.rack": "rack-{node}",
    "replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector",
}


@pytest.fixture(scope="module")
def racks() -> Iterator[KafkaCluster]:
    with KafkaCluster(KAFKA_VERSION, nodes=3, overrides=RACKS) as cluster:
        yield cluster


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """The bytes of records that each port sent."""
    seen, receive = Counter[int](), Connection.receive

    def counted(connection: Connection, stop: threading.Event | None = None) -> object:
        answer = receive(connection, stop)
        if isinstance(answer, FetchAnswer):
            seen[connection.address.port] += sum(len(part.records) for part in answer.partitions)
        return answer

    monkeypatch.setattr(Connection, "receive", counted)
    return seen


def test_records_come_from_the_follower_in_the_rack_and_from_the_leader_when_it_is_killed(
    racks: KafkaCluster, received: Counter[int]
) -> None:
    create_topic(racks.bootstrap, TOPIC, replicas=3)
    produce(racks.bootstrap, TOPIC, [OutRecord(None, os.urandom(SIZE)) for _ in range(COUNT)], records_per_batch=1)
    [part] = AdminClient({"bootstrap.servers": racks.bootstrap}).list_topics(TOPIC).topics[TOPIC].partitions.values()
    follower = next(node for node in racks.node_ids if node != part.leader)
    ports = {
        node: int(address.rpartition(":")[2])
        for node, address in zip(racks.node_ids, racks.bootstrap_servers, strict=True)
    }
    backups = Backups(bootstrap_servers=racks.bootstrap_servers, rack=f"rack-{follower}")
    with Cluster(backups.connection) as cluster:
        while not received[ports[follower]]:  # a follower learns of new records only with its next fetch
            fetcher = Fetcher(cluster, stop=threading.Event(), rack=backups.rack)
            fetcher.send(backups.partition(TOPIC), 0, None)
            fetcher.receive()
    received.clear()

    first = backups.back_up([TOPIC], options=BackupOptions())

    assert COUNT == first.totals.records
    assert COUNT * SIZE < received[ports[follower]]
    assert 0 == sum(size for port, size in received.items() if port != ports[follower])

    received.clear()
    killed: list[int] = []

    def kill(partition: Partition, *, records: int, log_bytes: int) -> None:
        if not killed:
            racks.kill(follower)
            killed.append(follower)

    second = backups.back_up([TOPIC], options=BackupOptions(fetch_max_bytes=1 << 20), progress=kill)

    assert ("complete", COUNT) == (second.status, second.totals.records)
    assert received[ports[follower]] > 0
    assert received[ports[part.leader]] > 0
    assert () == backups.findings(second)
    backups.restore({TOPIC: "restored"}, default_replication_factor=1)
    assert contents(racks.bootstrap, TOPIC) == contents(racks.bootstrap, "restored")
