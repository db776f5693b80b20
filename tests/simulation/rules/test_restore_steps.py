"""The steps of a restore: each writes down what it has done, so that another process can take the next one."""

from __future__ import annotations

import pytest

from tasks.engine.replay.replay import replay_bin
from tasks.engine.restore_steps import (
    begin_restore,
    check_restore,
    finish_restore,
    prepare_restore,
    restore_lease,
    restore_targets,
    started_restore,
)
from tasks.model.errors import DamagedError, LockedError, NotFoundError, RefusedError
from tasks.repository import restores
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key, new_run_id, restore_lease_key
from tasks.repository.points import PointReference
from tests.simulation.kafka.clock import SimulatedStop
from tests.simulation.rules.small_world import SET, SmallWorld, refused


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with ten records."""
    made = SmallWorld()
    made.topic()
    made.back_up()
    return made


def _keys(world: SmallWorld, prefix: str) -> list[str]:
    return [info.key for info in world.store.list(prefix)]


def test_each_step_is_written_down_in_order(world: SmallWorld) -> None:
    restore = world.restore().plan.restore
    steps = ("plan", "targets", "replayed", "verified", "groups", "settings", "finalized")
    times = [
        done.time_ms
        for step in steps[2:]
        if (done := restores.read_part(world.store, restore, step, restores.StepDone)) is not None
    ]
    assert {f"restores/{restore}/{step}.json" for step in steps} == set(_keys(world, "restores/"))
    assert sorted(times) == times


def test_every_step_can_be_taken_by_another_process(world: SmallWorld) -> None:
    begun = begin_restore(world.repository, world.preview())
    restore = begun.plan.restore
    with refused(NotFoundError, f"The target topics of restore {restore} have not been prepared", code=10):
        restore_targets(world.repository, restore)
    with world.admin() as admin:
        prepare_restore(world.context(world.target), admin, started_restore(world.repository, restore).plan)
    started, targets = started_restore(world.repository, restore), restore_targets(world.repository, restore)
    replay_bin(world.context(world.target), started, targets, 0)
    mismatches = check_restore(world.context(world.target), started_restore(world.repository, restore), targets)
    with world.admin() as admin:
        finish_restore(world.repository, admin, started, targets, mismatches)

    assert [] == mismatches
    assert world.contents("orders", cluster=world.source) == world.contents("copy")


def test_a_restore_is_prepared_once(world: SmallWorld) -> None:
    begun = begin_restore(world.repository, world.preview())
    with world.admin() as admin:
        first = prepare_restore(world.context(world.target), admin, begun.plan)
        again = prepare_restore(world.context(world.target), admin, begun.plan)
    assert (first.partitions, first.producer_id) == (again.partitions, again.producer_id)


def test_a_bin_that_is_replayed_again_writes_nothing_twice(world: SmallWorld) -> None:
    begun = begin_restore(world.repository, world.preview())
    context = world.context(world.target)
    with context.admin() as admin:
        targets = prepare_restore(context, admin, begun.plan)
    for is_repeated in (False, True, False):
        replay_bin(context, begun, targets, 0, is_repeated=is_repeated)
    assert (0, 10) == world.offsets("copy")


def test_a_preview_with_errors_begins_nothing(world: SmallWorld) -> None:
    preview = world.preview(create_topics=False)
    with refused(RefusedError, "The restore was refused and nothing was changed", code=3):
        begin_restore(world.repository, preview)
    assert [] == world.restores()


def test_an_unknown_restore_is_not_found(world: SmallWorld) -> None:
    with refused(NotFoundError, "There is no restore 'nothing'", code=10):
        started_restore(world.repository, "nothing")


def test_a_backup_that_holds_less_than_it_says_ends_the_replay(world: SmallWorld) -> None:
    begun = begin_restore(world.repository, world.preview())
    [copy] = begun.plan.partitions
    plan = begun.plan.model_copy(update={"partitions": (copy.model_copy(update={"records": 11}),)})
    context = world.context(world.target)
    with context.admin() as admin:
        targets = prepare_restore(context, admin, plan)
    lying = type(begun)(plan=plan, lines=begun.lines, groups=begun.groups, reader=begun.reader)
    with refused(DamagedError, "the backup should contain 11 restorable records and contains 10", code=20):
        replay_bin(context, lying, targets, 0)


# ── lease and pin ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_point_is_pinned_and_the_restores_lease_is_held_while_it_runs(world: SmallWorld) -> None:
    seen: list[list[str]] = []
    world.target_faults.before("batch.land", lambda: seen.append([*_keys(world, "pins/"), *_keys(world, "leases/")]))

    restore = world.restore().plan.restore

    [held] = seen
    assert (1, True) == (sum(key.startswith("pins/") for key in held), restore_lease_key(restore) in held)
    assert [] == _keys(world, "pins/")
    data, _ = world.store.get(restore_lease_key(restore))
    assert b'"is_released":true' in data.replace(b" ", b"")


def test_the_pin_names_the_point_that_is_restored_and_not_a_newer_one(world: SmallWorld) -> None:
    context = world.context(world.target)
    with restore_lease(context, PointReference(SET), new_run_id(1)) as point:
        world.back_up()
        [key] = _keys(world, "pins/")
        assert (1, 2) == (point.seq, world.point().seq)
        assert b'"seq":1' in world.store.get(key)[0].replace(b" ", b"")


def test_a_restore_that_fails_before_its_plan_is_stored_leaves_nothing(world: SmallWorld) -> None:
    context, before = world.context(world.target), list(world.store.list(""))
    with pytest.raises(ZeroDivisionError), restore_lease(context, PointReference(SET), new_run_id(1)):
        raise ZeroDivisionError
    assert before == list(world.store.list(""))


def test_a_restore_that_fails_later_gives_its_pin_and_its_lease_back(world: SmallWorld) -> None:
    context, preview = world.context(world.target), world.preview()
    restore = preview.plan.restore

    def fail() -> None:
        with restore_lease(context, PointReference(SET), restore):
            begin_restore(world.repository, preview)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert ([], True) == (_keys(world, "pins/"), restore_lease_key(restore) in _keys(world, "leases/"))
    acquire(world.store, restore_lease_key(restore), stop=SimulatedStop(world.clock), clock=lambda: 0.0)


def test_a_restore_and_a_backup_do_not_lock_each_other_out(world: SmallWorld) -> None:
    lease = acquire(world.store, capture_lease_key(SET), clock=world.clock.monotonic_s)
    assert [] == world.restore().mismatches
    lease.renew()


def test_a_restore_whose_lease_somebody_alive_holds_is_locked_out(world: SmallWorld) -> None:
    context, restore = world.context(world.target), new_run_id(1)
    other = acquire(world.store, restore_lease_key(restore), clock=world.clock.monotonic_s)
    world.clock.after(500, other.renew)
    with (
        refused(LockedError, "which renews it", code=11),
        restore_lease(context, PointReference(SET), restore),
    ):
        raise AssertionError("it was taken")
