"""Reads the record batches of index lines from data objects, counts their records, and decides which objects are
downloaded whole. Damage is reported with its topic, partition and offsets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tasks.batches.aborted import AbortedBatches
from tasks.batches.header import BatchHeader, check_crc, iter_headers
from tasks.batches.records import count_in_range
from tasks.model.errors import DamagedError, KafkaBackupError, UnsupportedBatchError
from tasks.repository.data_objects import DataObjects
from tasks.repository.lines import Frame, IndexLine
from tasks.segment.frames import decompress_frame
from tasks.segment.reader import FIRST_TAIL_BYTES, TailTooShort, read_trailer
from tasks.segment.trailer import TrailerDocument, TrailerSegment
from tasks.store.protocol import ObjectStore

_READ_AHEAD_BYTES = 8 << 20


class FrameReader:
    """Reads the frames of data objects in one store. Safe to use from several threads. Make only one for each process,
    because it caches objects.

    A packed object (`IndexLine.is_packed`) is downloaded whole, once for all threads and segments; `ObjectCache` bounds
    the memory. Of any other object only the needed ranges are read, and once its end, because the frames of two swapped
    objects can agree with each other's index lines. `batches`, and the methods that use it, check the CRC of every
    batch.

    Missing or damaged data raises `DamagedError` with object, topic, partition and offsets. An object of a newer format
    can raise `UnsupportedError`.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._objects = DataObjects(store)
        self._known: set[str] = set()

    def frames(self, line: IndexLine, frames: Sequence[Frame] | None = None) -> Iterator[tuple[Frame, bytes]]:
        """(frame, its record batches) of the line, in order. `frames` are the wanted frames of the line; None means
        all."""
        wanted = line.frames if frames is None else frames
        if not wanted:
            return
        for start, stored, run in self._whole(line, wanted) if line.is_packed else self._ranges(line, wanted):
            for frame in run:
                at = frame.position - start
                yield frame, _decompress(line, frame, stored[at : at + frame.stored_bytes])

    def batches(self, line: IndexLine, frame: Frame, log: bytes) -> Iterator[tuple[int, BatchHeader]]:
        """(position in `log`, header) of each batch that has an offset in the line's range. `log` are the batches of
        the frame, as `frames` returns them. Raises `DamagedError` for a wrong CRC, a cut batch, and a batch outside the
        frame's range."""
        end = 0
        try:
            for position, header in iter_headers(log):
                end = position + header.size_bytes
                first, following = header.base_offset, header.next_offset
                if not check_crc(log, position, header):
                    raise damaged(line, frame, f"the CRC of the batch at offset {first} does not match")
                if following <= frame.first or first >= frame.next:
                    raise damaged(line, frame, f"it contains a batch at offset {first}")
                if following > line.first and first < line.next:
                    yield position, header
        except UnsupportedBatchError as error:
            raise damaged(line, frame, str(error)) from None
        if end != len(log):
            raise damaged(line, frame, "it does not end with a whole record batch")

    def restorable(self, line: IndexLine, frame: Frame, log: bytes) -> Iterator[tuple[int, BatchHeader]]:
        """The `batches` that a restore writes: batches with records that are neither control batches nor aborted."""
        aborted = AbortedBatches(line.aborted)
        for position, header in self.batches(line, frame, log):
            if header.record_count and not header.is_control and not aborted.covers(header):
                yield position, header

    def count(self, line: IndexLine, frame: Frame, first: int, end: int) -> int:
        """The number of restorable records of the frame with an offset in [first, end) and in the line's range. The
        frame is read and decoded for it."""
        [(_, log)] = self.frames(line, [frame])
        first, end = max(first, line.first), min(end, line.next)
        total = 0
        for position, header in self.restorable(line, frame, log):
            if header.base_offset >= first and header.next_offset <= end:
                total += header.record_count
            elif header.base_offset < end and header.next_offset > first:
                total += count_in_range(log[position : position + header.size_bytes], first, end)
        return total

    def count_records(self, line: IndexLine) -> int:
        """The number of restorable records of a line. Only cut frames are read and decoded."""
        return sum(
            self.count(line, frame, line.first, line.next) if line.is_cut(frame) else frame.restorable
            for frame in line.frames
        )

    def _whole(self, line: IndexLine, frames: Sequence[Frame]) -> Iterator[tuple[int, memoryview, Sequence[Frame]]]:
        """The whole object for all the frames. It stays in memory while the caller reads them."""
        try:
            stored = self._objects.whole(line.object or "", line.sha256)
        except DamagedError as error:
            raise damaged(line, None, str(error)) from None
        yield 0, memoryview(stored), frames

    def _ranges(self, line: IndexLine, frames: Sequence[Frame]) -> Iterator[tuple[int, memoryview, Sequence[Frame]]]:
        """(first byte, bytes, frames) of each group of neighbouring frames."""
        for run in _runs(frames):
            self._check_origin(line, line.object or "")
            start, end = run[0].position, run[-1].position + run[-1].stored_bytes
            yield start, memoryview(self._range(line, run[0], start, end - start)), run

    def _check_origin(self, line: IndexLine, key: str) -> None:
        """Check that the object's trailer contains the line's segment, once for each object."""
        if key in self._known:
            return
        try:
            segments = self._trailer(line).segments
        except DamagedError as error:
            raise error if error.key else damaged(line, None, str(error)) from None
        if not any(_is_of(line, segment) for segment in segments):
            raise damaged(line, None, "the object is another one: it does not contain this segment")
        self._known.add(key)

    def _trailer(self, line: IndexLine) -> TrailerDocument:
        size_bytes = line.stored_bytes or 0
        needed_bytes = min(FIRST_TAIL_BYTES, size_bytes)
        while True:
            end = read_trailer(self._range(line, None, size_bytes - needed_bytes, needed_bytes), size_bytes)
            if not isinstance(end, TailTooShort):
                return end.document
            needed_bytes = end.needed_bytes

    def _range(self, line: IndexLine, frame: Frame | None, start: int, length: int) -> bytes:
        try:
            return self._objects.range(line.object or "", start, length)
        except DamagedError as error:
            raise damaged(line, frame, str(error)) from None


def damaged(line: IndexLine, frame: Frame | None, what: str) -> DamagedError:
    """The error for damage in a range: it names the object, topic, partition and offsets, and what is wrong."""
    first, end = (frame.first, frame.next) if frame else (line.first, line.next)
    return DamagedError(
        f"{line.object}: topic {line.topic}, partition {line.partition}, offsets {first} to {end - 1}: {what}",
        key=line.object,
    )


def _is_of(line: IndexLine, segment: TrailerSegment) -> bool:
    is_same = (segment.topic, segment.topic_id, segment.partition) == line.source
    return is_same and segment.first <= line.first and line.next <= segment.next


def _decompress(line: IndexLine, frame: Frame, stored: memoryview) -> bytes:
    try:
        return decompress_frame(stored, log_bytes=frame.log_bytes)
    except KafkaBackupError as error:
        raise damaged(line, frame, str(error)) from None


def _runs(frames: Sequence[Frame]) -> Iterator[list[Frame]]:
    """Groups of frames that are neighbours in the object. Each group is small enough to be read at once."""
    run: list[Frame] = []
    for frame in frames:
        if run and (
            frame.position != run[-1].position + run[-1].stored_bytes
            or frame.position + frame.stored_bytes - run[0].position > _READ_AHEAD_BYTES
        ):
            yield run
            run = []
        run.append(frame)
    if run:
        yield run
