"""Divides the frames of a source partition into sections, and counts the kept records of each section.

A replay regroups small batches anew at the begin of each section, so that it can begin at any section and build the
same batches as a replay from the first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from tasks.engine.record_filter.batches import count_kept, kept_batches, records_of
from tasks.engine.record_filter.conditions import frame_extent
from tasks.engine.record_filter.record_filter import Kept, RecordFilter
from tasks.engine.record_filter.tally import Tally
from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine

BARRIER_LOG_BYTES = 4 << 20
"""The distance of barriers. A section ends whenever the log bytes of the frames before have passed another multiple of
this number."""


class PlacedFrame(NamedTuple):
    """A frame of a line, and the number of its section."""

    section: int
    line: IndexLine
    frame: Frame


def placed_frames(lines: Sequence[IndexLine]) -> Iterator[PlacedFrame]:
    """All frames of the lines, in order. The sections depend on the lines alone, and not on a filter. Numbers of
    sections can be left out, because a frame can be larger than the distance of barriers. Pure."""
    before = 0
    for line in lines:
        for frame in line.frames:
            yield PlacedFrame(before // BARRIER_LOG_BYTES, line, frame)
            before += frame.log_bytes


def hides_counts(lines: Sequence[IndexLine], wanted: RecordFilter) -> bool:
    """Whether the number of kept records of some frame is known only after it was read. Pure."""
    return any(wanted.kept(line, frame) is Kept.SOME for line in lines for frame in line.frames)


class Measured(NamedTuple):
    """The number of kept records of each section, and the tally of the partition."""

    sections: list[int]
    tally: Tally


def measured(reader: FrameReader, lines: Sequence[IndexLine], wanted: RecordFilter) -> Measured:
    """Count what a filter keeps and leaves out. Frames are read if the index does not show it."""
    tally, counts = Tally(), list[int]()
    for section, line, frame, log in read_frames(reader, placed_frames(lines), wanted):
        counts += [0] * (section + 1 - len(counts))
        before, tally.captured_ms, extent = tally.records, line.newest_ms, frame_extent(line, frame)
        match wanted.kept(line, frame):
            case Kept.ALL:
                tally.kept_frame(wanted.selected_by(extent), line, frame)
            case Kept.NONE:
                records = records_of(reader, line, frame)
                tally.left_out_frame(wanted.reason(extent), line, frame, records)
            case Kept.SOME:
                tally.decoded_log_bytes += frame.log_bytes
                for _ in kept_batches(reader, line, frame, log or b"", wanted, tally):
                    pass
        counts[section] += tally.records - before
    return Measured(counts, tally)


def read_frames(
    reader: FrameReader, placed: Iterable[PlacedFrame], wanted: RecordFilter, *, is_sent: bool = False
) -> Iterator[tuple[int, IndexLine, Frame, bytes | None]]:
    """(section, line, frame, its batches) of the frames, in order. Frames of which only some records are kept are read,
    with `is_sent` also those that are kept whole. The batches of the others are None."""
    for _, group in groupby(placed, key=lambda one: id(one.line)):
        of_line = list(group)
        line = of_line[0].line
        kinds = [wanted.kept(line, one.frame) for one in of_line]
        is_read = [kind is Kept.SOME or (is_sent and kind is Kept.ALL) for kind in kinds]
        logs = reader.frames(line, [one.frame for one, needed in zip(of_line, is_read, strict=True) if needed])
        for one, needed in zip(of_line, is_read, strict=True):
            yield one.section, line, one.frame, next(logs)[1] if needed else None


def counted_sections(reader: FrameReader, lines: Sequence[IndexLine], wanted: RecordFilter) -> list[int]:
    """The number of kept records of each section. Frames whose count the index does not show are read."""
    counts: list[int] = []
    for section, line, frame in placed_frames(lines):
        counts += [0] * (section + 1 - len(counts))
        counts[section] += count_kept(reader, line, frame, wanted)
    return counts


def shown_sections(lines: Sequence[IndexLine], wanted: RecordFilter) -> list[int]:
    """The same as `counted_sections` for lines whose counts are not hidden, without a reader. Pure."""
    counts: list[int] = []
    for section, line, frame in placed_frames(lines):
        counts += [0] * (section + 1 - len(counts))
        counts[section] += 0 if wanted.kept(line, frame) is Kept.NONE else frame.restorable
    return counts
