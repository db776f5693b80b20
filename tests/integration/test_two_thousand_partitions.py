"""A topic of 2,000 partitions. By a flow: as many task runs as its bytes are worth, and a table with every partition.
By the engine alone: few fetch requests, and the same bytes as the broker serves for each partition alone."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import Producer
from prefect.client.schemas.objects import StateType

from flows.backup import snapshot_backup
from tasks.broker.admin.admin import Admin
from tasks.broker.messages.api_keys import ApiKey
from tasks.broker.ports import LogReader
from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.model.partition import Partition
from tasks.repository.frame_reader import FrameReader
from tasks.repository.partition_table import Row
from tasks.repository.restore_point import RestorePoint
from tasks.store.local.local_store import LocalStore
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.kafka_proxy import KafkaProxy
from tests.support.producing import create_topic
from tests.support.round_trip import Backups, whole_batches

pytestmark = pytest.mark.kafka

PARTITIONS = 2_000
FILLED = {number: 1 + number % 3 for number in range(3, PARTITIONS, 4)}
"""Partition → records, for 500 of them. The others are empty."""


@pytest.fixture(scope="module")
def crowd(kafka: KafkaCluster) -> Iterator[str]:
    topic_name = f"crowd-{uuid.uuid4().hex}"
    create_topic(kafka.bootstrap, topic_name, partitions=PARTITIONS)
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    for partition, count in FILLED.items():
        for _ in range(count):
            producer.produce(topic_name, b"value", b"key", partition=partition)
    assert not producer.flush(60)
    yield topic_name
    with Admin(kafka.connection) as admin:  # the broker is other tests' too
        admin.delete_topics([topic_name])


@pytest.mark.tried("partitions", "2,000 in one flow run")
def test_two_thousand_small_partitions_are_few_task_runs_and_each_has_its_row(
    installation: Installation, kafka: KafkaCluster, crowd: str
) -> None:
    topics, options = TopicSelection(include=(crowd,)), BackupOptions(consumer_group_snapshot=False)
    with installation.as_client():
        state = snapshot_backup(crowd, "production", "production", topics=topics, options=options, return_state=True)

    assert (StateType.COMPLETED, "Completed") == (state.type, state.name), state
    run = state.state_details.flow_run_id
    assert run is not None
    bins = options.max_concurrent_partitions * BINS_PER_WORKER
    names = [task_run.name for task_run in installation.task_runs(run, at_least=bins + 2)]
    assert bins + 2 == len(names)
    assert bins == sum(1 for name in names if re.fullmatch(rf"{re.escape(crowd)}-\d+ and \d+ more", name))
    [table] = [artifact for artifact in installation.artifacts(run) if artifact.type == "table"]
    rows = json.loads(str(table.data))
    shown = {row["partition"]: (row["first"], row["next"], row["records"]) for row in rows}
    assert {number: (0, FILLED.get(number, 0), FILLED.get(number, 0)) for number in range(PARTITIONS)} == shown
    store = LocalStore(installation.repository, create=True)
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, set_name=crowd)
    point = backups.repository.log(crowd).point(1).entry
    assert (PARTITIONS, sum(FILLED.values())) == (point.totals.partitions, point.totals.records)
    assert () == backups.findings(point)


def test_two_thousand_small_partitions_take_few_fetch_requests_and_their_bytes_are_those_of_the_leader(
    kafka: KafkaCluster, crowd: str
) -> None:
    """Two workers have eight bins, so that 62 or 63 filled partitions share each request."""
    with KafkaProxy(int(kafka.bootstrap.rpartition(":")[2])) as proxy:
        backups = Backups(bootstrap_servers=(f"127.0.0.1:{proxy.port}",))
        entry = backups.back_up([crowd], options=BackupOptions(consumer_group_snapshot=False))
        requests = proxy.seen.count(ApiKey.FETCH)

    assert 8 == requests
    assert ("complete", PARTITIONS, sum(FILLED.values())) == (
        entry.status,
        entry.totals.partitions,
        entry.totals.records,
    )
    point = RestorePoint(backups.store, entry)
    filled = [row for row in point.rows.values() if row.next]
    with Backups(bootstrap_servers=kafka.bootstrap_servers).context().reader() as log:
        served = {row.source: _served(log, row.source) for row in filled}
    assert len(FILLED) == len(served)
    assert served == _stored(point, filled)


def _served(log: LogReader, source: Partition) -> list[bytes]:
    """The batches that the leader serves for this partition alone: a few records, so one answer."""
    fetcher = log.fetcher(max_bytes=1 << 20)
    fetcher.send(source, 0, None)
    return whole_batches(fetcher.receive().records)


def _stored(point: RestorePoint, rows: Sequence[Row]) -> dict[Partition, list[bytes]]:
    reader, lines = FrameReader(point.store), point.lines(rows)
    return {
        row.source: [
            batch for line in lines[row.source] for _, log in reader.frames(line) for batch in whole_batches(log)
        ]
        for row in rows
    }
