"""The partition table: the offsets of each partition that a point contains. It consists of a base table and deltas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field

from tasks.model.errors import DamagedError
from tasks.model.partition import Partition
from tasks.repository.compressed_objects import StoredRef, compress_object, put_content, read_stored
from tasks.repository.document import (
    FORMAT_MAJOR,
    Document,
    PartitionDocument,
    check_major,
    encode_json,
    parse_json,
)
from tasks.repository.names import table_key
from tasks.store.protocol import ObjectStore


class TableRef(StoredRef):
    """A reference to a table object, with the number of its rows."""

    rows: int


class Row(PartitionDocument):
    """One partition of a point: its offsets [first, next). An incremental run continues at `next`.

    A line counts for the row if its seq is at least `base_seq`; None means the seq of the reference to the table
    object. `failure` is the reason why the partition failed, and `behind_since_ms` the time (Unix milliseconds) since
    which the row is older than its point. `leader_epoch` is the partition's when the run was planned; the document has
    it only if it is known. `epoch` is that of the last stored batch.
    """

    base_seq: int | None = None
    first: int
    next: int
    epoch: int | None = None
    last_stable_offset: int | None = None
    high_watermark: int | None = None
    leader_epoch: int | None = Field(None, exclude_if=lambda epoch: epoch is None)
    is_live: bool = True
    failure: str | None = None
    behind_since_ms: int | None = None


class _TableObject(Document):
    format: int = FORMAT_MAJOR
    rows: tuple[Row, ...]


def write_table(store: ObjectStore, set_name: str, run: str, rows: Iterable[Row]) -> TableRef:
    """Store the rows as one table object. May be called again: equal rows have the same key."""
    ordered = tuple(sorted(rows, key=lambda row: row.source))
    stored, digest = compress_object(encode_json(_TableObject(rows=ordered).to_json()))
    key = table_key(set_name, run, digest)
    put_content(store, key, stored, digest)
    return TableRef(key=key, sha256=digest, stored_bytes=len(stored), rows=len(ordered))


def read_table(store: ObjectStore, refs: Sequence[TableRef], *, entry_seq: int) -> dict[Partition, Row]:
    """The rows of a base and its deltas, in that order. A later row of a partition replaces an earlier one. `entry_seq`
    is the seq of a reference without one. Raises `DamagedError` if an object is missing or damaged, and
    `UnsupportedError` if a later version wrote it."""
    rows: dict[Partition, Row] = {}
    for ref in refs:
        seq = ref.seq if ref.seq is not None else entry_seq
        value = parse_json(read_stored(store, ref), key=ref.key)
        if not isinstance(value, Mapping):
            raise DamagedError(f"{ref.key} is not a partition table", key=ref.key)
        check_major(value, key=ref.key)
        for row in _TableObject.from_json(value, key=ref.key).rows:
            rows[row.source] = row if row.base_seq is not None else row.model_copy(update={"base_seq": seq})
    return rows
