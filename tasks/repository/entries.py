"""Entries of a set's log: each change of the set is one immutable, numbered document. Contains the kinds of points and
their statuses."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Literal, get_args

from pydantic import Field

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.compressed_objects import StoredRef
from tasks.repository.document import FORMAT_MAJOR, Document, PartitionDocument, seal, sha256_hex, unseal
from tasks.repository.drops import Drop
from tasks.repository.index import IndexRef
from tasks.repository.names import log_key
from tasks.repository.partition_table import TableRef
from tasks.repository.shrinkage import Shrinkage

Status = Literal["complete", "gaps", "partial"]
"""complete: the point contains every planned offset · gaps: some planned offsets are lost · partial: some partitions
failed or are stalled by an open transaction, or some group positions are missing."""

PointKind = Literal["snapshot", "incremental", "continuous", "consolidated"]
"""The kind of the run that made a point. snapshot: everything was read from the log start · incremental: only what is
new since the newest point was read · continuous: the same, in a cycle of a continuous backup · consolidated: no cluster
was read; small data objects of the newest point were joined."""


class Entry(Document):
    """The members of every entry. `parent` is the SHA-256 of the previous entry's stored bytes, None for entry 1.
    `newest_point` is the seq of the newest point up to and including this entry. `id` is random, so that two equal
    changes are two different entries."""

    format: int = FORMAT_MAJOR
    kind: str
    seq: int
    id: str
    repository_id: str
    set: str
    parent: str | None
    newest_point: int | None
    time_ms: int
    tool: str


def is_empty(value: Sized | None) -> bool:
    """Whether a member is left out of the stored document. A member that earlier versions do not know is written only
    if it is not empty."""
    return not value


def is_absent(value: object) -> bool:
    """Whether a member is left out of the stored document because it has no value."""
    return value is None


class PartitionNote(PartitionDocument):
    """A failed, stalled or ended partition, a gap, a trimmed or a truncated range, with the reason. A failed or ended
    partition has no offsets: `first` and `next` are None. Those of a stalled partition are the range that it holds
    back."""

    reason: str
    first: int | None = None
    next: int | None = None


class Totals(Document):
    """The sizes of a point: the topics and partitions of its table, and the sums over its counting lines."""

    topics: int
    partitions: int
    records: int
    log_bytes: int
    stored_bytes: int
    objects: int


class PointEntry(Entry):
    """A restore point: it names exactly the data that can be restored. `index`, `table`, `topics`, `groups`
    and `clients` are references to the objects that contain the details.

    `failures`, `gaps` and `trimmed` are those of this run. `truncated` are ranges of earlier points whose records the
    cluster lost in an unclean leader election, `ended` the partitions that this run does not read any more, `warnings`
    sentences for a restore. `groups` is None if the run was not configured to keep positions, or if they could not be
    read; `groups_failure` then contains the reason. `clients` is None if the run was not configured to keep quotas
    and users. `shrunk` is what the point contains less than the newest point before it, None if
    that is nothing or an older version wrote the entry. `labels` are those that the run was given; later `label`
    entries change them.
    """

    kind: Literal["point"] = "point"
    run: str
    point_kind: PointKind
    status: Status
    cluster_id: str
    cluster_label: str | None = None
    planned_ms: int
    index: tuple[IndexRef, ...]
    table: tuple[TableRef, ...]
    topics: StoredRef
    groups: StoredRef | None = None
    groups_failure: str | None = None
    clients: StoredRef | None = Field(None, exclude_if=is_absent)
    totals: Totals
    failures: tuple[PartitionNote, ...] = ()
    gaps: tuple[PartitionNote, ...] = ()
    trimmed: tuple[PartitionNote, ...] = ()
    truncated: tuple[PartitionNote, ...] = Field((), exclude_if=is_empty)
    ended: tuple[PartitionNote, ...] = Field((), exclude_if=is_empty)
    warnings: tuple[str, ...] = Field((), exclude_if=is_empty)
    shrunk: Shrinkage | None = None
    labels: dict[str, str] = Field(default_factory=dict, exclude_if=is_empty)

    @property
    def states(self) -> Iterator[StoredRef]:
        """The references to the state objects that the point has."""
        return (ref for ref in (self.topics, self.groups, self.clients) if ref is not None)

    @property
    def stalled(self) -> tuple[PartitionNote, ...]:
        """The notes on stalled partitions. They are those of `failures` that have offsets."""
        return tuple(note for note in self.failures if note.first is not None)


class VoidEntry(Entry):
    """The run ended without a point, and it can never commit. No entry names anything that it wrote."""

    kind: Literal["void"] = "void"
    run: str
    reason: str


class ExpireEntry(Entry):
    """The policy does not keep these live points any more. They cannot be used, but they still protect their data until
    a `remove` or an `unexpire` names them. `plan_sha256` is the digest of the plan that named them, `policy` the
    settings that were in force. `approved_by` is who claims to have approved the plan, None if no form was answered."""

    kind: Literal["expire"] = "expire"
    points: tuple[int, ...]
    policy: dict[str, int | str | tuple[str, ...]]
    plan_sha256: str
    approved_by: str | None = Field(None, exclude_if=is_empty)


class UnexpireEntry(Entry):
    """These expired points are live again. `plan_sha256` is the digest of the plan by which they had expired, if its
    prune brought them back because readers had pinned them meanwhile. None if somebody asked for it."""

    kind: Literal["unexpire"] = "unexpire"
    points: tuple[int, ...]
    plan_sha256: str | None = Field(None, exclude_if=is_absent)


class RemoveEntry(Entry):
    """These expired points can never be live again. From here on their data may be deleted, unless another point names
    it."""

    kind: Literal["remove"] = "remove"
    points: tuple[int, ...]


class DropEntry(Entry):
    """Data that is older than the policy's `maximum_age` is not in the set any more, also in points that stay. See
    `Drop` for `before_ms`, `up_to` and `spared`. `objects` is the number of data objects that this entry takes out, and
    `stored_bytes` their size. The other members are those of an `ExpireEntry`."""

    kind: Literal["drop"] = "drop"
    before_ms: int
    up_to: int
    spared: tuple[int, ...] = ()
    objects: int
    stored_bytes: int
    policy: dict[str, int | str | tuple[str, ...]]
    plan_sha256: str
    approved_by: str | None = Field(None, exclude_if=is_empty)

    @property
    def drop(self) -> Drop:
        """What it takes."""
        return Drop(before_ms=self.before_ms, up_to=self.up_to, spared=self.spared)


class HoldEntry(Entry):
    """These points, or all points of the set if `points` is None, do not expire until the hold is released. `name` is
    the hold's name, `by` who claims to set it."""

    kind: Literal["hold"] = "hold"
    name: str
    points: tuple[int, ...] | None
    reason: str
    by: str


class ReleaseEntry(Entry):
    """The hold is over."""

    kind: Literal["release"] = "release"
    name: str
    reason: str
    by: str


class LabelEntry(Entry):
    """The live or expired point `point` gets these labels, in addition to its other ones, and loses those with the keys
    in `removed`. A label with a known key replaces the earlier one."""

    kind: Literal["label"] = "label"
    point: int
    labels: dict[str, str]
    removed: tuple[str, ...]


class FreezeEntry(Entry):
    """From here on no `expire`, `remove`, `release` or `unmark` follows, no label is taken away, and nothing is
    deleted, until a `thaw`. `by` is who claims to freeze the repository. Can follow another freeze."""

    kind: Literal["freeze"] = "freeze"
    reason: str
    by: str


class ThawEntry(Entry):
    """The freeze is over."""

    kind: Literal["thaw"] = "thaw"
    reason: str
    by: str


class MarkEntry(Entry):
    """A named position in the logs of the set's topics. `run` is the id under which its offsets were stored; the entry
    closes it. `offsets` refers to them. While the mark exists, no other mark has its name."""

    kind: Literal["mark"] = "mark"
    name: str
    run: str
    cluster_id: str
    offsets: StoredRef
    note: str | None = Field(None, exclude_if=is_absent)


class UnmarkEntry(Entry):
    """The mark does not exist any more. `run` is that of the mark. From a grace later on, its offsets may be
    missing."""

    kind: Literal["unmark"] = "unmark"
    name: str
    run: str


class DrillNote(Document):
    """A restore drill of the point that a note names: its id, its verdict, and the key and SHA-256 of its report.
    `tier` is that of the point if the tiers are drilled in turn."""

    id: str
    verdict: str
    report: str
    report_sha256: str
    tier: str | None = Field(None, exclude_if=is_absent)


class NoteEntry(Entry):
    """An entry that changes nothing, for example: a restore was finalized, or a drill has a report."""

    kind: Literal["note"] = "note"
    point: int | None = None
    text: str
    drill: DrillNote | None = Field(None, exclude_if=is_absent)


AnyEntry = (
    PointEntry
    | VoidEntry
    | ExpireEntry
    | UnexpireEntry
    | RemoveEntry
    | DropEntry
    | HoldEntry
    | ReleaseEntry
    | LabelEntry
    | FreezeEntry
    | ThawEntry
    | MarkEntry
    | UnmarkEntry
    | NoteEntry
)

_KINDS: dict[str, type[AnyEntry]] = {kind.model_fields["kind"].default: kind for kind in get_args(AnyEntry)}


def encode_entry(entry: AnyEntry) -> tuple[bytes, str]:
    """(the bytes to store, their SHA-256). The SHA-256 is the `parent` of the next entry."""
    data = seal(entry.to_json())
    return data, sha256_hex(data)


def decode_entry(data: bytes, *, set_name: str, seq: int, repository_id: str) -> AnyEntry:
    """The entry in stored bytes. Raises `DamagedError` if they are not entry `seq` of this set, and `UnsupportedError`
    if a later version wrote them. An unknown kind of entry is refused, because it can remove data from the set."""
    key = log_key(set_name, seq)
    value = unseal(data, key=key)
    kind = _KINDS.get(str(value.get("kind")))
    if kind is None:
        raise UnsupportedError(
            f"{key} is of the unknown kind {value.get('kind')!r}: use the kafka-backup that wrote it."
        )
    entry = kind.from_json(value, key=key)
    if (entry.set, entry.seq, entry.repository_id) != (set_name, seq, repository_id):
        raise DamagedError(f"{key} contains entry {entry.seq} of set {entry.set!r}", key=key)
    return entry
