"""An audit reads the logs from their ends and tells everything that happened, and what became of each point."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice

import pytest

from tasks.engine.audit import CLOCK_SLACK_MS, audit
from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import change_points, plan_prune, prune_locally, unexpire
from tasks.engine.retention.fate import expired_points, fate_of
from tasks.model.errors import DamagedError, NotFoundError
from tasks.repository.entries import NoteEntry, encode_entry
from tasks.repository.names import head_key, log_key
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import SetState
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, HOUR_MS, SET, SmallWorld
from tests.support.counting_store import CountingStore
from tests.support.made_backup import append_note

LAST_ONE = RetentionPolicy(keep_last=1)


@pytest.fixture
def world() -> SmallWorld:
    """A world whose store has the simulated clock too."""
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    return made


def _notes(world: SmallWorld, count: int, *, set_name: str = SET) -> None:
    """So many entries, an hour apart."""
    for number in range(count):
        append_note(world.repository, f"{number}", set_name=set_name)
        world.clock.advance(HOUR_MS)


def _log(world: SmallWorld) -> SetLog:
    return world.repository.log(SET).without_memory()


def _points(world: SmallWorld, count: int) -> list[int]:
    world.topic()
    seqs = []
    for _ in range(count):
        seqs.append(world.back_up().seq)
        world.clock.advance(DAY_MS)
    return seqs


def test_an_audit_reads_each_entry_once_and_nothing_else(world: SmallWorld) -> None:
    """Longer than the distance between two checkpoints."""
    _notes(world, 250)
    world.store = counting = CountingStore(world.store)
    repository = world.repository

    opened = counting.count()
    entries = list(audit(repository, SET))

    assert list(range(250, 0, -1)) == [entry.seq for entry in entries]
    assert 251 == counting.count("get", f"meta/{SET}/log/"), "and one number that has no entry"
    assert 1 == counting.count("get", head_key(SET))
    assert 252 == counting.count() - opened


@pytest.mark.parametrize(
    ("read", "most"),
    [
        (lambda world: list(islice(audit(world.repository, SET), 5)), 5 + 2),
        (lambda world: list(audit(world.repository, SET, since_ms=world.clock.now_ms() - 5 * HOUR_MS)), 5 + 1 + 1 + 2),
    ],
    ids=["limit", "since"],
)
def test_an_audit_that_ends_early_reads_only_the_end_of_the_log(
    world: SmallWorld, read: Callable[[SmallWorld], list[object]], most: int
) -> None:
    _notes(world, 250)
    world.store = counting = CountingStore(world.store)

    assert 5 == len(read(world))

    assert most >= counting.count(prefix=f"meta/{SET}/") + counting.count(prefix="heads/")


def test_an_entry_of_a_clock_that_was_behind_does_not_hide_older_ones(world: SmallWorld) -> None:
    _notes(world, 3)
    since_ms = world.clock.now_ms() - HOUR_MS
    behind = replace(world.repository, now_ms=lambda: since_ms - CLOCK_SLACK_MS)
    append_note(behind, "behind", set_name=SET)
    _notes(world, 1)

    assert [5, 3] == [entry.seq for entry in audit(world.repository, SET, since_ms=since_ms)]


def test_the_sets_are_merged_by_time(world: SmallWorld) -> None:
    for name in ("b", "a", "b", "c"):
        _notes(world, 1, set_name=name)

    assert ["c", "b", "a", "b"] == [entry.set for entry in audit(world.repository, None)]


def test_a_head_that_is_behind_or_missing_hides_no_entry(world: SmallWorld) -> None:
    _notes(world, 4)
    old, _ = world.store.get(head_key(SET))
    _notes(world, 3)

    world.store.put(head_key(SET), [old])
    assert list(range(7, 0, -1)) == [entry.seq for entry in _log(world).newest_first()]
    world.store.delete([head_key(SET)])
    assert list(range(7, 0, -1)) == [entry.seq for entry in _log(world).newest_first()]


@pytest.mark.parametrize(("seq", "with_head"), [(1, True), (4, True), (7, True), (1, False), (4, False)])
def test_an_entry_that_was_edited_or_is_missing_is_damage(world: SmallWorld, seq: int, *, with_head: bool) -> None:
    _notes(world, 7)
    key = log_key(SET, seq)
    found = world.repository.log(SET).read_entry(seq)
    assert found is not None
    assert isinstance(found[0], NoteEntry)
    if not with_head:
        world.store.delete([head_key(SET)])

    world.store.put(key, [encode_entry(found[0].model_copy(update={"text": "nothing happened"}))[0]])
    with pytest.raises(DamagedError, match=key):
        list(_log(world).newest_first())
    world.store.delete([key])
    with pytest.raises(DamagedError, match=key):
        list(_log(world).newest_first())


def test_a_set_without_a_log_is_not_found(world: SmallWorld) -> None:
    _notes(world, 1)

    with pytest.raises(NotFoundError, match="no backup set 'other'"):
        list(audit(world.repository, "other"))
    assert [] == list(_log(SmallWorld()).newest_first())


def _state(world: SmallWorld) -> SetState:
    return _log(world).state()


def test_an_expired_point_says_by_which_plan_it_went_and_until_when_it_can_come_back(world: SmallWorld) -> None:
    first, second, last = _points(world, 3)
    plan = plan_prune(world.context(world.source), SET, LAST_ONE)
    expired_ms = world.clock.now_ms()
    change_points(world.repository, plan, approved_by="Ada")
    world.clock.advance(HOUR_MS)

    fate = fate_of(_log(world), _state(world), first)

    assert fate is not None
    assert (plan.sha256, "Ada", 1) == (
        fate.expired.plan_sha256,
        fate.expired.approved_by,
        fate.expired.policy["keep_last"],
    )
    assert (None, expired_ms + DAY_MS) == (fate.removed, fate.until_ms)
    assert [first, second] == [one.seq for one, _ in expired_points(_log(world), _state(world))]
    assert fate_of(_log(world), _state(world), last) is None
    unexpire(world.repository, SET, first)
    assert fate_of(_log(world), _state(world), first) is None


def test_a_removed_point_says_when_it_was_removed_and_by_which_policy_it_expired_last(world: SmallWorld) -> None:
    first, *_ = _points(world, 3)
    context = world.context(world.source)
    prune_locally(context, SET, RetentionPolicy(keep_last=2))
    unexpire(world.repository, SET, first)
    prune_locally(context, SET, LAST_ONE)
    world.clock.advance(DAY_MS)
    removed_ms = world.clock.now_ms()
    prune_locally(context, SET, LAST_ONE)

    fate = fate_of(_log(world), _state(world), first)

    assert fate is not None
    assert fate.removed is not None
    assert (1, removed_ms, None) == (fate.expired.policy["keep_last"], fate.removed.time_ms, fate.until_ms)


def test_an_entry_that_is_no_point_has_no_fate(world: SmallWorld) -> None:
    _notes(world, 2)

    assert [None] * 4 == [fate_of(_log(world), _state(world), seq) for seq in (0, 1, 2, 3)]
