"""Positions of groups are translated exactly, and written only when they are asked for."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.broker.admin_values import TopicPartition
from tasks.engine.positions.translate import TranslatedPosition, left_out_positions, translate
from tasks.engine.restore import RestoreResult
from tasks.engine.restore_steps import Preview, begin_restore, prepare_restore
from tasks.model.errors import InterruptedRunError
from tests.simulation.kafka import SimulatedKafka
from tests.simulation.rules.small_world import WITH_POSITIONS, SmallWorld, kafka, refused


@pytest.fixture
def world() -> SmallWorld:
    """A topic `orders` with twenty records, not yet backed up."""
    made = SmallWorld()
    made.topic(records=20)
    return made


def _restored(world: SmallWorld, **options: Any) -> RestoreResult:
    world.back_up()
    return world.restore(**{**WITH_POSITIONS, **options})


def _written(cluster: SimulatedKafka, group: str) -> dict[TopicPartition, tuple[int, str]]:
    found = cluster.groups.by_id.get(group)
    positions = found.positions if found else {}
    return {place: (one.offset, one.metadata) for place, one in positions.items()}


def _only(result: RestoreResult) -> TranslatedPosition:
    [position] = result.positions
    return position


# ── translation ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", ["classic", "consumer"])
def test_positions_come_back_exactly_with_their_metadata(world: SmallWorld, kind: str) -> None:
    for offset in (0, 7, 20):
        world.source.groups.join(f"at-{offset}", group_type=kind)
        world.source.groups.leave(f"at-{offset}")
        world.commit(f"at-{offset}", {("orders", 0): offset}, metadata="né ⏱")

    result = _restored(world)

    for offset in (0, 7, 20):
        assert {("copy", 0): (offset, "né ⏱")} == _written(world.target, f"at-{offset}")
    assert (True, [None] * 3) == (result.positions_written, [one.failure for one in result.positions])


def test_a_position_beyond_the_end_becomes_the_end_and_its_row_says_so(world: SmallWorld) -> None:
    """As after an unclean election, or of a topic that was emptied by its deletion and creation."""
    world.commit("billing", {("orders", 0): 1_000_000})
    position = _only(_restored(world))
    assert (1_000_000, 20) == (position.source_offset, _written(world.target, "billing")["copy", 0][0])
    assert "1000000 is beyond the end of the backup at 20, so the position is the end" == position.note


def test_a_position_that_an_unclean_election_left_beyond_the_end_becomes_the_end(world: SmallWorld) -> None:
    world.back_up()
    world.commit("billing", {("orders", 0): 20})
    world.source.elect_uncleanly(("orders", 0), end=10)

    position = _only(_restored(world))

    assert 10 == position.target_offset
    assert "20 is beyond the end of the backup at 10" in (position.note or "")


def test_a_position_below_the_log_start_becomes_the_first_record_and_its_row_says_so(world: SmallWorld) -> None:
    world.source.log(("orders", 0)).move_start(5)
    world.commit("billing", {("orders", 0): 2})
    position = _only(_restored(world))
    assert {("copy", 0): (0, "")} == _written(world.target, "billing")
    assert "2 is before the start of the backup at 5, so the position is the first record" == position.note


@pytest.mark.parametrize("offset", [0, 7, 20])
def test_a_position_inside_the_backup_needs_no_note(world: SmallWorld, offset: int) -> None:
    world.commit("billing", {("orders", 0): offset})
    assert None is _only(_restored(world)).note


def test_a_position_on_a_partition_that_no_longer_exists_is_left_out_and_named(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7, ("orders", 7): 5, ("another", 0): 3})

    result = _restored(world)

    [left_out] = result.left_out
    assert ("billing", "orders", 7, 5) == (left_out.group, left_out.topic, left_out.partition, left_out.offset)
    assert "the backup does not have this partition" == left_out.reason
    assert ([7], False) == ([one.target_offset for one in result.positions], result.is_partial)


def test_a_group_inside_aborted_data_goes_on_with_the_record_it_would_have_read_next() -> None:
    world = SmallWorld()
    world.topic(records=3)
    producer = world.source.transactional_producer()
    for end in (producer.abort, producer.commit):
        producer.send(("orders", 0), world.records(3))
        end()
    _assert_every_position_is_translated(world)


def test_a_group_in_a_hole_of_a_compacted_log_goes_on_with_the_next_record() -> None:
    world = SmallWorld()
    world.topic(records=0, configs={"cleanup.policy": "compact"})
    records = world.records(7)
    producer = world.source.producer()
    for batch in (records, records[2:5], records[:1]):
        producer.send(("orders", 0), batch)
    world.source.clean()
    _assert_every_position_is_translated(world)


def _assert_every_position_is_translated(world: SmallWorld) -> None:
    """A group at every offset of a log that has more offsets than records."""
    log = world.source.log(("orders", 0))
    kept = [record.offset for record in log.visible_records()]
    assert len(kept) < log.end
    for offset in range(log.end + 1):
        world.commit(f"at-{offset}", {("orders", 0): offset})

    _restored(world)

    for offset in range(log.end + 1):
        below = sum(one < offset for one in kept)
        assert {("copy", 0): (below, "")} == _written(world.target, f"at-{offset}")


def test_positions_count_from_where_a_purged_topic_begins(world: SmallWorld) -> None:
    world.topic("copy", records=4, cluster=world.target)
    world.commit("billing", {("orders", 0): 7})
    _restored(world, purge_topics=True)
    assert {("copy", 0): (11, "")} == _written(world.target, "billing")


def test_a_position_on_a_partition_that_is_not_restored_is_left_out() -> None:
    world = SmallWorld()
    world.topic(partitions=2)
    world.topic("other")
    world.commit("billing", {("orders", 0): 3, ("orders", 1): 4, ("other", 0): 5})
    world.back_up()

    result = world.restore(source_partitions=(1,), **WITH_POSITIONS)

    assert {("copy", 1): (4, "")} == _written(world.target, "billing")
    assert [("orders", 1)] == [(one.source_topic, one.source_partition) for one in result.positions]
    assert [] == list(result.left_out)


def test_a_position_on_another_incarnation_of_the_topic_is_left_out(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})
    world.back_up()
    context, preview = world.context(world.target), world.preview(**WITH_POSITIONS)
    started = begin_restore(context.repository, preview)
    with context.admin() as admin:
        targets = prepare_restore(context, admin, started.plan)
    assert started.groups is not None
    [group] = started.groups.groups
    stranger = group.positions[0].model_copy(update={"topic_id": "another", "offset": 3})

    translated = translate(started, targets, [group.model_copy(update={"positions": (*group.positions, stranger)})])

    assert [7] == [one.target_offset for one in translated]
    [left_out] = left_out_positions(started.plan, [group.model_copy(update={"positions": (stranger,)})])
    assert (3, "it belongs to another topic that had this name") == (left_out.offset, left_out.reason)


# ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_preview_contains_every_position_that_the_restore_then_writes(world: SmallWorld) -> None:
    world.topic("other")
    for group, topic in (("billing", "orders"), ("audit", "orders"), ("stranger", "other")):
        world.commit(group, {(topic, 0): 7})
    world.back_up()

    preview = world.preview(**WITH_POSITIONS)
    written = world.restore(**WITH_POSITIONS).positions

    planned = [(one.group, one.source_offset, one.target_topic, one.target_partition) for one in preview.positions]
    assert [("audit", 7, "copy", 0), ("billing", 7, "copy", 0)] == sorted(planned)
    assert sorted(planned) == [(one.group, one.source_offset, one.target_topic, 0) for one in written]
    assert () == tuple(world.preview().positions)


def test_positions_are_only_reported_unless_they_are_to_be_written(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})

    reported = _restored(world, reset_consumer_offsets=False)
    skipped = world.restore({"orders": "skipped"})

    assert ([7], False, []) == (
        [one.target_offset for one in reported.positions],
        reported.positions_written,
        skipped.positions,
    )
    assert {} == _written(world.target, "billing")


def test_only_the_groups_asked_for_are_written(world: SmallWorld) -> None:
    for group in ("billing", "audit"):
        world.commit(group, {("orders", 0): 7})
    result = _restored(world, consumer_groups=("audit",))
    assert (["audit"], {}) == ([one.group for one in result.positions], _written(world.target, "billing"))


def test_a_position_that_cannot_be_written_carries_its_reason_and_the_others_are_written() -> None:
    world = SmallWorld()
    world.topic(partitions=2)
    world.commit("billing", {("orders", 0): 3})
    world.commit("billing", {("orders", 1): 4}, metadata="x" * 5000)  # a broker with a larger limit allowed it

    result = _restored(world)

    failures = {one.target_partition: one.failure for one in result.positions}
    assert (None, True, True) == (failures[0], "metadata" in (failures[1] or "").lower(), result.is_partial)
    assert {("copy", 0): (3, "")} == _written(world.target, "billing")


def test_a_group_that_became_active_since_the_preflight_fails_by_itself(world: SmallWorld) -> None:
    for group in ("audit", "billing"):
        world.commit(group, {("orders", 0): 7})
    world.back_up()

    def join(preview: Preview) -> None:
        world.target.groups.join("audit")

    result = world.restore(previewed=join, **WITH_POSITIONS)

    assert {"audit": False, "billing": True} == {one.group: one.failure is None for one in result.positions}
    assert {("copy", 0): (7, "")} == _written(world.target, "billing")


def test_a_position_that_the_user_is_not_allowed_to_write_is_marked_as_denied(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})
    world.back_up()
    world.target = kafka(world.clock, seed=3, has_authorizer=True)

    def close(preview: Preview) -> None:
        world.target.permissions.allow_only("somebody", "Group", "billing", "Read")

    result = world.restore(user="restorer", previewed=close, **WITH_POSITIONS)

    assert (True, True) == (_only(result).is_denied, "on Group billing" in (_only(result).failure or ""))


def test_a_position_that_somebody_else_changes_is_found_when_it_is_read_back(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})
    world.back_up()
    world.target_faults.after("admin.commit_offsets", lambda: world.target.groups.by_id["billing"].positions.clear())
    assert "after the write the group's position is not set" == _only(world.restore(**WITH_POSITIONS)).failure


def test_a_lost_answer_to_a_commit_is_settled(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})
    world.back_up()
    world.target_faults.lose_answer("admin.commit_offsets")
    assert None is _only(world.restore(**WITH_POSITIONS)).failure


def test_a_stop_while_positions_are_written_ends_the_restore(world: SmallWorld) -> None:
    world.commit("billing", {("orders", 0): 7})
    world.back_up()

    def stopped() -> None:
        raise InterruptedRunError("Stopped on request.")

    world.target_faults.before("admin.commit_offsets", stopped)
    with refused(InterruptedRunError, "Stopped", code=130):
        world.restore(**WITH_POSITIONS)


def test_a_cluster_that_stops_to_answer_is_waited_for_once_and_not_for_each_group(world: SmallWorld) -> None:
    for group in ("a", "b", "c"):
        world.commit(group, {("orders", 0): 7})
    world.back_up()
    world.target_faults.give_up("admin.commit_offsets", skip=1, times=9)
    result = world.restore(**WITH_POSITIONS)
    first, second, third = result.positions
    assert None is first.failure
    assert second.failure is not None
    assert str(third.failure).startswith("not tried, because an earlier group failed: ")
    calls = [one for one in world.target_faults.steps if one.call == "admin.commit_offsets" and not one.has_happened]
    assert 2 == len(calls)
