"""Validation of one frame's record batches against what its index line says. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.batches.aborted import AbortedBatches
from tasks.batches.header import BatchHeader, check_crc, iter_headers
from tasks.batches.records import count_in_range
from tasks.model.errors import UnsupportedBatchError
from tasks.repository.lines import Frame, IndexLine

Range = tuple[int, int]


@dataclass(slots=True)
class SeenBatches:
    """What the batches of a segment turned out to be, gathered frame by frame; `counted` are restorable records in the
    ranges that count."""

    codecs: set[str] = field(default_factory=set)
    timestamp_types: set[str] = field(default_factory=set)
    epochs: list[tuple[int, int]] = field(default_factory=list)
    largest_batch_bytes: int = 0
    counted: int = 0

    @property
    def timestamp_type(self) -> str | None:
        """As an index line names it."""
        return "mixed" if len(self.timestamp_types) > 1 else next(iter(self.timestamp_types), None)


def frame_problem(
    line: IndexLine, frame: Frame, log: bytes, *, captured: Range | None, counting: Sequence[Range], seen: SeenBatches
) -> str | None:
    """The first thing that is wrong with a frame, or None; what its batches are is added to `seen`.

    `captured` is the segment's range when it was captured, within which the frame's records were counted; when that is
    not known (None), the records of a frame that the line's range cuts are not compared. `counting` are the ranges of
    the line that count for the point.
    """
    try:
        headers = list(iter_headers(log, where=str(line.source)))
        return _batch_problem(frame, log, headers) or _described(line, frame, log, headers, captured, counting, seen)
    except UnsupportedBatchError as error:
        return str(error)


def _batch_problem(frame: Frame, log: bytes, headers: Sequence[tuple[int, BatchHeader]]) -> str | None:
    end, following = 0, None
    for position, header in headers:
        end = position + header.size_bytes
        if not check_crc(log, position, header):
            return f"the CRC of the batch at offset {header.base_offset} does not match"
        if following is not None and header.base_offset < following:
            return f"the batch at offset {header.base_offset} runs backwards"
        following = header.next_offset
    if end != len(log) or following is None:
        return "it does not end with a whole record batch"
    first, last = headers[0][1], headers[-1][1]
    is_inside = first.base_offset <= frame.first < first.next_offset and last.base_offset < frame.next <= following
    return None if is_inside else f"its batches have offsets {first.base_offset} to {last.last_offset}"


def _described(
    line: IndexLine,
    frame: Frame,
    log: bytes,
    headers: Sequence[tuple[int, BatchHeader]],
    captured: Range | None,
    counting: Sequence[Range],
    seen: SeenBatches,
) -> str | None:
    first, end = captured or (line.first, line.next)
    aborted = AbortedBatches(line.aborted)
    restorable = 0
    for position, header in headers:
        _note(seen, header)
        if not header.is_control and not aborted.covers(header):
            restorable += _count(log, position, header, (max(frame.first, first), min(frame.next, end)))
            seen.counted += sum(_count(log, position, header, range_) for range_ in counting)
    stamps = [header.max_timestamp for _, header in headers if not header.is_control and header.record_count]
    actual = frame._replace(
        restorable=frame.restorable if captured is None and line.is_cut(frame) else restorable,
        is_dense=all(header.is_dense for _, header in headers),
        max_ts=max(stamps, default=None),
        oldest_ts=min(stamps, default=None),
    )
    return next((_difference(frame, actual, name) for name in Frame._fields if _differs(frame, actual, name)), None)


def _count(log: bytes, position: int, header: BatchHeader, range_: Range) -> int:
    """Records of a batch in a range; only one that the range cuts is copied and looked into."""
    first, end = range_
    if header.base_offset >= first and header.next_offset <= end:
        return header.record_count
    if header.base_offset >= end or header.next_offset <= first:
        return 0
    return count_in_range(log[position : position + header.size_bytes], first, end)


def _note(seen: SeenBatches, header: BatchHeader) -> None:
    seen.largest_batch_bytes = max(seen.largest_batch_bytes, header.size_bytes)
    if not seen.epochs or seen.epochs[-1][0] != header.leader_epoch:
        seen.epochs.append((header.leader_epoch, header.base_offset))
    if not header.is_control and header.record_count:
        seen.codecs.add(header.codec)
        seen.timestamp_types.add("LogAppendTime" if header.is_log_append_time else "CreateTime")


def _differs(frame: Frame, actual: Frame, name: str) -> bool:
    return bool(getattr(frame, name) != getattr(actual, name))


def _difference(frame: Frame, actual: Frame, name: str) -> str:
    return f"its {name} is {getattr(actual, name)}, its index line says {getattr(frame, name)}"
