"""Log segments: runs of batches that Kafka keeps in one file, deletes together, and never serves across.

Source: Kafka's LogSegment.java and OffsetIndex.java.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from tasks.batches.header import BatchHeader, read_header

_INDEX_INTERVAL_BYTES = 4096


class StoredBatch(NamedTuple):
    """One batch as it lies in the log."""

    header: BatchHeader
    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The batch with its header read."""
        return cls(read_header(data, 0), data)


@dataclass(slots=True)
class Segment:
    """Batches from `base_offset` on. The sparse index has the last offset of some batches and where they begin."""

    base_offset: int
    batches: list[StoredBatch] = field(default_factory=list)
    size_bytes: int = 0
    first_timestamp: int = -1
    _index: list[tuple[int, int]] = field(default_factory=list)
    _since_index: int = 0

    @classmethod
    def of(cls, base_offset: int, batches: Iterable[StoredBatch]) -> Self:
        """A segment with these batches."""
        made = cls(base_offset)
        for batch in batches:
            made.append(batch)
        return made

    @property
    def newest_timestamp(self) -> int:
        """The largest timestamp of its batches, or -1."""
        return max((batch.header.max_timestamp for batch in self.batches), default=-1)

    def append(self, batch: StoredBatch) -> None:
        """Add a batch at the end."""
        if not self.batches:
            self.first_timestamp = batch.header.max_timestamp
        if self._since_index > _INDEX_INTERVAL_BYTES:
            self._index.append((batch.header.last_offset, self.size_bytes))
            self._since_index = 0
        self.batches.append(batch)
        self.size_bytes += len(batch.data)
        self._since_index += len(batch.data)

    def slice(self, position: int, end_offset: int) -> tuple[int, bytes]:
        """(where it begins in the file, the bytes) of the batch that holds `position`, or follows it, and all after it
        that begin below `end_offset`."""
        before, wanted = 0, []
        for batch in self.batches:
            if batch.header.last_offset < position:
                before += len(batch.data)
            elif batch.header.base_offset < end_offset:
                wanted.append(batch.data)
        return before, b"".join(wanted)

    def upper_bound(self, byte: int) -> int | None:
        """An offset that surely lies behind this byte of the file, by the sparse index; None when it has none."""
        return next((offset for offset, at in self._index if at >= byte), None)
