"""Somebody else sets a staged setting back while a restore runs: the restore is not verified, and says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.model.errors import RefusedError
from tasks.repository.restores import StepDone, read_part
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SmallWorld, refused

REASON = (
    "retention.ms was set back to 3600000 by someone else while this restore needed another value. Pause the program "
    "that manages the settings of topic copy"
)


@pytest.fixture
def world() -> SmallWorld:
    """A topic `orders` with old records, and an existing topic `copy` that keeps an hour."""
    made = SmallWorld()
    made.topic(records=0)
    made.send(records=20, age_ms=DAY_MS)
    made.back_up()
    made.topic("copy", records=0, cluster=made.target, configs={"retention.ms": str(HOUR_MS)})
    return made


def _setter(world: SmallWorld, **changed: str) -> Callable[[], None]:
    """An operator that sets its value now, whatever there is."""

    def set_back() -> None:
        settings = world.target.topics.by_name["copy"].settings
        settings.own = {**settings.own, **{name.replace("_", "."): value for name, value in changed.items()}}

    return set_back


def test_a_setting_that_is_set_back_during_the_replay_ends_the_restore_with_the_reason(world: SmallWorld) -> None:
    world.target_faults.before("batch.land", _setter(world, retention_ms=str(HOUR_MS)), skip=1)
    with refused(RefusedError, REASON, code=3):
        world.restore()
    [restore] = world.restores()
    assert None is read_part(world.store, restore, "verified", StepDone)


def test_a_setting_that_is_set_back_before_verification_is_the_first_mismatch(world: SmallWorld) -> None:
    world.target_faults.before("reader.list_offsets", _setter(world, retention_ms=str(HOUR_MS)), skip=2)
    world.target_faults.before("reader.list_offsets", world.target.apply_retention, skip=2)

    result = world.restore()

    reason, consequence = (one.message for one in result.mismatches)
    assert (True, True) == (reason.startswith(REASON), consequence.startswith("its offsets are"))
    with refused(RefusedError, "found mismatches", code=3):
        world.finalize(result.plan.restore)


def test_a_setting_that_is_set_back_without_harm_is_not_verified_either(world: SmallWorld) -> None:
    """Records can be deleted a moment later."""
    world.target_faults.after("admin.topic_configs", _setter(world, retention_ms=str(HOUR_MS)), skip=3)
    result = world.restore()
    assert [REASON] == [one.message[: len(REASON)] for one in result.mismatches]


def test_a_refused_batch_is_explained_by_the_limit_that_was_set_back() -> None:
    world = SmallWorld()
    world.topic(records=0)
    world.send(records=20, per_batch=20)
    world.back_up()
    world.topic("copy", records=0, cluster=world.target, configs={"max.message.bytes": "100"})
    world.target_faults.before("batch.land", _setter(world, max_message_bytes="100"))

    with refused(RefusedError, "max.message.bytes was set back to 100 by someone else.*The replay had failed", code=3):
        world.restore()


def test_a_value_that_one_broker_does_not_show_yet_is_read_again(world: SmallWorld) -> None:
    """Brokers learn of a change one after the other."""
    set_back, stage = _setter(world, retention_ms=str(HOUR_MS)), _setter(world, retention_ms="-1")
    world.target_faults.before("admin.topic_configs", set_back, skip=2)
    world.target_faults.after("admin.topic_configs", stage, skip=2)
    assert [] == world.restore().mismatches


def test_nothing_is_read_again_where_nothing_was_staged() -> None:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.restore()
    last_batch = max(number for number, step in enumerate(world.target_faults.steps) if step.call == "batch.land")
    assert [] == [step for step in world.target_faults.steps[last_batch:] if step.call == "admin.topic_configs"]
