"""Points: what a reference means, and which lines count for a row."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.model.errors import ConfigError, NotFoundError
from tasks.model.ranges import Gap
from tasks.repository.entries import Totals
from tasks.repository.lines import Frame, IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.point_lines import clip_line, counting_lines
from tasks.repository.points import PointReference, choose_point, format_time
from tasks.repository.set_state import PointSummary, SetState
from tests.support.overlaps import counting_lines_by_definition

NONE_AT_ALL = Totals(topics=0, partitions=0, records=0, log_bytes=0, stored_bytes=0, objects=0)


def _state(*points: tuple[int, int]) -> SetState:
    """A set with points at (seq, time)."""
    summaries = {
        seq: PointSummary(
            seq=seq,
            run=f"run-{seq}",
            point_kind="snapshot",
            status="complete",
            time_ms=time_ms,
            cluster_id="c",
            totals=NONE_AT_ALL,
        )
        for seq, time_ms in points
    }
    return SetState(seq=99, newest_point=max(summaries, default=None), points=summaries)


def _line(first: int, end: int, seq: int | None = 1, **more: object) -> IndexLine:
    fields: dict[str, object] = {"topic": "t", "topic_id": "i", "partition": 0, "captured_ms": 0, **more}
    return IndexLine.model_validate({"first": first, "next": end, "seq": seq, **fields})


def _row(first: int, end: int, base_seq: int = 1) -> Row:
    return Row(topic="t", topic_id="i", partition=0, first=first, next=end, base_seq=base_seq)


def _frame(first: int, end: int) -> Frame:
    return Frame(first, end, 0, 1, 1, end - first, True, None, None, None)


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        ("orders", PointReference("orders")),
        ("orders@17", PointReference("orders", seq=17)),
        ("orders@1970-01-01T00:00:01Z", PointReference("orders", time_ms=1000)),
        ("orders@1970-01-01T00:00:01.5Z", PointReference("orders", time_ms=1500)),
        ("orders@1970-01-01T02:00:01+02:00", PointReference("orders", time_ms=1000)),
    ],
)
def test_a_reference_is_a_set_a_number_or_a_time(text: str, reference: PointReference) -> None:
    assert reference == PointReference.parse(text)


@pytest.mark.parametrize(
    "text", ["", "@1", "a b", "a@", "a@-1", "a@yesterday", "a@2026-13-01T00:00:00Z", "a@2026-01-01"]
)
def test_anything_else_is_a_configuration_error(text: str) -> None:
    with pytest.raises(ConfigError):
        PointReference.parse(text)


def test_a_printed_time_is_taken_back() -> None:
    for time_ms in (0, 1_800_000_000_000, 1_800_000_000_007):
        assert time_ms == PointReference.parse(f"a@{format_time(time_ms)}").time_ms


def test_a_set_alone_means_its_newest_point() -> None:
    assert 5 == choose_point(_state((2, 1000), (5, 2000)), PointReference("s"))


def test_a_number_means_that_point_and_no_other_entry() -> None:
    state = _state((2, 1000), (5, 2000))
    assert 2 == choose_point(state, PointReference("s", seq=2))
    with pytest.raises(NotFoundError, match="s@3 is not a restore point"):
        choose_point(state, PointReference("s", seq=3))


def test_a_time_to_the_second_means_the_one_point_of_that_second() -> None:
    state = _state((2, 1234), (5, 2000))
    assert 2 == choose_point(state, PointReference.parse("s@1970-01-01T00:00:01Z"))
    assert 2 == choose_point(state, PointReference.parse("s@1970-01-01T00:00:01.234Z"))
    with pytest.raises(NotFoundError, match="is not a restore point"):
        choose_point(state, PointReference.parse("s@1970-01-01T00:00:01.235Z"))


def test_a_time_that_two_points_share_is_refused_with_both_names() -> None:
    with pytest.raises(NotFoundError, match="s@2, s@5"):
        choose_point(_state((2, 1100), (5, 1200)), PointReference.parse("s@1970-01-01T00:00:01Z"))


def test_a_set_without_points_has_none_to_offer() -> None:
    with pytest.raises(NotFoundError, match="has no restore point"):
        choose_point(SetState(), PointReference("s"))


def test_lines_of_an_earlier_base_do_not_count() -> None:
    [line] = counting_lines(_row(0, 10, base_seq=4), [_line(0, 10, 3), _line(0, 10, 4)])
    assert 4 == line.seq


def test_where_lines_overlap_the_later_seq_wins() -> None:
    lines = counting_lines(_row(0, 20), [_line(0, 20, 1), _line(5, 10, 2)])
    assert [(0, 5, 1), (5, 10, 2), (10, 20, 1)] == [(line.first, line.next, line.seq) for line in lines]


def test_lines_are_clipped_to_the_row() -> None:
    [line] = counting_lines(_row(3, 7), [_line(0, 10)])
    assert (3, 7) == (line.first, line.next)


Lines = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 12), st.integers(1, 4)), max_size=6)


@settings(deadline=None, derandomize=True, max_examples=100)
@given(Lines, st.integers(0, 30), st.integers(0, 12), st.integers(1, 4))
def test_every_offset_belongs_to_the_newest_line_that_counts(
    drawn: list[tuple[int, int, int]], first: int, length: int, base_seq: int
) -> None:
    lines = [_line(start, start + size, seq, captured_ms=number) for number, (start, size, seq) in enumerate(drawn)]
    found = counting_lines(_row(first, first + length, base_seq), lines)
    for offset in range(-1, 50):
        expected = [line.seq for line in lines if line.first <= offset < line.next and (line.seq or 0) >= base_seq]
        actual = [line.seq for line in found if line.first <= offset < line.next]
        is_in_row = first <= offset < first + length
        assert ([max(seq or 0 for seq in expected)] if expected and is_in_row else []) == actual
    assert sorted(found, key=lambda line: line.first) == found


@settings(deadline=None, derandomize=True, max_examples=200)
@given(Lines, st.integers(0, 30), st.integers(0, 12), st.integers(1, 4))
def test_the_counting_lines_are_those_of_the_definition(
    drawn: list[tuple[int, int, int]], first: int, length: int, base_seq: int
) -> None:
    lines = [_line(start, start + size, seq, captured_ms=number) for number, (start, size, seq) in enumerate(drawn)]
    row = _row(first, first + length, base_seq)
    assert counting_lines_by_definition(row, lines) == counting_lines(row, lines)


def test_a_clipped_line_keeps_what_meets_its_range() -> None:
    line = _line(
        0,
        30,
        gaps=[(5, 12, "lost")],
        frames=[_frame(0, 5), _frame(12, 20), _frame(20, 30)],
        trimmed_from=-5,
        empty_from=29,
    )
    clipped = clip_line(line, 10, 18)
    assert (Gap(10, 12, "lost"),) == clipped.gaps
    assert (_frame(12, 20),) == clipped.frames
    assert clipped.is_cut(clipped.frames[0])
    assert (None, None) == (clipped.trimmed_from, clipped.empty_from)
    assert line == clip_line(line, 0, 30)


def test_a_line_that_is_clipped_to_offsets_without_frames_names_no_object() -> None:
    """A cleaner had removed the first batches of the line, and a truncated log left only these offsets of it."""
    line = _line(0, 30, frames=[_frame(10, 30)], object="data/o", sha256="0" * 64, stored_bytes=1)

    clipped = clip_line(line, 0, 5)

    assert (None, None, None, ()) == (clipped.object, clipped.sha256, clipped.stored_bytes, clipped.frames)
    assert "data/o" == clip_line(line, 0, 12).object
