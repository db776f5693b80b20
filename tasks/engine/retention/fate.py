"""Finds what became of a point that is not live: when it expired, by which policy and plan, until when it can be
brought back, and when it was removed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.engine.options import RetentionPolicy, duration_ms
from tasks.repository.entries import ExpireEntry, PointEntry, RemoveEntry
from tasks.repository.set_log import SetLog
from tasks.repository.set_state import PointSummary, SetState


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """A point that expired. `until_ms` is the time from which a prune with the policy of `expired` can remove it, None
    if it was removed already or is under a hold."""

    seq: int
    expired: ExpireEntry
    removed: RemoveEntry | None = None
    until_ms: int | None = None


def expired_points(log: SetLog, state: SetState) -> Iterator[tuple[PointSummary, Fate]]:
    """The points that can be brought back, oldest first. Reads each `expire` entry once. Raises what
    `SetLog.read_entry` raises, and `DamagedError` if an entry is missing."""
    entries = {seq: _expire_entry(log, seq) for seq in sorted({one.expired_by for one in state.expired.values()})}
    for seq, one in sorted(state.expired.items()):
        entry, until_ms = entries[one.expired_by]
        yield one.point, Fate(seq=seq, expired=entry, until_ms=None if state.is_held(seq) else until_ms)


def fate_of(log: SetLog, state: SetState, seq: int) -> Fate | None:
    """What became of the point. None if it is live or never was a point. For a removed point, reads the log backwards
    until the entry that expired it. Raises what `SetLog.newest_first` raises."""
    if seq in state.expired:
        return next(fate for _, fate in expired_points(log, state) if fate.seq == seq)
    found = log.read_entry(seq) if 0 < seq <= state.seq and seq not in state.points else None
    if found is None or not isinstance(found[0], PointEntry):
        return None
    removed = None
    for entry in log.newest_first():
        if isinstance(entry, RemoveEntry) and seq in entry.points:
            removed = entry
        if isinstance(entry, ExpireEntry) and seq in entry.points:
            return Fate(seq=seq, expired=entry, removed=removed)
    return None


def _expire_entry(log: SetLog, seq: int) -> tuple[ExpireEntry, int]:
    """(the entry, when the grace of its policy ends by the store's clock)."""
    found = log.read_entry(seq)
    assert found is not None, "the state was made from this entry"
    assert isinstance(found[0], ExpireEntry), "the state names it as the one that expired a point"
    grace = str(found[0].policy.get("grace", RetentionPolicy.model_fields["grace"].default))
    return found[0], log.stored_ms(seq) + duration_ms(grace)
