"""Builds one segment: groups batches of a partition into frames of a data object, counts their restorable records,
decides which frames count as precompressed, and makes the index line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tasks.batches.aborted import AbortTracker
from tasks.batches.description import SegmentDescription, describe_batches
from tasks.batches.header import BatchHeader, check_codec, check_crc
from tasks.batches.records import count_in_range
from tasks.batches.timestamps import has_user_records, known_smallest, lowest_of
from tasks.model.errors import UnsupportedBatchError
from tasks.model.partition import Partition
from tasks.model.ranges import Gap
from tasks.repository.lines import Frame, IndexLine
from tasks.segment.writer import ObjectWriter

FRAME_LOG_BYTES = 4 << 20
"""A frame is closed after the batch with which it reaches this size."""

FULL_ENOUGH_BYTES = FRAME_LOG_BYTES // 4 * 3
"""At the end of a fetch answer a frame of at least this size is closed too. It is then one piece of memory, which zstd
compresses with a tenth less CPU time than two pieces."""

PRECOMPRESSED_SHARE = 0.5
"""A frame of which more than this share was compressed by producers counts as precompressed."""


@dataclass(slots=True)
class _OpenFrame:
    """The frame that is being filled. `parts` are slices of fetch answers; adjoining batches share one. `headers` are
    those of its batches. `times` are the smallest timestamps of the batches with user records, if they are scanned."""

    first: int
    next: int
    parts: list[memoryview] = field(default_factory=list)
    part_start: int = 0
    part_end: int = 0
    headers: list[BatchHeader] = field(default_factory=list)
    log_bytes: int = 0
    restorable: int = 0
    times: list[int | None] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentStart:
    """The start of a segment. `trimmed_from`: the log start moved from this offset to `first` before anything was read.
    `tracker`: if the segment begins inside a fetch answer, it knows the aborted transactions of this answer."""

    first: int
    trimmed_from: int | None = None
    tracker: AbortTracker = field(default_factory=AbortTracker)


class Segment:
    """The batches of one partition in one data object, from `start` up to `end` at most. `ObjectSink.segment` makes it
    and stores its index line. Not thread-safe."""

    def __init__(
        self, writer: ObjectWriter, source: Partition, start: SegmentStart, end: int, *, index_timestamps: bool = False
    ) -> None:
        self._writer = writer
        self._source = source
        self._first = start.first
        self._end = end
        self._index_timestamps = index_timestamps
        self._trimmed_from = start.trimmed_from
        self._tracker = start.tracker
        self._open: _OpenFrame | None = None
        self._frames: list[Frame] = []
        self._description = SegmentDescription()
        self._gaps: list[Gap] = []
        self._empty_from: int | None = None
        self._records = 0
        self._next = start.first

    @property
    def next(self) -> int:
        """The offset after the last one that was read."""
        return self._next

    @property
    def records(self) -> int:
        """The number of restorable records so far."""
        return self._records

    def start_answer(self, aborted: Iterable[tuple[int, int]]) -> None:
        """Begin another fetch answer. `aborted` are the (producer id, first offset) of its aborted transactions."""
        self._tracker.start_response(aborted)

    def add(self, answer: bytes, view: memoryview, at: int, header: BatchHeader, *, ends_answer: bool = False) -> bool:
        """Add the batch at position `at` of a fetch answer. `view` is a view of the answer. `ends_answer`: the batch is
        its last one.

        Returns whether the batch closed a frame. Only then the object may be closed too. Raises `UnsupportedBatchError`
        for a batch whose CRC does not match or whose codec is unknown.
        """
        check_codec(header)
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
        frame.headers.append(header)
        if self._index_timestamps and has_user_records(header):
            frame.times.append(known_smallest(answer[at:end], header))
        if frame.log_bytes < (FULL_ENOUGH_BYTES if ends_answer else FRAME_LOG_BYTES):
            return False
        self.close_frame()
        return True

    def mark_empty(self, offset: int) -> None:
        """Record that the leader has no batches from `offset` to the end of the range."""
        self._empty_from = offset
        self.skip_to(self._end)

    def next_start(self) -> SegmentStart:
        """The start of a segment that continues with the next batch of the same answer in another object."""
        return SegmentStart(first=self._next, tracker=self._tracker.continued())

    def skip_to(self, offset: int) -> None:
        """Record that there are no batches between the last one and `offset`."""
        self._next = max(self._next, offset)

    def add_gap(self, gap: Gap) -> None:
        """Record lost offsets. Closes the frame before the gap."""
        self.close_frame()
        self._gaps.append(gap)
        self._next = gap.next

    def close_frame(self) -> None:
        """Compress the open frame, if there is one."""
        frame = self._open
        if frame is None:
            return
        self._open = None
        described = describe_batches(frame.headers)
        self._description.add(described)
        is_precompressed = described.compressed_bytes > frame.log_bytes * PRECOMPRESSED_SHARE
        place = self._writer.add_frame(frame.parts, precompressed=is_precompressed)
        self._frames.append(
            Frame(
                first=frame.first,
                next=frame.next,
                position=place.position,
                stored_bytes=place.stored_bytes,
                log_bytes=place.log_bytes,
                restorable=frame.restorable,
                is_dense=described.is_dense,
                max_ts=described.max_ts,
                min_ts=lowest_of(frame.times) if self._index_timestamps else None,
                oldest_ts=described.oldest_ts,
            )
        )

    def finish(self, *, captured_ms: int) -> IndexLine | None:
        """Close the last frame and return the index line, without the members that describe the stored object.

        Returns None if the segment is empty and was not trimmed. The last batch can reach past the range; the line ends
        with the range.
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
            timestamp_type=self._description.timestamp_type,
            codecs=self._description.codecs,
            largest_batch_bytes=self._description.largest_batch_bytes,
            epochs=tuple(self._description.epochs),
            aborted=tuple(self._tracker.ranges()),
            gaps=tuple(self._gaps),
            trimmed_from=self._trimmed_from,
            empty_from=self._empty_from,
            frames=tuple(self._frames),
        )

    def _restorable(self, answer: bytes, at: int, header: BatchHeader) -> int:
        """The number of restorable records: not control records, not aborted, and inside the range."""
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
        """Extend the last slice if the batch follows it in the same answer, because thousands of slices are slow."""
        if frame.parts and frame.parts[-1].obj is view.obj and frame.part_end == at:
            frame.parts[-1] = view[frame.part_start : end]
        else:
            frame.part_start = at
            frame.parts.append(view[at:end])
        frame.part_end = end
