"""A frozen repository: nothing expires, is removed or is deleted, whatever runs at the same time. All else goes on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tasks.engine import prune as prune_module
from tasks.engine.consolidate import consolidate_locally
from tasks.engine.consolidation.candidates import LEAST_OBJECTS
from tasks.engine.freeze import freeze_repository, thaw_repository
from tasks.engine.holds import add_hold, release_hold
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import change_points, delete_unnamed, plan_prune, prune_locally, unexpire
from tasks.model.errors import DamagedError, InterruptedRunError, NotFoundError, RefusedError
from tasks.repository.entries import AnyEntry, ExpireEntry, FreezeEntry, RemoveEntry
from tasks.repository.leases import acquire
from tasks.repository.names import FREEZE_KEY, log_key, prune_lease_key
from tasks.repository.repository import Repository
from tasks.repository.set_state import Freeze, SetState
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.kafka.clock import SimulatedStop
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld
from tests.support.faults import Crashed, FaultyStore

LAST_ONE = RetentionPolicy(keep_last=1)


@pytest.fixture
def world() -> SmallWorld:
    """A world whose store has the simulated clock too, with three snapshots: the first has expired, and its grace is
    over; the second would expire."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    made.topic(records=0)
    for _ in range(2):
        _back_up(made)
    _prune(made)
    _back_up(made)
    return made


def _back_up(world: SmallWorld) -> None:
    world.send(records=4)
    world.back_up()
    world.clock.advance(DAY_MS)


def _prune(world: SmallWorld) -> None:
    prune_locally(world.context(world.source), SET, LAST_ONE)


def _freeze(world: SmallWorld, reason: str = "ransomware") -> Freeze:
    return freeze_repository(world.context(world.source), reason=reason, by="on call")


def _thaw(world: SmallWorld) -> None:
    thaw_repository(world.repository, reason="all clear", by="on call")


def _kept(world: SmallWorld) -> set[str]:
    """The keys of everything that a freeze protects."""
    folders = ("data/", "fragments/", "meta/", "heads/", "repository.json")
    return {info.key for folder in folders for info in world.store.list(folder)}


def _points(world: SmallWorld) -> tuple[list[int], list[int]]:
    state = world.repository.state(SET)
    return list(state.points), list(state.expired)


def _is_frozen(world: SmallWorld) -> bool:
    """Whether a prune is refused, and changes nothing."""
    before = _kept(world), _points(world)
    try:
        _prune(world)
    except RefusedError:
        assert before == (_kept(world), _points(world))
        return True
    return False


def test_a_frozen_repository_refuses_to_prune_and_says_since_when_by_whom_and_why(world: SmallWorld) -> None:
    freeze = _freeze(world)
    world.clock.advance(DAY_MS)
    before = _kept(world)

    with pytest.raises(RefusedError, match=r"frozen since 20.*Z by on call: ransomware\. Nothing expires"):
        _prune(world)

    assert freeze == world.repository.freeze()
    assert before == _kept(world)
    assert not plan_prune(world.context(world.source), SET, LAST_ONE).is_empty, "the plan can be shown"
    _thaw(world)
    assert world.repository.freeze() is None
    _prune(world)
    assert not before <= _kept(world)
    assert ([4], [2]) == _points(world)


def test_backups_consolidations_restores_and_protections_go_on_while_frozen(world: SmallWorld) -> None:
    _freeze(world)

    for _ in range(LEAST_OBJECTS + 1):
        world.send(records=4)
        world.back_up_changes()
    assert consolidate_locally(world.context(world.source), SET, workers=1) is not None
    unexpire(world.repository, SET, 1)
    add_hold(world.repository, SET, "case", [1], reason="audit", by="legal")

    assert [] == list(world.restore({"orders": "copy"}).mismatches)
    world.assert_valid()
    with pytest.raises(RefusedError, match="frozen since"):
        release_hold(world.repository, SET, "case", reason="over", by="legal")
    _thaw(world)
    release_hold(world.repository, SET, "case", reason="over", by="legal")


def test_a_prune_that_changes_nothing_is_not_refused(world: SmallWorld) -> None:
    for _ in range(3):
        _prune(world)
        world.clock.advance(DAY_MS)
    _freeze(world)

    assert not _is_frozen(world)


def test_a_set_that_is_made_while_the_repository_is_frozen_is_frozen_too(world: SmallWorld) -> None:
    store, world.store = world.store, MemoryStore("new", now_ms=world.clock.now_ms)
    _freeze(world)

    _back_up(world)
    _back_up(world)

    assert world.repository.state(SET).frozen is None
    assert _is_frozen(world)
    assert store is not world.store


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_freeze_that_crashed_is_in_force_from_its_first_write_on_and_is_completed_by_another(
    world: SmallWorld, *, is_after: bool
) -> None:
    plain = world.store
    for write in range(1, 20):
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        try:
            _freeze(world)
        except Crashed:
            world.store = plain
            if write > 1 or is_after:
                assert _is_frozen(world)
            continue
        break
    world.store = plain

    assert write > 2
    assert "ransomware" == _freeze(world, reason="another").reason
    assert world.repository.state(SET).frozen is not None
    world.store.delete([FREEZE_KEY])
    assert _is_frozen(world), "the log alone decides"


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
def test_a_thaw_that_crashed_leaves_the_repository_frozen_and_is_completed_by_another(
    world: SmallWorld, *, is_after: bool
) -> None:
    _freeze(world)
    plain = world.store
    for write in range(1, 20):
        world.store = faulty = FaultyStore(plain)
        faulty.crash_at(write, after=is_after)
        try:
            _thaw(world)
        except Crashed:
            world.store = plain
            if {FREEZE_KEY} & {info.key for info in plain.list("freeze")}:
                assert _is_frozen(world)
                continue
            assert world.repository.freeze() is None
            break
        break
    world.store = plain

    assert write >= 1
    assert world.repository.state(SET).frozen is None
    assert not _is_frozen(world)


def test_a_prune_that_was_planned_before_the_freeze_appends_nothing(world: SmallWorld) -> None:
    plan = plan_prune(world.context(world.source), SET, LAST_ONE)
    assert ((2,), (1,)) == (plan.expire, plan.remove)
    before = world.repository.state(SET).seq
    _freeze(world)

    with pytest.raises(RefusedError):
        change_points(world.repository, plan)

    assert ["freeze"] == [entry.kind for entry in world.repository.log(SET).entries() if entry.seq > before]


@pytest.mark.parametrize("kind", ["expire", "remove"])
def test_the_log_decides_if_an_entry_and_a_freeze_are_written_at_the_same_moment(world: SmallWorld, kind: str) -> None:
    """The freeze comes after the last look at it, right before the entry is written under the same number."""
    repository, seqs = world.repository, list[int]()

    def build(state: SetState) -> AnyEntry:
        if not seqs:
            seqs.append(state.seq)
            others = Repository.open(world.store, world.clock.now_ms)
            log = others.log(SET)
            freeze = {"reason": "ransomware", "by": "on call"}
            log.append(lambda newest: FreezeEntry(**others.next_change(SET, newest), **freeze))
        change = repository.next_change(SET, state)
        if kind == "remove":
            return RemoveEntry(**change, points=tuple(state.expired))
        return ExpireEntry(**change, points=(2,), policy={}, plan_sha256="0" * 64)

    with pytest.raises(RefusedError, match="ransomware"):
        repository.log(SET).append(build)

    assert ["freeze"] == [entry.kind for entry in repository.log(SET).entries() if entry.seq > seqs[0]]


def test_a_prune_whose_points_were_removed_deletes_nothing_after_the_freeze(world: SmallWorld) -> None:
    context = world.context(world.source)
    plan = plan_prune(context, SET, LAST_ONE)
    change_points(world.repository, plan)
    before = _kept(world)
    _freeze(world)

    with pytest.raises(RefusedError):
        delete_unnamed(context, plan)

    assert before <= _kept(world)


def test_a_prune_that_is_deleting_stops_before_its_next_batch(
    world: SmallWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune_module, "BATCH_OBJECTS", 1)
    plain, left = world.store, list[set[str]]()

    def freeze_at(number: int, operation: str, key: str) -> None:
        if operation == "delete" and not left:
            other = SmallWorld(store=plain, clock=world.clock)
            monkeypatch.setattr("tasks.engine.freeze.wait_until_free", lambda *_, **__: None)
            _freeze(other)
            left.append(_kept(other))

    world.store = FaultyStore(plain, on_write=freeze_at)
    with pytest.raises(RefusedError):
        _prune(world)

    assert [_kept(world)] == left


def test_a_freeze_ends_only_when_prunes_that_were_running_have_ended(world: SmallWorld) -> None:
    _back_up(world)
    pruner = acquire(world.store, prune_lease_key(SET))
    seen = list[bool]()
    context = world.context(world.source)
    _on_wait(context.stop, lambda: (pruner.renew, pruner.release)[len(seen) >= 50](), seen)
    owners = list[str]()

    freeze_repository(context, reason="ransomware", by="on call", waiting=owners.append)

    assert 51 == len(seen), "renewed again and again, longer than its time to live, and then released"
    assert [pruner.record.writer] == owners


def test_a_pruner_that_died_does_not_hold_a_freeze_up_for_ever(world: SmallWorld) -> None:
    acquire(world.store, prune_lease_key(SET))
    began_ms = world.clock.now_ms()

    _freeze(world)

    assert 20_000 <= world.clock.now_ms() - began_ms <= 22_000


def test_a_freeze_that_is_stopped_while_it_waits_is_in_force(world: SmallWorld) -> None:
    acquire(world.store, prune_lease_key(SET))
    context = world.context(world.source)
    context.stop.set()

    with pytest.raises(InterruptedRunError):
        freeze_repository(context, reason="ransomware", by="on call")

    assert world.repository.state(SET).frozen is not None


def test_a_freeze_that_cannot_be_read_is_in_force_and_can_be_ended(world: SmallWorld) -> None:
    world.store.put(FREEZE_KEY, [b"{broken"])

    assert _is_frozen(world)
    with pytest.raises(RefusedError, match=r"unknown, because freeze\.json is damaged"):
        _prune(world)
    _thaw(world)
    assert not _is_frozen(world)


def test_a_set_whose_log_is_damaged_does_not_prevent_the_freeze_of_the_others(world: SmallWorld) -> None:
    world.store.put(log_key("a-damaged-set", 1), [b"{broken"])

    with pytest.raises(DamagedError):
        _freeze(world)

    assert world.repository.state(SET).frozen is not None


def test_only_a_frozen_repository_can_be_thawed(world: SmallWorld) -> None:
    with pytest.raises(NotFoundError, match="is not frozen"):
        _thaw(world)


def _on_wait(stop: object, act: Callable[[], object], seen: list[bool]) -> None:
    """Call `act` at each wait of a simulated stop."""
    assert isinstance(stop, SimulatedStop)
    wait = stop.wait

    def waited(timeout: float | None = None) -> bool:
        act()
        seen.append(True)
        return wait(timeout)

    stop.wait = waited  # type: ignore[method-assign]
