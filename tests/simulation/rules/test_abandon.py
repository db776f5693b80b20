"""An abandoned restore is never continued: its topics get their settings back, or are deleted by their ids."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.cli.abandon import abandon_lines
from tasks.engine.target.abandon import AbandonPlan, abandon_restore
from tasks.engine.target.unfinished_restores import UnfinishedRestores
from tasks.model.errors import LockedError, NotFoundError, RefusedError
from tasks.repository.leases import acquire
from tasks.repository.names import restore_lease_key
from tasks.repository.restores import StepDone, read_part
from tests.simulation.rules.small_world import DAY_MS, SmallWorld, refused
from tests.support.faults import Crashed

OWN = {"retention.ms": str(DAY_MS), "flush.ms": "7", "max.message.bytes": "10000"}


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with 40 old records."""
    made = SmallWorld()
    made.topic(records=0, configs=OWN)
    made.send(records=40, age_ms=30 * DAY_MS)
    made.back_up()
    return made


def _die(world: SmallWorld, call: str = "batch.land", *, skip: int = 3, **options: Any) -> str:
    world.target_faults.crash(call, after=True, skip=skip)
    with pytest.raises(Crashed):
        world.restore(**options)
    world.target_faults.revive()
    return world.restores()[-1]


def _abandon(world: SmallWorld, restore: str, *, delete_topics: bool = False) -> AbandonPlan:
    context = world.context(world.target)
    with context.admin() as admin:
        return abandon_restore(context, admin, restore, delete_topics=delete_topics)


def _is_recorded(world: SmallWorld, restore: str) -> bool:
    return read_part(world.store, restore, "abandoned", StepDone) is not None


def test_a_created_topic_gets_its_settings_except_those_that_delete_restored_records(world: SmallWorld) -> None:
    died = _die(world)
    done = _abandon(world, died)

    assert {**OWN, "retention.ms": "-1"} == world.own_settings("copy")
    assert {"copy": ("retention.ms",)} == done.kept
    assert "copy: it has its settings, except retention.ms" in abandon_lines(done)[0]
    assert _is_recorded(world, died)
    assert len(world.contents("copy")) > 0


def test_what_an_abandoned_restore_left_staged_never_becomes_a_topics_own(world: SmallWorld) -> None:
    _abandon(world, _die(world))
    topic = world.target.topics.by_name["copy"].topic_id
    unfinished = UnfinishedRestores.read(world.store)
    assert OWN == unfinished.original_settings("copy", topic, world.own_settings("copy"))
    world.clock.advance(10)
    world.restore(purge_topics=True, topic_configs="ignore", finalize="apply")
    assert OWN == world.own_settings("copy")


def test_an_existing_topic_gets_exactly_its_own_settings_and_keeps_later_changes(world: SmallWorld) -> None:
    own = {"retention.ms": "123456", "compression.type": "gzip"}
    world.topic("copy", records=0, cluster=world.target, configs=own)
    died = _die(world)
    settings = world.target.topics.by_name["copy"].settings
    settings.own = settings.changed({"compression.type": "lz4"}, [])

    done = _abandon(world, died, delete_topics=True)

    assert {"retention.ms": "123456", "compression.type": "lz4"} == world.own_settings("copy")
    assert ({}, {}) == (done.deleted, done.kept)


def test_created_topics_are_deleted_on_request(world: SmallWorld) -> None:
    died = _die(world)
    assert ["copy"] == list(_abandon(world, died, delete_topics=True).deleted)
    assert "copy" not in world.target.topics.by_name
    world.clock.advance(10)
    assert died != world.restore().plan.restore


def test_a_topic_that_was_created_again_is_not_deleted(world: SmallWorld) -> None:
    died = _die(world)
    world.target.delete_topic("copy")
    world.topic("copy", records=3, cluster=world.target)
    done = _abandon(world, died, delete_topics=True)
    assert ({}, {"copy": "it was deleted and created again"}) == (done.deleted, done.left)
    assert 3 == len(world.contents("copy"))


@pytest.mark.parametrize("delete_topics", [False, True])
def test_a_restore_that_died_while_it_prepared_is_abandoned(world: SmallWorld, delete_topics: bool) -> None:
    died = _die(world, "writer.init_producer_id", skip=0)
    done = _abandon(world, died, delete_topics=delete_topics)
    assert {} == done.kept
    if delete_topics:
        assert "copy" not in world.target.topics.by_name
    else:
        assert OWN == world.own_settings("copy")


def test_a_topic_that_a_later_restore_writes_to_is_left_to_it(world: SmallWorld) -> None:
    first = _die(world)
    world.clock.advance(1_000)
    second = _die(world, is_new=True, purge_topics=True)
    staged = world.own_settings("copy")
    done = _abandon(world, first, delete_topics=True)
    assert {"copy": f"the later restore {second} writes or wrote to it"} == done.left
    assert staged == world.own_settings("copy")
    assert second == world.restore(purge_topics=True).plan.restore


@pytest.mark.parametrize("call", ["admin.alter_topics", "admin.delete_topics_by_id"])
def test_an_abandoning_that_crashed_is_repeated(world: SmallWorld, call: str) -> None:
    died, delete_topics = _die(world), call.endswith("by_id")
    world.target_faults.crash(call, after=True)
    with pytest.raises(Crashed):
        _abandon(world, died, delete_topics=delete_topics)
    world.target_faults.revive()
    assert not _is_recorded(world, died)
    _abandon(world, died, delete_topics=delete_topics)
    assert _is_recorded(world, died)
    _abandon(world, died, delete_topics=delete_topics)


def test_an_abandoned_restore_is_neither_continued_nor_finalized(world: SmallWorld) -> None:
    died = _die(world)
    _abandon(world, died)
    with refused(RefusedError, "was abandoned, so it cannot be finalized", code=3):
        world.finalize(died)
    world.clock.advance(10)
    with refused(RefusedError, "it is not empty", code=3):
        world.restore()


def test_a_restore_that_is_alive_has_ended_or_does_not_exist_is_not_abandoned(world: SmallWorld) -> None:
    with refused(NotFoundError, "There is no restore 'nothing'", code=10):
        _abandon(world, "nothing")
    done = world.restore().plan.restore
    with refused(RefusedError, f"waits for `kafka-backup finalize {done}`", code=3):
        _abandon(world, done)
    world.finalize(done)
    with refused(RefusedError, "has ended, so there is nothing to abandon", code=3):
        _abandon(world, done)
    world.clock.advance(10)
    died = _die(world, is_new=True, purge_topics=True)
    lease = acquire(world.store, restore_lease_key(died), clock=world.clock.monotonic_s)
    world.clock.after(500, lease.renew)
    with refused(LockedError, "which renews it", code=11):
        _abandon(world, died)
