"""Offset translation as a rank query: target offset = target base + restorable records below the source offset."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.repository.frame_reader import FrameReader
from tasks.repository.lines import Frame, IndexLine


def rank(reader: FrameReader, lines: Sequence[IndexLine], offset: int) -> int:
    """How many restorable records of a partition stand below `offset`. `lines` are its counting lines, in order.

    Arithmetic decides wherever every offset of a frame is a restorable record; only the one frame in which the
    offset falls is decoded, and only if it has holes, markers or aborted data, or is cut.
    """
    return sum(_rank_in_line(reader, line, offset) for line in lines if line.first < offset)


def _rank_in_line(reader: FrameReader, line: IndexLine, offset: int) -> int:
    if offset >= line.next:
        return reader.count_records(line)
    return sum(_rank_in_frame(reader, line, frame, offset) for frame in line.frames if frame.first < offset)


def _rank_in_frame(reader: FrameReader, line: IndexLine, frame: Frame, offset: int) -> int:
    if line.is_cut(frame):
        return reader.count(line, frame, line.first, offset)
    if offset >= frame.next:
        return frame.restorable
    if frame.is_countable:
        return offset - frame.first
    return reader.count(line, frame, line.first, offset)
