"""Restores into clusters that refuse settings, are older, change settings themselves, or limit what clients write."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tasks.broker.kafka_access import KafkaAdmin
from tasks.broker.raw.connection import ConnectionOptions
from tasks.engine.target.findings import Finding
from tasks.model.errors import BrokerUnavailableError, KafkaBackupError, RefusedError
from tests.conftest import KAFKA_VERSION
from tests.support import producing
from tests.support.command import Command
from tests.support.kafka import KafkaCluster
from tests.support.managed_kafka import ManagedKafka, managed_kafka
from tests.support.producing import OutRecord
from tests.support.quotas import produce_quota
from tests.support.round_trip import Backups, contents, now_ms, own_settings

pytestmark = pytest.mark.kafka

DAY_MS = 86_400_000
RULES = ("only_six", "small_batches", "fixed_policy", "week")


@dataclass(frozen=True, kw_only=True)
class Impatient(Backups):
    """Gives up after a second."""

    @property
    def connection(self) -> ConnectionOptions:
        """See `Backups.connection`."""
        return replace(super().connection, retry_deadline_ms=1_000)


@pytest.fixture(scope="module")
def managed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedKafka]:
    with managed_kafka(KAFKA_VERSION, tmp_path_factory.mktemp("managed")) as found:
        yield found


@pytest.fixture
def backups(managed: ManagedKafka) -> Backups:
    return Backups(bootstrap_servers=managed.cluster.bootstrap_servers)


def _source(
    cluster: KafkaCluster, topic: str, configs: Mapping[str, str] | None = None, *, age_ms: int = 0, count: int = 50
) -> None:
    unlimited = {"retention.ms": "-1"} if age_ms else {}
    producing.create_topic(cluster.bootstrap, topic, configs={**unlimited, **(configs or {})})
    stamp = now_ms() - age_ms
    records = [OutRecord(b"key-%d" % number, b"x" * 1000, timestamp=stamp) for number in range(count)]
    producing.produce(cluster.bootstrap, topic, records)


def _warnings(findings: object) -> list[str]:
    assert isinstance(findings, list)
    return [str(one) for one in findings if isinstance(one, Finding) and one.level == "warning"]


def _topics(cluster: KafkaCluster) -> set[str]:
    with KafkaAdmin(cluster.connection) as admin:
        return {topic.name for topic in admin.describe_topics()}


# ── policies ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("exists", [False, True], ids=["created", "existing"])
def test_young_small_records_are_restored_under_every_policy(
    managed: ManagedKafka, backups: Backups, topic_name: str, rule: str, exists: bool
) -> None:
    target = f"{topic_name}-target"
    _source(managed.cluster, topic_name)
    backups.back_up([topic_name])
    if exists:
        producing.create_topic(managed.cluster.bootstrap, target)

    with managed.rule(rule):
        result = backups.restore({topic_name: target}, topic_configs="ignore")

    assert ([], [], []) == (result.mismatches, result.deferred, _warnings(list(result.findings)))
    assert {} == own_settings(managed.cluster.bootstrap_servers, target)
    assert contents(managed.cluster.bootstrap, topic_name) == contents(managed.cluster.bootstrap, target)


@pytest.mark.parametrize(
    ("rule", "own", "words"),
    [
        ("only_six", {"flush.ms": "5000"}, "flush.ms cannot be changed on this plan"),
        ("small_batches", {"max.message.bytes": "9437184"}, "9437184 is more than 8388608"),
        ("fixed_policy", {"cleanup.policy": "compact"}, "cleanup.policy cannot be changed"),
        ("week", {"retention.ms": str(30 * DAY_MS)}, "2592000000 is more than 7 days"),
    ],
)
def test_what_a_policy_refuses_is_named_in_its_words_before_anything_is_made(
    managed: ManagedKafka, backups: Backups, topic_name: str, rule: str, own: dict[str, str], words: str
) -> None:
    target = f"{topic_name}-target"
    _source(managed.cluster, topic_name, {"retention.ms": str(6 * DAY_MS), **own})
    backups.back_up([topic_name])

    with managed.rule(rule), pytest.raises(RefusedError, match=f"{target}: cannot be created: .*{words}"):
        backups.restore({topic_name: target})

    assert target not in _topics(managed.cluster)
    with managed.rule(rule):
        assert [] == backups.restore({topic_name: target}, topic_configs="ignore").mismatches


def test_a_retention_as_long_as_the_records_need_is_staged_where_unlimited_is_refused(
    managed: ManagedKafka, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(managed.cluster, topic_name, age_ms=3 * DAY_MS)
    backups.back_up([topic_name])
    producing.create_topic(managed.cluster.bootstrap, target, configs={"retention.ms": "3600000"})

    with managed.rule("week"):
        result = backups.restore({topic_name: target}, topic_configs="ignore")

    assert ([], [target]) == (result.mismatches, result.deferred)
    age_ms = int(own_settings(managed.cluster.bootstrap_servers, target)["retention.ms"] or 0)
    assert 3 * DAY_MS < age_ms <= 7 * DAY_MS
    assert 50 == len(contents(managed.cluster.bootstrap, target))


def test_records_older_than_the_longest_retention_are_refused_before_anything_is_made(
    managed: ManagedKafka, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(managed.cluster, topic_name, age_ms=8 * DAY_MS)
    backups.back_up([topic_name])

    with managed.rule("week"), pytest.raises(RefusedError, match=r"would delete restored records.*more than 7 days"):
        backups.restore({topic_name: target}, topic_configs="ignore")
    assert target not in _topics(managed.cluster)


# ── topics that clients create by looking at them ───────────────────────────────────────────────────────────────────


def test_nothing_is_created_by_looking_at_topics(managed: ManagedKafka, topic_name: str, tmp_path: Path) -> None:
    """The brokers have `auto.create.topics.enable=true`."""
    _source(managed.cluster, topic_name)
    command, connection = Command(folder=tmp_path), managed.cluster.connection
    before = _topics(managed.cluster)

    command.write_backup(connection, [f"{topic_name}-missing"])
    command.back_up(code=2)
    command.write_backup(connection, [topic_name])
    command.back_up()
    command.write_restore(connection, {topic_name: f"{topic_name}-target"})
    command.run("validate-restore", "--config", "restore.yaml")
    command.write_restore(connection, {topic_name: f"{topic_name}-target"}, dry_run=True)
    command.restore()

    assert before == _topics(managed.cluster)


def test_names_that_kafkas_metrics_cannot_tell_apart_are_named(
    managed: ManagedKafka, backups: Backups, topic_name: str
) -> None:
    targets = {f"{topic_name}-x": f"{topic_name}.b", f"{topic_name}-y": f"{topic_name}_b"}
    for name in targets:
        _source(managed.cluster, name, count=1)
    backups.back_up(list(targets))
    result = backups.restore(targets, topic_configs="ignore")
    assert [f"warning: {name}" for name in targets.values()] == [
        text[: len(f"warning: {topic_name}.b")]
        for text in _warnings(list(result.findings))
        if "metrics in Kafka have the same name" in text
    ]


# ── somebody else ───────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _repeated(act: Callable[[], object]) -> Iterator[None]:
    """`act` is called every 0.2 s while the body runs, as an operator's control loop does."""
    stop = threading.Event()

    def loop() -> None:
        while not stop.wait(0.2):
            try:
                act()
            except KafkaBackupError:
                continue

    thread = threading.Thread(target=loop)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_a_retention_that_an_operator_sets_back_during_the_restore_is_the_reason_that_it_is_not_verified(
    managed: ManagedKafka, backups: Backups, topic_name: str
) -> None:
    target = f"{topic_name}-target"
    _source(managed.cluster, topic_name, age_ms=2 * DAY_MS, count=3_000)
    backups.back_up([topic_name])
    own = {"retention.ms": "3600000"}
    producing.create_topic(managed.cluster.bootstrap, target, configs=own)

    reason = "retention.ms was set back to 3600000 by someone else.*Pause the program"
    with (
        KafkaAdmin(managed.cluster.connection) as operator,
        produce_quota(managed.cluster.connection, 200_000),
        _repeated(lambda: operator.alter_topic_configs(target, own, ())),
        pytest.raises(RefusedError, match=reason),
    ):
        backups.restore({topic_name: target}, topic_configs="ignore")


def test_a_quota_on_producing_makes_a_restore_slower_and_nothing_else(
    managed: ManagedKafka, backups: Backups, topic_name: str
) -> None:
    """The first ten seconds' worth passes at once; the rest is throttled."""
    target = f"{topic_name}-target"
    _source(managed.cluster, topic_name, count=3_000)
    backups.back_up([topic_name])
    with produce_quota(managed.cluster.connection, 200_000):
        result = backups.restore({topic_name: target}, topic_configs="ignore")
    assert [] == result.mismatches
    assert contents(managed.cluster.bootstrap, topic_name) == contents(managed.cluster.bootstrap, target)


# ── older clusters ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.tried("Kafka", "3.5.2 as target of records from the newest version")
def test_an_older_cluster_gets_records_that_its_own_limits_would_refuse(
    managed: ManagedKafka, backups: Backups, topic_name: str
) -> None:
    """Kafka 3.5 has one limit of timestamps, and not the two of later versions."""
    newer = {"message.timestamp.before.max.ms": str(400 * DAY_MS), "flush.ms": "5000"}
    _source(managed.cluster, topic_name, newer, age_ms=300 * DAY_MS)
    backups.back_up([topic_name])
    limit = {"log.message.timestamp.difference.max.ms": str(DAY_MS)}

    with KafkaCluster("3.5.2", overrides=limit) as old:
        target = Backups(bootstrap_servers=old.bootstrap_servers, store=backups.store)
        result = target.restore({topic_name: "copy"})

        assert ([], 50) == (result.mismatches, len(contents(old.bootstrap, "copy")))
        assert {"flush.ms": "5000", "retention.ms": "-1"} == own_settings(old.bootstrap_servers, "copy")
        unknown = "warning: copy: message.timestamp.before.max.ms is not applied"
        assert [unknown] == [text[: len(unknown)] for text in _warnings(list(result.findings))]

        demanding = {"min.insync.replicas": "2"}
        producing.create_topic(old.bootstrap, "refuses", configs=demanding)
        with pytest.raises(BrokerUnavailableError, match="NOT_ENOUGH_REPLICAS"):
            Impatient(bootstrap_servers=old.bootstrap_servers).produce_batches(
                "refuses", backups.fetched_batches(topic_name)[:1]
            )
        _source(managed.cluster, f"{topic_name}-2", demanding)
        backups.back_up([f"{topic_name}-2"])
        with pytest.raises(RefusedError, match=r"replication factor 1 is below min.insync.replicas=2"):
            target.restore({f"{topic_name}-2": "few"})
        assert {"copy", "refuses"} == {name for name in _topics(old) if not name.startswith("__")}
