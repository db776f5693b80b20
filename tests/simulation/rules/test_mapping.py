"""A restore writes topics and partitions where its rules say: by patterns, by numbers, and several into one."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.engine.restore_steps import restore_targets
from tasks.model.errors import RefusedError
from tests.simulation.rules.small_world import DAY_MS, WITH_POSITIONS, SmallWorld, refused, said
from tests.support.faults import Crashed

TOGETHER = {"orders-eu": "all", "orders-us": "all"}
IN_ONE: dict[str, Any] = {"partition_mapping": {0: 0, 1: 0, 2: 0}}


@pytest.fixture
def world() -> SmallWorld:
    """The topics `orders-eu` and `orders-us` with two partitions each, and `clicks` with three."""
    made = SmallWorld()
    for name, partitions in (("orders-eu", 2), ("orders-us", 2), ("clicks", 3)):
        made.topic(name, partitions=partitions, records=0)
        for number in range(partitions):
            made.send((name, number), 20 + number, age_ms=30 * DAY_MS)
    return made


def _source(world: SmallWorld, *places: tuple[str, int]) -> list[Any]:
    return [one for name, number in places for one in world.contents(name, number, cluster=world.source)]


def test_topics_are_mapped_by_patterns(world: SmallWorld) -> None:
    world.back_up()
    world.restore({"orders-*": "copy-*", "~(c)licks": "$1"})
    assert {"copy-eu", "copy-us", "c"} == set(world.target.topics.by_name)
    assert _source(world, ("orders-us", 1)) == world.contents("copy-us", 1)


def test_topics_with_one_target_follow_one_another_in_each_partition(world: SmallWorld) -> None:
    world.back_up()
    result = world.restore(TOGETHER)

    for number in (0, 1):
        expected = _source(world, ("orders-eu", number), ("orders-us", number))
        assert expected == world.contents("all", number)
    assert [] == list(result.mismatches)
    warnings = [message for subject, message in said(result.findings, "warning") if subject == "all"]
    assert any("records of orders-eu, orders-us, one topic after the other" in one for one in warnings)


def test_the_order_of_the_topics_decides_which_is_written_first(world: SmallWorld) -> None:
    world.back_up()
    result = world.restore({**TOGETHER, "clicks": "c"}, order=["clicks", "orders-us"])

    assert _source(world, ("orders-us", 0), ("orders-eu", 0)) == world.contents("all", 0)
    first = [result.plan.partitions[index].topic for index in result.plan.bins[0]]
    assert {"clicks"} == set(first)


def test_partitions_are_written_where_their_numbers_are_mapped_to(world: SmallWorld) -> None:
    world.back_up()
    world.restore({"clicks": "c"}, partition_mapping={0: 4, 1: 2, 2: 1})

    assert 5 == len(world.target.topics.by_name["c"].partitions)
    for source, target in ((0, 4), (1, 2), (2, 1)):
        assert _source(world, ("clicks", source)) == world.contents("c", target)


def test_partitions_with_one_target_follow_one_another(world: SmallWorld) -> None:
    world.back_up()
    result = world.restore({"clicks": "c"}, **IN_ONE)
    assert _source(world, *(("clicks", number) for number in range(3))) == world.contents("c")
    assert [] == list(result.mismatches)


@pytest.mark.parametrize("skip", range(13))
def test_a_killed_restore_of_several_sources_into_one_target_continues_without_duplicates(
    world: SmallWorld, skip: int
) -> None:
    world.back_up()
    world.target_faults.crash("batch.land", after=True, skip=skip)
    with pytest.raises(Crashed):
        world.restore({"clicks": "c"}, **IN_ONE)
    world.target_faults.revive()

    result = world.restore({"clicks": "c"}, **IN_ONE)

    assert 1 == len(world.restores())
    assert [] == list(result.mismatches)
    assert _source(world, *(("clicks", number) for number in range(3))) == world.contents("c")


def test_each_source_has_its_place_in_the_shared_target(world: SmallWorld) -> None:
    world.back_up()
    result = world.restore({"clicks": "c"}, **IN_ONE)
    assert (0, 63) == world.offsets("c")
    targets = restore_targets(world.repository, result.plan.restore).partitions
    assert [(0, 0), (20, 20), (41, 41)] == [(target.base, target.written_before) for target in targets]


def test_a_group_continues_at_the_first_source_that_it_has_not_read_to_the_end(world: SmallWorld) -> None:
    world.commit("reads the second", {("clicks", 0): 20, ("clicks", 1): 7, ("clicks", 2): 3})
    world.commit("has read all", {("clicks", 0): 20, ("clicks", 1): 21, ("clicks", 2): 22})
    world.commit("reads the first", {("clicks", 0): 5, ("clicks", 2): 22})
    world.back_up()
    result = world.restore({"clicks": "c"}, **IN_ONE, **WITH_POSITIONS)

    expected = {"reads the second": 27, "has read all": 63, "reads the first": 5}
    assert expected == {one.group: one.target_offset for one in result.positions}
    notes = {one.group: one.note for one in result.positions}
    assert notes["reads the second"] == (
        "the records of clicks-2 follow, and the group reads again what it has read of them"
    )
    assert notes["has read all"] is None


def test_the_incarnation_with_the_named_id_is_restored(world: SmallWorld) -> None:
    old_id = world.back_up("clicks").topics.topics[0].topic_id
    old = _source(world, ("clicks", 0))
    world.source.delete_topic("clicks")
    world.topic("clicks", partitions=3)
    world.back_up_changes("clicks")

    world.restore({"clicks": "new"})
    world.restore({"clicks": "old"}, topic_ids={"clicks": old_id})

    assert old == world.contents("old", 0)
    assert _source(world, ("clicks", 0)) == world.contents("new", 0)
    with refused(RefusedError, "does not contain topic clicks with the id unknown. It contains", code=3):
        world.restore({"clicks": "other"}, topic_ids={"clicks": "unknown"})


def test_another_partition_mapping_is_another_restore(world: SmallWorld) -> None:
    world.back_up()
    world.target_faults.crash("batch.land", after=True, skip=2)
    with pytest.raises(Crashed):
        world.restore({"clicks": "c"}, **IN_ONE)
    world.target_faults.revive()

    with refused(RefusedError, r"its partition_mapping is 0: 0, 1: 0, 2: 0 and not empty\. Nothing was", code=3):
        world.restore({"clicks": "c"})
