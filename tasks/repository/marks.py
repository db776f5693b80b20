"""The stored offsets of a mark: the bounds of each partition's log when the mark was set."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import Field

from tasks.model.errors import DamagedError
from tasks.repository.compressed_objects import StoredRef, compress_object, put_content, read_stored
from tasks.repository.document import FORMAT_MAJOR, Document, PartitionDocument, check_major, encode_json, parse_json
from tasks.repository.names import mark_key
from tasks.store.protocol import ObjectStore


class MarkedPartition(PartitionDocument):
    """The offsets [first, end) that a partition had when the mark was set: its log start and its high watermark.
    `leader_epoch` is the partition's at that time; the document has it only if it is known."""

    first: int
    end: int
    leader_epoch: int | None = Field(None, exclude_if=lambda epoch: epoch is None)


class MarkedOffsets(Document):
    """All partitions of a mark, in the order of topics and partitions."""

    format: int = FORMAT_MAJOR
    partitions: tuple[MarkedPartition, ...]

    @property
    def topics(self) -> int:
        """The number of topics."""
        return len({part.source.incarnation for part in self.partitions})


def write_mark(store: ObjectStore, set_name: str, run: str, partitions: Iterable[MarkedPartition]) -> StoredRef:
    """Store the offsets of the mark that this run sets. May be called again."""
    offsets = MarkedOffsets(partitions=tuple(sorted(partitions, key=lambda part: part.source)))
    stored, digest = compress_object(encode_json(offsets.to_json()))
    key = mark_key(set_name, run, digest)
    put_content(store, key, stored, digest)
    return StoredRef(key=key, sha256=digest, stored_bytes=len(stored))


def read_mark(store: ObjectStore, ref: StoredRef) -> MarkedOffsets:
    """The offsets that a reference names. Raises `DamagedError` if the object is missing or damaged, and
    `UnsupportedError` if a later version wrote it."""
    value = parse_json(read_stored(store, ref), key=ref.key)
    if not isinstance(value, dict):
        raise DamagedError(f"{ref.key} does not contain the offsets of a mark", key=ref.key)
    check_major(value, key=ref.key)
    return MarkedOffsets.from_json(value, key=ref.key)
