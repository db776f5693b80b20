"""A restored partition is compared with the backup record by record: every planted fault is found and named."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest

from tasks.batches.record_columns import RecordColumns
from tasks.batches.records import Record
from tasks.broker.ports import RecordReader
from tasks.engine.drilling.comparison import chosen_frames, compare_partition, compare_with
from tasks.engine.drilling.drill_result import CompareLevel, PartitionComparison
from tasks.engine.replay.replay import replay_bin
from tasks.engine.restore_steps import begin_restore, prepare_restore
from tasks.engine.run_context import ClusterContext
from tasks.engine.started_restore import StartedRestore
from tasks.model.errors import AccessError, BrokerUnavailableError, InterruptedRunError
from tasks.model.partition import Partition
from tasks.repository.restores import Targets
from tests.simulation.rules.small_world import SmallWorld, kafka

HEADERS = ((b"a", b"1"), (b"b", None), (b"a", b""))


@dataclass
class _Restored:
    """A restore whose records are written, and which was not compared yet. The restored topic is `copy`."""

    world: SmallWorld
    context: ClusterContext
    started: StartedRestore
    targets: Targets

    @classmethod
    def of(cls, world: SmallWorld, *, is_replayed: bool = True) -> _Restored:
        context = world.context(world.target)
        started = begin_restore(context.repository, world.preview())
        with context.admin() as admin:
            targets = prepare_restore(context, admin, started.plan)
        for number in range(len(started.plan.bins) if is_replayed else 0):
            replay_bin(context, started, targets, number)
        return cls(world, context, started, targets)

    def compare(self, level: CompareLevel = "full", *, share: float = 10, number: int = 0) -> PartitionComparison:
        """Compare one partition."""
        copy, target = self.started.plan.partitions[number], self.targets.partitions[number]
        return compare_partition(self.context, self.started, copy, target, level, share)

    def replace(self, change: Callable[[list[Record]], list[Record]]) -> None:
        """Replace the restored records by changed ones, with dense offsets."""
        log = self.world.target.log(("copy", 0))
        records = change(log.visible_records())
        log.truncate(0)
        producer = self.world.target.producer()
        for start in range(0, len(records), 4):
            producer.send(("copy", 0), records[start : start + 4])


@pytest.fixture
def restored() -> _Restored:
    """Ten restored records in batches of five; the sixth has headers."""
    world = SmallWorld()
    world.topic(records=0)
    records = world.records(10)
    records[5] = records[5]._replace(headers=HEADERS)
    records[7] = records[7]._replace(value=b"")
    producer = world.source.producer()
    producer.send(("orders", 0), records[:5])
    producer.send(("orders", 0), records[5:])
    world.back_up()
    return _Restored.of(world)


def _changed(number: int, **changes: object) -> Callable[[list[Record]], list[Record]]:
    return lambda records: [
        one._replace(**changes) if index == number else one  # type: ignore[arg-type]
        for index, one in enumerate(records)
    ]


def test_an_exact_restore_has_equal_digests_and_no_problem(restored: _Restored) -> None:
    result = restored.compare()
    assert None is result.problem
    assert (10, 10, 10) == (result.expected_records, result.found_records, result.compared_records)
    assert ("full", 64) == (result.level, len(result.expected_digest or ""))
    assert result.expected_digest == result.found_digest
    assert (Partition("orders", result.source.topic_id, 0), "copy") == (result.source, result.target.topic)


_FAULTS: dict[str, tuple[Callable[[list[Record]], list[Record]], str]] = {
    "one too many": (
        lambda records: [*records, records[0]],
        "the target has a record at offset 10 that the backup does not have.",
    ),
    "one inserted": (
        lambda records: [*records[:4], records[4]._replace(key=b"stranger"), *records[4:]],
        "the target has a record at offset 4 that the backup does not have.",
    ),
    "one missing": (
        lambda records: records[:3] + records[4:],
        "record 4 (source offset 3) is missing in the target.",
    ),
    "the last missing": (
        lambda records: records[:9],
        "record 10 (source offset 9) is missing in the target.",
    ),
    "two exchanged": (
        lambda records: [*records[:2], records[3], records[2], *records[4:]],
        "records 3 and 4 (source offsets 2 and 3, target offsets 2 and 3) are exchanged.",
    ),
    "key": (
        _changed(1, key=b"kez-1"),
        "record 2 (source offset 1, target offset 1) has another key than in the backup: "
        "the first different byte is byte 2 of 5.",
    ),
    "value": (
        _changed(9, value=b"value 8"),
        "record 10 (source offset 9, target offset 9) has another value than in the backup: "
        "the first different byte is byte 6 of 7.",
    ),
    "header": (
        _changed(5, headers=((b"a", b"2"), *HEADERS[1:])),
        "record 6 (source offset 5, target offset 5) has other headers than in the backup.",
    ),
    "header order": (
        _changed(5, headers=HEADERS[::-1]),
        "record 6 (source offset 5, target offset 5) has other headers than in the backup: "
        "the same headers in another order.",
    ),
    "a header more": (
        _changed(4, headers=((b"x", None),)),
        "record 5 (source offset 4, target offset 4) has other headers than in the backup.",
    ),
    "null instead of empty": (
        _changed(7, value=None),
        "record 8 (source offset 7, target offset 7) has another value than in the backup: null instead of 0 bytes.",
    ),
    "empty instead of null in a header": (
        _changed(5, headers=(HEADERS[0], (b"b", b""), HEADERS[2])),
        "record 6 (source offset 5, target offset 5) has other headers than in the backup.",
    ),
    "timestamp": (
        _changed(2, timestamp=5),
        "record 3 (source offset 2, target offset 2) has another timestamp than in the backup: 5 instead of ",
    ),
    "bytes moved from key to value": (
        _changed(0, key=b"key-", value=b"0value 0"),
        "record 1 (source offset 0, target offset 0) has another key and another value than in the backup.",
    ),
}


@pytest.mark.parametrize("fault", _FAULTS)
def test_a_planted_fault_is_found_and_named_and_the_digests_differ(restored: _Restored, fault: str) -> None:
    change, expected = _FAULTS[fault]
    restored.replace(change)
    result = restored.compare()
    assert expected in (result.problem or "")
    assert result.expected_digest != result.found_digest


@pytest.mark.parametrize("level", ["full", "sample", "counts"])
def test_a_partition_that_was_never_restored_is_a_problem_at_every_level(level: CompareLevel) -> None:
    world = SmallWorld()
    world.topic(partitions=2)
    world.back_up()
    result = _Restored.of(world, is_replayed=False).compare(level, number=1)
    assert 0 == result.found_records == result.compared_records
    assert (None, None) == (result.expected_digest, result.found_digest)
    assert result.problem in (
        "the backup has 10 records and the target has none.",
        "record 1 (source offset 0) is missing in the target.",
    )


class _ShortReader:
    """A second reader whose reads end after so many records."""

    def __init__(self, reader: RecordReader, records: int) -> None:
        self.bounds = reader.bounds
        self._reader = reader
        self._records = records

    def read(self, partition: Partition, first: int, end: int) -> Iterator[RecordColumns]:
        """The first records of the range."""
        return self._reader.read(partition, first, min(end, first + self._records))


@contextmanager
def _blind(restored: _Restored, *, records: int = 0) -> Iterator[RecordReader]:
    """A second reader that reads nothing, or only so many records."""
    with restored.context.cluster.record_reader(threading.Event()) as reader:
        yield _ShortReader(reader, records)


@pytest.mark.parametrize("level", ["full", "sample"])
def test_a_comparison_that_reads_nothing_is_a_problem(restored: _Restored, level: CompareLevel) -> None:
    copy, target = restored.started.plan.partitions[0], restored.targets.partitions[0]
    with _blind(restored) as reader:
        result = compare_with(reader, restored.context, restored.started, copy, target, level, 50)
    assert 0 == result.compared_records
    assert result.problem


@pytest.mark.parametrize("level", ["full", "sample"])
def test_a_comparison_that_has_nothing_on_both_sides_is_a_problem_if_the_plan_has_records(
    restored: _Restored, level: CompareLevel
) -> None:
    """The lines of the backup are lost on the way: both sides are empty and equal."""
    copy, target = restored.started.plan.partitions[0], restored.targets.partitions[0]
    started = replace(restored.started, lines={copy.source: ()})
    with _blind(restored) as reader:
        result = compare_with(reader, restored.context, started, copy, target, level, 50)
    assert "10 records" in (result.problem or "")


@pytest.mark.parametrize("level", ["full", "sample", "counts"])
def test_an_empty_partition_is_no_problem(level: CompareLevel) -> None:
    world = SmallWorld()
    world.topic(records=0)
    world.back_up()
    result = _Restored.of(world).compare(level)
    assert (None, 0, 0, 0) == (
        result.problem,
        result.expected_records,
        result.found_records,
        result.compared_records,
    )


@pytest.mark.parametrize("deleted", [3, 10])
def test_records_that_were_deleted_at_the_start_are_missing(restored: _Restored, deleted: int) -> None:
    restored.world.target.log(("copy", 0)).move_start(deleted)
    for level in ("full", "sample"):
        result = restored.compare(level, share=100)
        assert "record 1 (source offset 0) is missing in the target." == result.problem
        assert 10 - deleted == result.found_records
    assert f"the target has the offsets {deleted} to 10" in (restored.compare("counts").problem or "")


def test_counts_read_no_contents(restored: _Restored) -> None:
    restored.replace(_changed(3, value=b"other"))
    result = restored.compare("counts")
    assert (None, 10, 10, 0) == (
        result.problem,
        result.expected_records,
        result.found_records,
        result.compared_records,
    )
    restored.replace(lambda records: records[:7])
    assert "the target has the offsets 0 to 7" in (restored.compare("counts").problem or "")


def test_a_sample_compares_whole_frames_and_counts_all_records() -> None:
    world = SmallWorld()
    world.topic(records=40)
    world.back_up()
    restored = _Restored.of(world)
    result = restored.compare("sample", share=1)
    assert (None, 40, 40) == (result.problem, result.expected_records, result.found_records)
    assert 0 < result.compared_records <= 40
    assert result.expected_digest == result.found_digest
    world.send(("copy", 0), 1, cluster=world.target)
    assert "the target has the offsets 0 to 41" in (restored.compare("sample", share=1).problem or "")


def test_a_sample_has_at_least_its_share_and_depends_only_on_the_seeds() -> None:
    counts = [10, 0, 10, 10, 70, 0]
    seeds = [bytes([number]) for number in (3, 0, 1, 2, 9, 1)]
    assert {2} == chosen_frames(counts, seeds, 1)
    assert {2} == chosen_frames(counts, seeds, 10)
    assert {2, 3} == chosen_frames(counts, seeds, 11)
    assert {0, 2, 3, 4} == chosen_frames(counts, seeds, 100)
    assert set() == chosen_frames([0, 0], seeds[:2], 100)


def test_aborted_records_markers_and_records_outside_of_the_point_are_not_expected() -> None:
    world = SmallWorld()
    world.topic(records=3)
    producer = world.source.transactional_producer()
    for is_committed in (True, False, True):
        producer.send(("orders", 0), world.records(4))
        if is_committed:
            producer.commit()
        else:
            producer.abort()
    world.back_up()
    restored = _Restored.of(world)
    result = restored.compare()
    assert (None, 11, 11, 11) == (
        result.problem,
        result.expected_records,
        result.found_records,
        result.compared_records,
    )


def test_log_append_times_are_expected_as_the_backup_has_them() -> None:
    world = SmallWorld()
    world.topic(configs={"message.timestamp.type": "LogAppendTime"})
    world.back_up()
    world.clock.advance(5_000)
    restored = _Restored.of(world)
    assert None is restored.compare().problem
    restored.replace(_changed(0, timestamp=7))
    assert "another timestamp" in (restored.compare().problem or "")


def test_a_deleted_topic_is_a_problem_and_an_unreachable_one_is_raised(restored: _Restored) -> None:
    restored.world.target.elect(("copy", 0), None)
    with pytest.raises(BrokerUnavailableError):
        restored.compare()
    restored.world.target.elect(("copy", 0), 1)
    restored.world.target.delete_topic("copy")
    assert "was deleted" in (restored.compare().problem or "")


def test_a_missing_permission_is_raised() -> None:
    world = SmallWorld()
    world.topic()
    world.back_up()
    world.target = kafka(world.clock, seed=3, has_authorizer=True)
    restored = _Restored.of(world)
    world.target.permissions.allow_only("somebody", "Topic", "copy", "Read")
    with pytest.raises(AccessError, match="copy"):
        restored.compare()


def test_a_comparison_ends_when_the_run_is_stopped(restored: _Restored) -> None:
    copy, target = restored.started.plan.partitions[0], restored.targets.partitions[0]
    with _blind(restored) as reader:
        restored.context.stop.set()
        with pytest.raises(InterruptedRunError):
            compare_with(reader, restored.context, restored.started, copy, target, "full", 10)
    with pytest.raises(InterruptedRunError):
        restored.compare()


def test_a_hole_in_the_offsets_is_found(restored: _Restored) -> None:
    """A marker takes an offset: the records are right, and those behind it are not where they should be."""
    log = restored.world.target.log(("copy", 0))
    records = log.visible_records()
    log.truncate(0)
    producer = restored.world.target.transactional_producer()
    producer.send(("copy", 0), records[:5])
    producer.commit()
    restored.world.target.producer().send(("copy", 0), records[5:])
    result = restored.compare()
    assert "record 6 (source offset 5) should be at target offset 5 and is at 6." == result.problem


def test_a_part_that_is_lost_on_both_sides_is_a_problem(restored: _Restored) -> None:
    """The backup gives only its first five records, and the reader reads only the first five."""
    copy, target = restored.started.plan.partitions[0], restored.targets.partitions[0]
    [line] = restored.started.lines[copy.source]
    started = replace(restored.started, lines={copy.source: (line.model_copy(update={"next": 5}),)})
    with _blind(restored, records=5) as reader:
        result = compare_with(reader, restored.context, started, copy, target, "full", 10)
    assert (5, "the restore had to write 10 records, but the backup has 5.") == (
        result.compared_records,
        result.problem,
    )


def test_a_difference_that_the_columns_do_not_show_is_shown_by_the_digests(
    restored: _Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.engine.drilling.comparison.equal", lambda *_: True)
    restored.replace(_changed(3, value=b"other"))
    assert "the digests of the expected and the found records differ." == restored.compare().problem
