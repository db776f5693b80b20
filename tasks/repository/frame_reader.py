"""Reads the record batches of index lines back from data objects; whatever is wrong with them is named with offsets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock

from tasks.batches.aborted import AbortedBatches
from tasks.batches.header import BatchHeader, check_crc, iter_headers
from tasks.batches.records import count_in_range
from tasks.model.errors import DamagedError, KafkaBackupError, ObjectNotFoundError, UnsupportedBatchError
from tasks.repository.document import sha256_hex
from tasks.repository.lines import Frame, IndexLine
from tasks.segment.frames import decompress_frame
from tasks.segment.reader import FIRST_TAIL_BYTES, TailTooShort, read_trailer
from tasks.segment.trailer import TrailerDocument, TrailerSegment
from tasks.store.protocol import ObjectStore

_READ_AHEAD_BYTES = 8 << 20
_CACHED_OBJECTS = 2


class FrameReader:
    """Frames of data objects, read from one store. Safe to use from several threads.

    An object that packs many segments is fetched whole and kept for its other segments; of an object that belongs
    to one segment only the ranges asked for are read, and its end once: objects that were swapped can have frames that
    fit each other's index lines. Every batch's CRC is checked. All methods raise `DamagedError` naming object, topic,
    partition and offsets.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._lock = Lock()
        self._packed: OrderedDict[str, bytes] = OrderedDict()
        self._known: set[str] = set()

    def frames(self, line: IndexLine, frames: Sequence[Frame] | None = None) -> Iterator[tuple[Frame, bytes]]:
        """(frame, its record batches) of a line in order, or of those `frames` of it that are given."""
        for run in _runs(line.frames if frames is None else frames):
            stored = memoryview(self._stored(line, run))
            start = run[0].position
            for frame in run:
                at = frame.position - start
                yield frame, _decompress(line, frame, stored[at : at + frame.stored_bytes])

    def batches(self, line: IndexLine, frame: Frame, log: bytes) -> Iterator[tuple[int, BatchHeader]]:
        """(position in `log`, header) of the frame's batches that have an offset in the line's range."""
        end = 0
        try:
            for position, header in iter_headers(log):
                end = position + header.size_bytes
                first, following = header.base_offset, header.next_offset
                if not check_crc(log, position, header):
                    raise damaged(line, frame, f"the CRC of the batch at offset {first} does not match")
                if following <= frame.first or first >= frame.next:
                    raise damaged(line, frame, f"it holds a batch at offset {first}")
                if following > line.first and first < line.next:
                    yield position, header
        except UnsupportedBatchError as error:
            raise damaged(line, frame, str(error)) from None
        if end != len(log):
            raise damaged(line, frame, "it does not end with a whole record batch")

    def restorable(self, line: IndexLine, frame: Frame, log: bytes) -> Iterator[tuple[int, BatchHeader]]:
        """Those of `batches` that a restore writes: they hold records, and are neither markers nor aborted."""
        aborted = AbortedBatches(line.aborted)
        for position, header in self.batches(line, frame, log):
            if header.record_count and not header.is_control and not aborted.covers(header):
                yield position, header

    def count(self, line: IndexLine, frame: Frame, first: int, end: int) -> int:
        """Restorable records of the frame with an offset in [first, end) and in the line's range, by decoding."""
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
        """Restorable records of a line; only frames that are cut are decoded."""
        return sum(
            self.count(line, frame, line.first, line.next) if line.is_cut(frame) else frame.restorable
            for frame in line.frames
        )

    def _stored(self, line: IndexLine, run: Sequence[Frame]) -> bytes:
        assert line.object is not None
        start, end = run[0].position, run[-1].position + run[-1].stored_bytes
        if line.frame_bytes * 2 < (line.stored_bytes or 0):
            return self._whole(line, line.object)[start:end]
        self._check_origin(line, line.object)
        return self._range(line, run[0], start, end - start)

    def _check_origin(self, line: IndexLine, key: str) -> None:
        """Once per object: whether its own end says that it holds the line's segment."""
        if key in self._known:
            return
        try:
            segments = self._trailer(line).segments
        except DamagedError as error:
            raise error if error.key else damaged(line, None, str(error)) from None
        if not any(_is_of(line, segment) for segment in segments):
            raise damaged(line, None, "the object is another one: it does not hold this segment")
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
            return self._store.get_range(line.object or "", start, length)
        except ObjectNotFoundError:
            raise damaged(line, frame, "the object is missing") from None
        except DamagedError:
            raise damaged(line, frame, "the object is cut") from None

    def _whole(self, line: IndexLine, key: str) -> bytes:
        with self._lock:
            if key not in self._packed:
                self._packed[key] = self._get(line, key)
                while len(self._packed) > _CACHED_OBJECTS:
                    self._packed.popitem(last=False)
            self._packed.move_to_end(key)
            return self._packed[key]

    def _get(self, line: IndexLine, key: str) -> bytes:
        try:
            data, _ = self._store.get(key)
        except ObjectNotFoundError:
            raise damaged(line, None, "the object is missing") from None
        if sha256_hex(data) != line.sha256:
            raise damaged(line, None, "its SHA-256 is not the one in the index")
        return data


def damaged(line: IndexLine, frame: Frame | None, what: str) -> DamagedError:
    """The error that names a stored range: object, topic, partition, offsets, and what is wrong."""
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
    """Frames that stand next to each other in the object, in groups small enough to read at once."""
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
