"""Which ranges share their first fetch requests."""

from __future__ import annotations

import pytest

from tasks.broker.log_values import FetchPosition
from tasks.engine.capture.first_answers import MOST_SHARED, SPARE_BYTES, shared_groups
from tasks.engine.capture.range_reader import CaptureRange
from tasks.model.partition import Partition

FETCH_BYTES = 4 << 20
EMPTY = -1


def _range(number: int, bytes_: int, *, start: int = 5) -> CaptureRange:
    end = start if bytes_ == EMPTY else start + 10
    return CaptureRange(
        source=Partition("orders", "id", number), start=start, end=end, bytes=max(0, bytes_), start_epoch=3
    )


def _groups(*sizes: int, fetch_bytes: int = FETCH_BYTES) -> list[list[int]]:
    ranges = [_range(number, size) for number, size in enumerate(sizes)]
    return [[one.partition.partition for one in group] for group in shared_groups(ranges, fetch_bytes=fetch_bytes)]


def test_a_shared_request_begins_where_each_range_begins_and_limits_each_to_its_size() -> None:
    [[_, second]] = shared_groups([_range(0, 0), _range(1, 700, start=40)], fetch_bytes=FETCH_BYTES)
    assert FetchPosition(Partition("orders", "id", 1), 40, 3, 700 + SPARE_BYTES) == second


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ((), []),
        ((100,), []),
        ((EMPTY, 100, EMPTY), []),
        ((100, EMPTY, 100), [[0, 2]]),
        ((0, 0), [[0, 1]]),
        ((100, FETCH_BYTES, 100, 100, 100), [[2, 3, 4]]),
        ((100, 100, FETCH_BYTES, 100), [[0, 1]]),
        ((FETCH_BYTES, FETCH_BYTES), []),
        ((1 << 40, 100, 100), [[1, 2]]),
        ((2 << 20, 2 << 20), []),
        ((2 << 20, 1 << 20, 1 << 20, 1 << 20), [[0, 1], [2, 3]]),
    ],
)
def test_neighbours_that_fit_into_one_answer_share_a_request(sizes: tuple[int, ...], expected: list[list[int]]) -> None:
    """A large range between two small ones ends the group, because the answer of the second one would wait for it."""
    assert expected == _groups(*sizes)


@pytest.mark.parametrize("size", [0, 70, 5_000, 100_000, 1 << 20])
def test_no_group_asks_for_more_than_one_answer_may_have(size: int) -> None:
    groups = shared_groups([_range(number, size) for number in range(1_000)], fetch_bytes=FETCH_BYTES)
    assert FETCH_BYTES >= max(sum(one.max_bytes for one in group) for group in groups)
    assert FETCH_BYTES < min(sum(one.max_bytes for one in group) for group in groups[:-1]) + size + SPARE_BYTES


def test_a_large_fetch_size_does_not_make_groups_larger_than_the_most() -> None:
    assert [MOST_SHARED, 44] == [len(group) for group in _groups(*[0] * (MOST_SHARED + 44), fetch_bytes=64 << 20)]


def test_a_fetch_size_below_one_batch_shares_nothing() -> None:
    assert [] == _groups(0, 0, 0, fetch_bytes=SPARE_BYTES - 1)
