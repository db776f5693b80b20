"""Incremental runs: each point holds what a snapshot at that time would hold, and says what is lost."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tasks.engine.backup_steps import capture_bins, commit_run
from tasks.engine.commit.point_tiers import MOST_DELTAS, TIER_OBJECTS
from tasks.engine.incremental import incremental_locally, plan_incremental
from tasks.model.errors import PreconditionError
from tasks.model.ranges import OVERTAKEN, TRUNCATED
from tasks.reports.backup import notable_events
from tasks.repository.entries import PartitionNote
from tasks.repository.leases import Lease
from tasks.repository.partition_table import Row
from tasks.repository.restore_point import RestorePoint
from tests.simulation.kafka.faults import Step
from tests.simulation.rules.small_world import DAY_MS, SmallWorld
from tests.support.counting_store import CountingStore

ORDERS = ("orders", 0)


def _rows(point: RestorePoint, topic: str = "orders") -> list[Row]:
    return [row for source, row in sorted(point.rows.items()) if source.topic == topic]


def _ranges(notes: tuple[PartitionNote, ...]) -> list[tuple[int | None, int | None, str]]:
    return [(note.first, note.next, note.reason) for note in notes]


def _events(point: RestorePoint) -> list[str]:
    return [event for event, _ in notable_events(point.entry)]


def _restored(world: SmallWorld, seq: int | None = None) -> list[object]:
    name = f"copy-{world.clock.now_ms()}"
    result = world.restore({"orders": name}, seq=seq)
    assert () == tuple(result.mismatches)
    world.clock.advance(1)
    return list(world.contents(name))


def _calls(world: SmallWorld) -> Counter[str]:
    calls: Counter[str] = Counter()

    def note(step: Step) -> None:
        calls[step.call] += step.has_happened

    world.source.interceptor = note
    return calls


def test_the_first_run_is_a_snapshot_and_the_next_reads_only_what_is_new(world: SmallWorld) -> None:
    world.topic()
    first = world.back_up_changes()
    world.send(records=5)

    second = world.back_up_changes()

    assert ("snapshot", "incremental") == (first.entry.point_kind, second.entry.point_kind)
    assert [(0, 15, first.seq)] == [(row.first, row.next, row.base_seq) for row in _rows(second)]
    assert [first.entry.totals.records + 5, 15] == [second.entry.totals.records] * 2
    assert world.contents("orders", cluster=world.source) == _restored(world)
    assert world.contents("orders", cluster=world.source)[:10] == _restored(world, first.seq)
    world.assert_valid()


def test_a_run_without_news_names_the_objects_of_the_point_before_it_and_fetches_nothing(world: SmallWorld) -> None:
    world.topic(partitions=3)
    first = world.back_up_changes()
    context, request = world.context(world.source), world.request()
    calls = _calls(world)

    plan = plan_incremental(context, request)
    world.clock.advance(1)
    second = world.back_up_changes()

    assert ((), ()) == (plan.partitions, plan.bins)
    assert 0 == calls["reader.first_answers"] + calls["fetcher.send"]
    assert [ref.key for ref in first.entry.table] == [ref.key for ref in second.entry.table]
    assert [ref.key for ref in first.entry.index] == [ref.key for ref in second.entry.index]
    assert (first.entry.totals, "complete") == (second.entry.totals, second.entry.status)
    world.assert_valid()


def test_a_pattern_that_selected_topics_without_news_gets_no_note(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()

    plan = plan_incremental(world.context(world.source), world.request("ord*", "pay*"))

    assert (("topics.include 'pay*' selected no topic.",), ()) == (plan.notes, plan.partitions)


def test_a_row_has_the_leader_epoch_of_the_run_that_read_it(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.source.elect(ORDERS, 0)
    epoch = world.source.led(ORDERS).epoch

    assert [0] == [row.leader_epoch for row in _rows(world.back_up_changes())], "nothing was read"
    world.send(records=5)
    assert [epoch] == [row.leader_epoch for row in _rows(world.back_up_changes())]
    assert epoch > 0


def test_retention_that_passes_a_stored_offset_is_a_gap_with_its_range(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.send(records=10)
    world.source.log(ORDERS).move_start(15)

    point = world.back_up_changes()

    assert ("gaps", [(10, 15, OVERTAKEN)], ()) == (point.entry.status, _ranges(point.entry.gaps), point.entry.trimmed)
    assert [(0, 20)] == [(row.first, row.next) for row in _rows(point)]
    assert 15 == len(_restored(world))
    world.assert_valid()
    assert "complete" == world.back_up_changes().entry.status


def test_a_topic_that_was_created_again_is_another_incarnation_and_both_stay(world: SmallWorld) -> None:
    world.topic()
    first = world.back_up_changes()
    old = world.contents("orders", cluster=world.source)
    world.source.delete_topic("orders")
    world.topic(records=20)

    point = world.back_up_changes()

    assert ["topic created again"] == [note.reason for note in point.entry.ended]
    assert ["kafka-backup.topic.recreated"] == _events(point)
    assert {(False, 0, 10, first.seq), (True, 0, 20, point.seq)} == {
        (row.is_live, row.first, row.next, row.base_seq) for row in _rows(point)
    }
    assert world.contents("orders", cluster=world.source) == _restored(world), "the one that existed at the point"
    assert old == _restored(world, first.seq)
    world.assert_valid()


def test_the_rows_of_a_deleted_topic_stay_and_can_be_restored(world: SmallWorld) -> None:
    for topic in ("orders", "other"):
        world.topic(topic)
    world.back_up_changes()
    old = world.contents("orders", cluster=world.source)
    world.source.delete_topic("orders")

    point, later = world.back_up_changes(), world.back_up_changes()

    assert ["topic deleted"] == [note.reason for note in point.entry.ended]
    assert ["kafka-backup.topic.deleted"] == _events(point)
    assert () == later.entry.ended, "it is said once"
    assert old == _restored(world)
    world.assert_valid()


def test_a_topic_that_is_selected_again_goes_on_where_it_ended(world: SmallWorld) -> None:
    for topic in ("orders", "other"):
        world.topic(topic)
    first = world.back_up_changes()
    point = world.back_up_changes("other")
    world.send(records=5)

    again = world.back_up_changes()

    assert ["topic not selected"] == [note.reason for note in point.entry.ended]
    assert [(0, 15, True, first.seq)] == [(row.first, row.next, row.is_live, row.base_seq) for row in _rows(again)]
    world.assert_valid()


@pytest.mark.parametrize("new_records", [0, 2, 20], ids=["shorter", "not longer", "longer"])
def test_a_log_that_was_truncated_is_read_again_from_where_it_differs(world: SmallWorld, new_records: int) -> None:
    """However long the log is now, the stored offset is not used."""
    world.topic()
    first = world.back_up_changes()
    old = world.contents("orders", cluster=world.source)
    world.source.elect_uncleanly(ORDERS, end=5)
    if new_records:
        world.send(records=new_records, per_batch=1)

    point = world.back_up_changes()

    assert [(5, 10, TRUNCATED)] == _ranges(point.entry.truncated)
    assert [(0, 5 + new_records)] == [(row.first, row.next) for row in _rows(point)]
    assert world.contents("orders", cluster=world.source) == _restored(world)
    assert old == _restored(world, first.seq), "the older point has the lost records"
    world.assert_valid()
    world.send(records=5)
    assert () == world.back_up_changes().entry.truncated
    assert world.contents("orders", cluster=world.source) == _restored(world)
    world.assert_valid()


def test_a_log_that_is_truncated_between_plan_and_capture_is_read_again_below_the_stored_offset(
    world: SmallWorld,
) -> None:
    world.topic()
    world.back_up_changes()
    world.send(records=5)
    request, context = world.request(), world.context(world.source)
    done: list[Step] = []

    def strike(step: Step) -> None:
        if step.call == "fetcher.send" and not step.has_happened and not done:
            done.append(step)
            world.source.elect_uncleanly(ORDERS, end=5)
            world.send(records=30, per_batch=1)

    world.source.interceptor = strike
    point, _ = incremental_locally(context, request, workers=1)

    assert done
    assert [(5, 10, TRUNCATED)] == _ranges(point.entry.truncated)
    assert world.contents("orders", cluster=world.source)[:15] == _restored(world)
    world.assert_valid()


def test_records_of_a_transaction_that_lost_its_marker_leave_the_chain_until_they_are_decided(
    world: SmallWorld,
) -> None:
    """The cluster does not serve them to readers of committed data either."""
    world.topic()
    producer = world.source.transactional_producer(timeout_ms=DAY_MS)
    producer.send(ORDERS, world.records(5))
    producer.commit()
    world.back_up_changes()
    world.source.elect_uncleanly(ORDERS, end=15)

    point = world.back_up_changes()

    assert [(10, 16, TRUNCATED)] == _ranges(point.entry.truncated)
    assert [(0, 10)] == [(row.first, row.next) for row in _rows(point)]
    assert world.contents("orders", cluster=world.source) == _restored(world)
    world.assert_valid()


def test_new_partitions_and_new_topics_are_read_whole(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.topic("later", partitions=2)

    point = world.back_up_changes()

    assert [(0, 10, point.seq)] * 2 == [(row.first, row.next, row.base_seq) for row in _rows(point, "later")]
    world.assert_valid()


def test_a_new_base_is_made_when_one_is_due(world: SmallWorld) -> None:
    world.topic()
    first = world.back_up_changes(full_every="2d")
    world.clock.advance(DAY_MS)
    second = world.back_up_changes(full_every="2d")
    world.clock.advance(DAY_MS)
    third = world.back_up_changes(full_every="2d")

    assert ["snapshot", "incremental", "snapshot"] == [one.entry.point_kind for one in (first, second, third)]


def test_a_run_that_comes_too_late_for_tombstones_of_a_compacted_topic_warns(world: SmallWorld) -> None:
    hour = {"cleanup.policy": "compact", "delete.retention.ms": str(DAY_MS)}
    world.topic(configs=hour)
    world.topic("plain")
    world.back_up_changes()
    world.clock.advance(DAY_MS // 2)
    in_time = world.back_up_changes()
    world.clock.advance(DAY_MS + 1)
    late = world.back_up_changes()

    assert () == in_time.entry.warnings
    [warning] = late.entry.warnings
    assert "Topic orders is compacted and keeps tombstones for 24 hours, but the last run was 24 hours ago" in warning


def test_a_partition_that_failed_goes_on_where_its_row_ends(world: SmallWorld) -> None:
    for topic in ("orders", "other"):
        world.topic(topic)
    world.back_up_changes()
    for topic in ("orders", "other"):
        world.send((topic, 0))
    world.source.elect(ORDERS, None)
    partial = world.back_up_changes()
    world.source.elect(ORDERS, 1)

    point = world.back_up_changes()

    assert ("partial", [10]) == (partial.entry.status, [row.next for row in _rows(partial)])
    assert ("complete", [(20, None)]) == (point.entry.status, [(row.next, row.failure) for row in _rows(point)])
    world.assert_valid()


def test_a_transaction_that_stays_open_is_said_although_nothing_is_new(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    producer = world.source.transactional_producer(timeout_ms=10 * DAY_MS)
    producer.send(ORDERS, world.records(2))
    second, third, fourth = (world.back_up_changes() for _ in range(3))
    producer.commit()
    fifth = world.back_up_changes()

    assert ["complete", "partial", "partial", "complete"] == [
        one.entry.status for one in (second, third, fourth, fifth)
    ]
    [note] = fourth.entry.failures
    assert (10, 12) == (note.first, note.next)
    assert re.search(r"\(producer id \d+, which wrote its last record 0\.0 hours before\)", note.reason)
    assert 12 == len(_restored(world))


def test_a_run_whose_stored_offsets_another_run_has_moved_is_voided(world: SmallWorld) -> None:
    world.topic()
    world.back_up_changes()
    world.send(records=5)
    context = world.context(world.source)
    slow = plan_incremental(context, world.request())
    captured = capture_bins(context, slow, workers=1)
    world.clock.advance(1)
    faster = world.back_up_changes()

    with pytest.raises(PreconditionError, match="another run changed the set"):
        commit_run(world.repository, slow, captured)

    assert faster.seq == world.point().seq


def test_a_long_chain_has_few_references_and_stays_valid(world: SmallWorld) -> None:
    world.topic(partitions=3)
    for number in range(80):
        world.back_up_changes()
        world.send(("orders", number % 3), 2)

    point = world.back_up_changes()

    assert len(point.entry.index) <= 14
    assert len(point.entry.table) <= 17
    assert 160 + 30 == point.entry.totals.records
    world.restore({"orders": "copy"})
    for partition in range(3):
        assert world.contents("orders", partition, cluster=world.source) == world.contents("copy", partition)
    world.assert_valid()


@pytest.mark.parametrize("runs", [10, pytest.param(60, marks=pytest.mark.exhaustive)])
def test_the_requests_of_a_run_grow_with_what_changed(runs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,000 partitions ten have news: so many requests, whether the set has 2 points or 60,
    and at most a merge of index objects and the deltas of the table, which are read once."""
    monkeypatch.setattr(Lease, "renew", lambda lease: None)  # a slow run would renew its lease
    world = SmallWorld()
    for number in range(10):
        world.topic(f"topic-{number}", partitions=100, records=1)
    world.back_up_changes()

    def run() -> tuple[int, Counter[str]]:
        for number in range(10):
            world.send((f"topic-{number}", 7), 1)
        world.clock.advance(1)
        store = CountingStore(world.store)
        world.store, before = store, world.store
        calls = _calls(world)
        context, request = world.context(world.source), world.request(consumer_group_snapshot=False)
        context.repository.state("set")
        world.source.interceptor = lambda step: calls.update([step.call] if step.has_happened else [])
        store.requests.clear()
        incremental_locally(context, request, workers=1)
        world.store = before
        return store.count(), calls

    early, early_calls = run()
    counted = [run() for _ in range(runs)]

    assert (4, 0, 1) == tuple(
        early_calls[call] for call in ("reader.first_answers", "fetcher.send", "reader.ends_of_epochs")
    ), "one request for the news of each bin"
    assert all(calls == early_calls for _, calls in counted)
    assert max(requests for requests, _ in counted) <= early + MOST_DELTAS + TIER_OBJECTS


def test_if_every_partition_changes_a_point_has_one_table(world: SmallWorld) -> None:
    """A delta with all rows would be a base that is read together with the old one."""
    world.topic(partitions=3)
    world.back_up_changes()
    for _ in range(3):
        for partition in range(3):
            world.send(("orders", partition), 1)
        point = world.back_up_changes()

        assert [3] == [ref.rows for ref in point.entry.table]


def test_deltas_have_fewer_rows_than_the_base(world: SmallWorld) -> None:
    world.topic(partitions=3)
    world.back_up_changes()
    rows = []
    for _ in range(4):
        world.send(("orders", 1), 1)
        rows.append([ref.rows for ref in world.back_up_changes().entry.table])

    assert [[3, 1], [3, 1, 1], [3], [3, 1]] == rows
