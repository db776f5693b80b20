"""A restored topic gets its own settings last, and what would delete restored records only when told to."""

from __future__ import annotations

import pytest

from tasks.engine.restore import RestoreResult
from tasks.engine.target.finalize import finalize_restore
from tasks.model.errors import ConfigError, NotFoundError, RefusedError
from tasks.repository.entries import NoteEntry
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld, kafka, refused
from tests.support.faults import Crashed

OWN = {"retention.ms": str(HOUR_MS)}


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` that keeps an hour: five records are two days old and five are new."""
    made = SmallWorld()
    made.topic(records=0)
    made.send(records=5, age_ms=2 * DAY_MS)
    made.send(records=5)
    made.source.topics.by_name["orders"].settings.own = dict(OWN)
    made.back_up()
    return made


def _notes(world: SmallWorld) -> list[str]:
    return [entry.text for entry in world.repository.log(SET).entries() if isinstance(entry, NoteEntry)]


def test_settings_that_would_delete_restored_records_wait_until_finalize(world: SmallWorld) -> None:
    result = world.restore()
    world.target.apply_retention()

    assert (["copy"], {"retention.ms": "-1"}) == (result.deferred, world.own_settings("copy"))
    assert 10 == len(world.contents("copy"))

    assert ["copy"] == world.finalize(result.plan.restore)
    assert OWN == world.own_settings("copy")
    world.target.apply_retention()
    assert 5 == len(world.contents("copy"))


def test_finalize_changes_nothing_a_second_time(world: SmallWorld) -> None:
    restore = world.restore().plan.restore
    world.finalize(restore)
    world.target.topics.by_name["copy"].settings.own = {"retention.ms": "77"}

    assert ([], {"retention.ms": "77"}) == (world.finalize(restore), world.own_settings("copy"))
    assert [f"restore {restore} finalized"] == _notes(world)


def test_with_apply_every_setting_is_in_force_at_once(world: SmallWorld) -> None:
    result = world.restore(finalize="apply")
    assert ([], OWN, [f"restore {result.plan.restore} finalized"]) == (
        result.deferred,
        world.own_settings("copy"),
        _notes(world),
    )


def test_with_defer_settings_wait_that_would_delete_nothing_now() -> None:
    world = SmallWorld()
    world.topic(configs={"retention.ms": str(30 * DAY_MS)})
    world.back_up()

    without, deferring = world.restore(), world.restore({"orders": "later"}, finalize="defer")

    assert ([], ["later"], "-1") == (without.deferred, deferring.deferred, world.own_settings("later")["retention.ms"])
    assert [] == world.finalize(without.plan.restore)
    assert ["later"] == world.finalize(deferring.plan.restore)


def test_a_topic_that_compacts_and_deletes_only_compacts_until_finalize(world: SmallWorld) -> None:
    own = {**OWN, "cleanup.policy": "compact,delete"}
    world.source.topics.by_name["orders"].settings.own = dict(own)
    world.back_up()

    result = world.restore()

    assert "compact" == world.own_settings("copy")["cleanup.policy"]
    world.finalize(result.plan.restore)
    assert own == world.own_settings("copy")


def test_an_existing_topics_own_settings_wait_too(world: SmallWorld) -> None:
    own = {"retention.ms": "1000", "flush.ms": "5000"}
    world.topic("copy", records=0, cluster=world.target, configs=own)

    result = world.restore(topic_configs="ignore")

    assert (["copy"], "5000") == (result.deferred, world.own_settings("copy")["flush.ms"])
    world.finalize(result.plan.restore)
    assert own == world.own_settings("copy")


def test_a_size_limit_below_what_is_restored_waits() -> None:
    world = SmallWorld()
    world.topic()
    world.source.topics.by_name["orders"].settings.own = {"retention.bytes": "10"}
    world.back_up()
    assert ["copy"] == world.restore().deferred


# ── refused ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_restore_is_not_found(world: SmallWorld) -> None:
    with refused(NotFoundError, "There is no restore 'nothing'", code=10):
        world.finalize("nothing")


def test_a_restore_that_died_before_it_verified_is_not_finalized(world: SmallWorld) -> None:
    world.target_faults.crash("reader.list_offsets", after=False)
    with pytest.raises(Crashed):
        world.restore()
    world.target_faults.revive()

    [restore] = world.restores()
    with refused(ConfigError, f"The restore {restore} ended before it was verified", code=2):
        world.finalize(restore)
    assert "-1" == world.own_settings("copy")["retention.ms"]


def test_a_restore_of_another_cluster_is_not_finalized(world: SmallWorld) -> None:
    restore = world.restore().plan.restore
    restored_to = world.target.cluster_id
    world.target = kafka(world.clock, seed=9)
    with refused(ConfigError, f"wrote to cluster {restored_to}; the file names another cluster", code=2):
        world.finalize(restore)


def _mismatching(world: SmallWorld) -> RestoreResult:
    """A restore whose first records are deleted before it verifies."""
    world.target_faults.before("reader.list_offsets", lambda: world.target.log(("copy", 0)).move_start(2))
    return world.restore()


def test_a_restore_that_does_not_verify_says_so_and_keeps_its_staging_settings(world: SmallWorld) -> None:
    result = _mismatching(world)

    assert ["offsets are 2 to 10" in one.message for one in result.mismatches] == [True]
    with refused(RefusedError, "found mismatches, so its topics keep their staging settings", code=3):
        world.finalize(result.plan.restore)
    assert {"retention.ms": "-1"} == world.own_settings("copy")


def test_positions_of_a_restore_that_does_not_verify_are_not_written(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})
    world.back_up()
    world.target_faults.before("reader.list_offsets", lambda: world.target.log(("copy", 0)).move_start(2))

    result = world.restore(consumer_group_strategy="header-based", reset_consumer_offsets=True)

    assert ([], False) == (list(result.positions), "billing" in world.target.groups.by_id)


def test_a_topic_that_is_not_the_restored_one_any_more_keeps_its_settings(world: SmallWorld) -> None:
    restore = world.restore().plan.restore
    world.target.delete_topic("copy")
    world.topic("copy", records=0, cluster=world.target)

    with refused(RefusedError, "The topic copy is not the one that was restored", code=3):
        world.finalize(restore)
    assert {} == world.own_settings("copy")


def test_a_topic_that_is_re_created_while_it_is_verified_gets_no_settings(world: SmallWorld) -> None:
    def re_create() -> None:
        world.target.delete_topic("copy")
        world.topic("copy", records=0, cluster=world.target)

    world.target_faults.after("fetcher.receive", re_create, skip=1)
    with refused(RefusedError, "The topic copy is not the one that was restored", code=3):
        world.restore()
    assert {} == world.own_settings("copy")


# ── died on the way ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_finalize_gives_the_settings_of_a_restore_that_died_once_it_had_verified(world: SmallWorld) -> None:
    world.target_faults.crash("admin.alter_topics", after=False)
    with pytest.raises(Crashed):
        world.restore(finalize="apply")
    world.target_faults.revive()
    [restore] = world.restores()
    assert "-1" == world.own_settings("copy")["retention.ms"]

    assert ["copy"] == world.finalize(restore)
    assert OWN == world.own_settings("copy")


@pytest.mark.parametrize("is_late", [False, True], ids=["before its settings", "after its settings"])
def test_finalize_gives_a_topic_that_was_not_staged_its_settings(is_late: bool) -> None:
    world = SmallWorld()
    world.topic(configs={"flush.ms": "7"})
    world.back_up()
    world.topic("copy", records=0, cluster=world.target, configs={"flush.ms": "9"})
    world.target_faults.crash("admin.alter_topics", after=is_late, skip=1)
    with pytest.raises(Crashed):
        world.restore()
    world.target_faults.revive()
    [restore] = world.restores()

    assert ["copy"] == world.finalize(restore)
    assert {"flush.ms": "7"} == world.own_settings("copy")


def test_a_finalize_that_died_is_finished_by_the_next(world: SmallWorld) -> None:
    restore = world.restore().plan.restore
    context = world.context(world.target)
    world.target_faults.crash("admin.alter_topics", after=True)
    with context.admin() as admin, pytest.raises(Crashed):
        finalize_restore(world.repository, restore, admin)
    world.target_faults.revive()

    assert (["copy"], OWN) == (world.finalize(restore), world.own_settings("copy"))
