"""Capture reads each range to its end: what is lost is stated with its offsets, what is only late is waited for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tasks.engine.backup_steps import capture_bins
from tasks.engine.capture import capture_ranges
from tasks.engine.snapshot import snapshot_locally
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.model.errors import AccessError, InterruptedRunError, NotFoundError
from tasks.model.ranges import TOPIC_GONE, TRIMMED, TRUNCATED
from tasks.repository.entries import PartitionNote
from tasks.repository.restore_point import RestorePoint
from tests.simulation.rules.small_world import SmallWorld, kafka, refused
from tests.support.faults import FaultyStore

TWO = 2
"""Two answers were received, and the third, up to offset 15, is under way."""


@pytest.fixture
def world() -> SmallWorld:
    """A topic `orders` with four batches of five records, each of which is a fetch answer."""
    made = SmallWorld()
    made.topic(records=20)
    return made


def _strike(world: SmallWorld, act: Callable[[], object], *, skip: int = TWO) -> RestorePoint:
    """A backup under which this happens once so many answers were received."""
    world.faults.before("fetcher.receive", act, skip=skip)
    point = world.back_up()
    world.assert_valid()
    return point


def _before_first(world: SmallWorld, act: Callable[[], object]) -> RestorePoint:
    """A backup under which this happens after the plan, and before anything was read."""
    world.faults.before("fetcher.send", act)
    return world.back_up()


def _ranges(notes: tuple[PartitionNote, ...]) -> list[tuple[int | None, int | None, str]]:
    return [(note.first, note.next, note.reason) for note in notes]


# ── lost under the capture ──────────────────────────────────────────────────────────────────────────────────────────


def test_records_deleted_ahead_of_a_running_capture_are_a_gap_with_its_range(world: SmallWorld) -> None:
    point = _strike(world, lambda: world.source.log(("orders", 0)).move_start(17))

    assert ("gaps", [(15, 17, TRIMMED)]) == (point.entry.status, _ranges(point.entry.gaps))
    result = world.restore()
    assert ([], 15 + 3) == (result.mismatches, len(world.contents("copy")))
    assert world.contents("orders", cluster=world.source) == world.contents("copy")[15:]


def test_records_deleted_before_anything_was_read_are_trimmed_and_the_point_is_complete(world: SmallWorld) -> None:
    point = _before_first(world, lambda: world.source.log(("orders", 0)).move_start(7))

    assert ("complete", (), 13) == (point.entry.status, point.entry.gaps, point.entry.totals.records)
    assert [(0, 7, "trimmed")] == _ranges(point.entry.trimmed)
    assert [7] == [row.first for row in point.rows.values()]
    world.assert_valid()


def test_everything_deleted_before_anything_was_read_is_trimmed_too(world: SmallWorld) -> None:
    def pass_the_end() -> None:
        world.send(records=5)
        world.source.log(("orders", 0)).move_start(23)

    point = _before_first(world, pass_the_end)

    assert ("complete", (), 0) == (point.entry.status, point.entry.gaps, point.entry.totals.records)
    assert [(0, 23, "trimmed")] == _ranges(point.entry.trimmed)
    world.assert_valid()


def test_everything_deleted_ahead_of_a_running_capture_is_a_gap_to_the_end_of_the_plan(world: SmallWorld) -> None:
    def pass_the_end() -> None:
        world.send(records=5)
        world.source.log(("orders", 0)).move_start(23)

    point = _strike(world, pass_the_end)

    assert ("gaps", [(15, 20, TRIMMED)], 15) == (
        point.entry.status,
        _ranges(point.entry.gaps),
        point.entry.totals.records,
    )


@pytest.mark.parametrize("is_created_again", [False, True], ids=["deleted", "created-again"])
def test_a_topic_that_goes_under_a_running_capture_is_named_and_its_rows_are_not_live(
    world: SmallWorld, is_created_again: bool
) -> None:
    def delete() -> None:
        world.source.delete_topic("orders")
        if is_created_again:
            world.topic(records=25)  # longer than the old one was

    point = _strike(world, delete)

    assert ("gaps", [(15, 20, TOPIC_GONE)]) == (point.entry.status, _ranges(point.entry.gaps))
    assert [False] == [row.is_live for row in point.rows.values()]
    restored = world.restore()
    assert ([], True, 15) == (restored.mismatches, restored.is_partial, len(world.contents("copy")))
    assert f"offsets 15 to 19 are not in the point: {TOPIC_GONE}." in [one.message for one in restored.findings]


def test_what_an_unclean_election_loses_ahead_of_the_capture_is_named_truncated(world: SmallWorld) -> None:
    world.source.led(("orders", 0)).replicas = (1, 2)
    point = _strike(world, lambda: world.source.elect_uncleanly(("orders", 0), end=10))

    assert ("gaps", [(10, 20, TRUNCATED)], 10) == (
        point.entry.status,
        _ranges(point.entry.gaps),
        point.entry.totals.records,
    )
    assert [] == world.restore().mismatches
    assert world.contents("orders", cluster=world.source) == world.contents("copy")


def test_records_that_replaced_lost_ones_are_read_instead_of_them(world: SmallWorld) -> None:
    """The new leader's log diverges at 10 and has grown past the plan's end since: its records count."""

    def elect() -> None:
        world.source.elect_uncleanly(("orders", 0), end=10)
        world.send(records=15)

    point = _strike(world, elect)

    assert ("complete", 20) == (point.entry.status, point.entry.totals.records)
    world.restore()
    assert world.contents("orders", cluster=world.source)[:20] == world.contents("copy")


# ── only late ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _lag(world: SmallWorld, *, released_after_ms: int | None) -> None:
    """After an election the leader serves less than it did, for so long, or for ever."""
    world.source.log(("orders", 0)).held_at = 10
    if released_after_ms is not None:
        world.clock.after(released_after_ms, lambda: world.source.release_replication(("orders", 0)))


def test_a_leader_that_lags_behind_the_plan_is_waited_for(world: SmallWorld) -> None:
    point = _before_first(world, lambda: _lag(world, released_after_ms=30_000))
    assert ("complete", 20) == (point.entry.status, point.entry.totals.records)


def test_a_leader_that_stays_behind_the_plan_fails_the_partition_after_the_deadline(world: SmallWorld) -> None:
    point = _before_first(world, lambda: _lag(world, released_after_ms=None))

    [failure] = point.entry.failures
    assert ("partial", 10) == (point.entry.status, point.entry.totals.records)
    assert (
        "the leader serves up to offset 10, the plan ends at 20; this did not change before the deadline"
        in failure.reason
    )


def test_empty_answers_that_may_be_slow_tiered_storage_fail_the_partition_after_the_deadline(
    world: SmallWorld,
) -> None:
    """A leader of a topic that is not compacted always has what lies below the last stable offset."""
    _lose_batches(world, first=10)
    began_ms = world.clock.now_ms()

    point = world.back_up()

    [failure] = point.entry.failures
    assert "the leader sends no records from offset 10 on, although its log contains some" in failure.reason
    assert ("partial", 10, True) == (
        point.entry.status,
        point.entry.totals.records,
        world.clock.now_ms() - began_ms >= 60_000,
    )


def test_empty_answers_of_slow_tiered_storage_are_waited_for(world: SmallWorld) -> None:
    segments = world.source.log(("orders", 0)).segments
    kept = list(segments)
    _lose_batches(world, first=10)
    world.clock.after(30_000, lambda: segments.__setitem__(slice(None), kept))

    assert ("complete", 20) == (world.back_up().entry.status, world.point().entry.totals.records)


def _lose_batches(world: SmallWorld, *, first: int) -> None:
    log = world.source.log(("orders", 0))
    log.segments[:] = [segment for segment in log.segments if segment.base_offset < first]


def test_the_empty_tail_of_a_compacted_topic_ends_the_partition_at_once() -> None:
    """The cleaner of Kafka 3.9 may take the last batches of a log, so that nothing is served below its end."""
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, version="3.9.1")
    world.topic(records=0, configs={"cleanup.policy": "compact"})
    world.source.producer().send(("orders", 0), records := world.records(5))
    transaction = world.source.transactional_producer()
    transaction.send(("orders", 0), records)
    transaction.abort()
    world.source.transactional_producer(timeout_ms=1 << 40).send(("orders", 0), world.records(1))
    _lose_batches_but_first(world)
    began_ms = world.clock.now_ms()

    point = world.back_up()

    [line] = [line for lines in point.lines(point.rows.values()).values() for line in lines]
    assert ("complete", 5, 11) == (point.entry.status, line.empty_from, line.next)
    assert world.clock.now_ms() - began_ms < 60_000
    world.assert_valid()


def _lose_batches_but_first(world: SmallWorld) -> None:
    """As the cleaner leaves it: what lies between the kept batch and the open transaction is gone."""
    log = world.source.log(("orders", 0))
    log.segments[:] = [log.segments[0], log.segments[-1]]


def test_throttled_answers_are_waited_for_until_the_end_is_reached(world: SmallWorld) -> None:
    world.source.limit_fetching(3)
    began_ms = world.clock.now_ms()

    point = world.back_up()

    assert ("complete", 20) == (point.entry.status, point.entry.totals.records)
    assert world.clock.now_ms() - began_ms > 60_000, "longer than the deadline for trouble"


def test_lost_answers_are_asked_for_again(world: SmallWorld) -> None:
    world.faults.lose_answer("fetcher.receive", skip=1)
    world.faults.lose_request("fetcher.receive", skip=5)
    assert ("complete", 20) == (world.back_up().entry.status, world.point().entry.totals.records)


# ── failures ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_leader_that_stays_away_fails_its_partition_and_the_others_are_captured() -> None:
    world = SmallWorld()
    world.topic(partitions=2)
    world.faults.before("fetcher.send", lambda: world.source.elect(("orders", 0), None))

    point = world.back_up()

    [failure] = point.entry.failures
    assert (0, "partial", 10) == (failure.partition, point.entry.status, point.entry.totals.records)


def test_a_batch_whose_crc_is_wrong_fails_its_partition_and_is_not_stored(world: SmallWorld) -> None:
    world.source.log(("orders", 0)).flip_byte(12)
    point = world.back_up()
    [failure] = point.entry.failures
    assert (True, 10) == ("a batch at offset 10 whose CRC does not match" in failure.reason, point.entry.totals.records)
    world.assert_valid()


def test_a_partition_that_may_not_be_read_any_more_is_denied_and_what_was_read_is_kept() -> None:
    world = SmallWorld()
    world.source = kafka(world.clock, seed=3, has_authorizer=True)
    world.topic(records=20)
    close = world.source.permissions.allow_only
    world.faults.before("fetcher.receive", lambda: close("reader", "Topic", "orders", "Describe"), skip=2)

    point, captured = world.run_backup(user="reader")

    assert [(True, False)] == [(one.is_denied, one.is_passing) for result in captured for one in result.failures]
    assert 15 == point.entry.totals.records


@pytest.mark.parametrize("big_bytes", [0, 1 << 30], ids=["object between ranges", "last object"])
def test_a_store_that_denies_a_write_ends_the_capture_instead_of_one_partition(
    world: SmallWorld, big_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_ranges, "BIG_PARTITION_BYTES", big_bytes)
    world.topic("other")
    world.store = store = FaultyStore(world.store)
    context = world.context(world.source)
    plan = plan_snapshot(context, replace(world.request(), most_bins=1))
    store.refuse("put_if_absent", AccessError("Not allowed to write."))

    with refused(AccessError, "Not allowed to write", code=12):
        capture_bins(context, plan, workers=1)


def test_a_capture_that_is_stopped_leaves_no_point(world: SmallWorld) -> None:
    context = world.context(world.source)
    world.faults.before("fetcher.receive", context.stop.set, skip=2)

    with refused(InterruptedRunError, "stopped", code=130):
        snapshot_locally(context, world.request(), workers=1)
    with pytest.raises(NotFoundError):
        world.point()


def test_a_partition_that_fails_is_reported_with_whether_it_may_pass(world: SmallWorld) -> None:
    world.topic("other")
    world.faults.give_up("fetcher.receive", skip=2)
    _, captured = world.run_backup()
    assert [True] == [one.is_passing for result in captured for one in result.failures]
