"""Index lines: each describes one segment and its place, so that a reader does not have to open its object for that."""

from __future__ import annotations

from typing import NamedTuple

from pydantic import Field

from tasks.batches.description import TimestampType
from tasks.batches.header import Codec
from tasks.model.ranges import AbortedRange, Gap
from tasks.repository.document import PartitionDocument


class Frame(NamedTuple):
    """One independent frame of a data object: the batches with offsets in [first, next). `first` is clipped to the
    line's range when the frame is captured; `next` is the offset after its last batch. The offsets between two frames
    of a line do not exist, or are in a gap of the line.

    `position` and `stored_bytes` are its place in the stored object. `log_bytes` is its size after decompression.
    `restorable` is the number of its records in [first, next) that are neither control records nor aborted, as they
    were counted in the range of the capture. `is_dense`: every batch has as many records as offsets.

    The timestamps are Unix milliseconds. `max_ts` is the largest maximum timestamp of its batches, `oldest_ts` the
    smallest, which Kafka's retention uses. `min_ts` is the smallest timestamp of its records, None if they were not
    scanned. All three are None if the frame has no records.
    """

    first: int
    next: int
    position: int
    stored_bytes: int
    log_bytes: int
    restorable: int
    is_dense: bool
    max_ts: int | None
    min_ts: int | None
    oldest_ts: int | None

    @property
    def is_countable(self) -> bool:
        """Whether every offset of the frame is a restorable record, so that offsets can be subtracted."""
        return self.restorable == self.next - self.first


class StoreChecksum(NamedTuple):
    """The store's own checksum of an object. A `quick` validation compares it without reading the object."""

    kind: str
    value: str


class IndexLine(PartitionDocument):
    """Offsets [first, next) of one partition. `object` is None if there was nothing to store.

    `seq` is the number of the entry that first named the line, None while there is no such entry. `trimmed_from`: the
    log start had moved from this offset to `first` before anything was read. `empty_from`: from this offset to `next`
    the leader had no batches, because a cleaner removed them. `epochs` are (leader epoch, base offset of its first
    batch). `gaps` are inside [first, next). `captured_ms` is the time of the capture in Unix milliseconds. If a
    consolidation copied the line from several lines, it is the oldest of their times, and `captured_to_ms` the newest.
    """

    first: int
    next: int
    seq: int | None = None
    object: str | None = None
    sha256: str | None = None
    stored_bytes: int | None = None
    checksum: StoreChecksum | None = None
    captured_ms: int
    captured_to_ms: int | None = Field(None, exclude_if=lambda time_ms: time_ms is None)
    timestamp_type: TimestampType | None = None
    codecs: tuple[Codec, ...] = ()
    largest_batch_bytes: int = 0
    epochs: tuple[tuple[int, int], ...] = ()
    aborted: tuple[AbortedRange, ...] = ()
    gaps: tuple[Gap, ...] = ()
    trimmed_from: int | None = None
    empty_from: int | None = None
    frames: tuple[Frame, ...] = ()

    @property
    def newest_ms(self) -> int:
        """When the newest of its records was captured, in Unix milliseconds."""
        return self.captured_ms if self.captured_to_ms is None else self.captured_to_ms

    @property
    def records(self) -> int:
        """The number of restorable records in its frames. Exact unless a frame is cut."""
        return sum(frame.restorable for frame in self.frames)

    @property
    def log_bytes(self) -> int:
        """Log bytes of its frames: record batches as the broker served them. A cut frame counts whole."""
        return sum(frame.log_bytes for frame in self.frames)

    @property
    def frame_bytes(self) -> int:
        """Stored bytes of its frames. A cut frame counts whole. A packed object contains other segments too."""
        return sum(frame.stored_bytes for frame in self.frames)

    @property
    def is_packed(self) -> bool:
        """Whether more than half of the object belongs to other segments. Such an object is read whole, once for all
        its segments."""
        return self.frame_bytes * 2 < (self.stored_bytes or 0)

    def is_cut(self, frame: Frame) -> bool:
        """Whether only a part of the frame is in the range of the line, because the line was clipped inside the frame.
        The records in that part can be counted only by decoding the frame."""
        return frame.first < self.first or frame.next > self.next
