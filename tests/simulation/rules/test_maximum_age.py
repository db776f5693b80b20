"""`maximum_age`: older data leaves the set, also from points that stay, and every reader says what is gone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from tasks.engine.backup_steps import capture_bins, commit_run
from tasks.engine.consolidate import consolidate_locally
from tasks.engine.consolidation.candidates import LEAST_OBJECTS, MOST_SPAN_MS
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.incremental import incremental_locally
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import Pruned, change_points, delete_unnamed, plan_prune, prune_locally
from tasks.engine.retention.approval import ApprovalLimits
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.engine.validate import validate_locally
from tasks.model.errors import PreconditionError
from tasks.model.ranges import DROPPED
from tasks.repository.entries import DropEntry
from tasks.repository.pins import pinned
from tasks.repository.points import PointReference
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld
from tests.support.counting_store import CountingStore
from tests.support.faults import Crashed, FaultyStore

WEEK = RetentionPolicy(keep_last=100, maximum_age="7d")


@pytest.fixture
def world() -> SmallWorld:
    """A world whose store has the simulated clock too."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    made.topic(records=0)
    return made


def _changes(world: SmallWorld, count: int) -> list[int]:
    """So many incremental runs of four records, a day apart."""
    seqs = []
    for _ in range(count):
        world.send(records=4)
        seqs.append(world.back_up_changes().seq)
        world.clock.advance(DAY_MS)
    return seqs


def _prune(world: SmallWorld, policy: RetentionPolicy = WEEK) -> Pruned:
    return prune_locally(world.context(world.source), SET, policy)


def _data(world: SmallWorld) -> set[str]:
    return {info.key for info in world.store.list("data/")}


def _restored(world: SmallWorld, seq: int | None = None) -> list[object]:
    name = f"copy-{len(world.target.topics.by_name)}"
    assert [] == list(world.restore({"orders": name}, seq=seq).mismatches)
    return list(world.contents(name))


def _source(world: SmallWorld) -> list[object]:
    return list(world.contents("orders", cluster=world.source))


def test_old_data_leaves_a_set_whose_policy_keeps_labels_and_names_storage_classes(world: SmallWorld) -> None:
    """The log keeps the labels, and not the storage classes, which are no rule about data that leaves."""
    _changes(world, 10)
    rules = {"keep_last": 100, "maximum_age": "7d", "keep_tag": ["release", "env=prod"]}
    classes = {"tiers": [{"after": "5d", "class": "GLACIER_IR"}]}

    _prune(world, RetentionPolicy.model_validate({**rules, **classes}))

    assert 7 == len(_data(world))
    entries = world.repository.log(SET).without_memory().newest_first()
    [drop] = [entry for entry in entries if isinstance(entry, DropEntry)]
    kept = {**rules, "keep_tag": ("release", "env=prod"), "minimum_points": 1, "grace": "24h"}
    assert kept == drop.policy


def test_old_data_leaves_points_that_stay_and_the_rest_restores(world: SmallWorld) -> None:
    seqs = _changes(world, 10)

    done = _prune(world)

    assert seqs == list(world.repository.state(SET).points)
    assert 3 == done.deleted.objects // 2, "the data of the first three days, and a fragment beside each"
    assert 7 == len(_data(world))
    assert _source(world)[12:] == _restored(world)
    assert _source(world)[12:24] == _restored(world, seqs[5])
    world.assert_valid()


def test_the_plan_says_what_leaves_and_writes_nothing(world: SmallWorld) -> None:
    seqs = _changes(world, 10)

    plan = plan_prune(world.context(world.source), SET, WEEK)

    assert plan.old is not None
    assert (3, tuple(seqs)) == (len(plan.old.objects), plan.old.points)
    assert not plan.is_empty
    assert 10 == len(_data(world))
    assert () == world.repository.state(SET).drops


def test_a_restore_and_a_validation_name_what_is_gone(world: SmallWorld) -> None:
    _changes(world, 10)
    _prune(world)

    messages = [finding.message for finding in world.preview().findings]
    result = validate_locally(world.context(world.source), PointReference(SET), level="quick")

    assert f"offsets 0 to 3 are not in the point: {DROPPED}." in messages
    assert (3, ()) == (result.dropped_objects, result.findings)


def test_the_next_runs_go_on_where_the_last_one_ended(world: SmallWorld) -> None:
    _changes(world, 10)
    _prune(world)

    _changes(world, 3)

    assert _source(world)[12:] == _restored(world)
    world.assert_valid()
    world.back_up()
    assert _source(world) == _restored(world), "the source still has everything, so a new base has it too"
    world.assert_valid()


def test_a_day_later_one_more_day_leaves_and_one_drop_is_in_force(world: SmallWorld) -> None:
    _changes(world, 10)
    _prune(world)
    assert None is plan_prune(world.context(world.source), SET, WEEK).old

    _changes(world, 2)
    done = _prune(world)

    assert done.plan.old is not None
    assert 2 == len(done.plan.old.objects)
    assert 1 == len(world.repository.state(SET).drops)
    assert _source(world)[20:] == _restored(world)


def test_a_held_point_keeps_all_its_data_and_the_others_do_not(world: SmallWorld) -> None:
    seqs = _changes(world, 10)
    before = _restored(world, seqs[4])
    add_hold(world.repository, SET, "case", [seqs[4]], reason="audit", by="legal")

    _prune(world)

    assert before == _restored(world, seqs[4])
    assert _source(world)[12:] == _restored(world)
    release_hold(world.repository, SET, "case", reason="closed", by="legal")
    done = _prune(world)
    assert done.plan.old is not None
    assert 7 == len(_data(world))
    assert _source(world)[12:20] == _restored(world, seqs[4])
    assert 1 == len(world.repository.state(SET).drops)


def test_a_hold_that_came_too_late_brings_nothing_back(world: SmallWorld) -> None:
    seqs = _changes(world, 10)
    _prune(world)

    add_hold(world.repository, SET, "case", [seqs[5]], reason="audit", by="legal")
    world.clock.advance(3 * DAY_MS)
    _prune(world)

    assert _source(world)[12:24] == _restored(world, seqs[5])
    assert _source(world)[24:] == _restored(world)


def test_a_hold_on_the_set_keeps_everything(world: SmallWorld) -> None:
    _changes(world, 10)
    add_hold(world.repository, SET, "all", None, reason="audit", by="legal")

    assert None is _prune(world).plan.old
    assert _source(world) == _restored(world)


def test_a_hold_between_the_plan_and_its_entry_stops_the_drop(world: SmallWorld) -> None:
    seqs = _changes(world, 10)
    plan = plan_prune(world.context(world.source), SET, WEEK)
    add_hold(world.repository, SET, "case", [seqs[4]], reason="audit", by="legal")

    with pytest.raises(PreconditionError, match="hold"):
        change_points(world.repository, plan)

    assert _source(world) == _restored(world)


def test_a_reader_that_pinned_its_point_before_the_drop_keeps_its_data(world: SmallWorld) -> None:
    _changes(world, 10)
    context = world.context(world.source)
    plan = plan_prune(context, SET, WEEK)
    point = world.point()
    with pinned(world.store, SET, point.seq, purpose="restore", now_ms=world.clock.now_ms):
        change_points(world.repository, plan)
        assert 0 == delete_unnamed(context, plan).objects
        lines = point.lines(point.rows.values())
        assert all(world.store.head(line.object) for source in lines for line in lines[source] if line.object)

    assert _prune(world).deleted.objects > 0
    assert 7 == len(_data(world))


def test_data_stays_while_its_entry_is_young_by_the_stores_clock_although_its_writer_was_years_behind(
    world: SmallWorld,
) -> None:
    _changes(world, 1)
    repository, clock = world.repository, world.clock
    slow = replace(repository, now_ms=lambda: clock.now_ms() - 400 * DAY_MS)
    world.send(records=4)
    context = replace(world.context(world.source), repository=slow)
    plan = plan_snapshot(context, world.request())
    commit_run(slow, plan, capture_bins(context, plan, workers=1))
    clock.advance(23 * HOUR_MS)

    assert None is _prune(world).plan.old
    assert _source(world) == _restored(world)


def test_what_is_younger_than_minimum_age_stays(world: SmallWorld) -> None:
    _changes(world, 10)

    done = _prune(world, RetentionPolicy(keep_last=100, minimum_age="7d", maximum_age="7d"))

    assert done.plan.old is not None
    assert done.plan.old.drop.before_ms <= world.clock.now_ms() - 7 * DAY_MS


def test_a_consolidated_object_goes_when_its_newest_part_is_too_old(world: SmallWorld) -> None:
    _changes(world, LEAST_OBJECTS)
    assert consolidate_locally(world.context(world.source), SET, workers=1) is not None
    everything = _source(world)
    policy = RetentionPolicy(keep_last=1, maximum_age=f"{LEAST_OBJECTS}d")
    for _ in range(LEAST_OBJECTS - 1):
        world.clock.advance(DAY_MS)
        _prune(world, policy)
        assert everything == _restored(world), "some of its records are younger than maximum_age"
    world.clock.advance(DAY_MS)

    _prune(world, policy)

    assert [] == _restored(world)
    world.assert_valid()


def test_objects_of_more_than_two_weeks_are_not_joined(world: SmallWorld) -> None:
    _changes(world, 3 * LEAST_OBJECTS)
    assert consolidate_locally(world.context(world.source), SET, workers=1) is not None

    point = world.point()
    lines = [line for own in point.lines(point.rows.values()).values() for line in own]

    assert max(line.newest_ms - line.captured_ms for line in lines) <= MOST_SPAN_MS
    assert any(line.newest_ms > line.captured_ms for line in lines)


def test_a_drop_takes_nothing_young_because_a_consolidation_has_copied_it_meanwhile(world: SmallWorld) -> None:
    """A writer whose clock was far behind gives old times to a young entry. The copy of its lines and of others comes
    between the plan and its entries."""
    _changes(world, LEAST_OBJECTS)
    slow = replace(world.repository, now_ms=lambda: world.clock.now_ms() - 13 * DAY_MS)
    context = replace(world.context(world.source), repository=slow)
    world.send(records=4)
    incremental_locally(context, world.request(), workers=1)
    world.clock.advance(2 * DAY_MS)
    policy = RetentionPolicy(keep_last=100, maximum_age="13d")
    plan = plan_prune(world.context(world.source), SET, policy)
    assert plan.old is not None
    consolidate_locally(world.context(world.source), SET, workers=1)

    change_points(world.repository, plan)

    kept = len(_source(world)) - 4
    assert _source(world)[:kept] == _restored(world)[:kept], "only the records with the old times can be gone"
    world.assert_valid()


def test_a_consolidation_that_a_drop_overtakes_uses_no_dropped_original(world: SmallWorld) -> None:
    _changes(world, LEAST_OBJECTS + 2)
    policy = RetentionPolicy(keep_last=100, maximum_age="8d")
    done: list[Pruned] = []
    plain = world.store

    class Overtaken(FaultyStore):
        """The prune runs when the consolidation is about to append its entry."""

        def put_if_absent(self, key: str, body: Any, *, sha256: str) -> Any:
            if f"meta/{SET}/log/" in key and not done:
                world.store = plain
                done.append(_prune(world, policy))
            return plain.put_if_absent(key, body, sha256=sha256)

    world.store = Overtaken(plain)
    with suppress(PreconditionError):
        consolidate_locally(world.context(world.source), SET, workers=1)
    world.store = plain

    assert done[0].plan.old is not None
    taken = 4 * len(done[0].plan.old.objects)
    assert _source(world)[taken:] == _restored(world)
    world.assert_valid()


def test_data_is_not_deleted_by_a_plan_that_says_more_than_the_log(world: SmallWorld) -> None:
    """A hold ends between the entries of a prune and its deletions, and another process makes the plan again."""
    seqs = _changes(world, 10)
    add_hold(world.repository, SET, "case", [seqs[4]], reason="audit", by="legal")
    context = world.context(world.source)
    change_points(world.repository, plan_prune(context, SET, WEEK))
    release_hold(world.repository, SET, "case", reason="closed", by="legal")
    again = plan_prune(context, SET, WEEK)
    before = _restored(world, seqs[4])

    with pytest.raises(PreconditionError, match="changed during the prune"):
        delete_unnamed(context, again)

    assert before == _restored(world, seqs[4])


def test_a_consolidation_leaves_dropped_data_out(world: SmallWorld) -> None:
    _changes(world, LEAST_OBJECTS + 10)
    policy = RetentionPolicy(keep_last=1000, maximum_age=f"{LEAST_OBJECTS + 3}d")
    _prune(world, policy)
    restored = _restored(world)

    consolidate_locally(world.context(world.source), SET, workers=1)

    assert restored == _restored(world)
    assert len(restored) < len(_source(world))
    world.assert_valid()


def test_a_plan_that_takes_much_data_needs_an_approval_although_no_point_expires(world: SmallWorld) -> None:
    _changes(world, 10)
    plan = plan_prune(world.context(world.source), SET, WEEK)

    def exceeded(percent: int | None) -> str | None:
        return ApprovalLimits(points=None, percent=percent).exceeded_by(plan)

    assert exceeded(29) == "maximum_age would take 30 % of the data, which is more than 29 %"
    assert exceeded(35) is None
    assert exceeded(None) is None


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write_of_a_prune_leaves_points_that_are_whole(world: SmallWorld, *, is_after: bool) -> None:
    _changes(world, 10)
    plain, source = world.store, _source(world)
    write = 0
    for write in range(1, 50):
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        try:
            _prune(world)
        except Crashed:
            world.store = plain
            world.assert_valid()
            assert _restored(world) in (source, source[12:], source[16:]), "a crashed prune holds its lease for a while"
            continue
        break
    world.store = plain

    assert write > 3
    assert source[16:] == _restored(world)
    assert 6 == len(_data(world))


def test_a_plan_lists_the_log_at_most_twice_and_reads_no_data(world: SmallWorld) -> None:
    """Once for the times of points, and once for the times at which runs were closed."""
    _changes(world, 30)
    world.store = counting = CountingStore(world.store)

    plan = plan_prune(world.context(world.source), SET, WEEK)

    assert plan.old is not None
    assert 0 == counting.count("get", "data/")
    assert 2 == counting.count("list", f"meta/{SET}/log/")


@pytest.mark.parametrize("name", ["minimum_age", "grace"])
def test_a_highest_age_below_the_lowest_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"maximum_age 2d is shorter than {name} 3d"):
        RetentionPolicy.model_validate({"keep_last": 1, "maximum_age": "2d", name: "3d"})
