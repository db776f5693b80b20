"""Drops: decide which data of a point is gone because it was older than `maximum_age`. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from tasks.repository.document import Document


class Drop(Document):
    """Takes the data that was captured before `before_ms` (Unix milliseconds) and that entry `up_to` or an earlier
    entry named first. Of data that was copied together, the newest capture counts. The points in `spared` were under a
    hold at that time: for them the data stays.

    `up_to` keeps the drop away from data that a later entry names, for example from the work of a run that was adopted.
    """

    before_ms: int
    up_to: int
    spared: tuple[int, ...] = ()

    def takes(self, seq: int, newest_ms: int) -> bool:
        """Whether it takes the data of an index line, from the points that are not spared. `newest_ms`: see
        `IndexLine.newest_ms`."""
        return seq <= self.up_to and newest_ms < self.before_ms

    def includes(self, other: Drop) -> bool:
        """Whether it takes everything that the other drop takes, from every point."""
        return self.before_ms >= other.before_ms and self.up_to >= other.up_to and set(self.spared) <= set(other.spared)


def add_drop(drops: Iterable[Drop], new: Drop) -> tuple[Drop, ...]:
    """The drops that are in force after one more. Those that the new one includes are left out, so that there are as
    many as there were changes of holds."""
    return (*(drop for drop in drops if not new.includes(drop)), new)


def drops_of_point(drops: Iterable[Drop], point_seq: int) -> tuple[Drop, ...]:
    """The drops that concern a point."""
    return tuple(drop for drop in drops if point_seq not in drop.spared)


def is_dropped(drops: Iterable[Drop], seq: int, newest_ms: int) -> bool:
    """Whether one of the drops takes the data of an index line with this seq and this newest time of a capture."""
    return any(drop.takes(seq, newest_ms) for drop in drops)
