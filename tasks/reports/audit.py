"""The entries of a set's log as lines for people and as JSON: who changed what, when and why. Contains the table with a
sentence for each kind of entry. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tasks.engine.retention.fate import Fate
from tasks.model.counting import counted
from tasks.model.labels import labels_text
from tasks.model.quoting import quoted
from tasks.reports.figures import size_text
from tasks.reports.retention import policy_text
from tasks.repository.entries import (
    AnyEntry,
    DropEntry,
    Entry,
    ExpireEntry,
    FreezeEntry,
    HoldEntry,
    LabelEntry,
    MarkEntry,
    NoteEntry,
    PointEntry,
    ReleaseEntry,
    RemoveEntry,
    ThawEntry,
    UnexpireEntry,
    UnmarkEntry,
    VoidEntry,
)
from tasks.repository.points import format_time

SHOWN_POINTS = 8
"""The number of points of one entry that its line names. The JSON document names all."""

SHOWN_DIGITS = 12
"""The number of characters of a plan's digest that a line shows."""

_TECHNICAL = frozenset({"format", "repository_id", "parent", "digest", "id", "newest_point"})
_NAMES_OF_OBJECTS = frozenset({"index", "table", "topics", "groups", "clients"})


def audit_line(entry: AnyEntry) -> str:
    """One line: when, which entry of which set, its kind, and what it did."""
    return f"{format_time(entry.time_ms):<24}  {f'{entry.set}@{entry.seq}':<20}  {entry.kind:<8}  {entry_text(entry)}"


def entry_text(entry: AnyEntry) -> str:
    """What the entry did, in one line."""
    render: Callable[[Any], str] = RENDERERS[type(entry)]
    return " ".join(render(entry).split("\n"))


def audit_document(entry: AnyEntry) -> dict[str, object]:
    """The entry as JSON members, with its line as `text`. The names of stored objects are left out."""
    left_out = _TECHNICAL | (_NAMES_OF_OBJECTS if isinstance(entry, PointEntry) else frozenset())
    return {
        **{name: value for name, value in entry.to_json().items() if name not in left_out},
        "text": entry_text(entry),
    }


def fate_lines(set_name: str, fate: Fate) -> Iterator[str]:
    """What became of a point that is not live, in sentences."""
    point, expired = f"{set_name}@{fate.seq}", fate.expired
    approved = f", approved by {quoted(expired.approved_by)}" if expired.approved_by else ""
    yield (
        f"{point} expired at {format_time(expired.time_ms)}, because the policy {policy_text(expired.policy)} does not "
        f"keep it (entry {expired.seq}, plan {expired.plan_sha256[:SHOWN_DIGITS]}{approved})."
    )
    if fate.removed is not None:
        at = format_time(fate.removed.time_ms)
        yield f"It was removed at {at} (entry {fate.removed.seq}) and can never come back."
    else:
        until = f"at least until {format_time(fate.until_ms)}" if fate.until_ms else "while its hold is in force"
        yield f"It can be brought back {until}: `kafka-backup unexpire --backup-id {point}`."


def fate_document(fate: Fate) -> dict[str, object]:
    """The same as JSON members. Times are Unix milliseconds."""
    return {
        "expired_ms": fate.expired.time_ms,
        "expired_by": fate.expired.seq,
        "policy": fate.expired.policy,
        "plan_sha256": fate.expired.plan_sha256,
        "approved_by": fate.expired.approved_by,
        "until_ms": fate.until_ms,
        "removed_ms": fate.removed.time_ms if fate.removed else None,
        "removed_by": fate.removed.seq if fate.removed else None,
    }


def _point(entry: PointEntry) -> str:
    totals = entry.totals
    parts = [
        f"{entry.point_kind}, {entry.status}",
        counted(totals.records, "record"),
        f"{size_text(totals.stored_bytes)} stored",
        *(f"{counted(len(notes), 'partition')} {what}" for notes, what in _troubles(entry) if notes),
    ]
    labels = f"; labels: {labels_text(entry.labels)}" if entry.labels else ""
    shrunk = f"; {entry.shrunk.counts.text(entry.set)}" if entry.shrunk else ""
    return ", ".join(parts) + labels + shrunk


def _troubles(entry: PointEntry) -> Sequence[tuple[Sequence[object], str]]:
    return (entry.failures, "failed or stalled"), (entry.gaps, "with a gap"), (entry.truncated, "truncated")


def _void(entry: VoidEntry) -> str:
    return f"run {entry.run} ended without a point: {entry.reason}"


def _expire(entry: ExpireEntry) -> str:
    approved = f", approved by {quoted(entry.approved_by)}" if entry.approved_by else ""
    plan = f"plan {entry.plan_sha256[:SHOWN_DIGITS]}{approved}"
    return f"{_points(entry.points)} expired, because the policy {policy_text(entry.policy)} does not keep them; {plan}"


def _drop(entry: DropEntry) -> str:
    approved = f", approved by {quoted(entry.approved_by)}" if entry.approved_by else ""
    spared = f"; {_points(entry.spared)} keep it, because of a hold" if entry.spared else ""
    return (
        f"data captured before {format_time(entry.before_ms)} left the set: {counted(entry.objects, 'data object')} "
        f"with {size_text(entry.stored_bytes)}{spared}; the policy is {policy_text(entry.policy)}; "
        f"plan {entry.plan_sha256[:SHOWN_DIGITS]}{approved}"
    )


def _unexpire(entry: UnexpireEntry) -> str:
    because = "" if entry.plan_sha256 is None else " by the prune, because they were being read"
    return f"{_points(entry.points)} brought back{because}"


def _remove(entry: RemoveEntry) -> str:
    return f"{_points(entry.points)} removed, and cannot come back"


def _hold(entry: HoldEntry) -> str:
    points = "all points" if entry.points is None else _points(entry.points)
    return f"hold {quoted(entry.name)} on {points} by {quoted(entry.by)}: {entry.reason}"


def _release(entry: ReleaseEntry) -> str:
    return f"hold {quoted(entry.name)} released by {quoted(entry.by)}: {entry.reason}"


def _label(entry: LabelEntry) -> str:
    added = [f"got {labels_text(entry.labels)}"] if entry.labels else []
    removed = [f"lost {', '.join(entry.removed)}"] if entry.removed else []
    return f"@{entry.point} {' and '.join([*added, *removed])}"


def _mark(entry: MarkEntry) -> str:
    note = f": {entry.note}" if entry.note else ""
    return f"mark {quoted(entry.name)} set{note}"


def _unmark(entry: UnmarkEntry) -> str:
    return f"mark {quoted(entry.name)} removed"


def _freeze(entry: FreezeEntry) -> str:
    return f"repository frozen by {quoted(entry.by)}: {entry.reason}"


def _thaw(entry: ThawEntry) -> str:
    return f"freeze ended by {quoted(entry.by)}: {entry.reason}"


def _note(entry: NoteEntry) -> str:
    return entry.text if entry.point is None else f"{entry.text} (@{entry.point})"


def _points(seqs: Sequence[int]) -> str:
    more = f" and {len(seqs) - SHOWN_POINTS:,} more" if len(seqs) > SHOWN_POINTS else ""
    return ", ".join(f"@{seq}" for seq in seqs[:SHOWN_POINTS]) + more


RENDERERS: Mapping[type[Entry], Callable[[Any], str]] = {
    PointEntry: _point,
    VoidEntry: _void,
    ExpireEntry: _expire,
    DropEntry: _drop,
    UnexpireEntry: _unexpire,
    RemoveEntry: _remove,
    HoldEntry: _hold,
    ReleaseEntry: _release,
    LabelEntry: _label,
    MarkEntry: _mark,
    UnmarkEntry: _unmark,
    FreezeEntry: _freeze,
    ThawEntry: _thaw,
    NoteEntry: _note,
}
"""The sentence of each kind of entry."""
