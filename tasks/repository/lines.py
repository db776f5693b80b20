"""Index lines: what a segment holds and where, without opening its object."""

from __future__ import annotations

from typing import NamedTuple

from tasks.model.partition import Partition
from tasks.model.ranges import AbortedRange, Gap
from tasks.repository.document import Document


class Frame(NamedTuple):
    """One independent frame of a data object: the batches with offsets in [first, next). `first` is clipped to the
    line's range when it is captured, `next` is the offset after its last batch. Between two frames of a line there is
    nothing, or a gap that the line states.

    `position` and `stored_bytes` place it in the stored object; `log_bytes` is its size when decompressed.
    `restorable` counts its records in [first, next) that are neither control records nor aborted.
    `is_dense`: every batch in it has as many records as offsets. `max_ts` is the largest batch maximum timestamp,
    `min_ts` the smallest record timestamp or None where records were not scanned, `oldest_ts` the smallest batch
    maximum timestamp (what Kafka's retention goes by); all are None where there is no record to ask.
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
        """Whether every offset of the frame is a restorable record, so that offsets may be subtracted."""
        return self.restorable == self.next - self.first


class StoreChecksum(NamedTuple):
    """The store's own checksum of an object, so that a `quick` validation can compare without reading bytes."""

    kind: str
    value: str


class IndexLine(Document):
    """Offsets [first, next) of one partition. `object` is None when nothing was there to store.

    `seq` is None until the entry that first names the line is known; it then is that entry's number.
    `trimmed_from`: the log start had moved from there to `first` before anything was read.
    `empty_from`: from there to `next` the leader answered without data, repeatedly (cleaned tail).
    `epochs` are (leader epoch, first offset seen in it); `gaps` lie inside [first, next).
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    next: int
    seq: int | None = None
    object: str | None = None
    sha256: str | None = None
    stored_bytes: int | None = None
    checksum: StoreChecksum | None = None
    captured_ms: int
    timestamp_type: str | None = None
    codecs: tuple[str, ...] = ()
    largest_batch_bytes: int = 0
    epochs: tuple[tuple[int, int], ...] = ()
    aborted: tuple[AbortedRange, ...] = ()
    gaps: tuple[Gap, ...] = ()
    trimmed_from: int | None = None
    empty_from: int | None = None
    frames: tuple[Frame, ...] = ()

    @property
    def source(self) -> Partition:
        """The partition whose batches these are."""
        return Partition(self.topic, self.topic_id, self.partition)

    @property
    def records(self) -> int:
        """Restorable records in its frames; exact unless a frame is cut."""
        return sum(frame.restorable for frame in self.frames)

    @property
    def log_bytes(self) -> int:
        """Bytes of record batches as the broker served them."""
        return sum(frame.log_bytes for frame in self.frames)

    @property
    def frame_bytes(self) -> int:
        """Stored bytes of this segment's frames; a packed object holds other segments too."""
        return sum(frame.stored_bytes for frame in self.frames)

    def is_cut(self, frame: Frame) -> bool:
        """Whether the line was clipped inside the frame since its capture: its records must then be counted anew."""
        return frame.first < self.first or frame.next > self.next
