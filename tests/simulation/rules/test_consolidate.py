"""Consolidation: small objects become large ones, and every point restores what it restored before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from tasks.engine import consolidate
from tasks.engine.capture.capture_result import CaptureResult
from tasks.engine.commit.runs import run_lease
from tasks.engine.consolidate import (
    Consolidation,
    commit_consolidation,
    consolidate_locally,
    originals_of,
    plan_consolidation,
)
from tasks.engine.consolidation import candidates, join
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.consolidation.join import join_ranges
from tasks.model.errors import DamagedError, InterruptedRunError, LockedError, NotFoundError, PreconditionError
from tasks.reports.consolidation import consolidation_text
from tasks.repository.entries import PointEntry, VoidEntry
from tasks.repository.leases import acquire
from tasks.repository.lines import IndexLine
from tasks.repository.names import consolidation_lease_key
from tasks.repository.plans import Plan, write_plan
from tasks.repository.restore_point import RestorePoint
from tasks.store.protocol import ObjectInfo
from tests.simulation.rules.small_world import HOUR_MS, SET, SmallWorld
from tests.support.archiving_store import ArchivingStore
from tests.support.counting_store import CountingStore
from tests.support.faults import Crashed, FaultyStore

ORDERS = ("orders", 0)


def _runs(world: SmallWorld, count: int = LEAST_OBJECTS, **topic: int) -> list[RestorePoint]:
    """So many incremental runs, each with new records in every partition of `orders` and `bills`."""
    if "orders" not in world.source.topics.by_name:
        world.topic(records=0, partitions=2)
        world.topic("bills", records=0)
    points = []
    for _ in range(count):
        for place in (ORDERS, ("orders", 1), ("bills", 0)):
            world.send(place, records=4, per_batch=2)
        points.append(world.back_up_changes())
        world.clock.advance(1000)
    return points


def _consolidate(world: SmallWorld) -> Consolidation | None:
    return consolidate_locally(world.context(world.source), SET, workers=1)


def _consolidated(world: SmallWorld) -> Consolidation:
    done = _consolidate(world)
    assert done is not None
    return done


def _planned(world: SmallWorld) -> tuple[Plan, list[CaptureResult]]:
    """A consolidation up to its commit."""
    context, point = world.context(world.source), world.point()
    plan = plan_consolidation(world.repository, point)
    assert plan is not None
    write_plan(world.store, plan)
    originals = originals_of(point, plan)
    return plan, [join_ranges(context, plan, number, originals) for number in range(len(plan.bins))]


def _restored(world: SmallWorld, seq: int | None = None) -> dict[str, object]:
    name = f"copy-{world.clock.now_ms()}"
    result = world.restore({"orders": name, "bills": f"{name}-bills"}, seq=seq)
    assert () == tuple(result.mismatches)
    world.clock.advance(1)
    places = [(name, 0), (name, 1), (f"{name}-bills", 0)]
    return {topic.removeprefix(name) + f"-{partition}": world.contents(topic, partition) for topic, partition in places}


def _lines(point: RestorePoint) -> dict[str, list[IndexLine]]:
    return {str(source): list(own) for source, own in point.lines(point.rows.values()).items()}


def _objects(lines: Iterable[Iterable[IndexLine]]) -> set[str | None]:
    return {line.object for own in lines for line in own}


def test_small_objects_are_joined_and_the_point_restores_the_same(world: SmallWorld) -> None:
    world.commit("billing", {ORDERS: 7})
    before = _runs(world)[-1]
    restored = _restored(world)

    done = _consolidated(world)

    after = world.point()
    assert ("consolidated", after.seq) == (done.after.point_kind, done.after.seq)
    assert (before.entry.totals.objects, 1) == (done.before.totals.objects, done.after.totals.objects)
    assert dict.fromkeys(_lines(before), 1) == {source: len(own) for source, own in _lines(after).items()}
    assert before.rows == after.rows
    assert before.groups == after.groups
    assert restored == _restored(world)
    world.assert_valid()


def test_older_points_keep_their_objects(world: SmallWorld) -> None:
    points = _runs(world)
    kept = {point.seq: (_lines(point), _restored(world, point.seq)) for point in points}

    _consolidated(world)

    assert kept == {seq: (_lines(world.point(seq)), _restored(world, seq)) for seq in kept}


def test_the_next_incremental_run_goes_on_at_the_stored_offsets(world: SmallWorld) -> None:
    _runs(world)
    _consolidated(world)
    [point] = _runs(world, 1)

    assert "incremental" == point.entry.point_kind
    assert world.contents("orders", cluster=world.source) == _restored(world)["-0"]
    world.assert_valid()


def test_too_few_objects_are_left_as_they_are_and_nothing_is_written(world: SmallWorld) -> None:
    _runs(world, 2)
    log = world.repository.state(SET).seq

    assert _consolidate(world) is None
    assert log == world.repository.state(SET).seq


def test_a_set_without_a_point_has_nothing_to_consolidate(world: SmallWorld) -> None:
    with pytest.raises(NotFoundError, match="no backup set"):
        _consolidate(world)


def test_a_second_consolidation_joins_only_what_came_since(world: SmallWorld) -> None:
    _runs(world)
    first = _consolidated(world)
    assert _consolidate(world) is None

    _runs(world)
    second = _consolidated(world)

    assert (1, 1) == (first.after.totals.objects, second.after.totals.objects)
    assert {1} == {len(own) for own in _lines(world.point()).values()}
    world.assert_valid()


def test_aborted_and_committed_transactions_across_the_seams_stay_what_they_are(world: SmallWorld) -> None:
    _runs(world, 1)
    for number in range(LEAST_OBJECTS):
        producer = world.source.transactional_producer()
        producer.send(ORDERS, world.records(3))
        producer.send(("orders", 1), world.records(2))
        (producer.abort if number % 2 else producer.commit)()
        _runs(world, 1)
    restored = _restored(world)
    records = world.point().entry.totals.records

    _consolidated(world)

    assert restored == _restored(world)
    assert records == world.point().entry.totals.records
    assert world.contents("orders", cluster=world.source) == restored["-0"]
    world.assert_valid()


def test_a_copied_line_is_as_old_as_its_originals(world: SmallWorld) -> None:
    points = _runs(world)
    originals = _lines(points[-1])["orders-0"]

    _consolidated(world)

    [copy] = _lines(world.point())["orders-0"]
    assert (originals[0].captured_ms, originals[-1].captured_ms) == (copy.captured_ms, copy.captured_to_ms)
    assert max(line.seq or 0 for line in originals) == copy.seq


def test_a_truncation_during_the_copy_keeps_the_new_lineage(world: SmallWorld) -> None:
    _runs(world)
    plan, copied = _planned(world)
    world.source.elect_uncleanly(ORDERS, end=10)
    _runs(world, 1)

    commit_consolidation(world.repository, plan, copied)

    assert world.contents("orders", cluster=world.source) == _restored(world)["-0"]
    world.assert_valid()


def test_a_new_base_during_the_copy_makes_the_copies_useless(world: SmallWorld) -> None:
    _runs(world)
    plan, copied = _planned(world)
    world.back_up()

    with pytest.raises(PreconditionError, match="no copied range can be used"):
        commit_consolidation(world.repository, plan, copied)

    assert isinstance(list(world.repository.log(SET).entries())[-1], VoidEntry)
    world.assert_valid()


def test_two_consolidations_at_once_copy_twice_and_change_the_set_once(world: SmallWorld) -> None:
    _runs(world)
    first, second = _planned(world), _planned(world)
    commit_consolidation(world.repository, *first)

    with pytest.raises(PreconditionError):
        commit_consolidation(world.repository, *second)

    world.assert_valid()


def test_a_commit_may_be_repeated(world: SmallWorld) -> None:
    _runs(world)
    plan, copied = _planned(world)

    first = commit_consolidation(world.repository, plan, copied)

    assert first.after.seq == commit_consolidation(world.repository, plan, copied).after.seq
    assert first.after.seq == world.repository.state(SET).seq


def test_a_running_backup_does_not_hold_it_up(world: SmallWorld) -> None:
    _runs(world)
    context = world.context(world.source)

    with run_lease(context, SET, "20270115T080000000Z-00000000"):
        assert _consolidate(world) is not None


def test_it_refuses_a_second_consolidation_whose_owner_is_alive(world: SmallWorld) -> None:
    _runs(world)
    other = acquire(world.store, consolidation_lease_key(SET))
    context = world.context(world.source)
    context.stop.wait = lambda timeout=None: other.renew() or False  # type: ignore[method-assign, func-returns-value]

    with pytest.raises(LockedError):
        consolidate_locally(context, SET, workers=1)


def test_a_damaged_original_ends_the_consolidation_and_changes_nothing(world: SmallWorld) -> None:
    point = _runs(world)[-1]
    key = _lines(point)["orders-0"][3].object or ""
    data, info = world.store.get(key)
    world.store.compare_and_swap(key, [data[:10] + bytes([data[10] ^ 1]) + data[11:]], expected=info.version)

    with pytest.raises(DamagedError, match="orders"):
        _consolidate(world)

    assert point.seq == world.point().seq


def test_a_stop_ends_it_without_a_point(world: SmallWorld) -> None:
    point = _runs(world)[-1]
    context = world.context(world.source)

    with pytest.raises(InterruptedRunError):
        consolidate_locally(context, SET, workers=1, planned=lambda plan: context.stop.set())

    assert point.seq == world.point().seq


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write_leaves_the_set_as_it_was_or_with_the_new_point(
    world: SmallWorld, *, is_after: bool
) -> None:
    _runs(world)
    restored = _restored(world)
    plain = world.store
    for write in range(1, 100):
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        try:
            _consolidate(world)
        except Crashed:
            pass
        else:
            break
        world.store = plain
        world.assert_valid()
        assert restored == _restored(world)
        world.clock.advance(HOUR_MS)  # the lease of the crashed process is not renewed any more
    world.store = plain

    assert write > 5
    assert restored == _restored(world)
    assert "incremental" == _runs(world, 1)[-1].entry.point_kind
    world.assert_valid()


def test_a_copy_that_differs_is_not_used(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    _runs(world)
    restored = _restored(world)
    monkeypatch.setattr(join, "_events", partial(_without_last_batch, join._events))

    done = _consolidated(world)

    assert ["the copy of offsets 0 to 31 differs"] == [failure.reason for failure in done.left_out]
    assert restored == _restored(world)
    world.assert_valid()


def _without_last_batch(events, reader, source, lines):  # type: ignore[no-untyped-def]
    """The events of a faulty copy: a frame of `bills` lost its last batch."""
    for event in events(reader, source, lines):
        if source.topic == "bills" and getattr(event, "batches", None):
            del event.batches[-1]
        yield event


def test_a_large_object_and_one_with_a_gap_stay(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    _runs(world, LEAST_OBJECTS)
    world.send(records=6)
    world.source.log(ORDERS).move_start(34)
    gap = _runs(world, 1)[-1]
    assert gap.entry.gaps
    with_gap = {line.object for own in _lines(gap).values() for line in own if line.gaps}

    _consolidated(world)

    assert with_gap <= _objects(_lines(world.point()).values())
    world.assert_valid()


def test_each_object_is_downloaded_once(world: SmallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "WINDOW_BYTES", 8 << 20)
    points = _runs(world, 3 * LEAST_OBJECTS)
    world.store = counting = CountingStore(world.store)

    _consolidated(world)

    objects = _objects(_lines(points[-1]).values())
    fetched = [one.key for one in counting.requests if one.operation == "get" and one.key in objects]
    assert sorted(map(str, objects)) == sorted(fetched)


def test_windows_that_follow_each_other_share_a_bin_if_there_are_too_many() -> None:
    windows = [["a", "b"], ["c"], ["d"], ["e"], ["f"]]

    assert ((0, 1, 2, 3), (4, 5)) == consolidate._bins(windows, 2)  # type: ignore[arg-type]
    assert ((0, 1), (2,), (3,), (4,), (5,)) == consolidate._bins(windows, 5)  # type: ignore[arg-type]


def test_the_entry_keeps_what_the_newest_point_says(world: SmallWorld) -> None:
    before = _runs(world)[-1].entry

    after = _consolidated(world).after

    changed = {"seq", "id", "parent", "newest_point", "time_ms", "run", "point_kind", "index", "totals"}
    references = {"table", "topics", "groups"}
    same = PointEntry.model_fields.keys() - changed - references
    assert {name: getattr(before, name) for name in same} == {name: getattr(after, name) for name in same}
    assert [ref.key for ref in before.table] == [ref.key for ref in after.table]
    assert (before.topics.key, before.topics.seq or before.seq) == (after.topics.key, after.topics.seq)


def test_archived_objects_stay_as_they_are_and_the_others_are_joined(world: SmallWorld) -> None:
    world.store = store = ArchivingStore(now_ms=world.clock.now_ms)
    _runs(world, 2)
    old = [info.key for info in store.list("data/")]
    _runs(world)
    before = _restored(world)
    store.archive(old)

    done = _consolidated(world)

    assert () == done.left_out
    assert (f"{len(old)} archived objects cannot be read, and stay as they are",) == done.warnings
    assert "archived objects cannot be read" in consolidation_text(done)
    lines = world.point().lines(world.point().rows.values())
    assert set(old) <= {line.object for source in lines for line in lines[source]}
    assert done.after.totals.objects < done.before.totals.objects
    for key in old:
        store.bring_back(key, days=1, tier="Bulk")
    store.arrive()
    assert before == _restored(world)


def test_an_archived_object_that_no_listing_shows_is_named_and_nothing_is_changed(world: SmallWorld) -> None:
    """The archive tiers of INTELLIGENT_TIERING are seen only by reading."""

    class Unlisted(ArchivingStore):
        """Its listings show no archive."""

        def list(self, prefix: str) -> Iterator[ObjectInfo]:
            return (replace(info, archive=None) for info in super().list(prefix))

    world.store = store = Unlisted(now_ms=world.clock.now_ms)
    points = _runs(world)
    objects = [info.key for info in store.list("data/")]

    store.archive(objects)
    with pytest.raises(PreconditionError, match=r"No range of set could be copied.*is archived"):
        _consolidate(world)
    assert points[-1].seq == world.repository.state(SET).newest_point

    for key in objects[1:]:
        store.bring_back(key, days=1, tier="Bulk")
    store.arrive()
    [left_out] = _consolidated(world).left_out
    assert "is archived" in left_out.reason
    store.bring_back(objects[0], days=1, tier="Bulk")
    store.arrive()
    world.assert_valid()
