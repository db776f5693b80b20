"""The plan of a restore: which topics and partitions, into what, with which settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tasks.engine.options import TopicSelection
from tasks.engine.restore import restore_locally
from tasks.engine.restore_steps import preview_restore
from tasks.model.errors import AccessError, ConfigError, NotFoundError, RefusedError
from tasks.repository.points import PointReference
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, MAPPING, SET, SmallWorld, kafka, refused, said
from tests.support.faults import FaultyStore

OWN = {"retention.ms": str(30 * DAY_MS), "segment.bytes": "1048576", "cleanup.policy": "compact,delete"}
EXISTING = {"compression.type": "gzip", "flush.ms": "5000", "retention.ms": str(5 * DAY_MS)}


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with two partitions, and `payments` with one."""
    made = SmallWorld()
    made.topic(partitions=2, configs=OWN)
    made.topic("payments")
    made.back_up()
    return made


# ── what is taken ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_only_the_topics_asked_for_are_restored_with_their_counts(world: SmallWorld) -> None:
    plan = world.restore().plan

    assert [("orders", 0, "copy", 10), ("orders", 1, "copy", 10)] == [
        (copy.topic, copy.partition, copy.target_topic, copy.records) for copy in plan.partitions
    ]
    assert {"copy"} == set(world.target.topics.by_name)


def test_only_the_source_partitions_asked_for_come_back_in_a_topic_with_all_partitions(world: SmallWorld) -> None:
    world.restore(source_partitions=(1,))
    assert [(0, 0), (0, 10)] == [world.offsets("copy", partition) for partition in range(2)]


def test_a_source_partition_that_no_topic_has_is_refused(world: SmallWorld) -> None:
    with refused(RefusedError, "no chosen topic has partition 7", code=3):
        world.restore(source_partitions=(1, 7))


def test_a_mapping_of_a_topic_that_is_not_restored_is_refused(world: SmallWorld) -> None:
    request = world.restore_request({"orders": "copy", "payments": "other"})
    narrow = replace(request, topics=TopicSelection(include=("orders",)))

    with refused(RefusedError, "topic_mapping names payments, which this restore does not include. Correct", code=3):
        restore_locally(world.context(world.target), PointReference(SET), narrow, workers=1)


def test_a_pattern_that_looks_like_an_expression_gets_a_note_with_what_it_selected(world: SmallWorld) -> None:
    request = replace(world.restore_request({}), topics=TopicSelection(include=("orders", "o.*")))
    context = world.context(world.target)
    with context.admin() as admin:
        preview = preview_restore(context, admin, world.point(), request)

    [(subject, note)] = [one for one in said(preview.findings, "note") if one[0] == "topics"]
    assert "topics" == subject
    assert "topics.include 'o.*' is a pattern" in note
    assert "it selected no topic. A regular expression begins with ~: '~o.*'." in note


def test_a_topic_that_only_another_point_has_is_refused_with_that_points_name(world: SmallWorld) -> None:
    world.source.delete_topic("payments")
    world.back_up()

    with refused(RefusedError, r"There is no topic payments: correct topics.include\. set@1 has payments\.", code=3):
        world.restore({"payments": "copy"})
    assert [] == world.restore({"payments": "copy"}, seq=1).mismatches


def test_a_topic_that_no_point_has_is_refused(world: SmallWorld) -> None:
    with refused(RefusedError, r"There is no topic strangers: correct topics.include\.$", code=3):
        world.restore({"strangers": "copy"})


def test_a_point_that_does_not_exist_is_not_found(world: SmallWorld) -> None:
    with refused(NotFoundError, "2", code=10):
        world.restore(seq=2)


def test_a_re_created_topic_is_restored_from_the_incarnation_that_the_point_has(world: SmallWorld) -> None:
    old = world.contents("orders", cluster=world.source)
    world.source.delete_topic("orders")
    world.topic(partitions=2, records=3)
    world.back_up()

    world.restore()
    world.restore({"orders": "old"}, seq=1)

    assert (world.contents("orders", cluster=world.source), old) == (world.contents("copy"), world.contents("old"))


# ── a dry run ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_preview_writes_neither_to_the_cluster_nor_to_the_repository() -> None:
    store = FaultyStore(MemoryStore())
    world = SmallWorld(store=store)
    world.topic()
    world.back_up()
    world.topic("copy", records=0, cluster=world.target, configs=EXISTING)
    writes = store.writes

    preview = world.preview(dry_run=True)

    assert [10] == [copy.records for copy in preview.plan.partitions]
    assert (writes, {"copy"}, EXISTING) == (store.writes, set(world.target.topics.by_name), world.own_settings("copy"))


def test_a_dry_run_is_no_restore(world: SmallWorld) -> None:
    with refused(ConfigError, "With dry_run only a preview is possible", code=2):
        world.restore(dry_run=True)


# ── settings of the targets ─────────────────────────────────────────────────────────────────────────────────────────


def test_settings_of_the_topic_itself_come_back_and_nothing_else(world: SmallWorld) -> None:
    result = world.restore({"orders": "copy", "payments": "plain"})
    assert (OWN, {}, []) == (world.own_settings("copy"), world.own_settings("plain"), result.deferred)


def test_with_apply_an_existing_topic_gets_the_backups_settings_over_its_own(world: SmallWorld) -> None:
    world.topic("copy", partitions=2, records=0, cluster=world.target, configs=EXISTING)
    world.restore(topic_configs="apply")
    assert {**EXISTING, **OWN} == world.own_settings("copy")


def test_with_ignore_an_existing_topic_keeps_its_own_settings_and_a_new_one_gets_none(world: SmallWorld) -> None:
    world.topic("copy", partitions=2, records=0, cluster=world.target, configs=EXISTING)

    world.restore(topic_configs="ignore")
    world.restore({"orders": "new"}, topic_configs="ignore")

    assert (EXISTING, {}) == (world.own_settings("copy"), world.own_settings("new"))


def test_with_validate_a_new_topic_gets_the_backups_settings(world: SmallWorld) -> None:
    world.restore(topic_configs="validate")
    assert OWN == world.own_settings("copy")


def test_settings_that_name_brokers_are_left_behind(world: SmallWorld) -> None:
    settings = world.source.topics.by_name["payments"].settings
    settings.own = {"leader.replication.throttled.replicas": "0:1", "flush.ms": "7"}
    world.back_up()

    world.restore({"payments": "plain"})

    assert {"flush.ms": "7"} == world.own_settings("plain")


def test_a_new_topic_has_the_sources_replication_factor_and_an_existing_one_keeps_its_own() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, nodes=3)
    world.target = kafka(world.clock, seed=4, nodes=3)
    world.source.create_topic("orders", replicas=2)
    world.target.create_topic("there", replicas=3)
    world.back_up()

    for target in ("copy", "there"):
        world.restore({"orders": target})

    assert [2, 3] == [len(world.target.led((name, 0)).replicas) for name in ("copy", "there")]


# ── permissions ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _secured(world: SmallWorld, *operations: str) -> None:
    """An existing topic with records, on which the user is allowed exactly these operations."""
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic("copy", partitions=2, cluster=world.target)
    world.target.permissions.allow_only("restorer", "Topic", "copy", *operations)


EXISTING_NEEDS = ("Write", "Read", "AlterConfigs", "Delete")


@pytest.mark.parametrize("gone", EXISTING_NEEDS)
def test_an_existing_topic_needs_each_permission_before_anything_is_changed(world: SmallWorld, gone: str) -> None:
    _secured(world, *(one for one in EXISTING_NEEDS if one != gone))

    with refused(AccessError, f"Not allowed to restore into copy: that needs .*{gone} on Topic copy", code=12):
        world.restore(user="restorer", purge_topics=True)
    assert ((0, 10), {}) == (world.offsets("copy"), world.own_settings("copy"))


def test_these_permissions_are_enough_for_an_existing_topic(world: SmallWorld) -> None:
    _secured(world, *EXISTING_NEEDS)
    assert [] == world.restore(MAPPING, user="restorer", purge_topics=True).mismatches
