"""The plan of a snapshot: which topics, offsets and positions it has, and what it states to be missing."""

from __future__ import annotations

import pytest

from tasks.broker.admin_values import CommittedOffset
from tasks.engine.commit.completeness import missing_positions
from tasks.engine.source.snapshot_plan import draft_snapshot, plan_snapshot
from tasks.model.errors import AccessError, BrokerUnavailableError, ConfigError, NotFoundError
from tasks.repository.plans import Plan
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.kafka.groups import POSITIONS_TOPIC
from tests.simulation.kafka.refusals import UNKNOWN_SERVER_ERROR
from tests.simulation.rules.small_world import SmallWorld, kafka, refused
from tests.support.faults import FaultyStore

USER = "reader"


def _draft(world: SmallWorld, *topics: str, user: str = "ANONYMOUS", **options: object) -> Plan:
    return draft_snapshot(world.context(world.source, user=user), world.request(*topics, **options), is_dry_run=True)


def _secured() -> SmallWorld:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic()
    return world


# ── topics ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_topic_that_does_not_exist_is_an_error_and_makes_no_point(world: SmallWorld) -> None:
    world.topic()
    with refused(ConfigError, "There is no topic nothing", code=2):
        world.back_up("orders", "nothing")
    with pytest.raises(NotFoundError):
        world.point()


def test_a_selection_of_no_topics_is_an_error_and_makes_no_point(world: SmallWorld) -> None:
    with refused(ConfigError, "The topic selection matches no topic", code=2):
        world.back_up()
    with pytest.raises(NotFoundError):
        world.point()


def test_internal_topics_are_taken_only_when_asked_for(world: SmallWorld) -> None:
    world.topic()
    world.source.make_positions_topic()

    without = _draft(world)
    all_of_them = _draft(world, include_internal_topics=True)
    others = _draft(world, include_internal_topics=True, internal_topics=("__transaction_state",))

    assert [["orders"], ["__consumer_offsets", "orders"], ["orders"]] == [
        [part.topic for part in plan.partitions] for plan in (without, all_of_them, others)
    ]


def test_the_set_of_another_cluster_is_an_error(world: SmallWorld) -> None:
    world.topic()
    world.back_up()
    first = world.source.cluster_id
    world.source = kafka(world.clock, seed=9)
    world.topic()

    with refused(ConfigError, f"'set' belongs to cluster {first}; this is cluster {world.source.cluster_id}", code=2):
        world.back_up()
    assert 1 == world.point().seq


def test_settings_and_their_sources_are_kept_with_the_topics(world: SmallWorld) -> None:
    world.topic(configs={"retention.ms": "5"})
    state = world.back_up().topics
    sources = {one.name: (one.value, one.source) for one in state.topics[0].settings}
    assert {"retention.ms": "5"} == state.topics[0].topic_settings()
    assert (("5", 1), ("delete", 5)) == (sources["retention.ms"], sources["cleanup.policy"])
    assert ((), True) == (state.acls, "authorizer" in (state.acls_absent or "").lower())


def test_acls_are_kept_with_the_topics() -> None:
    world = _secured()
    world.source.permissions.allow_only("ANONYMOUS", "Topic", "orders", "Read", "DescribeConfigs")
    state = world.back_up().topics
    assert (["DESCRIBE_CONFIGS", "READ"], None) == (sorted(acl.operation for acl in state.acls), state.acls_absent)


def test_a_topic_that_the_brokers_describe_without_its_settings_is_not_backed_up(world: SmallWorld) -> None:
    """Deleted when its settings were read, and there again under the same id when it was described once more."""
    world.topic()
    topics = world.source.topics.by_name
    kept = topics["orders"]
    world.faults.before("admin.topic_configs", lambda: topics.pop("orders"))
    world.faults.after("admin.topic_configs", lambda: topics.update(orders=kept))

    with pytest.raises(BrokerUnavailableError, match="list topic orders but do not return its settings"):
        world.back_up()


# ── offsets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_plan_goes_from_the_log_start_to_the_last_stable_offset(world: SmallWorld) -> None:
    world.topic()
    world.source.log(("orders", 0)).move_start(3)
    world.source.transactional_producer().send(("orders", 0), world.records(4))
    world.send(records=2)

    [part] = _draft(world).partitions

    assert (3, 10, 16) == (part.start, part.end, part.high_watermark)


def test_what_is_not_replicated_yet_is_not_planned(world: SmallWorld) -> None:
    world.topic()
    world.source.hold_replication(("orders", 0))
    world.send(records=5)
    assert [(0, 10)] == [(part.start, part.end) for part in _draft(world).partitions]


def test_what_arrives_after_the_plan_is_the_next_points(world: SmallWorld) -> None:
    world.topic()
    world.faults.before("fetcher.send", lambda: world.send(records=5))
    first, second = world.back_up(), world.back_up()
    assert (10, 15) == (first.entry.totals.records, second.entry.totals.records)


def test_topics_with_nothing_in_them_are_a_complete_point(world: SmallWorld) -> None:
    world.topic(partitions=3, records=0)
    entry = world.back_up().entry
    assert ("complete", 3, 0, 0) == (entry.status, entry.totals.partitions, entry.totals.records, entry.totals.objects)


def test_a_partition_without_a_leader_is_named_and_the_others_are_kept(world: SmallWorld) -> None:
    world.topic(partitions=2)
    world.source.elect(("orders", 1), None)

    point = world.back_up()

    [failure] = point.entry.failures
    assert ("partial", 1, True, 10) == (
        point.entry.status,
        failure.partition,
        "leader" in failure.reason,
        point.entry.totals.records,
    )


def test_a_topic_that_is_deleted_while_the_backup_is_planned_is_named_and_the_others_are_kept(
    world: SmallWorld,
) -> None:
    world.topic("stays")
    world.topic("goes")
    world.faults.after("admin.describe_topics", lambda: world.source.delete_topic("goes"), skip=3)

    point = world.back_up()

    [failure] = point.entry.failures
    assert ("partial", 10, "goes") == (point.entry.status, point.entry.totals.records, failure.topic)
    assert ") was deleted, or deleted and created again." in failure.reason
    world.assert_valid()


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _groups(world: SmallWorld) -> list[str]:
    groups = world.back_up().groups
    assert groups is not None
    return [group.group for group in groups.groups]


def test_groups_are_read_before_anything_else(world: SmallWorld) -> None:
    """Positions that move on while the backup is planned must not lie beyond what it reads."""
    world.topic()
    world.commit("billing", {("orders", 0): 7})
    world.faults.before("admin.list_topics", lambda: world.commit("billing", {("orders", 0): 10}), skip=1)

    groups = world.back_up().groups

    assert groups is not None
    assert [7] == [one.offset for one in groups.groups[0].positions]


def test_groups_without_a_position_on_the_topics_are_left_out(world: SmallWorld) -> None:
    world.topic()
    world.topic("other")
    world.commit("billing", {("orders", 0): 7})
    world.commit("audit", {("other", 0): 7})

    groups = world.back_up("orders").groups

    assert groups is not None
    assert ["billing"] == [group.group for group in groups.groups]


def test_a_topic_that_is_created_again_after_the_groups_were_read_does_not_inherit_their_positions(
    world: SmallWorld,
) -> None:
    world.topic()
    world.commit("billing", {("orders", 0): 7})

    def create_again() -> None:
        world.source.delete_topic("orders")
        world.topic(records=10)

    world.faults.after("admin.committed_offsets", create_again)
    point = world.back_up()

    [topic_id] = {source.topic_id for source in point.rows}
    assert point.groups is not None
    assert topic_id not in {one.topic_id for group in point.groups.groups for one in group.positions}


def test_a_share_group_is_named_as_not_covered(world: SmallWorld) -> None:
    world.topic()
    world.source.groups.join("sharing", group_type="share")
    groups = world.back_up().groups
    assert groups is not None
    assert (("sharing (share group)",), ()) == (groups.not_covered, groups.groups)


def test_a_coordinator_that_is_missing_for_a_moment_is_waited_for(world: SmallWorld) -> None:
    world.topic()
    world.commit("billing", {("orders", 0): 7})
    world.source.make_positions_topic()
    world.source.elect((POSITIONS_TOPIC, 0), None)
    world.clock.after(1000, lambda: world.source.elect((POSITIONS_TOPIC, 0), 1))
    assert ["billing"] == _groups(world)


def test_positions_whose_coordinator_stays_away_make_the_point_partial_and_never_empty(world: SmallWorld) -> None:
    world.topic()
    world.commit("billing", {("orders", 0): 7})
    world.source.make_positions_topic()
    world.source.elect((POSITIONS_TOPIC, 0), None)

    point = world.back_up()

    assert ("partial", None, 10) == (point.entry.status, point.entry.groups, point.entry.totals.records)
    assert "__consumer_offsets have no leader" in (point.entry.groups_failure or "")


def test_a_group_that_cannot_be_read_says_why_and_the_others_are_kept(world: SmallWorld) -> None:
    world.topic()
    for group in ("audit", "billing"):
        world.commit(group, {("orders", 0): 7})
    world.source.groups.by_id["audit"].refusal = UNKNOWN_SERVER_ERROR

    point = world.back_up()

    assert point.groups is not None
    assert [("audit", True, 0), ("billing", False, 1)] == [
        (group.group, group.failure is not None, len(group.positions)) for group in point.groups.groups
    ]
    assert "partial" == point.entry.status


def test_positions_that_an_open_transaction_is_about_to_replace_are_the_last_ones_and_are_marked(
    world: SmallWorld,
) -> None:
    world.topic()
    groups = [f"g{number:03}" for number in range(300)]
    for group in groups:
        world.commit(group, {("orders", 0): 3}, metadata="m")
        world.source.groups.begin_commit(group, [CommittedOffset(topic="orders", partition=0, offset=9)])
    world.commit("settled", {("orders", 0): 7})
    began_ms = world.clock.now_ms()

    point = world.back_up()

    assert world.clock.now_ms() - began_ms < 30_000, "the groups are waited for together"
    assert point.groups is not None
    found = {group.group: group for group in point.groups.groups}
    assert [*groups, "settled"] == list(found)
    unsettled = {name: [(one.topic, one.partition) for one in group.unsettled] for name, group in found.items()}
    assert {**{key: [("orders", 0)] for key in groups}, "settled": []} == unsettled
    offsets = {name: [(one.offset, one.metadata) for one in group.positions] for name, group in found.items()}
    assert {**{key: [(3, "m")] for key in groups}, "settled": [(7, "")]} == offsets
    assert "complete" == point.entry.status
    notes = missing_positions(point).unsettled
    assert 300 == len(notes)
    assert "group g000: an open transaction is about to replace its positions on orders-0" in notes[0]


def test_the_positions_of_a_streams_group_are_kept(world: SmallWorld) -> None:
    world.topic()
    world.source.groups.join("stream", group_type="streams")
    world.commit("stream", {("orders", 0): 7})
    groups = world.back_up().groups
    assert groups is not None
    assert ([("stream", "streams", 7)], ()) == (
        [(one.group, one.group_type, one.positions[0].offset) for one in groups.groups],
        groups.not_covered,
    )


def test_positions_are_not_read_unless_they_are_asked_for(world: SmallWorld) -> None:
    world.topic()
    world.commit("billing", {("orders", 0): 7})
    entry = world.back_up(consumer_group_snapshot=False).entry
    assert ("complete", None, None) == (entry.status, entry.groups, entry.groups_failure)


# ── permissions ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gone", ["Read", "DescribeConfigs"])
def test_a_topic_needs_two_permissions(gone: str) -> None:
    world = _secured()
    for operation in {"Read", "DescribeConfigs"} - {gone}:
        world.source.permissions.allow_only(USER, "Topic", "orders", operation)
    world.source.permissions.allow_only(USER, "Topic", "orders", "Describe")

    with refused(AccessError, f"{gone} on Topic orders", code=12):
        world.back_up("orders", user=USER)

    world.source.permissions.allow_only(USER, "Topic", "orders", gone)
    assert "complete" == world.back_up("orders", user=USER).entry.status


def test_a_topic_that_is_asked_for_by_name_and_hidden_is_an_access_error_and_not_a_wrong_name() -> None:
    world = _secured()
    world.source.permissions.allow_only("somebody", "Topic", "orders", "Read")
    with refused(AccessError, "Not allowed to back up orders: .*Read on Topic orders", code=12):
        world.back_up("orders", user=USER)


def test_a_topic_that_is_hidden_now_is_named_and_the_point_keeps_what_it_had_of_it() -> None:
    world = _secured()
    world.topic("other")
    world.back_up("*", user=USER)
    world.source.permissions.allow_only("somebody", "Topic", "other", "Read")
    world.send(records=5)

    point = world.back_up("*", user=USER)

    [failure] = point.entry.failures
    assert ("partial", "other", 25) == (point.entry.status, failure.topic, point.entry.totals.records)
    assert "Not allowed to back up other" in failure.reason
    assert ["orders", "other"] == sorted(topic.topic for topic in point.topics.topics)
    world.assert_valid()
    world.restore({"other": "copy"})
    assert 10 == len(world.contents("copy"))


def test_a_topic_that_was_deleted_is_not_taken_for_hidden() -> None:
    world = _secured()
    world.topic("other")
    world.back_up("*", user=USER)
    world.source.delete_topic("other")
    entry = world.back_up("*", user=USER).entry
    assert ("complete", (), 10) == (entry.status, entry.failures, entry.totals.records)


@pytest.mark.parametrize(("kind", "name"), [("Cluster", "kafka-cluster"), ("Group", "billing")])
def test_positions_need_two_permissions_more_and_the_data_is_kept_without_them(kind: str, name: str) -> None:
    world = _secured()
    world.commit("billing", {("orders", 0): 7})
    world.source.permissions.allow_only("somebody", kind, name, "Describe")

    plan = _draft(world, user=USER)
    point = world.back_up(user=USER)

    assert any(f"Describe on {kind} {name}" in one for one in plan.denied)
    assert ("partial", 10) == (point.entry.status, point.entry.totals.records)
    world.source.permissions.clear(kind, name)
    assert "complete" == world.back_up(user=USER).entry.status


# ── stored, or not ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_dry_run_stores_nothing() -> None:
    store = FaultyStore(MemoryStore())
    world = SmallWorld(store=store)
    world.topic()
    assert world.repository.root
    writes = store.writes
    assert (10, writes) == (_draft(world).partitions[0].end, store.writes)


def test_a_run_that_has_a_plan_already_keeps_it(world: SmallWorld) -> None:
    world.topic()
    context, request = world.context(world.source), world.request()
    first = plan_snapshot(context, request)
    world.send(records=5)
    world.clock.advance(1000)
    again = plan_snapshot(context, request)
    assert (10, first.planned_ms) == (again.partitions[0].end, again.planned_ms)


# ── leader epochs ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_point_has_the_leader_epoch_of_each_partition_at_the_time_of_its_plan(world: SmallWorld) -> None:
    """An election without a new batch raises it above the epoch of the last batch."""
    world.topic()
    world.source.elect(("orders", 0), 1)
    world.source.elect(("orders", 0), 1)

    [row] = world.back_up().rows.values()

    assert (0, 2) == (row.epoch, row.leader_epoch)
    assert 2 == row.to_json()["leader_epoch"]
    assert "leader_epoch" not in row.model_copy(update={"leader_epoch": None}).to_json()
