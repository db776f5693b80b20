"""One segment: a partition's batches, grouped into frames of one data object, and what its index line will say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.batches.aborted import AbortTracker
from tasks.batches.header import CODEC_BITS, LOG_APPEND_TIME_BIT, BatchHeader, check_crc
from tasks.batches.records import count_in_range
from tasks.model.errors import UnsupportedBatchError
from tasks.model.partition import Partition
from tasks.model.ranges import Gap
from tasks.repository.lines import Frame, IndexLine
from tasks.segment.writer import ObjectWriter

FRAME_LOG_BYTES = 4 << 20
"""A frame is closed with the batch that takes it to this size."""

FULL_ENOUGH_BYTES = FRAME_LOG_BYTES // 4 * 3
"""At the end of a fetch answer a frame of this size is closed too. It is one piece of memory then, and zstd compresses
that a tenth cheaper than two."""


@dataclass(slots=True)
class _OpenFrame:
    """The frame that is being filled. `parts` are slices of fetch answers; adjoining batches share one."""

    first: int
    next: int
    parts: list[memoryview] = field(default_factory=list)
    part_start: int = 0
    part_end: int = 0
    log_bytes: int = 0
    compressed_bytes: int = 0
    restorable: int = 0
    is_dense: bool = True
    max_ts: int | None = None
    oldest_ts: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStart:
    """Where a segment begins. `trimmed_from`: the log start had moved from there to `first` before anything was read.
    `tracker` follows the transactions of an answer whose first batches went into the segment before."""

    first: int
    trimmed_from: int | None = None
    tracker: AbortTracker = field(default_factory=AbortTracker)


class Segment:
    """One partition's part of one data object, from `start` up to `end` at most. Made by `ObjectSink.segment`, which
    also stores its index line. Not thread-safe."""

    def __init__(self, writer: ObjectWriter, source: Partition, start: SegmentStart, end: int) -> None:
        self._writer = writer
        self._source = source
        self._first = start.first
        self._end = end
        self._trimmed_from = start.trimmed_from
        self._tracker = start.tracker
        self._open: _OpenFrame | None = None
        self._frames: list[Frame] = []
        self._epochs: list[tuple[int, int]] = []
        self._codecs: set[str] = set()
        self._timestamp_types: set[str] = set()
        self._gaps: list[Gap] = []
        self._largest_batch_bytes = 0
        self._empty_from: int | None = None
        self._records = 0
        self._next = start.first

    @property
    def next(self) -> int:
        """The offset after the last one that was seen."""
        return self._next

    @property
    def records(self) -> int:
        """Restorable records so far."""
        return self._records

    def start_answer(self, aborted: Iterable[tuple[int, int]]) -> None:
        """Another fetch answer begins, with these (producer id, first offset) of aborted transactions."""
        self._tracker.start_response(aborted)

    def add(self, answer: bytes, view: memoryview, at: int, header: BatchHeader, *, ends_answer: bool = False) -> bool:
        """Add the batch at `at` of a fetch answer, of which `view` is a view. `ends_answer`: it is the answer's last.

        Returns whether a frame was closed with it, which is when an object may be closed too. Raises
        `UnsupportedBatchError` for a batch whose CRC does not match.
        """
        if not check_crc(answer, at, header):
            raise UnsupportedBatchError(
                f"{self._source}: the broker served a batch at offset {header.base_offset} "
                "whose CRC does not match its bytes."
            )
        frame = self._frame_for(header)
        end = at + header.size_bytes
        restorable = self._restorable(answer, at, header)
        self._append_part(frame, view, at, end)
        frame.log_bytes += end - at
        frame.next = self._next = header.next_offset
        frame.restorable += restorable
        self._records += restorable
        self._describe(frame, header, end - at)
        if frame.log_bytes < (FULL_ENOUGH_BYTES if ends_answer else FRAME_LOG_BYTES):
            return False
        self.close_frame()
        return True

    def mark_empty(self, offset: int) -> None:
        """State that the leader has nothing from `offset` to the end of the range."""
        self._empty_from = offset
        self.skip_to(self._end)

    def next_start(self) -> SegmentStart:
        """Where a segment begins that goes on with the next batch of the same answer in another object."""
        return SegmentStart(first=self._next, tracker=self._tracker.continued())

    def skip_to(self, offset: int) -> None:
        """Everything below `offset` has been seen: what lies between holds nothing."""
        self._next = max(self._next, offset)

    def add_gap(self, gap: Gap) -> None:
        """State that offsets are lost; the frame before the gap ends there."""
        self.close_frame()
        self._gaps.append(gap)
        self._next = gap.next

    def close_frame(self) -> None:
        """Compress what is pending, if anything is."""
        frame = self._open
        if frame is None:
            return
        self._open = None
        place = self._writer.add_frame(frame.parts, precompressed=frame.compressed_bytes * 2 > frame.log_bytes)
        self._frames.append(
            Frame(
                first=frame.first,
                next=frame.next,
                position=place.position,
                stored_bytes=place.stored_bytes,
                log_bytes=place.log_bytes,
                restorable=frame.restorable,
                is_dense=frame.is_dense,
                max_ts=frame.max_ts,
                min_ts=None,
                oldest_ts=frame.oldest_ts,
            )
        )

    def finish(self, *, captured_ms: int) -> IndexLine | None:
        """Close the last frame and return the index line, all but what is known once the object is stored.

        None when there is nothing to say of the segment. The last batch may reach past the range: the line does not.
        """
        self.close_frame()
        self._next = min(self._next, max(self._end, self._first))
        if self._next == self._first and self._trimmed_from is None:
            return None
        return IndexLine(
            topic=self._source.topic,
            topic_id=self._source.topic_id,
            partition=self._source.partition,
            first=self._first,
            next=self._next,
            captured_ms=captured_ms,
            timestamp_type=self._timestamp_type(),
            codecs=tuple(sorted(self._codecs)),
            largest_batch_bytes=self._largest_batch_bytes,
            epochs=tuple(self._epochs),
            aborted=tuple(self._tracker.ranges()),
            gaps=tuple(self._gaps),
            trimmed_from=self._trimmed_from,
            empty_from=self._empty_from,
            frames=tuple(self._frames),
        )

    def _restorable(self, answer: bytes, at: int, header: BatchHeader) -> int:
        """Records that a restore will write: no control record, no aborted one, none outside the range."""
        is_aborted = self._tracker.judge(header, answer, at)
        if is_aborted or header.is_control:
            return 0
        if header.base_offset >= self._next and header.next_offset <= self._end:
            return header.record_count
        return count_in_range(answer[at : at + header.size_bytes], self._next, self._end)

    def _frame_for(self, header: BatchHeader) -> _OpenFrame:
        if self._open is None:
            first = max(self._next, header.base_offset)
            self._open = _OpenFrame(first=first, next=first)
        return self._open

    def _append_part(self, frame: _OpenFrame, view: memoryview, at: int, end: int) -> None:
        """Adjoining batches of one answer become one slice: thousands of parts would cost more than they hold."""
        if frame.parts and frame.parts[-1].obj is view.obj and frame.part_end == at:
            frame.parts[-1] = view[frame.part_start : end]
        else:
            frame.part_start = at
            frame.parts.append(view[at:end])
        frame.part_end = end

    def _describe(self, frame: _OpenFrame, header: BatchHeader, size: int) -> None:
        if not self._epochs or self._epochs[-1][0] != header.leader_epoch:
            self._epochs.append((header.leader_epoch, header.base_offset))
        if size > self._largest_batch_bytes:
            self._largest_batch_bytes = size
        if header.record_count != header.last_offset_delta + 1:
            frame.is_dense = False
        if header.attributes & CODEC_BITS:
            frame.compressed_bytes += size
        if header.is_control or header.record_count == 0:
            return
        self._codecs.add(header.codec)
        self._timestamp_types.add("LogAppendTime" if header.attributes & LOG_APPEND_TIME_BIT else "CreateTime")
        stamp = header.max_timestamp
        frame.max_ts = stamp if frame.max_ts is None or stamp > frame.max_ts else frame.max_ts
        frame.oldest_ts = stamp if frame.oldest_ts is None or stamp < frame.oldest_ts else frame.oldest_ts

    def _timestamp_type(self) -> str | None:
        return "mixed" if len(self._timestamp_types) > 1 else next(iter(self._timestamp_types), None)
