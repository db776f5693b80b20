"""Builds one segment: groups a partition's batches into frames of a data object and keeps what its index line says."""

from __future__ import annotations

from dataclasses import dataclass, field

from tasks.batches.header import BatchHeader
from tasks.model.partition import Partition
from tasks.model.ranges import AbortedRange, Gap
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


class SegmentBuilder:
    """One partition's part of one data object, from offset `first` on. Not thread-safe."""

    def __init__(self, writer: ObjectWriter, source: Partition, first: int, *, trimmed_from: int | None) -> None:
        self._writer = writer
        self._source = source
        self._first = first
        self._trimmed_from = trimmed_from
        self._open: _OpenFrame | None = None
        self._frames: list[Frame] = []
        self._epochs: list[tuple[int, int]] = []
        self._codecs: set[str] = set()
        self._timestamp_types: set[str] = set()
        self._gaps: list[Gap] = []
        self._largest_batch_bytes = 0
        self.records = 0
        self.next = first
        self.empty_from: int | None = None

    @property
    def is_fresh(self) -> bool:
        """Whether there is nothing to say of it yet."""
        return self.next == self._first and self._trimmed_from is None

    def add(
        self, view: memoryview, at: int, header: BatchHeader, *, restorable: int, ends_answer: bool = False
    ) -> bool:
        """Add the batch at `at` of a fetch answer; `restorable` are its records that a restore will write.
        `ends_answer` says that it is the answer's last one.

        Returns whether a frame was closed with it, which is when an object may be closed too.
        """
        frame = self._frame_for(header)
        end = at + header.batch_length + 12
        self._append_part(frame, view, at, end)
        size = end - at
        frame.log_bytes += size
        frame.next = self.next = header.base_offset + header.last_offset_delta + 1
        frame.restorable += restorable
        self.records += restorable
        self._describe(frame, header, size)
        if frame.log_bytes < (FULL_ENOUGH_BYTES if ends_answer else FRAME_LOG_BYTES):
            return False
        self.close_frame()
        return True

    def skip_to(self, offset: int) -> None:
        """Everything below `offset` has been seen: what lies between holds nothing."""
        self.next = max(self.next, offset)

    def add_gap(self, gap: Gap) -> None:
        """State that offsets are lost; the frame before the gap ends there."""
        self.close_frame()
        self._gaps.append(gap)
        self.next = gap.next

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

    def line(self, *, aborted: list[AbortedRange], captured_ms: int) -> IndexLine:
        """The segment's index line, all but what is known once its object is stored. Call `close_frame` before."""
        return IndexLine(
            topic=self._source.topic,
            topic_id=self._source.topic_id,
            partition=self._source.partition,
            first=self._first,
            next=self.next,
            captured_ms=captured_ms,
            timestamp_type=self._timestamp_type(),
            codecs=tuple(sorted(self._codecs)),
            largest_batch_bytes=self._largest_batch_bytes,
            epochs=tuple(self._epochs),
            aborted=tuple(aborted),
            gaps=tuple(self._gaps),
            trimmed_from=self._trimmed_from,
            empty_from=self.empty_from,
            frames=tuple(self._frames),
        )

    def _frame_for(self, header: BatchHeader) -> _OpenFrame:
        if self._open is None:
            first = max(self.next, header.base_offset)
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
        if header.attributes & 0x07:
            frame.compressed_bytes += size
        if header.attributes & 0x20 or header.record_count == 0:
            return
        self._codecs.add(header.codec)
        self._timestamp_types.add("LogAppendTime" if header.attributes & 0x08 else "CreateTime")
        stamp = header.max_timestamp
        frame.max_ts = stamp if frame.max_ts is None or stamp > frame.max_ts else frame.max_ts
        frame.oldest_ts = stamp if frame.oldest_ts is None or stamp < frame.oldest_ts else frame.oldest_ts

    def _timestamp_type(self) -> str | None:
        return "mixed" if len(self._timestamp_types) > 1 else next(iter(self._timestamp_types), None)
