"""Validates one frame: compares its record batches with its index line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.batches.aborted import AbortedBatches
from tasks.batches.description import SegmentDescription, describe_batches
from tasks.batches.header import BatchHeader, check_codec, check_crc, iter_headers
from tasks.batches.records import count_in_range
from tasks.batches.timestamps import has_user_records, known_smallest, lowest_of
from tasks.model.errors import UnsupportedBatchError
from tasks.repository.lines import Frame, IndexLine

Range = tuple[int, int]


@dataclass(slots=True)
class SeenBatches:
    """A description of the batches of one index line, collected frame by frame. `counted` is the number of their
    restorable records in the ranges of the line that count for the point."""

    description: SegmentDescription = field(default_factory=SegmentDescription)
    counted: int = 0


def frame_problem(
    line: IndexLine, frame: Frame, log: bytes, *, captured: Range | None, counting: Sequence[Range], seen: SeenBatches
) -> str | None:
    """The first problem of a frame, or None. The description of its batches is added to `seen`.

    `log` are the frame's record batches. `captured` is the range of the segment when it was captured; the records of
    the frame were counted in this range. If it is not known (None), the number of records is not compared for a frame
    that is cut by the line's range. `counting` are the ranges of the line that count for the point.
    """
    try:
        headers = list(iter_headers(log, where=str(line.source)))
        return _batch_problem(frame, log, headers) or _difference(line, frame, log, headers, captured, counting, seen)
    except UnsupportedBatchError as error:
        return str(error)


def _batch_problem(frame: Frame, log: bytes, headers: Sequence[tuple[int, BatchHeader]]) -> str | None:
    end, following = 0, None
    for position, header in headers:
        end = position + header.size_bytes
        if not check_crc(log, position, header):
            return f"the CRC of the batch at offset {header.base_offset} does not match"
        if following is not None and header.base_offset < following:
            return f"the batch at offset {header.base_offset} begins before the end of the batch before it"
        check_codec(header)
        following = header.next_offset
    if end != len(log) or following is None:
        return "it does not end with a whole record batch"
    first, last = headers[0][1], headers[-1][1]
    is_inside = first.base_offset <= frame.first < first.next_offset and last.base_offset < frame.next <= following
    return None if is_inside else f"its batches have offsets {first.base_offset} to {last.last_offset}"


def _difference(
    line: IndexLine,
    frame: Frame,
    log: bytes,
    headers: Sequence[tuple[int, BatchHeader]],
    captured: Range | None,
    counting: Sequence[Range],
    seen: SeenBatches,
) -> str | None:
    """The first member of the frame that differs from its batches."""
    described = describe_batches(header for _, header in headers)
    seen.description.add(described)
    restorable = _count_restorable(line, frame, log, headers, captured or (line.first, line.next), counting, seen)
    actual = frame._replace(
        restorable=frame.restorable if captured is None and line.is_cut(frame) else restorable,
        is_dense=described.is_dense,
        max_ts=described.max_ts,
        min_ts=None if frame.min_ts is None else _smallest(log, headers),
        oldest_ts=described.oldest_ts,
    )
    for name, stated, found in zip(Frame._fields, frame, actual, strict=True):
        if stated != found:
            return f"its {name} is {found}, but its index line states {stated}"
    return None


def _smallest(log: bytes, headers: Sequence[tuple[int, BatchHeader]]) -> int | None:
    """The smallest timestamp of the records of all batches. They are decoded for it."""
    return lowest_of(
        [
            known_smallest(log[position : position + header.size_bytes], header)
            for position, header in headers
            if has_user_records(header)
        ]
    )


def _count_restorable(
    line: IndexLine,
    frame: Frame,
    log: bytes,
    headers: Sequence[tuple[int, BatchHeader]],
    captured: Range,
    counting: Sequence[Range],
    seen: SeenBatches,
) -> int:
    """The restorable records of the frame in the captured range. Those in the counting ranges are added to `seen`."""
    aborted = AbortedBatches(line.aborted)
    within = (max(frame.first, captured[0]), min(frame.next, captured[1]))
    restorable = 0
    for position, header in headers:
        if not header.is_control and not aborted.covers(header):
            restorable += _count(log, position, header, within)
            seen.counted += sum(_count(log, position, header, range_) for range_ in counting)
    return restorable


def _count(log: bytes, position: int, header: BatchHeader, range_: Range) -> int:
    """The number of records of a batch in a range. Only a batch that is partly in the range is copied and decoded."""
    first, end = range_
    if header.base_offset >= first and header.next_offset <= end:
        return header.record_count
    if header.base_offset >= end or header.next_offset <= first:
        return 0
    return count_in_range(log[position : position + header.size_bytes], first, end)
