"""Divides the frames of a source partition into sections, and counts the kept records of each section.

A replay regroups small batches anew at the begin of each section, so that it can begin at any section and build the
same batches as a replay from the first one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.engine.record_filter.batches import count_kept
from tasks.engine.record_filter.record_filter import Kept, RecordFilter
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
