"""The batches of a frame as a restore writes them."""

from __future__ import annotations

from collections.abc import Iterator

from tasks.batches.header import BatchHeader
from tasks.batches.record_slices import RecordSlice, build_batch, read_slices
from tasks.batches.records import count_in_range
from tasks.batches.rewrite import needs_rebuild, rebuild
from tasks.engine.record_filter.conditions import batch_extent
from tasks.engine.record_filter.record_filter import Kept, RecordFilter
from tasks.engine.record_filter.tally import Tally
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine


def kept_batches(
    reader: FrameReader, line: IndexLine, frame: Frame, log: bytes, wanted: RecordFilter, tally: Tally | None = None
) -> Iterator[bytes]:
    """The batches of a frame with the kept records: dense, with CreateTime, without markers and aborted data. `log` are
    the batches of the frame, as `FrameReader.frames` returns them. What is kept and left out is added to the tally."""
    for position, header in reader.restorable(line, frame, log):
        batch = log[position : position + header.size_bytes]
        found = _kept_of_batch(line, batch, header, wanted, tally)
        if found is not None:
            yield found


def count_kept(reader: FrameReader, line: IndexLine, frame: Frame, wanted: RecordFilter) -> int:
    """The number of kept records of a frame. The frame is read only if the index does not show it."""
    match wanted.kept(line, frame):
        case Kept.ALL:
            return frame.restorable
        case Kept.NONE:
            return 0
        case Kept.SOME:
            return _count_some(reader, line, frame, wanted)


def records_of(reader: FrameReader, line: IndexLine, frame: Frame) -> int:
    """The number of restorable records of a frame in the range of the line."""
    if not line.is_cut(frame):
        return frame.restorable
    if frame.is_countable:
        return max(0, min(frame.next, line.next) - max(frame.first, line.first))
    return reader.count(line, frame, line.first, line.next)


def _count_some(reader: FrameReader, line: IndexLine, frame: Frame, wanted: RecordFilter) -> int:
    end = line.next if wanted.until is None else min(line.next, wanted.until)
    rest = wanted.without_until()
    is_cut_by_offsets_only = not rest.has_rules or rest.kept(line, frame) is Kept.ALL
    if is_cut_by_offsets_only and frame.is_countable:
        return max(0, min(frame.next, end) - max(frame.first, line.first))
    [(_, log)] = reader.frames(line, [frame])
    total = 0
    for position, header in reader.restorable(line, frame, log):
        match rest.shown(batch_extent(header)):
            case Kept.ALL:
                total += count_in_range(log[position : position + header.size_bytes], line.first, end)
            case Kept.SOME:
                slices = read_slices(log[position : position + header.size_bytes])
                inside = (piece for piece in slices if line.first <= piece.offset < end)
                total += sum(rest.judge(piece, header.producer_id).is_kept for piece in inside)
            case Kept.NONE:
                pass
    return total


def _kept_of_batch(
    line: IndexLine, batch: bytes, header: BatchHeader, wanted: RecordFilter, tally: Tally | None
) -> bytes | None:
    """The batch with its kept records, None if there are none. The stored bytes are kept if no record is left out."""
    is_inside = header.base_offset >= line.first and header.next_offset <= line.next
    extent = batch_extent(header)
    shown = wanted.shown(extent) if wanted.has_rules else Kept.ALL
    if shown is Kept.NONE and is_inside:
        if tally is not None:
            tally.left_out_batch(wanted.reason(extent), batch, header)
        return None
    if shown is not Kept.ALL or (tally is not None and not is_inside):
        return _kept_records(line, batch, header, wanted, tally)
    found = batch if is_inside and not needs_rebuild(header) else rebuild(batch, first=line.first, next=line.next)
    if tally is not None:
        tally.kept_batch(wanted.selected_by(extent), batch, header, found)
    return found


def _kept_records(
    line: IndexLine, batch: bytes, header: BatchHeader, wanted: RecordFilter, tally: Tally | None
) -> bytes | None:
    slices, kept = read_slices(batch), list[RecordSlice]()
    for piece in slices:
        if line.first <= piece.offset < line.next:
            verdict = wanted.judge(piece, header.producer_id)
            if verdict.is_kept:
                kept.append(piece)
            if tally is not None:
                tally.record(verdict, piece.timestamp)
    if not kept:
        return None
    is_whole = len(kept) == len(slices) and not needs_rebuild(header)
    found = batch if is_whole else build_batch(kept, codec=header.codec)
    if tally is not None:
        tally.sent(found)
    return found
