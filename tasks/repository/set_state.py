"""The state of a set: the result of applying all entries of its log in order. Pure.

The size of the state depends on the number of live and expired points, not on the length of the set's history: only the
newest closed runs are kept. For all others `SetLog.closing_of` reads the log.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import assert_never

from pydantic import Field

from tasks.model.errors import DamagedError
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.document import FORMAT_MAJOR, Document
from tasks.repository.drops import Drop, add_drop
from tasks.repository.entries import (
    AnyEntry,
    DropEntry,
    ExpireEntry,
    FreezeEntry,
    HoldEntry,
    LabelEntry,
    MarkEntry,
    NoteEntry,
    PointEntry,
    ReleaseEntry,
    RemoveEntry,
    Status,
    ThawEntry,
    Totals,
    UnexpireEntry,
    UnmarkEntry,
    VoidEntry,
    is_absent,
    is_empty,
)
from tasks.repository.names import log_key
from tasks.repository.shrinkage import ShrinkageCounts

KEPT_CLOSED_RUNS = 1000
"""The number of closed runs that the state keeps. Older ones are looked up in the log."""


class PointSummary(Document):
    """The members of a point's entry that are kept in the state, for example for `list`. `labels` are those that the
    point has now."""

    seq: int
    run: str
    point_kind: str
    status: Status
    time_ms: int
    cluster_id: str
    totals: Totals
    shrunk: ShrinkageCounts | None = None
    labels: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)

    def with_labels(self, labels: Mapping[str, str], removed: Collection[str]) -> PointSummary:
        """The same point with these labels in addition, and without those with the keys in `removed`."""
        kept = {key: value for key, value in self.labels.items() if key not in removed}
        return self.model_copy(update={"labels": {**kept, **labels}})


class ExpiredPoint(Document):
    """A point that has expired and can still be brought back. `expired_by` is the seq of the entry that expired it."""

    point: PointSummary
    expired_by: int


class Hold(Document):
    """A hold that is in force. `points` are the points that it protects, None for all points of the set. `since_ms` is
    the time of its entry."""

    name: str
    points: tuple[int, ...] | None
    reason: str
    by: str
    since_ms: int

    def protects(self, seq: int) -> bool:
        """Whether the point must not expire."""
        return self.points is None or seq in self.points


class Freeze(Document):
    """A freeze that is in force: nothing expires, is removed or is deleted. It is also the document `freeze.json`,
    which freezes the sets whose logs have no entry about it yet."""

    format: int = FORMAT_MAJOR
    reason: str
    by: str
    since_ms: int


class Mark(Document):
    """A mark that exists. `offsets` refers to its offsets, and `run` is the id under which they were stored. `time_ms`
    is the time of its entry."""

    name: str
    run: str
    cluster_id: str
    offsets: StoredRef
    note: str | None = None
    time_ms: int


class SetState(Document):
    """The state after the entries 1 … `seq`. `tip` is the SHA-256 of the stored bytes of entry `seq`: the `parent` of
    the next entry.

    `points` are the live points, `expired` those that have expired and are not removed yet. `drops` are the drops
    that are in force. `drilled_tier` is the tier of the last drill that drilled the tiers in turn. `frozen` is the
    freeze that the log contains. A repository can be frozen without it: see `tasks.repository.freeze`.

    `closed_runs` maps runs to the seq of the entry that closed them, in the order of the log: a point, a void or a
    mark. The unmark of a mark closes its run again. The map contains every run that was closed by entry `closed_from`
    or a later one. A run that is not in it is open only if it began after entry `closed_from - 1`; otherwise use
    `SetLog.closing_of`.
    """

    seq: int = 0
    tip: str | None = None
    newest_point: int | None = None
    points: dict[int, PointSummary] = Field(default_factory=dict)
    expired: dict[int, ExpiredPoint] = Field(default_factory=dict)
    holds: dict[str, Hold] = Field(default_factory=dict)
    drops: tuple[Drop, ...] = Field((), exclude_if=is_empty)
    frozen: Freeze | None = Field(None, exclude_if=is_absent)
    marks: dict[str, Mark] = Field(default_factory=dict, exclude_if=is_empty)
    drilled_tier: str | None = Field(None, exclude_if=is_absent)
    closed_runs: dict[str, int] = Field(default_factory=dict)
    closed_from: int = 1

    def summary(self, seq: int) -> PointSummary | None:
        """The live or expired point with this seq, None if there is none."""
        if seq in self.expired:
            return self.expired[seq].point
        return self.points.get(seq)

    def is_held(self, seq: int) -> bool:
        """Whether a hold protects the point."""
        return any(hold.protects(seq) for hold in self.holds.values())


class Fold:
    """Applies entries one after the other. The cost of an entry does not depend on the number of entries before it."""

    def __init__(self, start: SetState) -> None:
        self._start = start
        self._points = dict(start.points)
        self._expired = dict(start.expired)
        self._holds = dict(start.holds)
        self._drops = start.drops
        self._frozen = start.frozen
        self._marks = dict(start.marks)
        self._drilled_tier = start.drilled_tier
        self._closed_runs = dict(start.closed_runs)
        self._closed_from = start.closed_from
        self._newest_point = start.newest_point
        self.seq = start.seq
        self.tip = start.tip
        self._drop_oldest_runs()

    def add(self, entry: AnyEntry, tip: str) -> None:
        """Apply one more entry, whose stored bytes have the SHA-256 `tip`. Raises `DamagedError` if the entry does not
        follow the entries before it."""
        key = log_key(entry.set, entry.seq)
        if entry.seq != self.seq + 1 or entry.parent != self.tip:
            raise DamagedError(f"{key} does not follow the entry before it: the log was edited or mixed up", key=key)
        newest_point = entry.seq if isinstance(entry, PointEntry) else self._newest_point
        if entry.newest_point != newest_point:
            raise DamagedError(f"{key} names another newest point than the log has", key=key)
        self.seq, self.tip, self._newest_point = entry.seq, tip, newest_point
        match entry:
            case PointEntry():
                self._points[entry.seq] = _summary(entry)
                self._close(entry.run)
            case VoidEntry():
                self._close(entry.run)
            case ExpireEntry():
                self._expire(entry)
            case UnexpireEntry():
                back = {seq: self._expired.pop(seq).point for seq in _known(entry, self._expired)}
                self._points = dict(sorted({**self._points, **back}.items()))
            case RemoveEntry():
                for seq in _known(entry, self._expired):
                    del self._expired[seq]
            case DropEntry():
                self._drops = add_drop(self._drops, entry.drop)
            case HoldEntry():
                self._holds[entry.name] = Hold(
                    name=entry.name, points=entry.points, reason=entry.reason, by=entry.by, since_ms=entry.time_ms
                )
            case ReleaseEntry():
                self._holds.pop(entry.name, None)
            case LabelEntry():
                self._label(entry)
            case FreezeEntry():
                self._frozen = Freeze(reason=entry.reason, by=entry.by, since_ms=entry.time_ms)
            case ThawEntry():
                self._frozen = None
            case MarkEntry():
                self._mark(entry)
            case UnmarkEntry():
                self._unmark(entry)
            case NoteEntry():
                if entry.drill is not None and entry.drill.tier is not None:
                    self._drilled_tier = entry.drill.tier
            case _:
                assert_never(entry)

    def state(self) -> SetState:
        """The state after the entries so far."""
        return self._start.model_copy(
            update={
                "seq": self.seq,
                "tip": self.tip,
                "newest_point": self._newest_point,
                "points": dict(self._points),
                "expired": dict(self._expired),
                "holds": dict(self._holds),
                "drops": self._drops,
                "frozen": self._frozen,
                "marks": dict(self._marks),
                "drilled_tier": self._drilled_tier,
                "closed_runs": dict(self._closed_runs),
                "closed_from": self._closed_from,
            }
        )

    def _expire(self, entry: ExpireEntry) -> None:
        for seq in _known(entry, self._points):
            if seq == self._newest_point:
                raise DamagedError(
                    f"{log_key(entry.set, entry.seq)} expires the newest point", key=log_key(entry.set, entry.seq)
                )
            self._expired[seq] = ExpiredPoint(point=self._points.pop(seq), expired_by=entry.seq)

    def _label(self, entry: LabelEntry) -> None:
        if entry.point in self._points:
            self._points[entry.point] = self._points[entry.point].with_labels(entry.labels, entry.removed)
        elif entry.point in self._expired:
            expired = self._expired[entry.point]
            point = expired.point.with_labels(entry.labels, entry.removed)
            self._expired[entry.point] = expired.model_copy(update={"point": point})
        else:
            key = log_key(entry.set, entry.seq)
            raise DamagedError(f"{key} labels {entry.point}, which is neither a live nor an expired point", key=key)

    def _mark(self, entry: MarkEntry) -> None:
        if entry.name in self._marks:
            key = log_key(entry.set, entry.seq)
            raise DamagedError(f"{key} sets the mark {entry.name}, which exists already", key=key)
        self._marks[entry.name] = Mark(
            name=entry.name,
            run=entry.run,
            cluster_id=entry.cluster_id,
            offsets=entry.offsets,
            note=entry.note,
            time_ms=entry.time_ms,
        )
        self._close(entry.run)

    def _unmark(self, entry: UnmarkEntry) -> None:
        if entry.name not in self._marks or self._marks[entry.name].run != entry.run:
            key = log_key(entry.set, entry.seq)
            raise DamagedError(f"{key} removes the mark {entry.name}, which does not exist", key=key)
        del self._marks[entry.name]
        self._closed_runs.pop(entry.run, None)
        self._close(entry.run)

    def _close(self, run: str) -> None:
        self._closed_runs.setdefault(run, self.seq)
        self._drop_oldest_runs()

    def _drop_oldest_runs(self) -> None:
        while len(self._closed_runs) > KEPT_CLOSED_RUNS:
            oldest = next(iter(self._closed_runs))
            self._closed_from = self._closed_runs.pop(oldest) + 1


def apply(state: SetState, entry: AnyEntry, tip: str) -> SetState:
    """The state after one more entry. Raises what `Fold.add` raises. For many entries use a `Fold`."""
    return fold([(entry, tip)], state)


def fold(entries: Iterable[tuple[AnyEntry, str]], start: SetState | None = None) -> SetState:
    """The state after these (entry, tip) pairs, in order, on top of `start`. Raises `DamagedError` if an entry does not
    follow the one before it."""
    folded = Fold(start or SetState())
    for entry, tip in entries:
        folded.add(entry, tip)
    return folded.state()


def _known(entry: ExpireEntry | UnexpireEntry | RemoveEntry, points: Collection[int]) -> tuple[int, ...]:
    """The points of the entry. Raises `DamagedError` if one of them is not among these points."""
    unknown = [seq for seq in entry.points if seq not in points]
    if unknown:
        key = log_key(entry.set, entry.seq)
        raise DamagedError(f"{key} names point {unknown[0]}, which cannot be changed like this", key=key)
    return entry.points


def _summary(entry: PointEntry) -> PointSummary:
    return PointSummary(
        seq=entry.seq,
        run=entry.run,
        point_kind=entry.point_kind,
        status=entry.status,
        time_ms=entry.time_ms,
        cluster_id=entry.cluster_id,
        totals=entry.totals,
        shrunk=entry.shrunk.counts if entry.shrunk else None,
        labels=entry.labels,
    )
