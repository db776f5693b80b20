"""A restored partition is compared with the backup: its bounds, and its first and last record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.batches.records import Record
from tasks.engine.replay.replay import replay_bin
from tasks.engine.replay.verify import verify_counts
from tasks.engine.restore_steps import begin_restore, check_restore, prepare_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import AccessError, BrokerUnavailableError
from tasks.repository.restores import Targets
from tests.simulation.histories.model import Content
from tests.simulation.kafka.stored_log import StoredLog
from tests.simulation.rules.small_world import SmallWorld, kafka, refused


@pytest.fixture
def world() -> SmallWorld:
    """A backed-up topic `orders` with ten records."""
    made = SmallWorld()
    made.topic()
    made.back_up()
    return made


def _mismatches(world: SmallWorld, act: Callable[[StoredLog], object]) -> list[str]:
    """What verification says when this happened to the restored log before it."""
    world.target_faults.before("reader.list_offsets", lambda: act(world.target.log(("copy", 0))))
    return [one.message for one in world.restore().mismatches]


def _replayed(world: SmallWorld) -> tuple[ClusterContext, StartedRestore, Targets]:
    """A restore whose records are all written, and which was not verified yet."""
    context = world.context(world.target)
    started = begin_restore(context.repository, world.preview())
    with context.admin() as admin:
        targets = prepare_restore(context, admin, started.plan)
    for number in range(len(started.plan.bins)):
        replay_bin(context, started, targets, number)
    return context, started, targets


def _as_records(contents: list[Content]) -> list[Record]:
    return [Record(0, *one) for one in contents]


def test_an_exact_restore_has_no_mismatch(world: SmallWorld) -> None:
    assert [] == _mismatches(world, lambda log: None)


def test_an_empty_partition_has_no_mismatch() -> None:
    world = SmallWorld()
    world.topic(records=0)
    world.back_up()
    assert [] == world.restore().mismatches


def test_records_that_are_missing_at_the_start_are_a_mismatch(world: SmallWorld) -> None:
    expected = "its offsets are 2 to 10, but the backup's 10 records need 0 to 10."
    assert [expected] == _mismatches(world, lambda log: log.move_start(2))


def test_records_that_are_missing_at_the_end_are_a_mismatch(world: SmallWorld) -> None:
    expected = "its offsets are 0 to 5, but the backup's 10 records need 0 to 10."
    assert [expected] == _mismatches(world, lambda log: log.truncate(5))


def test_records_of_somebody_else_behind_ours_are_a_mismatch(world: SmallWorld) -> None:
    expected = "its offsets are 0 to 11, but the backup's 10 records need 0 to 10."
    assert [expected] == _mismatches(world, lambda log: world.send(("copy", 0), 1, cluster=world.target))


@pytest.mark.parametrize(("which", "replaced"), [("first", 0), ("last", 1)])
def test_a_record_that_is_not_the_backups_is_a_mismatch(which: str, replaced: int) -> None:
    """The counts are right, and somebody else's records are in the place of ours."""
    world = SmallWorld()
    world.topic()
    world.back_up()

    def replace(log: StoredLog) -> None:
        pieces = [world.contents("copy")[:5], world.contents("copy")[5:]]
        log.truncate(0)
        for number, piece in enumerate(pieces):
            records = world.records(5) if number == replaced else _as_records(piece)
            world.target.producer().send(("copy", 0), records)

    offset = 0 if which == "first" else 9
    assert [f"the {which} restored record, at offset {offset}, differs from the backup."] == _mismatches(world, replace)


def test_a_target_that_was_deleted_is_a_mismatch(world: SmallWorld) -> None:
    context, started, targets = _replayed(world)
    world.target.delete_topic("copy")
    [mismatch] = verify_counts(context, started, targets)
    assert ("copy-0", True) == (str(mismatch.target), "was deleted" in mismatch.message)


def test_a_leader_that_stays_away_is_raised_and_no_verdict_on_the_records(world: SmallWorld) -> None:
    context, started, targets = _replayed(world)
    world.target.elect(("copy", 0), None)
    with pytest.raises(BrokerUnavailableError):
        verify_counts(context, started, targets)
    world.target.elect(("copy", 0), 1)
    assert [] == verify_counts(context, started, targets)


def test_a_missing_permission_is_raised_and_no_verdict_on_the_records(world: SmallWorld) -> None:
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    context, started, targets = _replayed(world)
    world.target.permissions.allow_only("somebody", "Topic", "copy", "Describe")
    with refused(AccessError, "copy", code=12):
        verify_counts(context, started, targets)


def test_a_leader_that_serves_nothing_for_a_while_is_waited_for(world: SmallWorld) -> None:
    world.target_faults.after("batch.land", lambda: world.target.limit_fetching(10))
    assert [] == _mismatches(world, lambda log: None)


def test_what_verification_found_is_written_down(world: SmallWorld) -> None:
    context, started, targets = _replayed(world)
    world.target.log(("copy", 0)).move_start(2)
    check_restore(context, started, targets)
    report, _ = world.store.get(f"restores/{started.plan.restore}/verified.json")
    assert b"its offsets are 2 to 10" in report
