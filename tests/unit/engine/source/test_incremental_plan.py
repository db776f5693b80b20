"""The ranges of an incremental run, by what the logs are now and what the newest point contains."""

from __future__ import annotations

from typing import Any

import pytest

from tasks.broker.log_values import OffsetAnswers
from tasks.engine.source.incremental_plan import LogsNow, ended_partitions, incremental_ranges
from tasks.engine.source.lineage import CommonLog, Lineages
from tasks.model.errors import BrokerUnavailableError
from tasks.model.partition import Partition
from tasks.repository.partition_table import Row
from tasks.repository.plans import PlannedPartition

SOURCE = Partition("orders", "1", 0)


def _row(first: int = 0, end: int = 10, **more: object) -> Row:
    values = {
        "topic": "orders",
        "topic_id": "1",
        "partition": 0,
        "first": first,
        "next": end,
        "epoch": 3,
        "base_seq": 1,
    }
    return Row.model_validate({**values, **more})


def _plan(
    row: Row | None,
    *,
    log_start: int = 0,
    stable: int = 10,
    high: int | None = None,
    common: CommonLog | None = None,
    is_same_leader: bool = True,
) -> PlannedPartition | None:
    logs = LogsNow(
        earliest=OffsetAnswers({SOURCE: log_start}),
        stable=OffsetAnswers({SOURCE: stable}, leader_epochs={SOURCE: 3}),
        high=OffsetAnswers(
            {SOURCE: stable if high is None else high}, leader_epochs={SOURCE: 3 if is_same_leader else 2}
        ),
        lineages=Lineages({SOURCE: common} if common else {}, {}),
    )
    planned, failures = incremental_ranges([SOURCE], {SOURCE: row} if row else {}, logs)
    assert () == failures
    return planned[0] if planned else None


def _range(planned: PlannedPartition | None) -> tuple[int, int, int | None, int | None, str]:
    assert planned is not None
    return planned.start, planned.end, planned.stored_next, planned.start_epoch, planned.start_kind


SAME = CommonLog(10, 3)


def test_a_partition_without_news_is_not_in_the_plan() -> None:
    assert None is _plan(_row(), common=SAME)


def test_new_records_are_read_from_the_stored_offset_on() -> None:
    assert (10, 15, 10, 3, "stored") == _range(_plan(_row(), stable=15, common=SAME))


def test_a_log_start_beyond_the_stored_offset_does_not_move_the_start() -> None:
    """So that the capture states the offsets between them as a gap."""
    assert (10, 20, 10, 3, "stored") == _range(_plan(_row(), log_start=14, stable=20, common=SAME))
    assert (10, 14, 10, 3, "stored") == _range(_plan(_row(), log_start=14, stable=14, common=SAME))


def test_a_partition_without_a_row_is_read_whole() -> None:
    assert (2, 10, None, None, "log_start") == _range(_plan(None, log_start=2))


@pytest.mark.parametrize(("stable", "end"), [(4, 6), (8, 8), (10, 10), (30, 30)])
def test_a_truncated_log_is_read_from_where_it_differs(stable: int, end: int) -> None:
    assert (6, end, 10, 2, "truncated") == _range(_plan(_row(), stable=stable, common=CommonLog(6, 2)))


@pytest.mark.parametrize("common", [SAME, CommonLog(9, 3)], ids=["same", "truncated"])
def test_records_of_a_transaction_that_is_open_again_do_not_stay_in_the_chain(common: CommonLog) -> None:
    """An unclean election lost its marker, and kept records of it."""
    planned = _plan(_row(), stable=7, high=common.end, common=common)
    assert (7, 7, 10, 3, "truncated") == _range(planned)


@pytest.mark.parametrize("how", [{"high": 9}, {"high": 10, "is_same_leader": False}])
def test_a_new_leader_that_does_not_know_yet_what_is_replicated_moves_no_stored_offset(how: dict[str, Any]) -> None:
    planned = _plan(_row(), stable=7, common=SAME, **how)
    assert planned is None or (10, 10, 10, 3, "stored") == _range(planned)


def test_a_log_start_inside_an_open_transaction_moves_no_stored_offset() -> None:
    """The stable end is where the first batch begins then, which is below the log start."""
    planned = _plan(_row(), log_start=10, stable=8, high=12, common=SAME)
    assert (10, 10, 10, 3, "stored") == _range(planned)


def test_a_log_of_which_nothing_is_common_is_read_whole() -> None:
    assert (1, 8, 10, None, "truncated") == _range(_plan(_row(first=5), log_start=1, stable=8, common=CommonLog(4, 1)))


def test_a_stored_offset_without_a_confirmed_epoch_is_not_used() -> None:
    assert (2, 10, 10, None, "unconfirmed") == _range(_plan(_row(), log_start=2))
    assert (2, 10, 10, None, "unconfirmed") == _range(_plan(_row(epoch=None), log_start=2))


def test_unconfirmed_offsets_that_are_gone_are_still_a_gap() -> None:
    assert (10, 20, 10, None, "unconfirmed") == _range(_plan(_row(), log_start=15, stable=20))


def test_a_partition_that_was_empty_goes_on_without_an_epoch() -> None:
    empty = _row(first=5, end=5, epoch=None)

    assert None is _plan(empty, log_start=5, stable=5)
    assert (5, 8, 5, None, "stored") == _range(_plan(empty, log_start=5, stable=8))
    assert (5, 8, 5, None, "stored") == _range(_plan(empty, log_start=7, stable=8)), "a gap"
    assert (2, 8, 5, None, "stored") == _range(_plan(empty, log_start=2, stable=8)), "the log is another one"


def test_a_stable_end_below_the_stored_offset_is_no_news_while_the_lineage_is_the_same() -> None:
    """A new leader can lag behind with its high watermark."""
    assert None is _plan(_row(), stable=7, high=7, common=SAME)


@pytest.mark.parametrize(
    ("row", "high"),
    [(_row(failure="it failed", behind_since_ms=1), 10), (_row(is_live=False), 10), (_row(), 12)],
    ids=["was behind", "was not selected", "is held back by a transaction"],
)
def test_a_row_that_changes_is_in_the_plan_without_anything_to_read(row: Row, high: int) -> None:
    assert (10, 10, 10, 3, "stored") == _range(_plan(row, high=high, common=SAME))


def test_a_partition_whose_leader_epoch_cannot_be_asked_for_is_a_failure() -> None:
    offsets = OffsetAnswers({SOURCE: 10})
    failed = Lineages({}, {SOURCE: BrokerUnavailableError("no leader")})
    logs = LogsNow(earliest=offsets, stable=offsets, high=offsets, lineages=failed)

    planned, [failure] = incremental_ranges([SOURCE], {SOURCE: _row()}, logs)

    assert ((), "no leader") == (planned, failure.reason)


def test_live_rows_end_for_a_reason_and_hidden_ones_do_not() -> None:
    sources = {
        name: Partition(name, "1", 0) for name in ("deleted", "again", "left-out", "hidden", "kept", "ended-before")
    }
    rows = {
        source: Row(topic=name, topic_id="1", partition=0, first=0, next=1, is_live=name != "ended-before")
        for name, source in sources.items()
    }
    visible = {"again": "2", "left-out": "1", "kept": "1"}

    ended = ended_partitions(rows, [sources["kept"]], visible, {"hidden"})

    assert [("again", "created again"), ("deleted", "deleted"), ("left-out", "not selected")] == [
        (one.topic, one.reason) for one in ended
    ]
