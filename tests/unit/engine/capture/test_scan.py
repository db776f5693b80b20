"""Scan: the batches of a fetch answer that belong to a range."""

from __future__ import annotations

import pytest

from tasks.engine.capture.scan import scan
from tasks.model.errors import UnsupportedBatchError
from tests.support.batch_factory import make_batch, make_records


def _batch(first: int, last: int, epoch: int = 0) -> bytes:
    return make_batch(make_records(1, first=first), base_offset=first, last_offset=last, leader_epoch=epoch)


def _bases(records: bytes, position: int, end: int) -> tuple[list[int], int]:
    found = scan(records, position, end, None, where="t-0")
    return [header.base_offset for _, header in found.batches], found.next


def test_batches_before_the_position_are_left_out() -> None:
    assert ([3, 6], 9) == _bases(_batch(0, 2) + _batch(3, 5) + _batch(6, 8), 3, 100)


def test_a_batch_with_the_position_inside_belongs_to_the_range() -> None:
    assert ([0, 5], 8) == _bases(_batch(0, 4) + _batch(5, 7), 2, 100)


def test_a_batch_at_or_after_the_end_shows_that_the_end_was_reached() -> None:
    assert ([0], 5) == _bases(_batch(0, 2) + _batch(5, 7), 0, 5)
    assert ([], 5) == _bases(_batch(9, 9), 0, 5)


def test_a_batch_that_crosses_the_end_belongs_to_the_range_and_ends_it() -> None:
    assert ([0, 3], 5) == _bases(_batch(0, 2) + _batch(3, 9), 0, 5)


def test_an_answer_without_a_whole_batch_does_not_move_the_position() -> None:
    assert ([], 4) == _bases(b"", 4, 100)
    assert ([], 4) == _bases(_batch(4, 5)[:-1], 4, 100)


def test_the_epoch_is_that_of_the_last_batch_or_the_given_one() -> None:
    records = _batch(0, 2, epoch=4) + _batch(3, 5, epoch=6)
    assert 6 == scan(records, 0, 100, 1, where="").epoch
    assert 1 == scan(b"", 0, 100, 1, where="").epoch


def test_batches_have_their_positions_in_the_answer() -> None:
    first, second = _batch(0, 2), _batch(3, 5)
    assert [0, len(first)] == [at for at, _ in scan(first + second, 0, 100, None, where="").batches]


def test_offsets_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(UnsupportedBatchError, match="orders-3: the batch at offset 0 follows batches with larger"):
        scan(_batch(5, 7) + _batch(0, 2), 5, 100, None, where="orders-3")
