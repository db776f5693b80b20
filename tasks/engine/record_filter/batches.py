"""The batches of a frame as a restore writes them."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.batches.rewrite import needs_rebuild, rebuild
from tasks.engine.record_filter.record_filter import Kept, RecordFilter
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine


def kept_batches(
    reader: FrameReader, line: IndexLine, frame: Frame, log: bytes, wanted: RecordFilter
) -> Iterator[bytes]:
    """The batches of a frame with the kept records: dense, with CreateTime, without markers and aborted data. `log` are
    the batches of the frame, as `FrameReader.frames` returns them."""
    for position, header in reader.restorable(line, frame, log):
        batch = log[position : position + header.size_bytes]
        is_inside = header.base_offset >= line.first and header.next_offset <= line.next
        if is_inside and not needs_rebuild(header):
            yield batch
            continue
        rebuilt = rebuild(batch, first=line.first, next=line.next)
        if rebuilt is not None:
            yield rebuilt


def count_kept(reader: FrameReader, line: IndexLine, frame: Frame, wanted: RecordFilter) -> int:
    """The number of kept records of a frame. The frame is read only if the index does not show it."""
    match wanted.kept(line, frame):
        case Kept.ALL:
            return frame.restorable
        case Kept.NONE:
            return 0
        case Kept.SOME:
            return reader.count(line, frame, line.first, line.next)
