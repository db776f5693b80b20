"""Outcomes of finished, failed and unplanned partitions in a commit."""

from __future__ import annotations

import pytest

from tasks.engine.commit.outcome import Outcome, decide, notes_of, stalled_by_open_transaction, status_of
from tasks.model.errors import CommitError
from tasks.model.partition import Partition
from tasks.model.ranges import TOPIC_GONE
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.plans import Plan, PlanFailure, PlannedPartition

SOURCE = Partition("orders", "id", 0)
NOW_MS = 1000


def _plan(start: int = 0, end: int = 20, failures: tuple[PlanFailure, ...] = ()) -> Plan:
    return Plan(
        repository_id="r",
        set="s",
        run="run",
        kind="snapshot",
        cluster_id="c",
        planned_ms=0,
        compression="zstd",
        compression_level=3,
        object_log_bytes=1,
        fetch_bytes=1,
        partitions=(PlannedPartition(**SOURCE._asdict(), start=start, end=end, high_watermark=end + 1),),
        bins=((0,),),
        failures=failures,
        topics=StoredRef(key="k", sha256="", stored_bytes=0),
        tool="t",
    )


def _line(first: int, end: int, **more: object) -> IndexLine:
    return IndexLine.model_validate({**SOURCE._asdict(), "first": first, "next": end, "captured_ms": 0, **more})


def _earlier(**more: object) -> Row:
    return Row.model_validate({**SOURCE._asdict(), "first": 0, "next": 9, "base_seq": 3, **more})


def _only(outcomes: list[Outcome]) -> Outcome:
    [outcome] = outcomes
    return outcome


def test_a_finished_partition_gets_a_new_row_with_a_new_base() -> None:
    line = _line(0, 20, epochs=((3, 0), (5, 10)))
    outcome = _only(decide(_plan(), {SOURCE: [line]}, {}, {SOURCE: _earlier()}, now_ms=NOW_MS))
    row = outcome.row
    assert (0, 20, None, 5) == (row.first, row.next, row.base_seq, row.epoch)
    assert (20, 21, True, None) == (row.last_stable_offset, row.high_watermark, row.is_live, row.failure)
    assert ((line,), False) == (outcome.lines, outcome.is_kept)


def test_a_finished_partition_that_is_not_tiled_is_refused() -> None:
    with pytest.raises(CommitError):
        decide(_plan(), {SOURCE: [_line(0, 19)]}, {}, {}, now_ms=NOW_MS)


def test_a_failed_partition_keeps_its_earlier_row_and_drops_this_runs_lines() -> None:
    lines = {SOURCE: [_line(0, 12)]}
    outcome = _only(decide(_plan(), lines, {SOURCE: "timed out"}, {SOURCE: _earlier()}, now_ms=NOW_MS))
    assert _earlier(failure="timed out", behind_since_ms=NOW_MS) == outcome.row
    assert ((), True) == (outcome.lines, outcome.is_kept)


def test_a_partition_that_fails_again_is_behind_since_the_first_time() -> None:
    earlier = _earlier(failure="before", behind_since_ms=7)
    row = _only(decide(_plan(), {}, {SOURCE: "again"}, {SOURCE: earlier}, now_ms=NOW_MS)).row
    assert ("again", 7) == (row.failure, row.behind_since_ms)


def test_a_failed_partition_without_an_earlier_row_gets_a_row_of_what_was_captured() -> None:
    outcome = _only(decide(_plan(), {SOURCE: [_line(0, 12)]}, {SOURCE: "timed out"}, {}, now_ms=NOW_MS))
    assert (0, 12, "timed out", NOW_MS) == (
        outcome.row.first,
        outcome.row.next,
        outcome.row.failure,
        outcome.row.behind_since_ms,
    )
    assert 1 == len(outcome.lines)


def test_a_partition_that_could_not_be_planned_keeps_its_earlier_row() -> None:
    other = Partition("orders", "id", 1)
    failure = PlanFailure(**other._asdict(), reason="no leader")
    earlier = {other: _earlier(partition=1)}
    outcomes = decide(_plan(failures=(failure,)), {SOURCE: [_line(0, 20)]}, {}, earlier, now_ms=NOW_MS)
    assert [SOURCE, other] == [outcome.row.source for outcome in outcomes]
    assert "no leader" == outcomes[1].row.failure
    assert 1 == len(decide(_plan(failures=(failure,)), {SOURCE: [_line(0, 20)]}, {}, {}, now_ms=NOW_MS))


def test_a_topic_deleted_during_the_capture_is_no_longer_live() -> None:
    lines = {SOURCE: [_line(0, 20, gaps=[(5, 20, TOPIC_GONE)])]}
    assert not _only(decide(_plan(), lines, {}, {}, now_ms=NOW_MS)).row.is_live


def test_gaps_and_trims_of_this_run_are_in_the_point_and_older_ones_are_not() -> None:
    new = Outcome(_earlier(), (_line(3, 20, trimmed_from=0, gaps=[(5, 7, "lost")]),))
    kept = Outcome(_earlier(), (_line(0, 9, gaps=[(1, 2, "old")]),), is_kept=True)
    gaps, trimmed = notes_of([new, kept])
    assert [("lost", 5, 7)] == [(note.reason, note.first, note.next) for note in gaps]
    assert [("trimmed", 0, 3)] == [(note.reason, note.first, note.next) for note in trimmed]


def test_a_failure_decides_the_status_before_a_gap() -> None:
    assert "partial" == status_of(has_failures=True, has_gaps=True)
    assert "gaps" == status_of(has_failures=False, has_gaps=True)
    assert "complete" == status_of(has_failures=False, has_gaps=False)


@pytest.mark.parametrize(
    ("earlier", "planned", "is_noted"),
    [
        ((10, 15), (10, 15), True),
        ((10, 15), (10, 5_000_000), True),
        ((10, 15), (12, 5_000_000), False),
        ((10, 10), (10, 15), False),
        ((10, 15), (15, 15), False),
    ],
    ids=["still-open", "more-records", "end-moved", "opened-later", "ended"],
)
def test_a_transaction_that_is_still_open_is_noted_with_the_offsets_that_it_holds_back(
    earlier: tuple[int, int], planned: tuple[int, int], is_noted: bool
) -> None:
    row = _earlier(last_stable_offset=earlier[0], high_watermark=earlier[1])
    part = PlannedPartition(**SOURCE._asdict(), start=0, end=planned[0], high_watermark=planned[1])

    notes = [
        (note.topic, note.partition, note.first, note.next)
        for note in stalled_by_open_transaction([part], {SOURCE: row}, now_ms=0)
    ]

    assert notes == ([("orders", 0, *planned)] if is_noted else [])
    assert [] == list(stalled_by_open_transaction([part], {}, now_ms=0))
