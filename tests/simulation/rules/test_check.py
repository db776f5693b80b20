"""A check reports each thing that a job needs as a row, tries everything else all the same, and changes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tasks.broker.probe_values import CredentialLifetimes, VersionRange
from tasks.cli.check import code_of
from tasks.engine.check import CheckContext, check
from tasks.engine.checks.items import CheckItem
from tasks.engine.checks.jobs import BackupJob, CheckJob, RestoreJob
from tasks.engine.checks.store import trial_items
from tasks.engine.freeze import freeze_repository
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.run_context import RunContext
from tasks.model.errors import (
    AccessError,
    BrokerUnavailableError,
    ConfigError,
    InterruptedRunError,
    KafkaBackupError,
    StoreUnavailableError,
)
from tasks.repository.points import PointReference
from tasks.repository.repository import Repository
from tasks.store.bucket_rules import BucketRule, BucketState
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo, ObjectStore
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.kafka.clock import SimulatedStop
from tests.simulation.kafka.groups import POSITIONS_TOPIC
from tests.simulation.kafka.permissions import CLUSTER
from tests.simulation.rules.small_world import MAPPING, SET, WITH_POSITIONS, SmallWorld, kafka
from tests.support.faults import FaultyStore

USER = "checker"
DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def _now_ms() -> int:
    """The machine's time, because a store in memory has it too."""
    return time.time_ns() // 1_000_000


@dataclass
class _Bucket:
    """A bucket whose repository is in the folder `team`."""

    answer: Callable[[], BucketState]
    root: str = "team/"

    def read(self) -> BucketState:
        """See `BucketRules`."""
        return self.answer()

    def replace(self, before: BucketState, rules: Sequence[BucketRule]) -> None:
        """A check writes no rules."""
        raise AssertionError("a check changes nothing")


@dataclass
class Checked:
    """A world and the check of its clusters and its store."""

    world: SmallWorld
    cluster: SimulatedKafka
    job: CheckJob
    store: FaultyStore
    free_bytes: int | None = 1 << 40
    bucket: Callable[[], BucketState] | None = None
    data_place: ObjectStore | None = None
    steps: list[str] = field(default_factory=list)

    def context(self) -> CheckContext:
        @contextmanager
        def trial() -> Iterator[ObjectStore]:
            yield self.store

        @contextmanager
        def opened_data_place() -> Iterator[ObjectStore]:
            assert self.data_place is not None
            yield self.data_place

        return CheckContext(
            location=self.data_place.location if self.data_place else self.store.location,
            trial_location=self.store.location,
            open_data_place=opened_data_place if self.data_place else None,
            open_cluster=lambda: self.cluster.access(user=USER),
            open_trial=trial,
            open_repository=lambda: Repository.open(self.store, self.world.clock.now_ms),
            free_bytes=lambda: self.free_bytes,
            open_bucket=lambda: _Bucket(self.bucket) if self.bucket else None,
            now_ms=_now_ms,
            stop=SimulatedStop(self.world.clock),
        )

    def run(self, context: CheckContext | None = None) -> list[CheckItem]:
        """The rows. Asserts that neither the store nor the cluster is changed."""
        before = self.state()
        items = check(context or self.context(), self.job, self.steps.append)
        assert before == self.state()
        return items

    def state(self) -> object:
        """What has to stay. Kafka itself makes its topic of positions when a group is looked up for the first time."""
        found = {name: dict(topic.settings.own) for name, topic in self.cluster.topics.by_name.items()}
        topics = {name: own for name, own in found.items() if name != POSITIONS_TOPIC}
        stored = [(info.key, info.version) for info in self.world.store.list("")]
        return topics, stored


def _backup(world: SmallWorld, *topics: str, **options: object) -> Checked:
    job = BackupJob(
        set_name=SET,
        topics=TopicSelection(include=topics),
        options=BackupOptions.model_validate({"consumer_group_snapshot": True, **options}),
    )
    return Checked(world, world.source, job, FaultyStore(world.store))


def _restore(world: SmallWorld, **options: Any) -> Checked:
    request = world.restore_request(MAPPING, **options)
    job = RestoreJob(reference=PointReference(SET), request=request)
    return Checked(world, world.target, job, FaultyStore(world.store))


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with ten records and a group at offset 7, on clusters with authorizers."""
    made = SmallWorld()
    made.source = kafka(made.clock, seed=1, has_authorizer=True)
    made.target = kafka(made.clock, seed=2, has_authorizer=True)
    made.topic()
    made.commit("billing", {("orders", 0): 7})
    made.back_up()
    return made


def _stopping(items: Sequence[CheckItem]) -> list[tuple[str, str]]:
    return [(one.subject, one.name) for one in items if one.stops_the_job]


def _optional(items: Sequence[CheckItem]) -> list[tuple[str, str]]:
    return [(one.subject, one.name) for one in items if one.status == "missing" and not one.is_needed]


def _open(items: Sequence[CheckItem]) -> list[tuple[str, str]]:
    return [(one.subject, one.name) for one in items if one.status == "unknown" and one.is_needed]


def _row(items: Sequence[CheckItem], name: str) -> CheckItem:
    [found] = [one for one in items if one.name == name]
    return found


# ── everything is there ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_backup_that_has_everything_has_no_missing_row(world: SmallWorld) -> None:
    checked = _backup(world)
    items = checked.run()

    assert ([], [], []) == (_stopping(items), _optional(items), _open(items))
    assert 0 == code_of(items)
    assert ["the cluster", "the store", "permissions and topics"] == checked.steps
    assert {"reached", "requests", "connections", "clock", "write objects", "repository", "free space", "Read"} <= {
        one.name for one in items
    }


def test_a_restore_that_has_everything_has_no_missing_row(world: SmallWorld) -> None:
    items = _restore(world, **WITH_POSITIONS).run()

    assert ([], [], []) == (_stopping(items), _optional(items), _open(items))
    assert f"{SET}@1 of " in _row(items, "restore point").found
    assert "validate_only" in _row(items, "preflight").found


def test_a_first_backup_needs_no_repository(world: SmallWorld) -> None:
    empty = SmallWorld()
    empty.topic()
    items = _backup(empty).run()

    assert [] == _stopping(items)
    assert "the first backup makes it" in _row(items, "repository").found


# ── ACLs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("operation", ["Read", "DescribeConfigs"])
def test_a_missing_acl_on_a_topic_of_a_backup_is_a_row(world: SmallWorld, operation: str) -> None:
    world.topic("audit")
    for granted in ("Read", "DescribeConfigs", "Describe"):
        if granted != operation:
            world.source.permissions.allow_only(USER, "Topic", "orders", granted)

    items = _backup(world).run()

    assert [("Topic orders", operation)] == _stopping(items)
    assert f"Add an ACL: {operation} on Topic orders." == next(one.advice for one in items if one.stops_the_job)
    assert ("Topic audit", operation) in {(one.subject, one.name) for one in items if one.status == "ok"}
    assert 12 == code_of(items)


def test_a_topic_that_is_included_by_name_and_hidden_is_named_and_the_others_are_checked(world: SmallWorld) -> None:
    world.topic("audit")
    world.source.permissions.allow_only("another", "Topic", "audit", "All")

    items = _backup(world, "orders", "audit").run()

    assert [("Topic audit", "Read"), ("Topic audit", "DescribeConfigs")] == _stopping(items)
    assert ("Topic orders", "Read") in {(one.subject, one.name) for one in items if one.status == "ok"}


def test_a_topic_that_does_not_exist_is_no_missing_acl(world: SmallWorld) -> None:
    items = _backup(world, "ordres").run()

    assert [("topics", "selection")] == _stopping(items)
    assert 2 == code_of(items)


def test_groups_need_two_acls_and_without_groups_both_are_no_need(world: SmallWorld) -> None:
    world.source.permissions.allow_only("another", "Cluster", CLUSTER, "All")
    world.source.permissions.allow_only("another", "Group", "billing", "All")

    assert [(f"Cluster {CLUSTER}", "Describe")] == _stopping(_backup(world).run())[:1]
    items = _backup(world, consumer_group_snapshot=False).run()
    assert ([], [(f"Cluster {CLUSTER}", "Describe")]) == (_stopping(items), _optional(items))
    assert 0 == code_of(items)


def test_the_permissions_for_quotas_and_users_are_optional(world: SmallWorld) -> None:
    world.source.permissions.allow_only("another", "Cluster", CLUSTER, "All")

    items = _backup(world, consumer_group_snapshot=False, client_state_snapshot=True).run()

    cluster = f"Cluster {CLUSTER}"
    assert ([], [(cluster, "Describe"), (cluster, "DescribeConfigs")]) == (_stopping(items), _optional(items))
    assert 0 == code_of(items)


def test_a_group_that_cannot_be_described_is_a_row(world: SmallWorld) -> None:
    world.source.permissions.allow_only("another", "Group", "billing", "All")

    items = _backup(world).run()

    assert [("Group billing", "Describe")] == _stopping(items)


def test_the_topic_of_positions_is_optional(world: SmallWorld) -> None:
    world.source.permissions.allow_only("another", "Topic", POSITIONS_TOPIC, "All")

    assert [(f"Topic {POSITIONS_TOPIC}", "Describe")] == _optional(_backup(world).run())


@pytest.mark.parametrize("operation", ["Write", "Read", "AlterConfigs", "Delete"])
def test_a_missing_acl_on_an_existing_target_is_a_row(world: SmallWorld, operation: str) -> None:
    world.topic("copy", records=0, cluster=world.target)
    for granted in {"Write", "Read", "AlterConfigs", "Delete", "DescribeConfigs"} - {operation}:
        world.target.permissions.allow_only(USER, "Topic", "copy", granted)

    items = _restore(world, purge_topics=True).run()

    assert [("Topic copy", operation)] == _stopping(items)
    assert [("target topics", "preflight")] == _open(items), "what stands on the missing ACL is not tried"


@pytest.mark.parametrize("operation", ["Create", "AlterConfigs", "Write", "Read"])
def test_a_missing_acl_on_a_new_target_is_a_row(world: SmallWorld, operation: str) -> None:
    world.target.permissions.allow_only("another", "Cluster", CLUSTER, "All")
    for granted in {"Write", "Read", "AlterConfigs", "Create"} - {operation}:
        world.target.permissions.allow_only(USER, "Topic", "copy", granted)

    assert [("Topic copy", operation)] == _stopping(_restore(world).run())


def test_a_missing_acl_on_a_group_of_a_restore_is_a_row(world: SmallWorld) -> None:
    world.target.permissions.allow_only("another", "Group", "billing", "All")

    assert [("Group billing", "Read")] == _stopping(_restore(world, **WITH_POSITIONS).run())
    assert [] == _stopping(_restore(world).run())


# ── the cluster ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cluster_that_cannot_be_reached_leaves_the_rows_about_the_store(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.cluster.outside.failures[None] = BrokerUnavailableError("Cannot connect to kafka:9092.")

    items = checked.run()

    assert ["reached", "listener"] == [name for _, name in _stopping(items)]
    assert [("ACLs and topics", "not checked")] == _open(items)
    assert "ok" == _row(items, "write objects").status
    assert 1 == code_of(items)


def test_an_advertised_address_that_cannot_be_reached_is_named_with_what_to_correct(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.cluster.outside.failures[1] = BrokerUnavailableError("Cannot connect to kafka:9092.")

    items = checked.run()

    assert [("broker 1", "advertised address")] == _stopping(items)
    assert "advertised.listeners" in _row(items, "advertised address").advice


def test_wrong_credentials_end_with_the_code_of_access(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.cluster.outside.failures[None] = AccessError("Broker kafka:9092 does not accept the credentials.")

    assert 12 == code_of(checked.run())


def test_settings_that_cannot_be_used_are_a_row(world: SmallWorld) -> None:
    checked = _backup(world)

    def fail() -> Any:
        raise ConfigError("ssl_ca_location: /nowhere: No such file or directory.")

    items = checked.run(replace(checked.context(), open_cluster=fail))

    assert [("cluster", "connection settings")] == _stopping(items)
    assert 2 == code_of(items)


def test_a_request_that_brokers_lack_stops_the_job_with_the_code_of_configuration(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.cluster.outside.requests = {**checked.cluster.outside.requests, "Fetch": VersionRange(0, 11)}

    items = checked.run()

    assert [("broker 1", "request Fetch")] == _stopping(items)
    assert 2 == code_of(items)


def test_lifetimes_are_told_and_an_end_within_two_weeks_is_reported(world: SmallWorld) -> None:
    checked, now_ms = _backup(world), _now_ms()
    outside = checked.cluster.outside
    outside.certificate_ends_ms, outside.session_lifetime_ms = now_ms + 100 * DAY_MS + HOUR_MS, HOUR_MS
    outside.credentials = CredentialLifetimes(
        certificate_ends_ms=now_ms + 3 * DAY_MS + HOUR_MS, token_ends_ms=now_ms + 600_000
    )

    items = checked.run()

    assert [("client", "certificate")] == _optional(items)
    assert ["in 100 days", "in 3 days"] == [one.found.rpartition(", ")[2] for one in items if one.name == "certificate"]
    assert "every 3,600 s" in _row(items, "SASL session").found
    assert "in 10 min" in _row(items, "token").found


def test_a_limit_of_connections_is_told_with_the_key_that_helps(world: SmallWorld) -> None:
    checked = _backup(world, max_concurrent_partitions=16)
    checked.cluster.outside.most_connections = 6

    items = checked.run()

    assert "only 6 of 17" in _row(items, "connections").found
    assert "max_concurrent_partitions to 5" in _row(items, "connections").advice
    assert 0 == code_of(items)


# ── the store and the repository ────────────────────────────────────────────────────────────────────────────────────


def test_a_store_that_does_not_answer_is_asked_once(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.store.refuse("list", StoreUnavailableError("s3://b cannot be reached."), times=99)

    items = checked.run()

    assert [(checked.store.location, "list objects")] == [
        place for place in _open(items) if place[0] == checked.store.location
    ]
    assert 3 == code_of(items)


def test_without_the_right_to_delete_nothing_is_written(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.store.refuse("delete", AccessError("access denied."), times=99)

    items = checked.run()

    assert [(checked.store.location, "delete objects")] == _optional(items)
    assert [(checked.store.location, "write objects")] == _open(items)
    assert 3 == code_of(items)


@pytest.mark.parametrize(
    ("operation", "name"), [("put_if_absent", "write objects"), ("get", "read objects"), ("list", "list objects")]
)
def test_each_missing_right_on_a_store_is_a_row_and_nothing_stays(world: SmallWorld, operation: Any, name: str) -> None:
    checked = _backup(world)
    checked.store.refuse(operation, AccessError("access denied."), times=99)

    items = checked.run()

    assert (checked.store.location, name) in _stopping(items)
    assert 12 == code_of(items)


def test_a_full_disk_stops_a_backup(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.free_bytes = 0
    assert [(checked.store.location, "free space")] == _stopping(checked.run())

    checked.free_bytes = 1 << 20
    assert [(checked.store.location, "free space")] == _optional(checked.run())


def test_a_freeze_is_told_and_does_not_stop_a_backup(world: SmallWorld) -> None:
    checked = _backup(world)
    assert "freeze" not in {item.name for item in checked.run()}
    freeze_repository(RunContext(repository=world.repository), reason="ransomware", by="on call")

    items = checked.run()

    assert [] == _stopping(items)
    assert "by on call: ransomware. Backups and restores go on" in _row(items, "freeze").found


def test_a_set_of_another_cluster_is_named(world: SmallWorld) -> None:
    checked = _backup(world)
    checked.cluster = kafka(world.clock, seed=3)
    checked.cluster.create_topic("orders")

    assert [(f"set {SET}", "cluster")] == _stopping(checked.run())


def test_a_point_that_does_not_exist_ends_with_its_code(world: SmallWorld) -> None:
    checked = _restore(world)
    checked.job = RestoreJob(reference=PointReference(SET, seq=9), request=world.restore_request())

    assert 10 == code_of(checked.run())


def test_what_a_restore_would_be_refused_for_is_a_row(world: SmallWorld) -> None:
    world.topic("copy", records=3, cluster=world.target)

    items = _restore(world).run()

    assert [("copy-0", "preflight")] == _stopping(items)
    assert 3 == code_of(items)


def test_a_stop_request_ends_the_check(world: SmallWorld) -> None:
    checked = _backup(world)
    context = checked.context()
    context.stop.set()

    with pytest.raises(InterruptedRunError):
        check(context, checked.job)


# ── the bucket ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rules_and_settings_of_the_bucket_that_endanger_the_set_are_warnings_with_what_to_do(world: SmallWorld) -> None:
    state = BucketState(
        rules=(BucketRule(name="all", prefix="", expires="after 30 days"),),
        has_versions=True,
        default_lock="GOVERNANCE for 1 day",
    )
    checked = _backup(world)
    checked.bucket = lambda: state
    items = checked.run()

    found = [one.found for one in items if one.name == "lifecycle rules"]
    assert ["lifecycle rules"] * 3 == [name for _, name in _optional(items)]
    assert 0 == code_of(items)
    for text, wanted in zip(found, ("Delete the rule", "Remove the default retention", "lifecycle apply"), strict=True):
        assert wanted in text


def test_a_bucket_without_such_rules_is_a_row_and_a_store_without_a_bucket_is_none(world: SmallWorld) -> None:
    checked = _restore(world)
    checked.bucket = lambda: BucketState(rules=(), has_versions=False, default_lock=None)
    assert "ok" == _row(checked.run(), "lifecycle rules").status
    assert "lifecycle rules" not in {one.name for one in _restore(world).run()}


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (AccessError("s3:GetLifecycleConfiguration is missing"), "Grant"),
        (StoreUnavailableError("it does not answer"), ""),
    ],
)
def test_rules_that_cannot_be_read_are_a_note_and_no_finding(
    world: SmallWorld, error: KafkaBackupError, advice: str
) -> None:
    def refuse() -> BucketState:
        raise error

    checked = _backup(world)
    checked.bucket = refuse
    items = checked.run()
    row = _row(items, "lifecycle rules")
    assert ("unknown", False, True) == (row.status, row.is_needed, str(error) in row.found)
    assert row.advice.startswith(advice)
    assert ([], [], 0) == (_optional(items), _open(items), code_of(items))


class _Denied(MemoryStore):
    """The place of the data, in which nothing is allowed but to list."""

    def get(self, key: str) -> tuple[bytes, ObjectInfo]:
        raise AccessError(f"{key} in {self.location}: access denied.")

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        raise AssertionError("a check writes nothing to the place of the data")


def test_the_place_of_the_data_has_rows_of_its_own_and_nothing_is_written_there(world: SmallWorld) -> None:
    checked = _backup(world, "orders")
    checked.data_place = _Denied("data")

    rows = {item.name: item for item in checked.run() if item.subject == "memory://data"}

    assert ("ok", "missing", "unknown") == tuple(
        rows[name].status for name in ("list objects", "read objects", "write objects")
    )
    assert "a retention policy of the place would keep the object of the trial" in rows["write objects"].found


class _WithoutConditions(MemoryStore):
    """Ignores the conditions of writes until it is told that there is a single writer."""

    is_told = False

    @property
    def is_single_writer(self) -> bool:
        return self.is_told

    def write_alone(self) -> None:
        self.is_told = True

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        return super().put_if_absent(key, body, sha256=sha256) if self.is_told else self.put(key, body)

    def compare_and_swap(self, key: str, body: Body, *, expected: str | None) -> ObjectInfo:
        return super().compare_and_swap(key, body, expected=expected) if self.is_told else self.put(key, body)


@pytest.mark.parametrize("is_stated", [True, False])
def test_a_store_without_conditions_is_right_for_a_repository_that_states_a_single_writer(is_stated: bool) -> None:
    store = _WithoutConditions("weak")
    if is_stated:
        store.write_alone()
        Repository.open_or_create(store, _now_ms)
        store.is_told = False

    found = {item.name: item.status for item in trial_items(store, store.location, _now_ms)}

    assert ("ok" if is_stated else "missing") == found["conditional put"]
