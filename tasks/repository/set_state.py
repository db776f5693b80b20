"""The state of a set: a pure fold over its log's entries."""

from __future__ import annotations

from functools import reduce
from typing import assert_never

from pydantic import Field

from tasks.model.errors import DamagedError
from tasks.repository.document import Document
from tasks.repository.entries import AnyEntry, NoteEntry, PointEntry, Status, Totals, VoidEntry
from tasks.repository.names import log_key


class PointSummary(Document):
    """A live point, as `list` shows it."""

    seq: int
    run: str
    point_kind: str
    status: Status
    time_ms: int
    cluster_id: str
    totals: Totals


class SetState(Document):
    """What the entries 1 … `seq` amount to. `tip` is the SHA-256 of entry `seq` as stored: the next one's parent."""

    seq: int = 0
    tip: str | None = None
    newest_point: int | None = None
    points: dict[int, PointSummary] = Field(default_factory=dict)
    closed_runs: dict[str, int | None] = Field(default_factory=dict)

    def is_open(self, run: str) -> bool:
        """Whether the log holds neither a point nor a void of the run."""
        return run not in self.closed_runs


def apply(state: SetState, entry: AnyEntry, tip: str) -> SetState:
    """The state after one more entry, whose stored bytes have the SHA-256 `tip`. Raises `DamagedError` when the
    entry does not follow."""
    key = log_key(entry.set, entry.seq)
    if entry.seq != state.seq + 1 or entry.parent != state.tip:
        raise DamagedError(f"{key} does not follow the entry before it: the log was edited or mixed up", key=key)
    changes: dict[str, object] = {"seq": entry.seq, "tip": tip, "newest_point": newest_after(state, entry)}
    match entry:
        case PointEntry():
            changes["points"] = {**state.points, entry.seq: _summary(entry)}
            changes["closed_runs"] = {**state.closed_runs, entry.run: entry.seq}
        case VoidEntry():
            changes["closed_runs"] = {**state.closed_runs, entry.run: None}
        case NoteEntry():
            pass
        case _:
            assert_never(entry)
    after = state.model_copy(update=changes)
    if entry.newest_point != after.newest_point:
        raise DamagedError(f"{key} names another newest point than the log has", key=key)
    return after


def fold(entries: list[tuple[AnyEntry, str]], start: SetState | None = None) -> SetState:
    """The state after (entry, tip) pairs in order."""
    return reduce(lambda state, pair: apply(state, *pair), entries, start or SetState())


def newest_after(state: SetState, entry: AnyEntry) -> int | None:
    """The newest point's seq once `entry` stands."""
    return entry.seq if isinstance(entry, PointEntry) else state.newest_point


def _summary(entry: PointEntry) -> PointSummary:
    return PointSummary(
        seq=entry.seq,
        run=entry.run,
        point_kind=entry.point_kind,
        status=entry.status,
        time_ms=entry.time_ms,
        cluster_id=entry.cluster_id,
        totals=entry.totals,
    )
