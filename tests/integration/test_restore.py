"""Rules of a restore on a real Kafka: what it refuses, what it leaves alone, which settings stand in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping

import pytest

from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.raw.cluster import Cluster
from tasks.broker.raw.offsets import list_offsets
from tasks.engine.options import RestoreOptions, TopicSelection
from tasks.engine.restore_steps import preview_restore
from tasks.engine.target.finalize import finalize_restore
from tasks.engine.target.restore_plan import RestoreRequest
from tasks.model.errors import ConfigError, RefusedError
from tasks.model.partition import Partition
from tasks.repository.names import new_run_id
from tasks.repository.points import PointReference
from tasks.repository.restores import restore_ids
from tasks.store.memory.memory_store import MemoryStore
from tests.support import producing, reading
from tests.support.faults import FaultyStore
from tests.support.kafka import KafkaCluster
from tests.support.producing import OutRecord
from tests.support.round_trip import Backups, contents, now_ms, own_settings

pytestmark = pytest.mark.kafka

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.fixture
def backups(kafka: KafkaCluster) -> Backups:
    return Backups(bootstrap_servers=kafka.bootstrap_servers)


@pytest.fixture
def admin(kafka: KafkaCluster) -> Iterator[KafkaAdmin]:
    with KafkaAdmin(kafka.connection) as admin:
        yield admin


def _numbered(count: int, first: int = 0, *, age_ms: int = 0) -> list[OutRecord]:
    stamp = now_ms() - age_ms
    return [
        OutRecord(b"key-%d" % number, b"value %d" % number, timestamp=stamp) for number in range(first, first + count)
    ]


def _source(
    kafka: KafkaCluster,
    topic: str,
    configs: Mapping[str, str] | None = None,
    *,
    partitions: int = 1,
    count: int = 10,
) -> None:
    producing.create_topic(kafka.bootstrap, topic, partitions=partitions, configs=configs)
    for partition in range(partitions):
        producing.produce(kafka.bootstrap, topic, _numbered(count, partition * count), partition=partition)


# ── what is refused, and changes nothing ────────────────────────────────────────────────────────────────────────────


def test_a_target_that_holds_records_is_refused_and_left_alone(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, {"retention.ms": "-1"})
    _source(kafka, target, count=3)
    before = own_settings(kafka.bootstrap_servers, target)
    backups.back_up([topic_name])

    with pytest.raises(RefusedError, match=rf"{target}-0: it is not empty \(3 offsets\)"):
        backups.restore({topic_name: target})

    assert 3 == reading.end_offset(kafka.bootstrap, target)
    assert before == own_settings(kafka.bootstrap_servers, target)
    assert [] == list(restore_ids(backups.store))


def test_the_source_itself_is_no_target_without_a_mapping(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    _source(kafka, topic_name)
    backups.back_up([topic_name])

    with pytest.raises(RefusedError, match=f"{topic_name}-0: it is not empty"):
        backups.restore({topic_name: topic_name})


def test_a_mapping_of_an_unknown_topic_and_of_two_topics_to_one_is_refused(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    other, target = f"{topic_name}-b", f"{topic_name}-target"
    _source(kafka, topic_name)
    _source(kafka, other)
    backups.back_up([topic_name, other])

    with pytest.raises(RefusedError, match="no-such-topic"):
        backups.restore({topic_name: target, "no-such-topic": "elsewhere"})
    with pytest.raises(RefusedError, match=f"{topic_name} and {other} to one topic, {target}"):
        backups.restore({topic_name: target, other: target})

    assert 0 == reading.partition_count(kafka.bootstrap, target)


def test_a_missing_target_is_refused_when_topics_shall_not_be_created(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    _source(kafka, topic_name)
    backups.back_up([topic_name])

    with pytest.raises(RefusedError, match="does not exist and create_topics is false"):
        backups.restore({topic_name: f"{topic_name}-target"}, create_topics=False)

    assert 0 == reading.partition_count(kafka.bootstrap, f"{topic_name}-target")


def test_a_target_with_fewer_partitions_is_refused_and_one_with_more_is_warned_of(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    fewer, more = f"{topic_name}-fewer", f"{topic_name}-more"
    _source(kafka, topic_name, partitions=2)
    producing.create_topic(kafka.bootstrap, fewer, partitions=1)
    producing.create_topic(kafka.bootstrap, more, partitions=3)
    backups.back_up([topic_name])

    with pytest.raises(RefusedError, match="has 1 partitions, the backup has 2"):
        backups.restore({topic_name: fewer})
    result = backups.restore({topic_name: more})

    assert any(
        "producers can write new records of a key to another partition" in finding.message
        for finding in result.findings
    )
    assert contents(kafka.bootstrap, topic_name, 1) == contents(kafka.bootstrap, more, 1)


def test_a_dry_run_shows_the_findings_and_changes_neither_cluster_nor_repository(
    kafka: KafkaCluster, topic_name: str, admin: KafkaAdmin
) -> None:
    store = FaultyStore(MemoryStore())
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=store)
    _source(kafka, topic_name, {"retention.ms": str(HOUR_MS)})
    backups.back_up([topic_name])
    topics, writes = admin.describe_topics(), store.writes
    request = RestoreRequest(
        restore=new_run_id(now_ms()),
        topics=TopicSelection(include=(topic_name,)),
        options=RestoreOptions(topic_mapping={topic_name: f"{topic_name}-target"}, finalize="defer", dry_run=True),
        most_bins=4,
    )

    preview = preview_restore(backups.context(), admin, backups.repository.point(PointReference("set")), request)

    assert [10] == [copy.records for copy in preview.plan.partitions]
    assert any("will be deferred" in finding.message for finding in preview.findings)
    assert (topics, writes) == (admin.describe_topics(), store.writes)


# ── what is restored ────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_source_partitions_asked_for_come_back_in_a_topic_with_all_partitions(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, partitions=3)
    backups.back_up([topic_name])

    backups.restore({topic_name: target}, source_partitions=(1,))

    assert [0, 10, 0] == [reading.end_offset(kafka.bootstrap, target, partition) for partition in range(3)]
    assert contents(kafka.bootstrap, topic_name, 1) == contents(kafka.bootstrap, target, 1)
    with pytest.raises(RefusedError, match="no chosen topic has partition 7"):
        backups.restore({topic_name: f"{target}-2"}, source_partitions=(1, 7))


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


def test_partitions_that_are_not_restored_must_be_empty_even_when_the_others_are_purged(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, partitions=2)
    _source(kafka, target, partitions=3)
    backups.back_up([topic_name])

    with pytest.raises(
        RefusedError, match=rf"{target}-2: it is not empty \(10 offsets\), and purge_topics does not empty"
    ):
        backups.restore({topic_name: target}, purge_topics=True)
    assert [10, 10, 10] == [len(reading.read_all(kafka.bootstrap, target, partition)) for partition in range(3)]


def test_settings_that_an_existing_topic_cannot_have_are_refused_before_anything_is_changed(
    kafka: KafkaCluster, backups: Backups, topic_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, {"segment.ms": "4000"})
    producing.create_topic(kafka.bootstrap, target)
    backups.back_up([topic_name])
    copied = "tasks.engine.target.restore_plan.copied_settings"
    monkeypatch.setattr(copied, lambda settings: {**settings, "segment.bytes": "1"})  # as an older Kafka allowed it

    with pytest.raises(RefusedError, match=rf"{target}: its settings cannot be changed: .*segment.bytes"):
        backups.restore({topic_name: target}, topic_configs="apply")
    assert {} == own_settings(kafka.bootstrap_servers, target)


def test_kafkas_own_topics_are_no_targets(kafka: KafkaCluster, backups: Backups, topic_name: str) -> None:
    _source(kafka, topic_name)
    backups.back_up([topic_name])

    with pytest.raises(
        RefusedError, match="__consumer_offsets: Kafka does not let clients write to this internal topic"
    ):
        backups.restore({topic_name: "__consumer_offsets"})


def test_a_replication_factor_that_the_cluster_cannot_hold_is_lowered_and_warned_of(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    _source(kafka, topic_name)
    backups.back_up([topic_name])

    result = backups.restore({topic_name: f"{topic_name}-target"}, default_replication_factor=3)

    told = [finding.message for finding in result.findings if "replication factor" in finding.message]
    assert ["replication factor 1 instead of 3, because 1 brokers are alive."] == told


def test_a_compact_only_topic_is_not_purged(kafka: KafkaCluster, backups: Backups, topic_name: str) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, {"cleanup.policy": "compact"})
    _source(kafka, target, {"cleanup.policy": "compact"}, count=4)
    backups.back_up([topic_name])

    with pytest.raises(RefusedError, match=r"its cleanup\.policy is only compact"):
        backups.restore({topic_name: target}, purge_topics=True)

    assert 4 == len(reading.read_all(kafka.bootstrap, target))


# ── settings ────────────────────────────────────────────────────────────────────────────────────────────────────────

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


def test_an_existing_topic_gets_the_backups_settings_over_its_own(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, OWN)
    existing = {"compression.type": "gzip", "flush.ms": "5000", "retention.ms": str(5 * DAY_MS)}
    producing.create_topic(kafka.bootstrap, target, configs=existing)
    backups.back_up([topic_name])

    backups.restore({topic_name: target}, topic_configs="apply")

    assert {**existing, **OWN} == own_settings(kafka.bootstrap_servers, target)


def test_with_ignore_an_existing_topic_keeps_its_own_settings_and_a_new_one_gets_none(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name, OWN)
    existing = {"compression.type": "gzip", "flush.ms": "5000", "retention.ms": str(5 * DAY_MS)}
    producing.create_topic(kafka.bootstrap, target, configs=existing)
    backups.back_up([topic_name])

    backups.restore({topic_name: target}, topic_configs="ignore")
    backups.restore({topic_name: f"{target}-new"}, topic_configs="ignore")

    assert existing == own_settings(kafka.bootstrap_servers, target)
    assert {} == own_settings(kafka.bootstrap_servers, f"{target}-new")


def test_with_validate_settings_that_differ_refuse_the_restore_and_equal_ones_do_not(
    kafka: KafkaCluster, backups: Backups, topic_name: str
) -> None:
    differs, equal = f"{topic_name}-differs", f"{topic_name}-equal"
    _source(kafka, topic_name, OWN)
    producing.create_topic(kafka.bootstrap, differs, configs={**OWN, "retention.ms": "1000000"})
    producing.create_topic(kafka.bootstrap, equal, configs=OWN)
    backups.back_up([topic_name])

    with pytest.raises(RefusedError, match=r"retention\.ms is 2592000000 in the backup and 1000000 on the topic"):
        backups.restore({topic_name: differs}, topic_configs="validate")
    backups.restore({topic_name: equal}, topic_configs="validate")

    assert OWN == own_settings(kafka.bootstrap_servers, equal)
    assert 10 == reading.end_offset(kafka.bootstrap, equal)


# ── finalize ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _source_of_old_and_new(kafka: KafkaCluster, topic: str, admin: KafkaAdmin) -> None:
    """Two batches in one segment, which the broker keeps for the younger: the older alone would be deleted.

    Less than seven days apart, or the broker begins another segment between them (`segment.ms` goes by record time).
    """
    producing.create_topic(kafka.bootstrap, topic)
    records = [*_numbered(5, age_ms=2 * DAY_MS), *_numbered(5, 5)]
    producing.produce(kafka.bootstrap, topic, records, records_per_batch=5)
    admin.alter_topic_configs(topic, to_set={"retention.ms": str(HOUR_MS)}, to_delete=())


def test_settings_that_would_delete_restored_records_wait_until_finalize(
    kafka: KafkaCluster, backups: Backups, topic_name: str, admin: KafkaAdmin
) -> None:
    target = f"{topic_name}-target"
    _source_of_old_and_new(kafka, topic_name, admin)
    backups.back_up([topic_name])

    result = backups.restore({topic_name: target})

    assert [target] == result.deferred
    assert "-1" == own_settings(kafka.bootstrap_servers, target)["retention.ms"]
    assert 10 == len(reading.read_all(kafka.bootstrap, target))
    assert any(f"kafka-backup finalize {result.plan.restore}" in finding.message for finding in result.findings)

    changed = finalize_restore(backups.repository, result.plan.restore, admin)
    again = finalize_restore(backups.repository, result.plan.restore, admin)

    assert ([target], []) == ([topic.target for topic in changed], again)
    assert {"retention.ms": str(HOUR_MS)} == own_settings(kafka.bootstrap_servers, target)


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
            time.sleep(0.1)  # a broker tells nobody when it has deleted a segment


def test_with_apply_every_setting_stands_at_once(
    kafka: KafkaCluster, backups: Backups, topic_name: str, admin: KafkaAdmin
) -> None:
    target = f"{topic_name}-target"
    _source_of_old_and_new(kafka, topic_name, admin)
    backups.back_up([topic_name])

    result = backups.restore({topic_name: target}, finalize="apply")

    assert [] == result.deferred
    assert {"retention.ms": str(HOUR_MS)} == own_settings(kafka.bootstrap_servers, target)


class _DiedError(Exception):
    """The restoring process ended here."""


def _dying_at(part: str, is_armed: threading.Event) -> FaultyStore:
    """A store whose process ends once it has written that part of a restore."""

    def die(number: int, operation: str, key: str) -> None:
        if is_armed.is_set() and key.endswith(f"/{part}.json"):
            raise _DiedError

    return FaultyStore(MemoryStore(), on_write=die)


STAGED_OVER = {"retention.ms": str(5 * DAY_MS), "compression.type": "gzip", "flush.ms": "5000"}


@pytest.mark.parametrize("part", ["targets", "replayed", "verified", "groups"])
def test_staging_settings_of_a_restore_that_died_never_become_the_topics_own(
    kafka: KafkaCluster, topic_name: str, part: str
) -> None:
    is_armed = threading.Event()
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=_dying_at(part, is_armed))
    target, created = f"{topic_name}-target", f"{topic_name}-created"
    _source(kafka, topic_name, {"segment.bytes": "1048576"})
    producing.create_topic(kafka.bootstrap, target, configs=STAGED_OVER)
    backups.back_up([topic_name])

    is_armed.set()
    for name in (target, created):
        with pytest.raises(_DiedError):
            backups.restore({topic_name: name})
        assert "-1" == own_settings(kafka.bootstrap_servers, name)["retention.ms"]
    is_armed.clear()
    for name in (target, created):
        backups.restore({topic_name: name}, purge_topics=True)

    assert {**STAGED_OVER, "segment.bytes": "1048576"} == own_settings(kafka.bootstrap_servers, target)
    assert {"segment.bytes": "1048576"} == own_settings(kafka.bootstrap_servers, created)
    assert contents(kafka.bootstrap, topic_name) == contents(kafka.bootstrap, target)


def test_what_somebody_has_set_since_a_restore_died_is_the_topics_own(
    kafka: KafkaCluster, topic_name: str, admin: KafkaAdmin
) -> None:
    target, is_armed = f"{topic_name}-target", threading.Event()
    _source(kafka, topic_name)
    producing.create_topic(kafka.bootstrap, target, configs={"retention.ms": str(HOUR_MS), "segment.ms": "4000"})
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=_dying_at("targets", is_armed))
    backups.back_up([topic_name])
    is_armed.set()
    with pytest.raises(_DiedError):
        backups.restore({topic_name: target}, topic_configs="ignore")
    is_armed.clear()
    later = {"retention.ms": str(30 * DAY_MS), "max.message.bytes": "2000000"}
    admin.alter_topic_configs(target, to_set=later, to_delete=["segment.ms"])

    backups.restore({topic_name: target}, topic_configs="ignore", finalize="apply")

    assert later == own_settings(kafka.bootstrap_servers, target)


def test_finalize_gives_the_settings_of_a_restore_that_died_once_it_had_verified(
    kafka: KafkaCluster, topic_name: str, admin: KafkaAdmin
) -> None:
    is_armed = threading.Event()
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=_dying_at("verified", is_armed))
    target = f"{topic_name}-target"
    _source(kafka, topic_name, {"segment.bytes": "1048576"})
    producing.create_topic(kafka.bootstrap, target, configs=STAGED_OVER)
    backups.back_up([topic_name])
    is_armed.set()
    with pytest.raises(_DiedError):
        backups.restore({topic_name: target})

    [restore] = restore_ids(backups.store)
    changed = finalize_restore(backups.repository, restore, admin)

    assert [target] == [topic.target for topic in changed]
    assert {**STAGED_OVER, "segment.bytes": "1048576"} == own_settings(kafka.bootstrap_servers, target)


def test_a_restore_that_died_before_it_verified_is_not_finalized(
    kafka: KafkaCluster, topic_name: str, admin: KafkaAdmin
) -> None:
    is_armed = threading.Event()
    is_armed.set()
    backups = Backups(bootstrap_servers=kafka.bootstrap_servers, store=_dying_at("replayed", is_armed))
    target = f"{topic_name}-target"
    _source(kafka, topic_name)
    backups.back_up([topic_name])
    with pytest.raises(_DiedError):
        backups.restore({topic_name: target})

    [restore] = restore_ids(backups.store)
    with pytest.raises(ConfigError, match="ended before it was verified"):
        finalize_restore(backups.repository, restore, admin)

    assert "-1" == own_settings(kafka.bootstrap_servers, target)["retention.ms"]


def test_a_restore_that_does_not_verify_says_so_and_keeps_its_staging_settings(
    kafka: KafkaCluster, backups: Backups, topic_name: str, admin: KafkaAdmin
) -> None:
    target = f"{topic_name}-target"
    _source(kafka, topic_name)
    backups.back_up([topic_name])

    def lose_records(partition: Partition, *, records: int, log_bytes: int) -> None:
        admin.delete_records({(target, 0): 2})

    result = backups.restore({topic_name: target}, progress=lose_records)

    assert any("has offsets 2 to 10" in mismatch.message for mismatch in result.mismatches)
    with pytest.raises(RefusedError, match="found mismatches"):
        finalize_restore(backups.repository, result.plan.restore, admin)
    assert "-1" == own_settings(kafka.bootstrap_servers, target)["retention.ms"]
