"""The target topics are made or staged once, and are the ones that were planned for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.engine.restore_steps import Preview
from tasks.model.errors import AccessError, BrokerError, RefusedError
from tasks.repository.restores import Targets, read_part
from tests.simulation.rules.small_world import SmallWorld, kafka, refused

OWN = {"retention.ms": "123456", "compression.type": "gzip", "message.timestamp.type": "LogAppendTime"}


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with ten records."""
    made = SmallWorld()
    made.topic(configs=OWN)
    made.back_up()
    return made


def _before_prepare(act: Callable[[], object]) -> Callable[[Preview], None]:
    """After the plan was shown, and before anything is changed."""

    def previewed(preview: Preview) -> None:
        act()

    return previewed


def _targets(world: SmallWorld) -> Targets:
    [restore] = world.restores()
    targets = read_part(world.store, restore, "targets", Targets)
    assert targets is not None
    return targets


# ── staging ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("exists", [False, True], ids=["created", "existing"])
def test_a_topic_is_staged_while_it_is_replayed_into_and_gets_its_own_settings_back(
    world: SmallWorld, exists: bool
) -> None:
    if exists:
        world.topic("copy", records=0, cluster=world.target, configs={"flush.ms": "7", **OWN})
    seen: list[dict[str, str]] = []
    world.target_faults.before("batch.land", lambda: seen.append(world.own_settings("copy")))

    world.restore(finalize="apply")

    staged = {**OWN, "retention.ms": "-1", "message.timestamp.type": "CreateTime"}
    kept = {"flush.ms": "7"} if exists else {}
    assert ([{**staged, **kept}], {**OWN, **kept}) == (seen, world.own_settings("copy"))


def test_young_small_records_are_restored_without_staging_anything() -> None:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.topic("copy", records=0, cluster=world.target)
    seen: list[dict[str, str]] = []
    world.target_faults.before("batch.land", lambda: seen.append(world.own_settings("copy")))

    assert [] == world.restore().mismatches
    assert [{}] == seen


def test_staging_takes_batches_larger_than_the_targets_own_limit(world: SmallWorld) -> None:
    world.topic("copy", records=0, cluster=world.target, configs={"max.message.bytes": "100"})
    assert [] == world.restore(topic_configs="ignore").mismatches
    assert {"max.message.bytes": "100"} == world.own_settings("copy")


# ── the topics are the ones that were planned for ───────────────────────────────────────────────────────────────────


def test_a_target_that_was_re_created_since_the_plan_is_refused(world: SmallWorld) -> None:
    world.topic("copy", records=0, cluster=world.target)

    def re_create() -> None:
        world.target.delete_topic("copy")
        world.target.create_topic("copy")

    with refused(RefusedError, "copy was deleted and created again since this restore was planned", code=3):
        world.restore(previewed=_before_prepare(re_create))
    assert {} == world.own_settings("copy")


def test_a_target_that_got_records_since_the_plan_is_refused(world: SmallWorld) -> None:
    world.topic("copy", records=0, cluster=world.target)
    with refused(RefusedError, "copy-0: it is not empty", code=3):
        world.restore(previewed=_before_prepare(lambda: world.send(("copy", 0), 3, cluster=world.target)))
    assert (0, 3) == world.offsets("copy")


def test_a_target_that_somebody_else_created_since_the_plan_is_not_restored_into(world: SmallWorld) -> None:
    with pytest.raises(BrokerError, match="already exists"):
        world.restore(previewed=_before_prepare(lambda: world.target.create_topic("copy")))
    assert ({}, (0, 0)) == (world.own_settings("copy"), world.offsets("copy"))


def test_somebody_who_writes_between_preparation_and_replay_stops_the_restore(world: SmallWorld) -> None:
    def write() -> None:
        world.send(("copy", 0), 1, cluster=world.target)

    world.target_faults.before("writer.list_offsets", write, skip=2)
    with refused(
        RefusedError, "cannot go on, because offset 0 contains a batch that is not one of this restore", code=3
    ):
        world.restore()
    assert (0, 1) == world.offsets("copy")


def test_brokers_that_have_not_heard_of_a_new_topic_yet_are_waited_for(world: SmallWorld) -> None:
    left: list[int] = []

    def hide() -> None:
        world.target.hide_topic("copy", answers=3)
        world.target_faults.after("admin.describe_topics", lambda: left.append(_hidden_answers(world)), times=9)

    world.target_faults.after("admin.create_topics", hide, skip=2)
    assert [] == world.restore().mismatches
    assert left[0] > 0 == left[-1]


def _hidden_answers(world: SmallWorld) -> int:
    return world.target.topics.hidden_answers.get("copy", 0)


def test_the_ids_bases_and_the_producer_are_written_down_before_the_first_record(world: SmallWorld) -> None:
    written: list[Targets] = []
    world.target_faults.before("batch.land", lambda: written.append(_targets(world)))

    world.restore()

    [part] = written[0].partitions
    [copy] = world.target.partitions("copy")
    assert (copy, 0) == (part.target, part.base)
    assert {written[0].producer_id} == {batch.header.producer_id for batch in world.target.log(("copy", 0)).batches()}


# ── purge ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_purged_topics_lose_what_they_held_and_get_the_backups_records_after_it(world: SmallWorld) -> None:
    world.topic("copy", records=4, cluster=world.target)

    result = world.restore(purge_topics=True)

    assert ([], (4, 14)) == (result.mismatches, world.offsets("copy"))
    assert world.contents("orders", cluster=world.source) == world.contents("copy")


# ── permissions ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("gone", ["Write", "Read", "AlterConfigs"])
def test_what_only_an_existing_topic_can_show_is_checked_once_it_was_created(world: SmallWorld, gone: str) -> None:
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    needed = {"Create", "Write", "Read", "AlterConfigs"} - {gone}
    world.target.permissions.allow_only("restorer", "Topic", "copy", *sorted(needed))

    with refused(AccessError, f"{gone} on Topic copy", code=12):
        world.restore(user="restorer")
    assert {} == dict(world.target.topics.by_name)

    world.target.permissions.allow_only("restorer", "Topic", "copy", gone)
    assert [] == world.restore(user="restorer").mismatches
