"""A restore that needs archived objects, on a real Prefect server with a worker, a real Kafka and an S3 server with an
archive: the run waits without a process, is started again by the worker, and restores the point that it chose."""

from __future__ import annotations

from uuid import uuid4

import pytest
from prefect.client.schemas.objects import StateType

from blocks import S3Repository
from tasks.flow_support.archived_wait import WAITING
from tasks.model.durations import DAY_MS
from tasks.repository.pins import live_pins
from tasks.store.s3.s3_store import S3Store
from tests.support.installation import Installation
from tests.support.kafka import KafkaCluster
from tests.support.made_backup import keys
from tests.support.object_stores import ROOT_CREDENTIALS, MiniStack
from tests.support.producing import OutRecord, create_topic, produce
from tests.support.round_trip import Backups, contents, now_ms

pytestmark = [pytest.mark.kafka, pytest.mark.minio]

THAW = {"tier": "Bulk", "days": 2, "check_every": "20s"}


@pytest.fixture
def bucket(ministack: MiniStack) -> str:
    """An empty bucket."""
    return ministack.new_bucket()


@pytest.fixture
def backups(kafka: KafkaCluster, ministack: MiniStack, topic_name: str, bucket: str) -> Backups:
    """A set in the bucket, with one point of one topic. All its data is archived."""
    create_topic(kafka.bootstrap, topic_name, partitions=2)
    store = S3Store(ministack.settings(bucket, "team"))
    made = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store, set_name=topic_name)
    _back_up(kafka, made, topic_name)
    for key in keys(store, "data/"):
        source = {"Bucket": bucket, "Key": f"team/{key}"}
        ministack.client.copy_object(**source, CopySource=source, StorageClass="GLACIER", MetadataDirective="COPY")
    return made


def _back_up(kafka: KafkaCluster, backups: Backups, topic: str) -> None:
    """100 more records in each partition, and a snapshot."""
    for partition in range(2):
        records = [OutRecord(b"%d" % number, b"value %d" % number) for number in range(100)]
        produce(kafka.bootstrap, topic, records, partition=partition)
    backups.back_up([topic])


def test_a_restore_waits_without_a_process_until_archived_objects_are_back_and_restores_the_point_that_it_chose(
    installation: Installation, kafka: KafkaCluster, ministack: MiniStack, bucket: str, backups: Backups
) -> None:
    topic, target = backups.set_name, f"{backups.set_name}-restored"
    before = [contents(kafka.bootstrap, topic, partition) for partition in range(2)]
    block = f"archive-{uuid4().hex[:8]}"
    with installation.as_client():
        S3Repository(
            bucket=bucket,
            prefix="team",
            region=ministack.region,
            endpoint=ministack.endpoint,
            path_style=True,
            allow_http=True,
            access_key=ROOT_CREDENTIALS.access_key,
            secret_key=ROOT_CREDENTIALS.secret_key,
        ).save(block)

    run = installation.start(
        "restore/on-demand",
        backup_id=topic,
        target="production",
        repository=block,
        options={"topic_mapping": {topic: target}},
        thaw=THAW,
    )
    waiting = installation.awaited(run, lambda one: one.state_name == WAITING)
    installation.awaited(run, lambda one: not installation.processes_of(one.id))
    assert {1} == live_pins(backups.store, topic, now_ms=now_ms() + DAY_MS - 60_000)
    _back_up(kafka, backups, topic)

    assert "2 on their way back" in (waiting.state.message or "" if waiting.state else "")
    assert 2 == backups.repository.state(topic).newest_point
    ended = installation.ended(run)

    assert StateType.COMPLETED == ended.state_type, f"{ended.state}\n{installation.worker_output()}"
    assert before == [contents(kafka.bootstrap, target, partition) for partition in range(2)]
    assert [] == keys(backups.store, "pins/")
