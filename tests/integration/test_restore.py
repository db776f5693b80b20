"""Effects of a restore that only a real Kafka shows: deleted records, settings in force, retention.

The rules of a restore are tested in `tests/simulation/rules`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.offsets import list_offsets
from tasks.engine.target.finalize import finalize_restore
from tasks.model.errors import RefusedError
from tests.support import producing, reading
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord
from tests.support.round_trip import Backups, contents, now_ms, own_settings

pytestmark = pytest.mark.kafka

DAY_MS = 86_400_000


@pytest.fixture
def backups(kafka: KafkaCluster) -> Backups:
    return Backups(bootstrap_servers=kafka.bootstrap_servers)


@pytest.fixture
def admin(kafka: KafkaCluster) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(kafka.connection) as admin:
        yield admin


def _numbered(count: int, *, age_ms: int = 0) -> list[OutRecord]:
    stamp = now_ms() - age_ms
    return [OutRecord(b"key-%d" % number, b"value %d" % number, timestamp=stamp) for number in range(count)]


def _source(kafka: KafkaCluster, topic: str, configs: Mapping[str, str] | None = None, *, count: int = 10) -> None:
    producing.create_topic(kafka.bootstrap, topic, configs=configs)
    producing.produce(kafka.bootstrap, topic, _numbered(count))


def test_purged_topics_lose_what_they_held_and_get_the_backups_records_after_it(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name)
    _source(kafka, target, count=4)
    backups.back_up([topic_name])

    result = backups.restore({topic_name: target}, purge_topics=True)

    assert [] == result.mismatches
    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, target)
    assert 4 == reading.read_all(kafka.bootstrap, target)[0].offset


def test_settings_that_an_existing_topic_cannot_have_are_refused_before_anything_is_changed(
    kafka: KafkaCluster, backups: Backups, topic_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, {"segment.ms": "4000"})
    producing.create_topic(kafka.bootstrap, target)
    backups.back_up([topic_name])
    applied = "tasks.engine.target.restore_plan.applicable_settings"
    monkeypatch.setattr(
        applied, lambda settings, known: {**settings, "segment.bytes": "1"}
    )  # as an older Kafka allowed it

    with pytest.raises(RefusedError, match=rf"{target}: its settings cannot be changed: .*segment.bytes"):
        backups.restore({topic_name: target}, topic_configs="apply")
    assert {} == own_settings(kafka.bootstrap_servers, target)


OWN = {"retention.ms": str(30 * DAY_MS), "segment.bytes": "1048576", "cleanup.policy": "compact,delete"}


def test_settings_of_the_topic_itself_come_back_and_nothing_else(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    _source(kafka, topic_name, OWN)
    _source(kafka, f"{topic_name}-plain")
    backups.back_up([topic_name, f"{topic_name}-plain"])

    result = backups.restore({topic_name: f"{topic_name}-1", f"{topic_name}-plain": f"{topic_name}-2"})

    assert (OWN, {}) == (
        own_settings(kafka.bootstrap_servers, f"{topic_name}-1"),
        own_settings(kafka.bootstrap_servers, f"{topic_name}-2"),
    )
    assert [] == result.deferred


def test_finalizing_really_lets_old_records_go_and_not_before(
    kafka: KafkaCluster, backups: Backups, topic_name: str, admin: KafkaAdmin
) -> None:
    target = f"{topic_name}-target"
    producing.create_topic(kafka.bootstrap, topic_name)
    producing.produce(kafka.bootstrap, topic_name, _numbered(5, age_ms=11 * DAY_MS))
    producing.create_topic(kafka.bootstrap, target, configs={"retention.ms": "1000"})
    backups.back_up([topic_name])

    result = backups.restore({topic_name: target}, topic_configs="ignore")
    assert ([target], 5) == (result.deferred, len(reading.read_all(kafka.bootstrap, target)))

    finalize_restore(backups.repository, result.plan.restore, admin)

    assert {"retention.ms": "1000"} == own_settings(kafka.bootstrap_servers, target)
    _await_log_start(backups, target, 5)


def _await_log_start(backups: Backups, topic: str, offset: int) -> None:
    partition, deadline = backups.partition(topic), time.monotonic() + 60
    with Cluster(backups.connection, stop=threading.Event()) as cluster:
        while list_offsets(cluster, [partition], "earliest").offsets[partition] < offset:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{topic} still begins before {offset}")
            time.sleep(0.1)  # a broker announces nothing when it deletes a segment
