"""Staging settings of an earlier restore never become a topic's own."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SmallWorld
from tests.support.faults import Crashed, FaultyStore, Operation

OWN = {"segment.bytes": "1048576"}
EXISTING = {"retention.ms": str(5 * DAY_MS), "compression.type": "gzip", "flush.ms": "5000"}


class DyingStore(FaultyStore):
    """A store whose process ends once it has written a part of a restore, while `dies_at` names that part."""

    def __init__(self) -> None:
        super().__init__(MemoryStore(), on_write=self._die)
        self.dies_at: str | None = None

    def _die(self, number: int, operation: Operation, key: str) -> None:
        if self.dies_at is not None and key.endswith(f"/{self.dies_at}.json"):
            raise Crashed("the restoring process ended here")


@pytest.fixture
def store() -> DyingStore:
    """The repository of `world`."""
    return DyingStore()


@pytest.fixture
def world(store: DyingStore) -> SmallWorld:
    """A backed-up topic `orders` with old records; `copy` exists on the target with settings of its own."""
    made = SmallWorld(store=store)
    made.topic(records=0, configs=OWN)
    made.send(age_ms=30 * DAY_MS)
    made.back_up()
    made.topic("copy", records=0, cluster=made.target, configs=EXISTING)
    return made


def _die(world: SmallWorld, store: DyingStore, part: str, target: str = "copy", **options: Any) -> None:
    store.dies_at = part
    with pytest.raises(Crashed):
        world.restore({"orders": target}, is_new=True, **options)
    store.dies_at = None
    assert "-1" == world.own_settings(target)["retention.ms"]


@pytest.mark.parametrize("part", ["targets", "replayed", "verified", "groups"])
@pytest.mark.parametrize(("target", "own"), [("copy", {**EXISTING, **OWN}), ("new", OWN)], ids=["existing", "created"])
def test_a_second_restore_over_one_that_died_gives_the_original_settings_back(
    world: SmallWorld, store: DyingStore, target: str, own: dict[str, str], part: str
) -> None:
    _die(world, store, part, target)

    world.restore({"orders": target}, is_new=True, purge_topics=True, finalize="apply")

    assert own == world.own_settings(target)
    assert world.contents("orders", cluster=world.source) == world.contents(target)


def test_a_restore_that_died_before_it_wrote_down_the_ids_is_recognized_by_its_staging_settings(
    world: SmallWorld,
) -> None:
    world.target_faults.crash("writer.init_producer_id", after=False)
    with pytest.raises(Crashed):
        world.restore({"orders": "new"})
    world.target_faults.revive()

    world.restore({"orders": "new"}, is_new=True, finalize="apply")

    assert OWN == world.own_settings("new")


def test_what_somebody_has_set_since_a_restore_died_is_the_topics_own(world: SmallWorld, store: DyingStore) -> None:
    _die(world, store, "targets", topic_configs="ignore")
    settings = world.target.topics.by_name["copy"].settings
    later = {"retention.ms": str(30 * DAY_MS), "max.message.bytes": "2000000"}
    settings.own = settings.changed(later, ["flush.ms"])

    world.restore(is_new=True, topic_configs="ignore", finalize="apply")

    assert {**later, "compression.type": "gzip"} == world.own_settings("copy")


def test_of_two_restores_that_died_the_oldest_knows_the_original_settings(world: SmallWorld, store: DyingStore) -> None:
    for _ in range(2):
        _die(world, store, "targets", topic_configs="ignore")
        world.clock.advance(1000)

    world.restore(is_new=True, topic_configs="ignore", finalize="apply")

    assert EXISTING == world.own_settings("copy")


@pytest.mark.parametrize("target", ["copy", "new"], ids=["existing", "created"])
def test_a_topic_that_was_re_created_since_has_its_own_settings(
    world: SmallWorld, store: DyingStore, target: str
) -> None:
    _die(world, store, "targets", target, topic_configs="ignore")
    world.target.delete_topic(target)
    world.topic(target, records=0, cluster=world.target, configs={"retention.ms": "-1"})

    world.restore({"orders": target}, is_new=True, topic_configs="ignore")

    assert {"retention.ms": "-1"} == world.own_settings(target)


def test_settings_that_wait_for_finalize_are_taken_over_by_the_next_restore(world: SmallWorld) -> None:
    kept = {"retention.ms": str(HOUR_MS), "cleanup.policy": "compact,delete"}
    world.topic("waiting", records=0, cluster=world.target, configs=kept)
    first = world.restore({"orders": "waiting"}, topic_configs="ignore", finalize="defer")
    assert ["waiting"] == first.deferred
    assert "compact" == world.own_settings("waiting")["cleanup.policy"]
    world.target.log(("waiting", 0)).move_start(10)

    world.restore({"orders": "waiting"}, topic_configs="ignore", finalize="apply")

    assert kept == world.own_settings("waiting")


def test_a_finished_restore_has_no_say_in_the_next(world: SmallWorld) -> None:
    world.restore(finalize="apply")
    settings = world.target.topics.by_name["copy"].settings
    settings.own = {"retention.ms": "-1"}
    world.target.log(("copy", 0)).move_start(10)

    world.restore(topic_configs="ignore")

    assert {"retention.ms": "-1"} == world.own_settings("copy")
