"""A topic of 2,000 partitions by a flow: as many task runs as its bytes are worth, and a table with every partition."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer
from prefect.client.schemas.objects import StateType

from flows.backup import snapshot_backup
from tasks.broker.admin.admin import Admin
from tasks.engine.bins import BINS_PER_WORKER
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.store.local.local_store import LocalStore
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.producing import create_topic
from tests.support.round_trip import Backups

pytestmark = pytest.mark.kafka

PARTITIONS = 2_000
FILLED = {number: 1 + number % 3 for number in range(3, PARTITIONS, 4)}
"""Partition → records, for 500 of them. The others are empty."""


@pytest.fixture
def crowd(kafka: KafkaCluster, topic_name: str) -> Iterator[str]:
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
