"""What becomes of each partition when a snapshot commits: a new row, the earlier one, or a stated failure."""

from __future__ import annotations

import pytest

from tasks.engine.backup_steps import capture_bins, commit_run
from tasks.engine.commit.completeness import describe_new_point
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.model.errors import AccessError, InterruptedRunError, KafkaBackupError, NotFoundError, PreconditionError
from tasks.reports.backup import notable_events
from tasks.repository.partition_table import Row
from tasks.repository.restore_point import RestorePoint
from tests.simulation.rules.small_world import SET, SmallWorld, kafka, refused


def _row(point: RestorePoint, topic: str, partition: int = 0) -> Row:
    [row] = [row for source, row in point.rows.items() if (source.topic, source.partition) == (topic, partition)]
    return row


def test_one_failing_partition_makes_the_point_partial_and_keeps_its_earlier_row(world: SmallWorld) -> None:
    for topic in ("good", "bad"):
        world.topic(topic)
    world.back_up()
    for topic in ("good", "bad"):
        world.send((topic, 0))
    world.source.log(("bad", 0)).flip_byte(15)

    second = world.back_up()

    [failure] = second.entry.failures
    assert ("partial", "bad", True) == (second.entry.status, failure.topic, "CRC" in failure.reason)
    assert [(20, None), (10, failure.reason)] == [
        (row.next, row.failure) for row in (_row(second, "good"), _row(second, "bad"))
    ]
    assert 30 == second.entry.totals.records
    world.assert_valid()


def test_a_kept_row_says_since_when_it_is_behind_and_catches_up(world: SmallWorld) -> None:
    for topic in ("good", "bad"):
        world.topic(topic)
    world.back_up()
    world.source.elect(("bad", 0), None)

    behind, still = world.back_up(), world.back_up()
    world.source.elect(("bad", 0), 1)
    caught_up = world.back_up()

    assert behind.entry.planned_ms == _row(behind, "bad").behind_since_ms == _row(still, "bad").behind_since_ms
    assert (None, None) == (_row(caught_up, "bad").behind_since_ms, _row(caught_up, "bad").failure)
    assert "complete" == caught_up.entry.status


def test_a_partition_that_fails_in_its_first_backup_keeps_what_was_read_before(world: SmallWorld) -> None:
    world.topic(partitions=2)
    world.source.log(("orders", 1)).flip_byte(7)

    point = world.back_up()

    assert (0, 5, True) == (
        _row(point, "orders", 1).first,
        _row(point, "orders", 1).next,
        point.entry.status == "partial",
    )
    world.assert_valid()


def test_a_first_backup_of_which_nothing_was_captured_makes_no_point(world: SmallWorld) -> None:
    world.topic(records=5)
    world.source.log(("orders", 0)).flip_byte(0)

    with refused(KafkaBackupError, r"Nothing was captured: .*CRC", code=1):
        world.back_up()
    with pytest.raises(NotFoundError):
        world.point()


def test_a_first_backup_that_is_not_allowed_to_read_anything_is_an_access_error(world: SmallWorld) -> None:
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic()
    world.source.permissions.allow_only("reader", "Topic", "orders", "Describe", "DescribeConfigs")

    with refused(AccessError, "Nothing was captured: .*Read on Topic orders", code=12):
        world.back_up(user="reader")


def test_a_topic_that_is_seen_and_may_not_be_read_makes_the_verdict_denied(world: SmallWorld) -> None:
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    for topic in ("orders", "closed"):
        world.topic(topic)
    world.source.permissions.allow_only("reader", "Topic", "closed", "Describe", "DescribeConfigs")
    context = world.context(world.source, user="reader")
    plan = plan_snapshot(context, world.request())
    captured = capture_bins(context, plan, workers=1)

    new = describe_new_point(plan, commit_run(context.repository, plan, captured), captured)

    assert ("denied", "partial", ["closed"]) == (
        new.verdict,
        new.point.status,
        [failure.topic for failure in new.point.failures],
    )


def test_a_transaction_that_nobody_ends_makes_the_next_point_partial_and_says_what_it_holds_back(
    world: SmallWorld,
) -> None:
    world.topic()
    transaction = world.source.transactional_producer(timeout_ms=1_000_000_000)
    transaction.send(("orders", 0), world.records(5))
    first = world.back_up()
    world.send(records=20)
    second = world.back_up()
    transaction.abort()
    third = world.back_up()

    assert ["complete", "partial", "complete"] == [point.entry.status for point in (first, second, third)]
    [held] = second.entry.failures
    assert (10, 35, 10) == (held.first, held.next, second.entry.totals.records)
    assert "a transaction that was already open at the last point" in held.reason
    assert [[], ["kafka-backup.transaction.stalled"], []] == [
        [event for event, _ in notable_events(point.entry)] for point in (first, second, third)
    ]
    assert 30 == third.entry.totals.records


def test_a_topic_that_was_deleted_leaves_the_point(world: SmallWorld) -> None:
    for topic in ("stays", "goes"):
        world.topic(topic)
    world.back_up()
    world.source.delete_topic("goes")
    point = world.back_up()
    assert ("complete", ["stays"]) == (point.entry.status, [source.topic for source in point.rows])


def test_a_run_that_another_overtook_is_refused_and_voided(world: SmallWorld) -> None:
    world.topic()
    context = world.context(world.source)
    slow = plan_snapshot(context, world.request())
    captured = capture_bins(context, slow, workers=1)
    world.send()
    world.back_up()

    with pytest.raises(PreconditionError, match="another run captured up to 20, past this plan's end at 10"):
        commit_run(context.repository, slow, captured)
    newest = world.point().entry
    assert 20 == newest.totals.records
    assert world.repository.state(SET).closed_runs[slow.run] > newest.seq


def test_a_run_that_lacks_a_topic_which_another_added_is_refused(world: SmallWorld) -> None:
    world.topic()
    context = world.context(world.source)
    plan = plan_snapshot(context, world.request())
    captured = capture_bins(context, plan, workers=1)
    world.topic("added")
    world.back_up()

    with pytest.raises(PreconditionError, match="added-0: another run captured it, and this run's plan does not"):
        commit_run(context.repository, plan, captured)
    assert 20 == world.point().entry.totals.records


def test_a_stopped_run_leaves_no_point_and_is_voided_by_the_next(world: SmallWorld) -> None:
    world.topic()
    context, request = world.context(world.source), world.request()
    world.faults.before("fetcher.receive", context.stop.set, skip=1)

    with refused(InterruptedRunError, "stopped", code=130):
        snapshot_locally(context, request, workers=1)
    with pytest.raises(NotFoundError):
        world.point()

    assert (2, "complete") == (world.back_up().seq, world.point().entry.status)
    assert 1 == world.repository.state(SET).closed_runs[request.run]
