"""Positions after a restore: shown, written later, compared, and put back to what the groups had before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from tasks.broker.admin_values import CommittedOffset, TopicPartition
from tasks.engine.offsets import (
    RolledBack,
    apply_offsets,
    captured_positions,
    compare_offsets,
    roll_back_offsets,
)
from tasks.engine.positions.translate import TranslatedPosition
from tasks.model.errors import NotFoundError, RefusedError
from tasks.repository.previous_positions import read_previous
from tests.simulation.rules.small_world import WITH_POSITIONS, SmallWorld, refused
from tests.support.faults import Crashed

TRANSLATED: Mapping[str, Any] = {"consumer_group_strategy": "header-based"}


@pytest.fixture
def world() -> SmallWorld:
    """A point with the groups `billing` and `audit` on both partitions of `orders`."""
    made = SmallWorld()
    made.topic(partitions=2)
    made.commit("billing", {("orders", 0): 4, ("orders", 1): 9}, metadata="from the source")
    made.commit("audit", {("orders", 0): 10})
    made.back_up()
    return made


def _commit(world: SmallWorld, group: str, positions: Mapping[TopicPartition, int], metadata: str = "") -> None:
    """Positions of a group on the target."""
    world.target.groups.commit(
        group,
        [
            CommittedOffset(topic=topic, partition=partition, offset=offset, metadata=metadata)
            for (topic, partition), offset in positions.items()
        ],
    )


def _positions(world: SmallWorld, group: str) -> list[CommittedOffset]:
    with world.admin() as admin:
        found = admin.committed_offsets([group])[group]
    assert isinstance(found, list)
    return found


def _offsets(world: SmallWorld, group: str) -> dict[TopicPartition, int]:
    return {(one.topic, one.partition): one.offset for one in _positions(world, group)}


def _apply(world: SmallWorld, restore: str, *groups: str, wait_ms: int = 0) -> list[TranslatedPosition]:
    context = world.context(world.target)
    with context.admin() as admin:
        return apply_offsets(context, admin, restore, groups, wait_ms=wait_ms)


def _roll_back(world: SmallWorld, restore: str, *groups: str, also_moved: bool = False) -> list[RolledBack]:
    context = world.context(world.target)
    with context.admin() as admin:
        return roll_back_offsets(context, admin, restore, groups, also_moved=also_moved)


def _states(world: SmallWorld, restore: str, *groups: str) -> dict[tuple[str, int], tuple[int | None, str]]:
    context = world.context(world.target)
    with context.admin() as admin:
        compared = compare_offsets(context, admin, restore, groups)
    return {(one.position.group, one.position.target_partition): (one.present, one.state) for one in compared}


def _kinds(done: Sequence[RolledBack]) -> list[tuple[str, str | None]]:
    return [(one.step.kind, one.failure) for one in done]


# ── show, plan, verify ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_point_shows_its_positions_with_the_offsets_that_follow_them(world: SmallWorld) -> None:
    found = captured_positions(world.point(), ["billing"])
    assert [("orders", 0, 4, 6), ("orders", 1, 9, 1)] == [
        (one.topic, one.partition, one.offset, one.lag) for one in found
    ]
    with refused(RefusedError, "has no positions of group bill. Did you mean billing", code=3):
        captured_positions(world.point(), ["bill"])


def test_positions_are_compared_with_those_of_the_groups_and_nothing_is_written(world: SmallWorld) -> None:
    restore = world.restore(**TRANSLATED).plan.restore
    _commit(world, "billing", {("copy", 0): 3, ("copy", 1): 10})
    assert {("billing", 0): (3, "behind"), ("billing", 1): (10, "ahead"), ("audit", 0): (None, "missing")} == _states(
        world, restore
    )
    assert {} == _offsets(world, "audit")


def test_a_restore_that_is_unknown_or_not_verified_gives_no_positions(world: SmallWorld) -> None:
    with refused(NotFoundError, "There is no restore 'r'", code=10):
        _states(world, "r")
    world.target_faults.crash("batch.land", after=True)
    with pytest.raises(Crashed):
        world.restore(**TRANSLATED)
    world.target_faults.revive()
    [restore] = world.restores()
    with refused(RefusedError, "is not verified yet, so its positions are not used", code=3):
        _apply(world, restore)


def test_positions_are_not_written_to_a_topic_that_was_created_again(world: SmallWorld) -> None:
    restore = world.restore(**TRANSLATED).plan.restore
    world.target.delete_topic("copy")
    world.topic("copy", partitions=2, cluster=world.target)
    with refused(RefusedError, "copy was deleted and created again since the restore", code=3):
        _apply(world, restore)


# ── apply ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_positions_are_written_later_for_the_named_groups(world: SmallWorld) -> None:
    restore = world.restore(**TRANSLATED).plan.restore
    assert [None, None] == [one.failure for one in _apply(world, restore, "billing")]
    assert {("copy", 0): 4, ("copy", 1): 9} == _offsets(world, "billing")
    assert {} == _offsets(world, "audit")
    assert {"equal"} == {state for _, state in _states(world, restore, "billing").values()}


def test_an_active_group_is_named_and_the_others_are_written(world: SmallWorld) -> None:
    restore = world.restore(**TRANSLATED).plan.restore
    world.target.groups.join("audit")
    failures = {one.group: one.failure for one in _apply(world, restore)}
    assert failures["billing"] is None
    assert "the group has 1 active member: stop its consumers" in (failures["audit"] or "")


def test_an_active_group_is_waited_for(world: SmallWorld) -> None:
    restore = world.restore(**TRANSLATED).plan.restore
    world.target.groups.join("audit")
    context, seen = world.context(world.target), list[Sequence[str]]()

    def leave(groups: Sequence[str]) -> None:
        seen.append(groups)
        world.target.groups.leave("audit")

    with context.admin() as admin:
        written = apply_offsets(context, admin, restore, ["audit"], wait_ms=60_000, waiting=leave)
    assert ([["audit"]], [None]) == (seen, [one.failure for one in written])
    assert {("copy", 0): 10} == _offsets(world, "audit")


# ── rollback ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rollback_puts_back_what_the_restore_itself_replaced(world: SmallWorld) -> None:
    _commit(world, "billing", {("copy", 0): 2, ("elsewhere", 0): 1}, metadata="before")
    restore = world.restore(**WITH_POSITIONS).plan.restore
    assert 4 == _offsets(world, "billing")["copy", 0]

    done = _roll_back(world, restore, "billing")

    assert ["put back", "remove"] == [kind for kind, _ in _kinds(done)]
    assert "has others that are not of this restore" in (done[1].failure or "")
    assert {("copy", 0): 2, ("copy", 1): 9, ("elsewhere", 0): 1} == _offsets(world, "billing")
    [found] = [one for one in _positions(world, "billing") if (one.topic, one.partition) == ("copy", 0)]
    assert "before" == found.metadata


def test_a_group_that_did_not_exist_is_deleted_by_a_rollback(world: SmallWorld) -> None:
    restore = world.restore(**WITH_POSITIONS).plan.restore
    assert [("remove", None), ("remove", None), ("remove", None)] == _kinds(_roll_back(world, restore))
    assert {} == _offsets(world, "billing") | _offsets(world, "audit")


def test_a_position_that_has_moved_since_is_left_alone_unless_it_is_asked_for(world: SmallWorld) -> None:
    _commit(world, "audit", {("copy", 0): 1})
    restore = world.restore(**WITH_POSITIONS).plan.restore
    _commit(world, "audit", {("copy", 0): 7})

    assert [("moved", None)] == _kinds(_roll_back(world, restore, "audit"))
    assert {("copy", 0): 7} == _offsets(world, "audit")
    assert [("put back", None)] == _kinds(_roll_back(world, restore, "audit", also_moved=True))
    assert {("copy", 0): 1} == _offsets(world, "audit")
    assert [("is back", None)] == _kinds(_roll_back(world, restore, "audit"))


def test_positions_that_were_never_written_are_not_rolled_back(world: SmallWorld) -> None:
    restore = world.restore(**TRANSLATED).plan.restore
    _commit(world, "audit", {("copy", 0): 7})
    assert [] == _roll_back(world, restore)


def test_after_a_second_write_the_rollback_puts_back_what_was_before_it(world: SmallWorld) -> None:
    _commit(world, "audit", {("copy", 0): 1})
    restore = world.restore(**WITH_POSITIONS).plan.restore
    _roll_back(world, restore, "audit")
    _commit(world, "audit", {("copy", 0): 5})
    world.clock.advance(1)
    _apply(world, restore, "audit")

    assert [("put back", None)] == _kinds(_roll_back(world, restore, "audit"))
    assert {("copy", 0): 5} == _offsets(world, "audit")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("call", ["admin.committed_offsets", "admin.commit_offsets", "admin.describe_groups"])
@pytest.mark.parametrize("skip", [0, 1])
def test_a_write_that_dies_and_is_repeated_can_be_rolled_back(
    world: SmallWorld, call: str, after: bool, skip: int
) -> None:
    _commit(world, "billing", {("copy", 0): 2, ("copy", 1): 3})
    _commit(world, "audit", {("copy", 0): 1})
    restore = world.restore(**TRANSLATED).plan.restore
    world.target_faults.crash(call, after=after, skip=skip)
    try:
        _apply(world, restore)
    except Crashed:
        world.target_faults.revive()
        world.clock.advance(1)
        _apply(world, restore)
    assert {"equal"} == {state for _, state in _states(world, restore).values()}

    _roll_back(world, restore)

    assert {("copy", 0): 2, ("copy", 1): 3} == _offsets(world, "billing")
    assert {("copy", 0): 1} == _offsets(world, "audit")


def test_what_the_groups_had_is_stored_before_the_first_write(world: SmallWorld) -> None:
    _commit(world, "audit", {("copy", 0): 1})
    restore = world.restore(**TRANSLATED).plan.restore
    world.target_faults.crash("admin.commit_offsets", after=False)
    with pytest.raises(Crashed):
        _apply(world, restore, "audit")
    world.target_faults.revive()
    [stored] = read_previous(world.store, restore)
    assert [("audit", "copy", 0, 1)] == [(one.group, one.topic, one.partition, one.offset) for one in stored.positions]
