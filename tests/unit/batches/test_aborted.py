"""Aborted transactions: the cases of KAFKA.md one by one; arbitrary logs are in tests/property."""

from __future__ import annotations

import pytest

from tasks.batches.aborted import AbortedBatches, AbortTracker, clip, is_abort_marker
from tasks.batches.header import CONTROL_BIT, read_header
from tasks.batches.records import Record
from tasks.model.errors import UnsupportedBatchError
from tasks.model.ranges import AbortedRange
from tests.support.batch_factory import TRANSACTIONAL, make_batch, make_marker, make_records


def _data(base: int, producer: int, count: int = 2) -> bytes:
    return make_batch(make_records(count, first=base), base_offset=base, attributes=TRANSACTIONAL, producer_id=producer)


def _judge(tracker: AbortTracker, *batches: bytes) -> list[bool]:
    data = b"before" + b"".join(batches)
    verdicts, at = [], 6
    for batch in batches:
        verdicts.append(tracker.judge(read_header(data, at), data, at))
        at += len(batch)
    return verdicts


def test_interleaved_transactions_are_told_apart() -> None:
    tracker = AbortTracker()
    tracker.start_response([(7, 2), (9, 6)])
    plain = make_batch(make_records(1, first=10), base_offset=10)
    verdicts = _judge(
        tracker,
        _data(0, 8),
        _data(2, 7),
        _data(4, 8),
        _data(6, 9),
        make_marker(8, 7, commit=False),
        make_marker(9, 8, commit=True),
        plain,
        _data(11, 7),
        _data(13, 9),
        make_marker(15, 7, commit=True),
    )
    assert verdicts == [False, True, False, True, False, False, False, False, True, False]
    assert [AbortedRange(7, 2, 3), AbortedRange(9, 6, 14)] == tracker.ranges()


def test_an_abort_whose_marker_was_not_reached_counts_by_the_brokers_word() -> None:
    tracker = AbortTracker()
    tracker.start_response([(7, 0)])
    assert _judge(tracker, _data(0, 7), _data(2, 7)) == [True, True]
    assert [AbortedRange(7, 0, 3)] == tracker.ranges()


def test_a_transaction_goes_on_in_the_next_answer_and_ends_with_its_marker() -> None:
    tracker = AbortTracker()
    tracker.start_response([(7, 0)])
    assert _judge(tracker, _data(0, 7)) == [True]
    tracker.start_response([(7, 0)])
    assert _judge(tracker, _data(2, 7), make_marker(4, 7, commit=False), _data(5, 7)) == [True, False, False]
    tracker.start_response([(7, 9)])
    assert _judge(tracker, _data(7, 7), _data(9, 7)) == [False, True]
    assert [AbortedRange(7, 0, 3), AbortedRange(7, 9, 10)] == tracker.ranges()


def test_what_an_earlier_answer_said_does_not_count_in_the_next() -> None:
    tracker = AbortTracker()
    tracker.start_response([(7, 0), (8, 4)])
    assert _judge(tracker, _data(0, 7)) == [True]
    tracker.start_response([])
    assert _judge(tracker, _data(2, 7), _data(4, 8)) == [False, False]
    tracker.start_response([(7, 6)])
    assert _judge(tracker, _data(6, 7)) == [True]
    assert [AbortedRange(7, 0, 1), AbortedRange(7, 6, 7)] == tracker.ranges()


def test_every_transaction_has_a_range_of_its_own() -> None:
    tracker = AbortTracker()
    tracker.start_response([(7, 0), (7, 3)])
    abort = [make_marker(offset, 7, commit=False) for offset in (2, 5)]
    assert _judge(tracker, _data(0, 7), abort[0], _data(3, 7), abort[1]) == [True, False, True, False]
    assert [AbortedRange(7, 0, 1), AbortedRange(7, 3, 4)] == tracker.ranges()


def test_a_new_segment_goes_on_in_the_middle_of_an_answer() -> None:
    tracker = AbortTracker()
    tracker.start_response([(7, 0), (8, 6)])
    assert _judge(tracker, _data(0, 7)) == [True]
    following = tracker.continued()
    assert _judge(following, _data(2, 7), make_marker(4, 7, commit=False), _data(6, 8)) == [True, False, True]
    assert [AbortedRange(7, 0, 1)] == tracker.ranges()
    assert [AbortedRange(7, 2, 3), AbortedRange(8, 6, 7)] == following.ranges()


def test_only_transactional_data_of_the_producer_is_aborted() -> None:
    ranges = [AbortedRange(9, 0, 99), AbortedRange(7, 10, 20)]
    expected = {9: False, 10: True, 20: True, 21: False}
    assert expected == {base: AbortedBatches(ranges).covers(read_header(_data(base, 7), 0)) for base in expected}
    idempotent = make_batch(make_records(1, first=10), base_offset=10, producer_id=7)
    for batch in (idempotent, _data(10, 8), make_marker(10, 7, commit=False)):
        assert not AbortedBatches(ranges).covers(read_header(batch, 0))


def test_clipping_keeps_what_concerns_batches_that_reach_into_the_range() -> None:
    ranges = [AbortedRange(1, 0, 9), AbortedRange(2, 5, 30), AbortedRange(3, 18, 40), AbortedRange(4, 20, 25)]
    assert [AbortedRange(2, 5, 19), AbortedRange(3, 18, 19)] == clip(ranges, 10, 20)
    straddling = read_header(_data(8, 2, count=5), 0)
    assert AbortedBatches(clip(ranges, 10, 20)).covers(straddling)


def test_markers_are_told_by_their_type() -> None:
    assert is_abort_marker(make_marker(3, 1, commit=False))
    assert not is_abort_marker(make_marker(3, 1, commit=True))
    control = TRANSACTIONAL | CONTROL_BIT
    assert not is_abort_marker(make_batch([], base_offset=3, attributes=control))
    assert not is_abort_marker(make_batch([Record(3, 0, b"\0\0\0\5", b"")], base_offset=3, attributes=control))
    for key in (None, b"\0\0\0"):
        with pytest.raises(UnsupportedBatchError, match="control record at offset 3"):
            is_abort_marker(make_batch([Record(3, 0, key, b"")], base_offset=3, attributes=control))
