"""Decides whether the captured lines of a partition cover its planned range without a hole. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tasks.model.errors import CommitError
from tasks.model.partition import Partition
from tasks.model.ranges import Piece, disjoint_pieces
from tasks.repository.lines import IndexLine
from tasks.repository.plans import PlannedPartition
from tasks.repository.point_lines import clip_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Disjoint lines in offset order that cover [first, next) of a partition without a hole. `trimmed_from` is the
    planned start if the log start had moved past it before anything was read, otherwise None."""

    first: int
    next: int
    lines: tuple[IndexLine, ...]
    trimmed_from: int | None = None


def disjoint(lines: Sequence[IndexLine]) -> list[IndexLine]:
    """The lines in offset order, clipped until they are disjoint. `lines` are in capture order: of two lines that
    overlap the later one keeps the common offsets, because it is of the newer lineage.

    Empty lines are left out unless they record a trim. A trim inside the range of an earlier line divides that line.
    Takes n log n steps for n lines.
    """
    latest_first = list(reversed(lines))
    trims = [(line.first, index) for index, line in enumerate(latest_first) if _is_bare_trim(line)]
    pieces = disjoint_pieces([(line.first, line.next) for line in latest_first])
    kept = [clip_line(latest_first[index], first, end) for first, end, index in _divided(pieces, sorted(trims))]
    return sorted([*kept, *(latest_first[index] for _, index in trims)], key=lambda line: (line.first, line.next))


def contiguous(planned: PlannedPartition, lines: Sequence[IndexLine]) -> Cover:
    """The longest cover from the start of the range on. It begins at the planned start, with two exceptions: at a later
    offset if a trim moved the log start, and at an earlier one if the log was truncated and the run read offsets below
    the planned start again."""
    return _longest_cover(planned, disjoint(lines))


def tile(planned: PlannedPartition, lines: Sequence[IndexLine]) -> Cover:
    """The cover of the whole planned range. Raises `CommitError` if the lines have a hole or end before the planned
    end."""
    separate = disjoint(lines)
    cover = _longest_cover(planned, separate)
    is_whole = cover.next == planned.end or (cover.trimmed_from is not None and cover.first >= planned.end)
    if not is_whole or len(cover.lines) != len(separate):
        raise CommitError(
            f"{planned.source}: the planned offsets from {cover.next} on, before {planned.end}, "
            "are neither captured nor stated as a gap or a failure; nothing was committed."
        )
    return cover


def cut_short(
    partitions: Sequence[PlannedPartition], lines: Mapping[Partition, Sequence[IndexLine]]
) -> tuple[PlannedPartition, ...]:
    """The planned ranges of a run that was told to end, as far as they were captured. A partition of which nothing was
    captured is left out: its row stays as it is, and the next run reads it. So is one that is read again, as long as
    the point would end before the newest one."""
    kept = []
    for planned in partitions:
        cover = contiguous(planned, lines.get(planned.source, ()))
        end = min(planned.end, max(cover.next, cover.first))
        is_set_back = planned.stored_next is not None and end < min(planned.stored_next, planned.end)
        if (cover.lines or planned.start >= planned.end) and not is_set_back:
            kept.append(planned.model_copy(update={"end": end}))
    return tuple(kept)


def _longest_cover(planned: PlannedPartition, separate: Sequence[IndexLine]) -> Cover:
    position, trimmed_from = planned.start, None
    if separate and planned.stored_next is not None:
        position = min(position, separate[0].first)
    taken: list[IndexLine] = []
    for line in separate:
        if not taken and line.trimmed_from == planned.start:
            position, trimmed_from = line.first, planned.start
        if line.first != position:
            break
        taken.append(line)
        position = line.next
    first = taken[0].first if taken else position
    return Cover(first=first, next=position, lines=tuple(taken), trimmed_from=trimmed_from)


def _is_bare_trim(line: IndexLine) -> bool:
    return line.first == line.next and line.trimmed_from is not None


def _divided(pieces: Sequence[Piece], trims: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    """The pieces in offset order. A piece is divided at the offset of each trim inside it that was captured later than
    the piece's line. `trims` are (offset, index) in offset order; a smaller index means a later capture."""
    at = 0
    for piece in pieces:
        first = piece.first
        while at < len(trims) and trims[at][0] < piece.next:
            offset, index = trims[at]
            if offset > first and index < piece.owner:
                yield Piece(first, offset, piece.owner)
                first = offset
            at += 1
        yield Piece(first, piece.next, piece.owner)
