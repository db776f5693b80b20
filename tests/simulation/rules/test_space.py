"""Space: what a point takes, what it shares with others, and what really becomes free when it is removed."""

from __future__ import annotations

import pytest

from tasks.engine.options import RetentionPolicy
from tasks.engine.prune import prune_locally
from tasks.engine.space import space_of_point, space_of_set
from tasks.store.memory.memory_store import MemoryStore
from tests.simulation.rules.small_world import DAY_MS, SET, SmallWorld
from tests.support.counting_store import CountingStore


@pytest.fixture
def world() -> SmallWorld:
    made = SmallWorld()
    made.store = MemoryStore("rules", now_ms=made.clock.now_ms)
    made.topic(records=0)
    return made


def _points(world: SmallWorld) -> list[int]:
    """A chain of three points, a snapshot, and a chain of two that continues it, a day apart."""
    seqs = []
    for is_snapshot in (False, False, False, True, False, False):
        world.send(records=4)
        seqs.append((world.back_up() if is_snapshot else world.back_up_changes()).seq)
        world.clock.advance(DAY_MS)
    return seqs


def _stored(world: SmallWorld) -> int:
    return sum(info.size_bytes for info in world.store.list("data/"))


def test_the_space_of_a_set_is_all_its_data_and_each_point_has_its_share(world: SmallWorld) -> None:
    seqs = _points(world)

    total, spaces = space_of_set(world.repository.log(SET), seqs)

    assert _stored(world) == total
    assert all(spaces[seq] == space_of_point(world.repository, SET, seq) for seq in seqs)
    assert [0, 0, 1, 0, 0, 1] == [min(spaces[seq].unique_bytes, 1) for seq in seqs], (
        "the last of each chain has its own"
    )
    assert all(one.shared_bytes + one.unique_bytes == one.data_bytes for one in spaces.values())


def test_removing_a_point_frees_what_was_said(world: SmallWorld) -> None:
    *_, last_of_chain, base, _, newest = _points(world)
    before, space = _stored(world), space_of_point(world.repository, SET, last_of_chain)
    policy = RetentionPolicy(keep_last=1, minimum_points=3)

    for _ in range(2):
        prune_locally(world.context(world.source), SET, policy)
        world.clock.advance(DAY_MS)

    assert {base, newest} < set(world.repository.state(SET).points)
    assert space.data_bytes == before - _stored(world), "all points of its chain are gone with it"
    assert space.unique_bytes < space.data_bytes


def test_dropped_data_is_told_apart(world: SmallWorld) -> None:
    seqs = _points(world)
    prune_locally(world.context(world.source), SET, RetentionPolicy(keep_last=9, maximum_age="4d"))

    total, spaces = space_of_set(world.repository.log(SET), seqs)

    assert _stored(world) == total
    assert 0 == spaces[seqs[0]].data_bytes < spaces[seqs[0]].dropped_bytes
    assert 0 == spaces[seqs[-1]].dropped_bytes


def test_the_space_of_one_point_reads_the_indexes_of_three(world: SmallWorld) -> None:
    world.topic("bills", records=3)
    for _ in range(20):
        world.send(records=4)
        seq = world.back_up_changes().seq
    world.repository.state(SET)
    world.store = counting = CountingStore(world.store)

    space_of_point(world.repository, SET, seq - 5)

    named = {ref.key for one in (seq - 6, seq - 5, seq - 4) for ref in world.repository.log(SET).point(one).entry.index}
    assert counting.count("get", f"meta/{SET}/index/") == len(named)
    assert 0 == counting.count(prefix="data/")
