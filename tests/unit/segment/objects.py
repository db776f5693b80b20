"""Data objects to look at: record batches, segments of several partitions, and what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.model.ranges import AbortedRange, Gap
from tasks.segment.frames import FramePlace
from tasks.segment.trailer import TrailerSegment, trailer_document
from tasks.segment.writer import FinishedObject, ObjectWriter
from tests.support.batch_factory import make_batch, make_records

COMPRESSIONS = ("zstd", "lz4", "none")
TOPIC_ID = "AAAAAAAAQACAAAAAAAAAAQ"


@dataclass(frozen=True)
class Written:
    """A finished object beside what went into it."""

    finished: FinishedObject
    segments: tuple[TrailerSegment, ...]
    frames: tuple[bytes, ...]
    places: tuple[FramePlace, ...]

    @property
    def data(self) -> bytes:
        return b"".join(self.finished.body)

    @property
    def log(self) -> bytes:
        return b"".join(self.frames)


def batches(first: int, count: int, *, records: int = 3, codec: str = "none", size_bytes: int = 40) -> bytes:
    """`count` neighbouring batches from offset `first` on."""
    return b"".join(
        make_batch(make_records(records, first=at, size_bytes=size_bytes), base_offset=at, codec=codec)
        for at in range(first, first + count * records, records)
    )


def segment(partition: int, first: int, end: int, *, frames: int, topic: str = "orders") -> TrailerSegment:
    """A segment with one of everything."""
    return TrailerSegment(
        topic=topic,
        topic_id=TOPIC_ID,
        partition=partition,
        first=first,
        next=end,
        captured_ms=1_700_000_000_000 + partition,
        epochs=((0, first),),
        aborted=(AbortedRange(7, first, first + 1),),
        gaps=(Gap(first + 1, first + 2, "retention passed"),),
        frames=frames,
    )


def write_object(
    segments: Sequence[tuple[TrailerSegment, Sequence[bytes]]],
    *,
    compression: str,
    level: int = 3,
    precompressed: bool = False,
) -> Written:
    """An object of these segments, each with the log bytes of its frames; every frame is handed over in two slices."""
    writer = ObjectWriter(compression=compression, level=level)
    logs = [log for _, frames in segments for log in frames]
    places = []
    for log in logs:
        middle = len(log) // 2
        places.append(writer.add_frame([memoryview(log)[:middle], log[middle:]], precompressed=precompressed))
    stated = tuple(stated for stated, _ in segments)
    document = trailer_document(repository_id="ab" * 16, set_name="daily", run="20261122T100000123Z-1", segments=stated)
    return Written(writer.finish(document), stated, tuple(logs), tuple(places))


def packed_object(compression: str, *, partitions: int = 3) -> Written:
    """Several small partitions in one object; the first has two frames."""
    first = (segment(0, 0, 12, frames=2), [batches(0, 2), batches(6, 2)])
    others = [(segment(number, 5, 11, frames=1), [batches(5, 2)]) for number in range(1, partitions)]
    return write_object([first, *others], compression=compression)
