"""Prune: exactly what the policy does not keep goes, after the grace, and what stays restores as before."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace

import pytest

from tasks.engine.backup_steps import capture_bins, commit_run
from tasks.engine.consolidate import consolidate_locally
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.freeze import freeze_repository
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import Pruned, change_points, delete_left_overs, plan_again, plan_prune, prune_locally, unexpire
from tasks.engine.retention.deleted import Amount
from tasks.engine.retention.plan_id import PlanId
from tasks.engine.retention.prune_plan import PrunePlan
from tasks.engine.source.snapshot_plan import plan_snapshot
from tasks.model.errors import (
    ConfigError,
    DamagedError,
    LockedError,
    NotFoundError,
    PreconditionError,
    RefusedError,
)
from tasks.reports.retention import pruned_text
from tasks.repository.entries import ExpireEntry, VoidEntry
from tasks.repository.leases import acquire
from tasks.repository.names import capture_lease_key, is_immutable, log_prefix, pin_key, prune_lease_key
from tasks.repository.pins import LONGEST_LIFE_MS, Pin, pinned
from tasks.repository.sealed_objects import overwrite_sealed
from tasks.store.memory.memory_store import MemoryStore
from tasks.store.protocol import Body, ObjectInfo
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld
from tests.support.counting_store import CountingStore
from tests.support.faults import Crashed, FaultyStore


@pytest.fixture
def world() -> SmallWorld:
    """A world whose store has the simulated clock too."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    return made


LAST_TWO = RetentionPolicy(keep_last=2)


def _snapshots(world: SmallWorld, count: int) -> list[int]:
    """So many snapshots, a day apart."""
    if "orders" not in world.source.topics.by_name:
        world.topic(records=0)
    seqs = []
    for _ in range(count):
        world.send(records=4)
        seqs.append(world.back_up().seq)
        world.clock.advance(DAY_MS)
    return seqs


def _changes(world: SmallWorld, count: int) -> list[int]:
    """So many incremental runs, a day apart."""
    seqs = []
    for _ in range(count):
        world.send(records=4)
        seqs.append(world.back_up_changes().seq)
        world.clock.advance(DAY_MS)
    return seqs


def _prune(world: SmallWorld, policy: RetentionPolicy = LAST_TWO, plan: str | None = None) -> Pruned:
    plan_id = PlanId.parse(plan) if plan else None
    return prune_locally(world.context(world.source), SET, policy, plan_id=plan_id)


def _plan(world: SmallWorld, policy: RetentionPolicy = LAST_TWO) -> PrunePlan:
    return plan_prune(world.context(world.source), SET, policy)


def _live(world: SmallWorld) -> list[int]:
    return list(world.repository.state(SET).points)


def _keys(world: SmallWorld, *prefixes: str) -> set[str]:
    found = prefixes or ("data/", "fragments/", f"meta/{SET}/index/", f"meta/{SET}/partitions/", f"meta/{SET}/runs/")
    return {info.key for prefix in found for info in world.store.list(prefix)}


def _restored(world: SmallWorld, seq: int | None = None) -> list[object]:
    name = f"copy-{world.clock.now_ms()}"
    assert [] == list(world.restore({"orders": name}, seq=seq).mismatches)
    world.clock.advance(1)
    return list(world.contents(name))


def test_a_plan_changes_nothing_and_names_what_stays_and_what_goes(world: SmallWorld) -> None:
    first, *_, last = seqs = _snapshots(world, 4)
    before = _keys(world, "")

    plan = _plan(world)

    assert (tuple(seqs[:2]), ()) == (plan.expire, plan.remove)
    assert {last: ("newest", "last 1"), seqs[2]: ("last 2",)} == plan.kept
    assert plan.frees_bytes > 0
    assert before == _keys(world, "")
    assert first in _live(world)


def test_an_expired_point_cannot_be_used_and_its_data_stays_until_the_grace_is_over(world: SmallWorld) -> None:
    first, *_ = _snapshots(world, 3)
    data = _keys(world)

    _prune(world)
    world.clock.advance(DAY_MS - 1000)
    _prune(world)

    with pytest.raises(NotFoundError):
        world.point(first)
    assert data == _keys(world)
    assert [first] == list(world.repository.state(SET).expired)


def test_after_the_grace_only_what_the_kept_points_name_is_left(world: SmallWorld) -> None:
    seqs = _snapshots(world, 4)
    kept = {seq: _restored(world, seq) for seq in seqs[2:]}

    _prune(world)
    world.clock.advance(DAY_MS)
    done = _prune(world)

    assert done.deleted.objects > 0
    assert seqs[2:] == _live(world)
    runs = {world.point(seq).entry.run for seq in seqs[2:]}
    assert runs == {run for key in _keys(world) for run in key.split("/") if "Z-" in run and "." not in run}
    assert kept == {seq: _restored(world, seq) for seq in seqs[2:]}
    world.assert_valid()
    assert _plan(world).is_empty


def test_an_expired_point_can_be_brought_back_until_it_is_removed(world: SmallWorld) -> None:
    first, *_ = _snapshots(world, 3)
    restored = _restored(world, first)
    _prune(world)

    unexpire(world.repository, SET, first)

    assert restored == _restored(world, first)
    _prune(world)
    world.clock.advance(DAY_MS)
    _prune(world)
    with pytest.raises(NotFoundError, match="not an expired point"):
        unexpire(world.repository, SET, first)


def test_a_policy_with_storage_classes_lets_points_expire(world: SmallWorld) -> None:
    """The storage classes of `tiers` are no rule about points, so the log does not keep them."""
    first, *_ = _snapshots(world, 3)
    policy = RetentionPolicy.model_validate({"keep_last": 2, "tiers": [{"after": "30d", "class": "GLACIER_IR"}]})

    _prune(world, policy)

    expired = world.repository.state(SET).expired
    assert [first] == list(expired)
    found = world.repository.log(SET).read_entry(expired[first].expired_by)
    assert found is not None
    assert isinstance(found[0], ExpireEntry)
    assert {"keep_last": 2, "minimum_points": 1, "grace": "24h"} == found[0].policy


def test_a_chain_keeps_the_data_that_its_newest_points_name(world: SmallWorld) -> None:
    world.topic()
    seqs = _changes(world, 5)
    restored = _restored(world)

    _prune(world)
    world.clock.advance(DAY_MS)
    _prune(world)

    assert seqs[3:] == _live(world)
    assert restored == _restored(world)
    world.assert_valid()


def test_a_base_goes_with_the_last_point_that_names_it(world: SmallWorld) -> None:
    world.topic()
    _changes(world, 3)
    old = _keys(world, "data/")
    _snapshots(world, 2)

    _prune(world)
    world.clock.advance(DAY_MS)
    _prune(world)

    assert not old & _keys(world, "data/")
    world.assert_valid()


def test_nothing_under_a_hold_expires_or_is_removed(world: SmallWorld) -> None:
    first, second, *_ = _snapshots(world, 4)
    add_hold(world.repository, SET, "case-7", [first], reason="audit", by="legal")
    _prune(world)
    assert first in _live(world)
    add_hold(world.repository, SET, "case-8", [second], reason="audit", by="legal")

    world.clock.advance(2 * DAY_MS)
    _prune(world)

    assert [second] == list(world.repository.state(SET).expired)
    unexpire(world.repository, SET, second)
    assert _restored(world, second)
    release_hold(world.repository, SET, "case-7", reason="closed", by="legal")
    assert (first,) == _plan(world).expire
    with pytest.raises(RefusedError, match="already"):
        add_hold(world.repository, SET, "case-8", None, reason="x", by="y")


def test_a_hold_on_the_set_keeps_everything(world: SmallWorld) -> None:
    seqs = _snapshots(world, 3)
    add_hold(world.repository, SET, "all", None, reason="audit", by="legal")

    _prune(world)

    assert seqs == _live(world)


def test_a_point_that_is_being_read_does_not_expire_so_that_a_reader_that_waits_can_open_it_again(
    world: SmallWorld,
) -> None:
    first, second, *_ = _snapshots(world, 4)
    with pinned(world.store, SET, first, purpose="restore", now_ms=world.clock.now_ms):
        done = _prune(world)
        assert ((first, second), (first,)) == (done.plan.expire, done.in_use)
        assert first in _live(world)
        assert [second] == list(world.repository.state(SET).expired)
        assert "1 point expired" in pruned_text(done)
        assert "because they are being read: 1 point." in pruned_text(done)

    assert () == _prune(world).in_use
    assert {first, second} == set(world.repository.state(SET).expired)


class _PinnedMeanwhile(FaultyStore):
    """A reader pins its point after a prune has listed the pins, and before the prune appends its first entry. Then the
    reader finds its point live."""

    def __init__(self, world: SmallWorld, seq: int, pins: ExitStack) -> None:
        super().__init__(world.store)
        self._world, self._seq, self._pins, self._plain = world, seq, pins, world.store

    def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
        if key.startswith(log_prefix(SET)) and self._world.store is self:
            self._world.store = self._plain
            pin = pinned(self._plain, SET, self._seq, purpose="restore", now_ms=self._world.clock.now_ms)
            self._pins.enter_context(pin)
            assert self._seq in _live(self._world)
        return super().put_if_absent(key, body, sha256=sha256)


def test_a_point_that_a_reader_pins_while_it_expires_is_brought_back(world: SmallWorld) -> None:
    first, second, *_ = _snapshots(world, 4)
    plan = _plan(world)
    with ExitStack() as pins:
        world.store = _PinnedMeanwhile(world, first, pins)
        assert (first,) == change_points(world.repository, plan)
        assert first in _live(world)
        assert [second] == list(world.repository.state(SET).expired)

        again = plan_again(world.repository, SET, LAST_TWO, PlanId.parse(str(plan.id)), now_ms=world.clock.now_ms())
        assert (first,) == again.expire, "another process of the same prune can go on"
        assert (first,) == change_points(world.repository, again)

    assert () == _prune(world).in_use
    assert {first, second} == set(world.repository.state(SET).expired)


def test_a_point_that_was_pinned_while_another_writer_was_faster_does_not_expire(world: SmallWorld) -> None:
    first, second, *_ = _snapshots(world, 4)
    plan = _plan(world)
    plain = world.store
    with ExitStack() as pins:

        class Overtaken(FaultyStore):
            """Another writer appends before the first entry of the prune, and a reader pins its point then."""

            def put_if_absent(self, key: str, body: Body, *, sha256: str) -> ObjectInfo:
                if key.startswith(log_prefix(SET)) and world.store is self:
                    world.store = plain
                    world.send(records=1)
                    world.back_up()
                    pins.enter_context(pinned(plain, SET, first, purpose="restore", now_ms=world.clock.now_ms))
                return super().put_if_absent(key, body, sha256=sha256)

        world.store = Overtaken(plain)
        entries = world.repository.state(SET).seq
        assert (first,) == change_points(world.repository, plan)

    log = world.repository.log(SET)
    kinds = [entry.kind for entry in log.entries() if entry.seq > entries]
    assert "unexpire" not in kinds
    assert [second] == list(world.repository.state(SET).expired)


def test_a_point_that_came_back_and_expired_again_since_the_plan_is_not_removed(world: SmallWorld) -> None:
    """Two prunes at once, and a person between them. The point has its whole grace again."""
    first, *_ = _snapshots(world, 3)
    _prune(world)
    world.clock.advance(2 * DAY_MS)
    plan = _plan(world)
    assert (first,) == plan.remove
    unexpire(world.repository, SET, first)
    _prune(world)

    with pytest.raises(PreconditionError, match="was changed by another program"):
        change_points(world.repository, plan)

    assert [first] == list(world.repository.state(SET).expired)
    unexpire(world.repository, SET, first)
    assert [] == list(world.restore(seq=first).mismatches)


def test_a_plan_that_meets_points_which_another_prune_removes_is_made_again(world: SmallWorld) -> None:
    """The other prune deletes index objects between the reading of the log and the reading of the indexes."""
    _snapshots(world, 4)
    _prune(world)
    world.clock.advance(DAY_MS)
    plain, reads = world.store, 0

    class Interrupted(FaultyStore):
        """Lets the other prune run before the first index object is read."""

        def get(self, key: str) -> tuple[bytes, ObjectInfo]:
            nonlocal reads
            if "/index/" in key:
                reads += 1
                if reads == 1:
                    world.store = plain
                    _prune(world)
            return super().get(key)

    world.store = Interrupted(plain)
    plan = _plan(world)
    assert ((), (), {}) == (plan.expire, plan.remove, dict(plan.unnamed.objects))


def test_a_pin_that_came_after_the_removal_of_its_point_does_not_stop_a_prune(world: SmallWorld) -> None:
    first, *_ = _snapshots(world, 4)
    for _ in range(2):
        _prune(world)
        world.clock.advance(DAY_MS)
    with pinned(world.store, SET, first, purpose="restore", now_ms=world.clock.now_ms):
        _prune(world)


def test_a_damaged_index_of_a_pinned_point_stops_a_prune_also_after_its_removal(world: SmallWorld) -> None:
    """The reader began before the removal. Its data is still there, and the damaged index does not show which it is."""
    first, *_ = _snapshots(world, 4)
    _prune(world)
    with pinned(world.store, SET, first, purpose="restore", now_ms=lambda: world.clock.now_ms() + 9 * DAY_MS):
        world.clock.advance(DAY_MS)
        _prune(world)
        [key] = [ref.key for ref in world.repository.log(SET).point(first).entry.index]
        world.store.put(key, [b"damaged"])
        with pytest.raises(DamagedError):
            _prune(world)


def test_a_damaged_pin_stops_prunes_only_while_it_can_be_valid_and_goes_a_grace_later(world: SmallWorld) -> None:
    _snapshots(world, 4)
    key = pin_key(SET, "0" * 16)
    world.store.put(key, [b"damaged"])
    world.clock.advance(3 * HOUR_MS)
    before = _keys(world)
    with pytest.raises(DamagedError, match=r"written 180 minutes ago.*2,700 minutes more.*delete the object"):
        _prune(world)
    assert before == _keys(world)

    world.clock.advance(LONGEST_LIFE_MS - 3 * HOUR_MS)
    assert key not in _prune(world).plan.left_overs.objects
    assert key in _keys(world, "pins/")
    world.clock.advance(DAY_MS)
    assert key in _prune(world).plan.left_overs.objects
    assert set() == _keys(world, "pins/")


def test_a_pinned_point_keeps_its_data_until_the_reader_is_done(world: SmallWorld) -> None:
    first, *_ = _snapshots(world, 3)
    data = _keys(world)
    _prune(world)
    assert first in world.repository.state(SET).expired
    with pinned(world.store, SET, first, purpose="restore", now_ms=lambda: world.clock.now_ms() + 9 * DAY_MS):
        world.clock.advance(DAY_MS)
        _prune(world)
        assert data == _keys(world)

    _prune(world)

    assert _keys(world) < data


def test_an_open_run_keeps_what_it_has_written_and_what_its_plan_names(world: SmallWorld) -> None:
    _snapshots(world, 2)
    context, request = world.context(world.source), world.request()
    plan = plan_snapshot(context, request)

    _prune(world)

    assert plan.topics.key in _keys(world, f"meta/{SET}/state/")
    assert f"meta/{SET}/runs/{plan.run}/plan.json" in _keys(world)


def test_the_states_that_the_plan_of_an_open_run_names_stay_although_no_point_names_them(world: SmallWorld) -> None:
    """A plan can name a state object of an earlier run. The run below goes on for longer than the grace."""
    first, _ = _snapshots(world, 2)
    lease = acquire(world.store, capture_lease_key(SET))
    lease.enter_run("open", begun_after=first)
    context = world.context(world.source)
    plan = plan_snapshot(context, replace(world.request(), run="open"))
    assert plan.topics.key == world.point(first).entry.topics.key, "the states are equal, so it names the older one"
    world.topic("bills")
    for _ in range(2):
        other = plan_snapshot(context, world.request())
        commit_run(world.repository, other, capture_bins(context, other, workers=1))
        world.clock.advance(1000)
    for _ in range(3):
        _prune(world)
        world.clock.advance(DAY_MS)
        lease.renew()

    assert first not in world.repository.state(SET).expired
    assert plan.topics.key in _keys(world, f"meta/{SET}/state/")


def test_a_run_that_died_long_ago_is_voided_and_then_deleted(world: SmallWorld) -> None:
    _snapshots(world, 2)
    plan = plan_snapshot(world.context(world.source), world.request())
    key = f"meta/{SET}/runs/{plan.run}/plan.json"
    world.clock.advance(DAY_MS + HOUR_MS)

    _prune(world)
    assert isinstance(list(world.repository.log(SET).entries())[-1], VoidEntry)
    assert key in _keys(world)
    world.clock.advance(DAY_MS)
    _prune(world)

    assert key not in _keys(world)
    world.assert_valid()


def test_exactly_the_plan_with_the_id_is_carried_out_although_there_are_new_points(world: SmallWorld) -> None:
    """A plan that is shown to somebody is still the same plan in a set that gets a point every 30 seconds."""
    seqs = _snapshots(world, 4)
    plan = _plan(world)
    later = _snapshots(world, 3)

    done = _prune(world, plan=plan.id)

    assert tuple(seqs[:2]) == plan.expire == done.plan.expire
    assert [*seqs[2:], *later] == _live(world)
    assert ("newer than the plan",) == done.plan.kept[later[0]]
    assert done.plan.sha256 == plan.sha256


@pytest.mark.parametrize("change", ["expired", "held", "brought back", "policy"])
def test_a_plan_is_refused_if_its_points_or_the_policy_have_changed(world: SmallWorld, change: str) -> None:
    first, second, *_ = _snapshots(world, 4)
    if change == "brought back":
        _prune(world, RetentionPolicy(keep_last=3))
    plan = _plan(world).id
    if change == "expired":
        _prune(world, RetentionPolicy(keep_last=3))
    elif change == "held":
        add_hold(world.repository, SET, "case", [second], reason="audit", by="legal")
    elif change == "brought back":
        unexpire(world.repository, SET, first)
    live = _live(world)

    with pytest.raises(RefusedError, match=r"another one now|were brought back"):
        _prune(world, LAST_TWO if change != "policy" else RetentionPolicy(keep_last=2, grace="48h"), plan=plan)

    assert live == _live(world)


def test_a_plan_that_was_carried_out_does_not_expire_points_again_that_were_brought_back(world: SmallWorld) -> None:
    first, *_ = _snapshots(world, 4)
    plan = _plan(world).id
    _prune(world, plan=plan)
    unexpire(world.repository, SET, first)

    with pytest.raises(RefusedError, match="were brought back"):
        _prune(world, plan=plan)

    assert first in _live(world)


def test_a_plan_that_a_clock_ahead_made_is_carried_out_and_one_of_another_set_is_refused(world: SmallWorld) -> None:
    _snapshots(world, 3)
    plan = PlanId.parse(_plan(world).id)

    with pytest.raises(RefusedError, match="it is the plan of another set"):
        _prune(world, plan=str(replace(plan, moment=replace(plan.moment, seq=99))))
    with pytest.raises(ConfigError, match="is not the id of a plan"):
        _prune(world, plan="0" * 64)
    _prune(world, plan=str(replace(plan, moment=replace(plan.moment, now_ms=plan.moment.now_ms + DAY_MS))))

    assert 2 == len(_live(world))


def test_a_clock_that_is_ahead_shortens_no_grace(world: SmallWorld) -> None:
    first, *_ = _snapshots(world, 3)
    _prune(world)
    data = _keys(world)
    context = world.context(world.source)
    ahead = world.repository.now_ms() + 30 * DAY_MS
    context = type(context)(
        repository=type(context.repository)(context.repository.store, context.repository.root, lambda: ahead),
        cluster=context.cluster,
        stop=context.stop,
        clock=context.clock,
    )

    prune_locally(context, SET, LAST_TWO)

    assert data == _keys(world)
    assert first in world.repository.state(SET).expired


def test_minimum_points_and_minimum_age_win_over_the_rules(world: SmallWorld) -> None:
    seqs = _snapshots(world, 5)

    assert tuple(seqs[:2]) == _plan(world, RetentionPolicy(keep_last=1, minimum_points=3)).expire
    assert tuple(seqs[:1]) == _plan(world, RetentionPolicy(keep_last=1, minimum_age="5d")).expire


def test_a_consolidated_set_frees_the_small_objects_when_the_older_points_are_gone(world: SmallWorld) -> None:
    world.topic()
    _changes(world, LEAST_OBJECTS + 1)
    small = _keys(world, "data/")
    assert consolidate_locally(world.context(world.source), SET, workers=1) is not None
    restored = _restored(world)

    _prune(world, RetentionPolicy(keep_within="1s"))
    world.clock.advance(DAY_MS)
    _prune(world, RetentionPolicy(keep_within="1s"))

    assert not small & _keys(world, "data/")
    assert restored == _restored(world)
    assert restored[: len(restored)] == list(world.contents("orders", cluster=world.source))
    world.assert_valid()


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write_of_a_prune_loses_nothing_that_is_kept(world: SmallWorld, *, is_after: bool) -> None:
    _snapshots(world, 4)
    restored = _restored(world)
    plain = world.store
    for write in range(1, 100):
        world.clock.advance(DAY_MS)
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        try:
            _prune(world)
        except Crashed:
            world.store = plain
            world.assert_valid()
            assert restored == _restored(world)
            continue
        break
    world.store = plain
    world.clock.advance(2 * DAY_MS)
    _prune(world)
    world.clock.advance(2 * DAY_MS)
    _prune(world)

    assert write > 3
    assert _plan(world).is_empty
    assert restored == _restored(world)


def test_a_second_prune_is_refused_while_the_first_is_alive(world: SmallWorld) -> None:
    _snapshots(world, 3)
    other = acquire(world.store, prune_lease_key(SET))
    context = world.context(world.source)
    context.stop.wait = lambda timeout=None: other.renew() or False  # type: ignore[method-assign, func-returns-value]

    with pytest.raises(LockedError):
        prune_locally(context, SET, LAST_TWO)


def test_a_plan_reads_each_entry_and_each_index_object_once_and_no_data(world: SmallWorld) -> None:
    """The requests grow with the points and the index objects, and not with what each point names."""
    world.topic()
    _changes(world, 40)
    state = world.repository.state(SET)
    indexes = {ref.key for seq in state.points for ref in world.point(seq).entry.index}
    world.store = counting = CountingStore(world.store)

    _plan(world)

    assert 0 == counting.count(prefix="data/") - counting.count("list", "data/")
    assert len(indexes) == counting.count("get", f"meta/{SET}/index/")
    assert counting.count("get", f"meta/{SET}/log/") <= 2 * len(state.points) + 4, "the state and the points"
    assert counting.count("head") <= len(indexes)


def test_what_crashed_processes_left_is_deleted_after_the_grace_and_reported_by_kind(world: SmallWorld) -> None:
    _snapshots(world, 2)
    _leave(world)

    world.clock.advance(DAY_MS - HOUR_MS)
    assert _plan(world).is_empty
    world.clock.advance(2 * HOUR_MS)
    before = _keys(world, "")
    assert {"test objects": 1, "expired pins": 1, "leases": 2} == _counts(_plan(world).deletes)
    assert before == _keys(world, ""), "the plan has changed nothing"
    done = _prune(world)

    assert {"test objects": 1, "expired pins": 1, "leases": 2} == _counts(done.deleted.kinds)
    assert set(LEFT) == before - _keys(world, "")
    assert _plan(world).is_empty


def test_leases_of_existing_sets_and_restores_stay(world: SmallWorld) -> None:
    _snapshots(world, 2)
    world.restore({"orders": "copy"})
    leases = _keys(world, "leases/")
    world.clock.advance(9 * DAY_MS)

    _prune(world)

    assert leases < _keys(world, "leases/")


def test_a_lease_that_a_backup_takes_after_the_plan_is_left_to_it(world: SmallWorld) -> None:
    """The first backup of a new set begins between the plan of a prune and its deletions."""
    _snapshots(world, 2)
    _leave(world)
    world.clock.advance(2 * DAY_MS)
    context = world.context(world.source)
    plan = plan_prune(context, SET, LAST_TWO)
    backup = acquire(world.store, capture_lease_key("new-set"))
    context.stop.wait = lambda timeout=None: backup.renew() or False  # type: ignore[method-assign, func-returns-value]

    done = delete_left_overs(context, plan)

    assert {"test objects": 1, "expired pins": 1, "leases": 1} == _counts(done.kinds)
    backup.renew()
    assert capture_lease_key("new-set") in _keys(world, "leases/")


def test_a_frozen_repository_keeps_its_left_overs_too(world: SmallWorld) -> None:
    _snapshots(world, 2)
    _leave(world)
    world.clock.advance(2 * DAY_MS)
    plan = _plan(world)
    freeze_repository(world.context(world.source), reason="incident", by="test")

    with pytest.raises(RefusedError):
        delete_left_overs(world.context(world.source), plan)

    assert set(LEFT) <= _keys(world, "")


def test_replaced_index_objects_and_tables_go_with_the_points_that_name_them(world: SmallWorld) -> None:
    world.topic()
    _changes(world, 20)
    _prune(world)
    world.clock.advance(DAY_MS)
    _prune(world)

    entries = [world.point(seq).entry for seq in _live(world)]
    assert {ref.key for entry in entries for ref in entry.index} == _keys(world, f"meta/{SET}/index/")
    assert {ref.key for entry in entries for ref in entry.table} == _keys(world, f"meta/{SET}/partitions/")


def _locking(world: SmallWorld, days: int) -> MemoryStore:
    """Give the world a store that locks immutable objects for so long."""
    store = MemoryStore("locking", now_ms=world.clock.now_ms, is_immutable=is_immutable, lock_ms=days * DAY_MS)
    world.store = store
    return store


def test_locked_objects_are_deferred_and_deleted_when_their_locks_have_ended(world: SmallWorld) -> None:
    _locking(world, days=10)
    seqs = _snapshots(world, 4)
    begin_ms = world.clock.now_ms()
    _prune(world)
    world.clock.advance(DAY_MS)
    before = _keys(world)

    deferred = _prune(world).deleted

    assert (0, ()) == (deferred.objects, deferred.denied)
    assert deferred.deferred.objects > 0
    assert deferred.deferred.bytes > 0
    assert deferred.deferred_until_ms is not None
    assert begin_ms < deferred.deferred_until_ms <= begin_ms + 10 * DAY_MS
    assert before == _keys(world)
    assert seqs[2:] == _live(world)
    world.assert_valid()
    world.clock.advance(deferred.deferred_until_ms - world.clock.now_ms())
    done = _prune(world).deleted
    assert (deferred.deferred.objects, 0) == (done.objects, done.deferred.objects)
    assert _plan(world).is_empty
    world.assert_valid()


def test_an_object_under_a_legal_hold_is_deferred_without_a_date_and_the_others_go(world: SmallWorld) -> None:
    store = _locking(world, days=1)
    _snapshots(world, 3)
    held = min(_keys(world, "data/"))
    store.legal_holds.add(held)
    _prune(world)
    world.clock.advance(DAY_MS)

    done = _prune(world).deleted

    assert (1, 1, None) == (done.deferred.objects, done.legal_holds, done.deferred_until_ms)
    assert done.objects > 0
    assert held in _keys(world)
    store.legal_holds.clear()
    assert 1 == _prune(world).deleted.objects


def test_what_the_store_refuses_to_delete_is_named_and_no_backup_fails(world: SmallWorld) -> None:
    store = _locking(world, days=1)
    _snapshots(world, 3)
    refused = min(_keys(world, "data/"))
    store.undeletable.add(refused)
    _prune(world)
    world.clock.advance(DAY_MS)

    done = _prune(world).deleted

    assert (refused,) == done.denied
    assert "data objects" not in done.kinds
    assert done.objects > 0
    assert refused in _keys(world)
    world.send(records=4)
    assert world.back_up().entry.status == "complete"


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_write_of_a_prune_with_locks_is_finished_by_later_prunes(
    world: SmallWorld, *, is_after: bool
) -> None:
    plain = _locking(world, days=3)
    _snapshots(world, 4)
    for write in range(1, 9):
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        with suppress(Crashed):
            _prune(world)
        world.store = plain
        world.assert_valid()
        world.clock.advance(DAY_MS)
    for _ in range(4):
        _prune(world)
        world.clock.advance(2 * DAY_MS)

    assert _plan(world).is_empty
    assert 2 == len(_live(world))


LEFT = ("probe/1-put", f"pins/{SET}/1.json", "leases/new-set.json", "leases/_restore-r1.json")


def _leave(world: SmallWorld) -> None:
    """What a probe, a reader, the first backup of a set and a restore leave that die at once."""
    probe, pin, lease, restore_lease = LEFT
    world.store.put(probe, [b"x"])
    overwrite_sealed(world.store, pin, Pin(seq=1, purpose="restore", expires_ms=world.clock.now_ms() + HOUR_MS // 2))
    acquire(world.store, lease)
    acquire(world.store, restore_lease).release()


def _counts(kinds: Mapping[str, Amount]) -> dict[str, int]:
    assert all(amount.bytes > 0 for amount in kinds.values())
    return {kind: amount.objects for kind, amount in kinds.items()}
