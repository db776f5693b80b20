"""The partition table: per incarnation and partition, which offsets a point has. A base and a few deltas."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tasks.model.errors import DamagedError
from tasks.model.partition import Partition
from tasks.repository.document import FORMAT_MAJOR, Document, check_major, encode_json, parse_json
from tasks.repository.names import table_key
from tasks.repository.stored import StoredRef, compress_object, put_content, read_stored
from tasks.store.protocol import ObjectStore


class TableRef(StoredRef):
    """A table object with its number of rows."""

    rows: int


class Row(Document):
    """One partition of a point: its offsets [first, next); `next` is where an incremental run would go on.

    A line counts for the partition iff its seq ≥ `base_seq`; None stands for the seq of the entry that first names
    the row's object. `failure` and `behind_since_ms`: why and since when the row is older than its point.
    """

    topic: str
    topic_id: str
    partition: int
    base_seq: int | None = None
    first: int
    next: int
    epoch: int | None = None
    last_stable_offset: int | None = None
    high_watermark: int | None = None
    is_live: bool = True
    failure: str | None = None
    behind_since_ms: int | None = None

    @property
    def source(self) -> Partition:
        """The partition this row is of."""
        return Partition(self.topic, self.topic_id, self.partition)


class _TableObject(Document):
    format: int = FORMAT_MAJOR
    rows: tuple[Row, ...]


def write_table(store: ObjectStore, set_name: str, run: str, rows: Iterable[Row]) -> TableRef:
    """Write the rows as one table object; writing equal rows again is harmless."""
    ordered = tuple(sorted(rows, key=lambda row: row.source))
    stored, digest = compress_object(encode_json(_TableObject(rows=ordered).to_json()))
    key = table_key(set_name, run, digest)
    put_content(store, key, stored, digest)
    return TableRef(key=key, sha256=digest, stored_bytes=len(stored), rows=len(ordered))


def read_table(store: ObjectStore, refs: Sequence[TableRef], *, entry_seq: int) -> dict[Partition, Row]:
    """The rows of a base and its deltas, in that order: a later row of a partition replaces the earlier one."""
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
