"""Rules of FORMAT.md that a repository of snapshots alone cannot show, held against the independent reader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.point_lines import counting_lines
from tests.golden import reader

GOLDEN = Path(__file__).with_name("format-1") / "repository"
PLACE: dict[str, Any] = {"topic": "orders", "topic_id": "AAAAAAAAQACAAAAAAAAAAQ", "partition": 0}
ranges = st.tuples(st.integers(0, 20), st.integers(0, 20)).map(lambda ends: (min(ends), max(ends)))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(row=ranges, base_seq=st.integers(1, 6), lines=st.lists(ranges, max_size=6, unique=True))
def test_both_readers_take_the_same_offsets_from_the_same_lines(
    row: tuple[int, int], base_seq: int, lines: list[tuple[int, int]]
) -> None:
    stored = [
        {**PLACE, "first": first, "next": end, "seq": seq, "captured_ms": seq}
        for seq, (first, end) in enumerate([(0, 20), *lines], start=base_seq - 1)
    ]
    bounds = {**PLACE, "first": row[0], "next": row[1], "base_seq": base_seq}
    ours = counting_lines(Row(**bounds), [IndexLine(**line) for line in stored])
    expected = [(line.first, line.next, line.seq) for line in ours]
    if sum(end - first for first, end, _ in expected) < row[1] - row[0]:
        with pytest.raises(reader.Unreadable):
            reader.pieces(bounds, stored)
    else:
        assert expected == [(first, end, line["seq"]) for first, end, line in reader.pieces(bounds, stored)]


def test_null_in_an_object_stands_for_the_seq_beside_the_objects_name() -> None:
    point = {**reader.points(GOLDEN, "daily")[0], "seq": 9}
    count = len(list(reader.records(GOLDEN, _named_by(point, index=9, table=1))))
    assert point["totals"]["records"] == count
    with pytest.raises(reader.Unreadable, match="no line for"):
        list(reader.records(GOLDEN, _named_by(point, index=1, table=9)))


def _named_by(point: dict[str, Any], **seqs: int) -> dict[str, Any]:
    return point | {member: [{**named, "seq": seq} for named in point[member]] for member, seq in seqs.items()}
