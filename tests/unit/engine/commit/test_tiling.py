"""Tiling: lines, gaps and trims cover a planned range without a hole, or the commit is refused."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.engine.commit.tiling import contiguous, disjoint, tile
from tasks.model.errors import CommitError
from tasks.repository.lines import IndexLine
from tasks.repository.plans import PlannedPartition
from tests.support.overlaps import disjoint_by_definition


def _planned(start: int, end: int) -> PlannedPartition:
    return PlannedPartition(topic="t", topic_id="i", partition=0, start=start, end=end)


def _line(first: int, end: int, **more: object) -> IndexLine:
    fields: dict[str, object] = {"topic": "t", "topic_id": "i", "partition": 0, "captured_ms": 0}
    return IndexLine.model_validate({**fields, "first": first, "next": end, **more})


def _ranges(lines: list[IndexLine] | tuple[IndexLine, ...]) -> list[tuple[int, int]]:
    return [(line.first, line.next) for line in lines]


def test_lines_end_to_end_cover_the_plan() -> None:
    cover = tile(_planned(0, 20), [_line(0, 7), _line(7, 20)])
    assert (0, 20, None) == (cover.first, cover.next, cover.trimmed_from)
    assert [(0, 7), (7, 20)] == _ranges(cover.lines)


@pytest.mark.parametrize(
    "lines",
    [[], [_line(0, 10)], [_line(5, 20)], [_line(0, 10), _line(11, 20)], [_line(0, 20), _line(25, 30)]],
    ids=["nothing", "stops short", "starts late", "a hole", "goes on beyond a hole"],
)
def test_a_hole_without_a_gap_is_refused(lines: list[IndexLine]) -> None:
    with pytest.raises(CommitError, match="neither captured nor stated"):
        tile(_planned(0, 20), lines)


def test_an_empty_plan_needs_no_lines() -> None:
    cover = tile(_planned(4, 4), [])
    assert (4, 4, ()) == (cover.first, cover.next, cover.lines)


def test_a_trimmed_start_is_not_a_hole() -> None:
    cover = tile(_planned(0, 20), [_line(8, 20, trimmed_from=0)])
    assert (8, 20, 0) == (cover.first, cover.next, cover.trimmed_from)


def test_a_log_that_was_trimmed_past_the_plan_has_an_empty_cover() -> None:
    cover = tile(_planned(0, 20), [_line(30, 30, trimmed_from=0)])
    assert (30, 30, 0) == (cover.first, cover.next, cover.trimmed_from)


def test_a_trim_from_another_offset_than_the_plans_start_is_a_hole() -> None:
    with pytest.raises(CommitError):
        tile(_planned(0, 20), [_line(8, 20, trimmed_from=3)])


def test_after_a_truncation_the_lines_of_the_newer_lineage_are_used() -> None:
    lines = [_line(0, 15, captured_ms=1), _line(10, 20, captured_ms=2)]
    assert [(0, 10), (10, 20)] == _ranges(tile(_planned(0, 20), lines).lines)


def test_a_failed_capture_keeps_its_contiguous_part() -> None:
    cover = contiguous(_planned(0, 20), [_line(0, 5), _line(7, 9)])
    assert (0, 5) == (cover.first, cover.next)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 10)), max_size=6))
def test_each_offset_belongs_to_the_line_that_was_captured_last(drawn: list[tuple[int, int]]) -> None:
    lines = [_line(first, first + size, captured_ms=number) for number, (first, size) in enumerate(drawn)]
    kept = disjoint(lines)
    for offset in range(45):
        expected = [line.captured_ms for line in lines if line.first <= offset < line.next][-1:]
        assert expected == [line.captured_ms for line in kept if line.first <= offset < line.next]


@settings(deadline=None, derandomize=True, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6), st.sampled_from([None, 0])), max_size=7))
def test_disjoint_lines_are_those_of_the_definition_with_and_without_trims(
    drawn: list[tuple[int, int, int | None]],
) -> None:
    lines = [
        _line(first, first + size, captured_ms=number, trimmed_from=trimmed_from)
        for number, (first, size, trimmed_from) in enumerate(drawn)
    ]
    assert disjoint_by_definition(lines) == disjoint(lines)
