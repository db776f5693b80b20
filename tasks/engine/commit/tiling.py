"""Tiling: whether the captured lines of a partition cover its planned range without a hole. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.model.errors import CommitError
from tasks.repository.lines import IndexLine
from tasks.repository.plans import PlannedPartition
from tasks.repository.points import clip_line, without


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """Disjoint lines in offset order that cover [first, next) of a partition without a hole. `trimmed_from` is the
    planned start when the log start had moved past it before anything was read."""

    first: int
    next: int
    lines: tuple[IndexLine, ...]
    trimmed_from: int | None = None


def disjoint(lines: Sequence[IndexLine]) -> list[IndexLine]:
    """The lines, given in capture order, clipped until they are disjoint: where two overlap the later one stays,
    because it is of the newer lineage. Lines without an offset of their own vanish, unless they tell of a trim."""
    kept: list[IndexLine] = []
    for line in reversed(lines):
        pieces = [(line.first, line.next)]
        for other in kept:
            pieces = [part for piece in pieces for part in without(piece, (other.first, other.next))]
        kept += [clip_line(line, first, end) for first, end in pieces if first < end]
        if line.first == line.next and line.trimmed_from is not None:
            kept.append(line)
    return sorted(kept, key=lambda line: (line.first, line.next))


def contiguous(planned: PlannedPartition, lines: Sequence[IndexLine]) -> Cover:
    """The longest cover that begins where the plan does (or where the log start had moved to)."""
    position, trimmed_from = planned.start, None
    taken: list[IndexLine] = []
    for line in disjoint(lines):
        if not taken and line.trimmed_from == planned.start:
            position, trimmed_from = line.first, planned.start
        if line.first != position:
            break
        taken.append(line)
        position = line.next
    first = taken[0].first if taken else planned.start
    return Cover(first=first, next=position, lines=tuple(taken), trimmed_from=trimmed_from)


def tile(planned: PlannedPartition, lines: Sequence[IndexLine]) -> Cover:
    """The cover of everything planned. Raises `CommitError` when the lines leave a hole or stop short."""
    cover = contiguous(planned, lines)
    is_whole = cover.next == planned.end or (cover.trimmed_from is not None and cover.first >= planned.end)
    if not is_whole or len(cover.lines) != len(disjoint(lines)):
        raise CommitError(
            f"{planned.source}: offsets {cover.next} to {planned.end} of the plan are neither captured nor stated "
            "as a gap or a failure; nothing was committed."
        )
    return cover
