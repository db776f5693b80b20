"""A restore writes the records that its rules keep, and says what they leave out."""

from __future__ import annotations

from tasks.batches.records import Record
from tasks.engine.marks import remove_mark, set_mark
from tasks.engine.options import BackupOptions, TopicSelection
from tasks.engine.restore_steps import begin_restore, preview_restore
from tasks.model.errors import RefusedError
from tests.simulation.histories.model import content
from tests.simulation.rules.small_world import SET, WITH_POSITIONS, SmallWorld, refused, said

HOUR_MS = 3_600_000


def _world(*, index_timestamps: bool = False) -> tuple[SmallWorld, int]:
    """A topic with a record for each minute of an hour, each 5 in a batch and the times of a batch descending. Also
    returns the time of the first minute."""
    world = SmallWorld()
    world.topic(records=0)
    start = world.clock.now_ms() - 2 * HOUR_MS
    producer = world.source.producer()
    for first in range(0, 60, 5):
        times = [start + minute * 60_000 for minute in range(first, first + 5)][::-1]
        producer.send(("orders", 0), [Record(0, at, b"k%d" % (at % 7), b"%d" % at) for at in times])
    world.back_up(index_timestamps=index_timestamps)
    return world, start


def _minutes(world: SmallWorld, start: int) -> list[int]:
    return [(int(record.value or b"") - start) // 60_000 for record in world.target.log(("copy", 0)).visible_records()]


def test_a_time_window_includes_both_of_its_bounds_and_judges_each_record() -> None:
    for index_timestamps in (False, True):
        world, start = _world(index_timestamps=index_timestamps)
        result = world.restore(time_window_start=start + 7 * 60_000, time_window_end=start + 21 * 60_000)
        assert list(range(7, 22)) == sorted(_minutes(world, start))
        assert [] == list(result.mismatches)
        [copy] = result.plan.partitions
        assert copy.selection is not None
        assert ({"time window": 45}, 15) == (copy.selection.left_out, copy.records)
        assert (start + 7 * 60_000, start + 21 * 60_000) == (copy.selection.oldest_ms, copy.selection.newest_ms)
        assert ("records", "time window leaves 45 records out.") in said(result.findings, "note")


def test_positions_point_to_the_first_restored_record_at_or_after_them() -> None:
    world, _ = _world()
    for offset in (0, 7, 12, 59, 60):
        world.commit(f"at-{offset}", {("orders", 0): offset})
    world.back_up()
    result = world.restore(exclude=[{"offsets": "0-9"}], until_offset={"orders": {0: 30}}, **WITH_POSITIONS)
    assert {0: 0, 7: 0, 12: 2, 59: 20, 60: 20} == {one.source_offset: one.target_offset for one in result.positions}
    notes = {one.source_offset: one.note for one in result.positions}
    assert "no record at or after 59 is restored, so the position is the end of the restored records" == notes[59]


def test_until_offset_leaves_out_the_record_at_the_offset_and_keeps_other_partitions_whole() -> None:
    world = SmallWorld()
    world.topic(partitions=2, records=20)
    world.back_up()
    world.restore(until_offset={"orders/0": 13})
    assert [(0, 13), (0, 20)] == [world.offsets("copy", number) for number in range(2)]


def test_names_that_the_restore_does_not_include_are_refused_with_near_ones() -> None:
    world, _ = _world()
    with refused(RefusedError, "until_offset: this restore does not include the topic order. Did you mean", code=3):
        world.restore(until_offset={"order": {0: 1}})
    with refused(RefusedError, "until_offset: this restore does not include partition 4 of orders", code=3):
        world.restore(until_offset={"orders": {4: 1}})
    with refused(RefusedError, 'select, rule "select 1": this restore does not include the topic ordres', code=3):
        world.restore(select=[{"topics": ["ordres"], "key": "a"}])
    with refused(RefusedError, "has no mark nothing. It has no marks.", code=3):
        world.restore(until="mark:nothing")


def _mark(world: SmallWorld, name: str) -> None:
    context = world.context(world.source)
    set_mark(context, SET, name, topics=TopicSelection(), options=BackupOptions())


def test_a_restore_until_a_mark_ends_each_partition_where_it_ended_then() -> None:
    world = SmallWorld()
    world.topic(partitions=2, records=10)
    world.back_up()
    _mark(world, "release")
    world.send(("orders", 0), 5)
    world.topic("younger", records=3)
    world.back_up()
    mapping = {"orders": "copy", "younger": "younger-copy"}
    result = world.restore(mapping, until="mark:release")
    assert [(0, 10), (0, 10)] == [world.offsets("copy", number) for number in range(2)]
    assert (0, 0) == world.offsets("younger-copy")
    warned = said(result.findings, "warning")
    assert any("did not exist when the mark release was set" in message for _, message in warned)


def test_a_point_that_ends_before_the_mark_is_refused_with_a_later_one() -> None:
    world = SmallWorld()
    world.topic(records=10)
    point = world.back_up()
    world.send(("orders", 0), 5)
    _mark(world, "release")
    with refused(RefusedError, "the mark release is at offset 15, and .* only up to offset 10.* Make another", code=3):
        world.restore(until="mark:release")
    later = world.back_up()
    with refused(RefusedError, f"Restore from a later point, for example {later.name}", code=3):
        world.restore(until="mark:release", seq=point.seq)
    world.restore(until="mark:release")
    assert (0, 15) == world.offsets("copy")


def test_everything_except_what_one_producer_wrote_in_a_window_is_restored() -> None:
    world = SmallWorld()
    world.topic(records=10)
    bad = world.source.producer()
    bad.send(("orders", 0), world.records(4, age_ms=HOUR_MS))
    bad.send(("orders", 0), world.records(3))
    world.send(("orders", 0), 5)
    world.back_up()
    now = world.clock.now_ms()
    rule = {
        "name": "bad deploy",
        "producer_id": bad.producer_id,
        "time_window_start": now - HOUR_MS - 60_000,
        "time_window_end": now - HOUR_MS + 60_000,
    }
    expected = [
        content(record)
        for record in world.source.log(("orders", 0)).visible_records()
        if not (record.timestamp < now - HOUR_MS + 60_000)
    ]
    result = world.restore(exclude=[rule])
    assert (18, expected) == (len(expected), world.contents("copy"))
    [copy] = result.plan.partitions
    assert copy.selection is not None
    assert {"bad deploy": 4} == copy.selection.left_out
    notes = [message for _, message in said(result.findings, "note")]
    assert 'the rule "bad deploy" leaves 4 records out.' in notes


def test_rules_that_keep_nothing_are_refused_with_the_times_of_the_point() -> None:
    world, _ = _world()
    with refused(RefusedError, "the rules leave out every record. The point has records from 2", code=3):
        world.restore(time_window_end=1)
    with refused(RefusedError, "the rules leave out every record", code=3):
        world.restore(select=[{"key": "nobody"}])
    assert {} == dict(world.target.topics.by_name)


def test_a_window_beyond_the_data_of_the_point_gets_notes() -> None:
    world, start = _world()
    preview = world.preview(time_window_start=start - HOUR_MS, time_window_end=world.clock.now_ms() + HOUR_MS)
    notes = " ".join(message for _, message in said(preview.findings, "note"))
    assert "before the oldest time that the index of the point shows" in notes
    assert "and the point has data until" in notes


def test_times_that_make_no_sense_are_judged_by_their_number_and_named() -> None:
    world = SmallWorld()
    world.topic(records=5, configs={"message.timestamp.after.max.ms": str((1 << 63) - 1)})
    now = world.clock.now_ms()
    odd = [-1, -1, 0, now // 1000, now + 3 * 365 * 24 * HOUR_MS]
    world.source.producer().send(("orders", 0), [Record(0, at, b"odd", b"%d" % at) for at in odd])
    world.back_up()
    result = world.restore(time_window_start=1)
    assert 7 == result.plan.partitions[0].records
    warned = dict(said(result.findings, "warning"))["orders"]
    for expected in ("2 records with no time (-1)", "1 record with time 0", "1 record with seconds instead", "a year"):
        assert expected in warned


def test_a_plan_without_rules_has_no_member_about_them() -> None:
    world, _ = _world()
    document = world.restore().plan.to_json()
    assert all("selection" not in copy for copy in document["partitions"])
    assert not {"select", "exclude", "until", "until_offset", "time_window_start"} & set(document["options"])


def test_a_restore_that_is_continued_does_not_need_the_mark_any_more() -> None:
    world = SmallWorld()
    world.topic(records=10)
    world.back_up()
    _mark(world, "release")
    world.send(("orders", 0), 5)
    world.back_up()
    request = world.restore_request(until="mark:release")
    context = world.context(world.target)
    with context.admin() as admin:
        first = begin_restore(context.repository, preview_restore(context, admin, world.point(), request)).plan
        remove_mark(world.repository, SET, "release")
        again = preview_restore(context, admin, world.point(), request)
    assert (first.partitions, 10) == (again.plan.partitions, again.plan.partitions[0].records)
    assert [10] == [wanted.until for wanted in again.source.filters.values()]
