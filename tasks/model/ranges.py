"""Offset ranges: gaps with their reasons, aborted transactions, and how overlapping ranges share offsets. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from typing import NamedTuple

TRIMMED = "log start moved"
"""The reason of a gap in a range that was being read: the broker's retention, or a DeleteRecords, removed its
records."""

OVERTAKEN = "deleted before it was backed up"
"""Reason of a gap from the stored offset to the log start: retention, or a DeleteRecords, overtook the backup."""

TRUNCATED = "truncated"
"""The reason of a gap up to the planned end: the log ends earlier, because an unclean leader election lost the
records."""

TOPIC_GONE = "topic deleted"
"""The reason of a gap whose topic was deleted, or deleted and created again, while it was captured."""

DROPPED = "older than maximum_age"
"""The reason of a gap whose records were in the backup, until the retention policy took them out."""


class Gap(NamedTuple):
    """Offsets [first, next) that should be in the backup and are missing, with the reason."""

    first: int
    next: int
    reason: str


class AbortedRange(NamedTuple):
    """Transactional batches of `producer_id` whose base offset is in [first, last] belong to an aborted transaction.

    Both ends are included.
    """

    producer_id: int
    first: int
    last: int


class Piece(NamedTuple):
    """Offsets [first, next) that belong to the range with this index in the sequence."""

    first: int
    next: int
    owner: int


def disjoint_pieces(ranges: Sequence[tuple[int, int]]) -> list[Piece]:
    """Gives each offset to one range: to the first range [first, next) in the sequence that contains the offset.

    Returns pieces in offset order. Neighbouring pieces belong to different ranges, or offsets between them belong to
    no range. Empty ranges get nothing. Takes n log n steps for n ranges, however they overlap.
    """
    pieces: list[Piece] = []
    for first, end, index in _elementary_pieces(ranges):
        if pieces and pieces[-1].owner == index and pieces[-1].next == first:
            pieces[-1] = pieces[-1]._replace(next=end)
        else:
            pieces.append(Piece(first, end, index))
    return pieces


def _elementary_pieces(ranges: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    """The pieces between two neighbouring bounds of any ranges. `active` are the ranges that have begun."""
    starting = sorted((first, index) for index, (first, end) in enumerate(ranges) if first < end)
    bounds = sorted({bound for first, end in ranges if first < end for bound in (first, end)})
    active: list[int] = []
    begun = 0
    for low, high in pairwise(bounds):
        while begun < len(starting) and starting[begun][0] == low:
            heappush(active, starting[begun][1])
            begun += 1
        while active and ranges[active[0]][1] <= low:
            heappop(active)
        if active:
            yield Piece(low, high, active[0])
