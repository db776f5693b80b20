"""Entries of a set's log: one immutable, numbered document for every change of the set."""

from __future__ import annotations

from typing import Literal

from tasks.model.errors import DamagedError, UnsupportedError
from tasks.repository.document import FORMAT_MAJOR, Document, seal, sha256_hex, unseal
from tasks.repository.index import IndexRef
from tasks.repository.names import log_key
from tasks.repository.partition_table import TableRef
from tasks.repository.stored import StoredRef

Status = Literal["complete", "gaps", "partial"]
"""complete: every planned offset is here · gaps: some are known to be lost · partial: some partitions failed, or the
group positions."""


class Entry(Document):
    """What every entry has. `parent` is the SHA-256 of the previous entry's stored bytes (None for the first);
    `newest_point` the seq of the newest point up to and including this entry; `id` is random, so that two equal
    changes are two entries."""

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


class PartitionNote(Document):
    """A partition of which an entry says something: a failure's reason, a gap's or a trimmed range's offsets."""

    topic: str
    topic_id: str
    partition: int
    reason: str
    first: int | None = None
    next: int | None = None


class Totals(Document):
    """What a point holds: partitions and topics in its table, and sums over the lines that count."""

    topics: int
    partitions: int
    records: int
    log_bytes: int
    stored_bytes: int
    objects: int


class PointEntry(Entry):
    """A restore point: exactly what is restorable. `index`, `table` and the states name every object it rests on.

    `failures`, `gaps` and `trimmed` are those of this run. `groups` is None when positions were not asked for, or
    could not be read, which `groups_failure` then says.
    """

    kind: Literal["point"] = "point"
    run: str
    point_kind: Literal["snapshot"]
    status: Status
    cluster_id: str
    cluster_label: str | None = None
    planned_ms: int
    index: tuple[IndexRef, ...]
    table: tuple[TableRef, ...]
    topics: StoredRef
    groups: StoredRef | None = None
    groups_failure: str | None = None
    totals: Totals
    failures: tuple[PartitionNote, ...] = ()
    gaps: tuple[PartitionNote, ...] = ()
    trimmed: tuple[PartitionNote, ...] = ()


class VoidEntry(Entry):
    """The run can never commit: nothing it wrote will be named."""

    kind: Literal["void"] = "void"
    run: str
    reason: str


class NoteEntry(Entry):
    """Something worth remembering about a point, that changes nothing: a restore was finalized, a drill passed."""

    kind: Literal["note"] = "note"
    point: int | None = None
    text: str


AnyEntry = PointEntry | VoidEntry | NoteEntry

_KINDS: dict[str, type[PointEntry] | type[VoidEntry] | type[NoteEntry]] = {
    "point": PointEntry,
    "void": VoidEntry,
    "note": NoteEntry,
}


def encode_entry(entry: AnyEntry) -> tuple[bytes, str]:
    """(the bytes to store, their SHA-256, which is the next entry's `parent`)."""
    data = seal(entry.to_json())
    return data, sha256_hex(data)


def decode_entry(data: bytes, *, set_name: str, seq: int, repository_id: str) -> AnyEntry:
    """The entry in stored bytes. Raises `DamagedError` when they are not this set's entry number `seq`, and
    `UnsupportedError` for a kind this version does not know: it might take data away."""
    key = log_key(set_name, seq)
    value = unseal(data, key=key)
    kind = _KINDS.get(str(value.get("kind")))
    if kind is None:
        raise UnsupportedError(
            f"{key} is of the unknown kind {value.get('kind')!r}: use the kafka-backup that wrote it."
        )
    entry = kind.from_json(value, key=key)
    if (entry.set, entry.seq, entry.repository_id) != (set_name, seq, repository_id):
        raise DamagedError(f"{key} is entry {entry.seq} of set {entry.set!r} in another place", key=key)
    return entry
