"""The rules for overlapping lines as they are defined: line by line, in a number of steps that is quadratic."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tasks.repository.lines import IndexLine
from tasks.repository.partition_table import Row
from tasks.repository.point_lines import clip_line

Range = tuple[int, int]


def without(range_: Range, taken: Range) -> list[Range]:
    """The parts of [first, next) that are left when another range is taken out: none, one or two, none of them
    empty."""
    first, end = range_
    parts = [(first, min(end, taken[0])), (max(first, taken[1]), end)]
    return [(low, high) for low, high in parts if low < high] if first < end else []


def counting_lines_by_definition(row: Row, lines: Iterable[IndexLine]) -> list[IndexLine]:
    """Newest seq first, each line loses the offsets that the lines before it have."""
    counting = [line for line in lines if line.seq is not None and line.seq >= (row.base_seq or 0)]
    kept: list[IndexLine] = []
    for line in sorted(counting, key=lambda line: line.seq or 0, reverse=True):
        pieces = _left((max(line.first, row.first), min(line.next, row.next)), kept)
        kept += [clip_line(line, first, end) for first, end in pieces if first < end]
    return sorted(kept, key=lambda line: line.first)


def disjoint_by_definition(lines: Sequence[IndexLine]) -> list[IndexLine]:
    """Latest capture first, each line loses the offsets that the lines before it have."""
    kept: list[IndexLine] = []
    for line in reversed(lines):
        kept += [clip_line(line, first, end) for first, end in _left((line.first, line.next), kept) if first < end]
        if line.first == line.next and line.trimmed_from is not None:
            kept.append(line)
    return sorted(kept, key=lambda line: (line.first, line.next))


def _left(range_: Range, kept: Sequence[IndexLine]) -> list[Range]:
    pieces = [range_]
    for other in kept:
        pieces = [part for piece in pieces for part in without(piece, (other.first, other.next))]
    return pieces
