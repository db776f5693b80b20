"""A condition that says all or none of an extent is right about every record in it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.batches.record_slices import RecordSlice
from tasks.engine.record_filter.conditions import Extent, Kept, OffsetCondition, TimeCondition, all_of, any_of

SMALL = st.integers(0, 6)
BOUND = st.one_of(st.none(), SMALL)
RECORDS = st.lists(st.tuples(SMALL, SMALL), min_size=1, max_size=4)


def _extent(records: list[tuple[int, int]], *, has_min: bool, has_max: bool) -> Extent:
    offsets, times = [offset for offset, _ in records], [time_ms for _, time_ms in records]
    return Extent(min(offsets), max(offsets) + 1, min(times) if has_min else None, max(times) if has_max else None)


def _expected(matching: list[bool]) -> Kept:
    return Kept.ALL if all(matching) else Kept.SOME if any(matching) else Kept.NONE


@settings(deadline=None, derandomize=True, max_examples=500)
@given(RECORDS, BOUND, BOUND, st.booleans(), st.booleans())
def test_a_window_shows_all_or_none_only_if_it_is_true(
    records: list[tuple[int, int]], start: int | None, end: int | None, has_min: bool, has_max: bool
) -> None:
    condition = TimeCondition(start, end)
    matching = [condition.matches(RecordSlice(offset, time_ms, b""), -1) for offset, time_ms in records]
    assert [(start is None or start <= at) and (end is None or at <= end) for _, at in records] == matching

    shown = condition.shown(_extent(records, has_min=has_min, has_max=has_max))

    assert shown in (Kept.SOME, _expected(matching))
    if has_min and has_max and len(records) == 1:
        assert _expected(matching) is shown


@settings(deadline=None, derandomize=True, max_examples=500)
@given(RECORDS, st.lists(st.tuples(SMALL, BOUND), max_size=3))
def test_offsets_show_all_or_none_only_if_it_is_true(
    records: list[tuple[int, int]], ranges: list[tuple[int, int | None]]
) -> None:
    condition = OffsetCondition(tuple(ranges))
    matching = [condition.matches(RecordSlice(offset, time_ms, b""), -1) for offset, time_ms in records]
    expected = [any(first <= at and (end is None or at < end) for first, end in ranges) for at, _ in records]
    assert expected == matching
    shown = condition.shown(_extent(records, has_min=True, has_max=True))
    assert shown in (Kept.SOME, _expected(matching))


def test_conditions_are_joined_as_sets_are() -> None:
    assert (Kept.NONE, Kept.SOME, Kept.ALL) == (
        all_of([Kept.ALL, Kept.NONE]),
        all_of([Kept.ALL, Kept.SOME]),
        all_of([]),
    )
    assert (Kept.ALL, Kept.SOME, Kept.NONE) == (
        any_of([Kept.ALL, Kept.NONE]),
        any_of([Kept.NONE, Kept.SOME]),
        any_of([]),
    )
